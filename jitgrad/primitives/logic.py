"""Comparisons, logic, bits and choice: elementwise ops without a derivative of their own."""

from __future__ import annotations

from jitgrad.ir.types import bool_, uint64
from jitgrad.primitives.declare import (
    ANY,
    BITS,
    BOOL,
    INEXACT,
    INTEGER,
    ORDERED,
    elementwise,
    reals,
    zeros,
)

# --- comparison, logic, bits --------------------------------------------------------------------


@elementwise("x == y", dtype=ANY, sample=reals(-3, 3), result=bool_, commutative=True)
def equal(x, y):
    """x == y; nan equals nothing."""
    return None, None


@elementwise("x != y", dtype=ANY, sample=reals(-3, 3), result=bool_, commutative=True)
def not_equal(x, y):
    """x != y; nan differs from everything."""
    return None, None


@elementwise("x < y", dtype=ORDERED, sample=reals(-3, 3), result=bool_)
def less(x, y):
    """x < y."""
    return None, None


@elementwise("x <= y", dtype=ORDERED, sample=reals(-3, 3), result=bool_)
def less_equal(x, y):
    """x <= y."""
    return None, None


@elementwise("logical_and(x, y)", dtype=BOOL, sample=reals(0, 2), commutative=True)
def logical_and(x, y):
    """Both."""
    return None, None


@elementwise("logical_or(x, y)", dtype=BOOL, sample=reals(0, 2), commutative=True)
def logical_or(x, y):
    """Either or both."""
    return None, None


@elementwise("logical_xor(x, y)", dtype=BOOL, sample=reals(0, 2), commutative=True)
def logical_xor(x, y):
    """Exactly one."""
    return None, None


@elementwise("logical_not(x)", dtype=BOOL, sample=reals(0, 2))
def logical_not(x):
    """Not."""
    return (None,)


@elementwise("x & y", dtype=BITS, sample=reals(-9, 9), commutative=True)
def bit_and(x, y):
    """Bitwise and."""
    return None, None


@elementwise("x | y", dtype=BITS, sample=reals(-9, 9), commutative=True)
def bit_or(x, y):
    """Bitwise or."""
    return None, None


@elementwise("x ^ y", dtype=BITS, sample=reals(-9, 9), commutative=True)
def bit_xor(x, y):
    """Bitwise exclusive or."""
    return None, None


@elementwise("invert(x)", dtype=BITS, sample=reals(-9, 9))
def bit_not(x):
    """Bitwise complement; logical not of a bool."""
    return (None,)


@elementwise("x << y", dtype=INTEGER, sample=(reals(-9, 9), reals(0, 5)))
def shift_left(x, y):
    """x times 2 to the y, wrapping."""
    return None, None


@elementwise("x >> y", dtype=INTEGER, sample=(reals(-9, 9), reals(0, 5)))
def shift_right(x, y):
    """x divided by 2 to the y, rounding down; fills with the sign for signed dtypes."""
    return None, None


@elementwise("isnan(x)", dtype=INEXACT, sample=reals(-3, 3), result=bool_)
def isnan(x):
    """Whether nan."""
    return (None,)


@elementwise("isinf(x)", dtype=INEXACT, sample=reals(-3, 3), result=bool_)
def isinf(x):
    """Whether infinite."""
    return (None,)


@elementwise("isfinite(x)", dtype=INEXACT, sample=reals(-3, 3), result=bool_)
def isfinite(x):
    """Whether neither nan nor infinite."""
    return (None,)


# --- choice and identity ------------------------------------------------------------------------


@elementwise(
    "select(c, x, y)", dtype=(BOOL, ANY, ANY), sample=(reals(0, 2), reals(-3, 3), reals(-3, 3))
)
def select(c, x, y):
    """x where c, else y. The branch not taken gets gradient 0, never a nan of its own making."""
    return (
        None,
        lambda g: select(c, g, zeros(g.type)),
        lambda g: select(c, zeros(g.type), g),
    )


@elementwise("identity(x)", dtype=ANY, sample=reals(-3, 3))
def stop_gradient(x):
    """x, with no derivative."""
    return (None,)


@elementwise("identity(x)", dtype=ANY, sample=reals(-3, 3))
def value_of(x):
    """x as a number of the program. Who asks for a derivative through it is told that there is
    none: see `jitgrad.frontend.pull.taken`.
    """
    return (None,)


@elementwise("squares32(counter, key)", dtype=uint64, sample=reals(0, 1 << 40))
def squares32(counter, key):
    """32 random bits for each counter (in a uint64): the counter-based generator *squares*
    (Widynski, arXiv 2004.06278).
    """
    return None, None
