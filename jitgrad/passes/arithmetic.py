"""Rules of arithmetic, choice and logic. `simplify` applies them up to a level of safety.

What floats forbid is left out or marked: ``x * 0`` is not 0 where x is inf or nan, ``x - x``
neither, and ``x + 0`` turns -0.0 into 0. A literal 0 in a pattern is the positive zero only.
"""

from __future__ import annotations

import math

import numpy as np

from jitgrad.ir.node import constant_op as constant
from jitgrad.ir.node import full, splat
from jitgrad.ir.pattern import EXACT, EXACT_BUT_SIGNED_ZERO, FINITE, ROUNDING, rewrite, rule
from jitgrad.primitives.elementwise import (
    abs_,
    bit_and,
    bit_not,
    bit_or,
    bit_xor,
    ceil,
    equal,
    floor,
    floordiv,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    mod,
    neg,
    not_equal,
    pow_,
    rint,
    rsqrt,
    select,
    shift_left,
    shift_right,
    sign,
    sqrt,
    stop_gradient,
    trunc,
    value_of,
)
from jitgrad.primitives.shape import cast

FLOATS, INTS, SIGNED, DISCRETE = "f", "iu", "if", "biu"

SUMS = (
    rule("x + 0", lambda x: (x + 0, x), EXACT, on=INTS),
    rule("x + 0.0", lambda x: (x + 0.0, x), EXACT_BUT_SIGNED_ZERO),
    rule("x + -0.0", lambda x: (x + -0.0, x), EXACT),
    rule("x - 0", lambda x: (x - 0, x), EXACT),
    rule("x - -0.0", lambda x: (x - -0.0, x), EXACT_BUT_SIGNED_ZERO),
    rule("0 - x", lambda x: (0 - x, -x), EXACT, on=INTS),
    rule("0.0 - x", lambda x: (0.0 - x, -x), EXACT_BUT_SIGNED_ZERO),
    rule("-0.0 - x", lambda x: (-0.0 - x, -x), EXACT),
    rule("x - x", lambda x: (x - x, 0), EXACT, on=INTS),
    rule("x - x of floats", lambda x: (x - x, 0), FINITE, on=FLOATS),
    rule("-(-x)", lambda x: (neg(neg(x)), x), EXACT),
    rule("x + -y", lambda x, y: (x + -y, x - y), EXACT),
    rule("x - -y", lambda x, y: (x - -y, x + y), EXACT),
    rule("-(x - y)", lambda x, y: (-(x - y), y - x), EXACT_BUT_SIGNED_ZERO),
    rule(
        "(x + a) + b",
        lambda x, a, b: ((x + a.by(constant)) + b.by(constant), x + (a + b)),
        EXACT,
        on=INTS,
    ),
    rule(
        "(x + a) + b of floats",
        lambda x, a, b: ((x + a.by(constant)) + b.by(constant), x + (a + b)),
        FINITE,  # x + a may overflow, or a + b
        on=FLOATS,
    ),
)

PRODUCTS = (
    rule("x * 1", lambda x: (x * 1, x), EXACT),
    rule("x * -1", lambda x: (x * -1, -x), EXACT),
    rule("x * 0", lambda x: (x * 0, 0), EXACT, on=INTS),
    rule("x * 0.0", lambda x: (x * 0.0, 0), FINITE),
    rule("-x * -y", lambda x, y: (-x * -y, x * y), EXACT),
    rule("-x * c", lambda x, c: (-x * c.by(constant), x * -c), EXACT),
    rule("-(x * c)", lambda x, c: (-(x * c.by(constant)), x * -c), EXACT),
    rule(
        "(x * a) * b",
        lambda x, a, b: ((x * a.by(constant)) * b.by(constant), x * (a * b)),
        EXACT,
        on=INTS,
    ),
    rule(
        "(x * a) * b of floats",
        lambda x, a, b: ((x * a.by(constant)) * b.by(constant), x * (a * b)),
        FINITE,  # a * b may overflow
        on=FLOATS,
    ),
    rule("|x| * |x|", lambda x: (abs_(x) * abs_(x), x * x), EXACT),
)


@rewrite(lambda x, c: x / c.by(constant), EXACT)
def division_by_a_power_of_two(x, c):
    """x / 2^k is x * 2^-k, correctly rounded alike."""
    return _times_reciprocal(x, c, lambda number: abs(math.frexp(number)[0]) == 0.5)


@rewrite(lambda x, c: x / c.by(constant), ROUNDING)
def division_by_a_constant(x, c):
    """x / c is about x * (1 / c), and products are several times faster."""
    return _times_reciprocal(x, c, lambda number: number != 0)


def _times_reciprocal(x, c, allowed):
    number = splat(c)
    if number is None or not math.isfinite(number) or not allowed(float(number)):
        return None
    dtype = c.dtype.numpy
    reciprocal = 1 / float(number)
    limits = np.finfo(dtype)
    if not float(limits.tiny) <= abs(reciprocal) <= float(limits.max):
        return None
    return x * full(reciprocal, c.type)


QUOTIENTS = (
    rule("x / 1", lambda x: (x / 1, x), EXACT),
    rule("x / -1", lambda x: (x / -1, -x), EXACT),
    rule("x / x", lambda x: (x / x, 1), FINITE),
    rule("-x / -y", lambda x, y: (-x / -y, x / y), EXACT),
    rule("-x / c", lambda x, c: (-x / c.by(constant), x / -c), EXACT),
    rule("c / -x", lambda x, c: (c.by(constant) / -x, -c / x), EXACT),
    division_by_a_power_of_two,
    division_by_a_constant,
    rule("x // 1", lambda x: (floordiv(x, 1), x), EXACT, on=INTS),
    rule("x % 1", lambda x: (mod(x, 1), 0), EXACT, on=INTS),
    rule("1 / sqrt(x)", lambda x: (1 / sqrt(x), rsqrt(x)), EXACT),
    rule("y / sqrt(x)", lambda x, y: (y / sqrt(x), y * rsqrt(x)), ROUNDING),
)

POWERS = (
    rule("x ** 0", lambda x: (pow_(x, 0), 1), EXACT),
    rule("x ** 1", lambda x: (pow_(x, 1), x), EXACT),
    rule("1 ** x", lambda x: (pow_(1, x), 1), EXACT, on=FLOATS),
    rule("x ** 2 of integers", lambda x: (pow_(x, 2), x * x), EXACT, on=INTS),
    rule("x ** 3 of integers", lambda x: (pow_(x, 3), x * x * x), EXACT, on=INTS),
    rule("x ** 3", lambda x: (pow_(x, 3), x * x * x), ROUNDING, on=FLOATS),
    rule("x ** 4", lambda x: (pow_(x, 4), (x * x) * (x * x)), ROUNDING, on=FLOATS),
    rule("x ** -2", lambda x: (pow_(x, -2), 1 / (x * x)), ROUNDING, on=FLOATS),
    # Only FINITE: (-inf) ** 0.5 is inf and its square root nan; (-0.0) ** 0.5 is 0.0.
    rule("x ** 0.5", lambda x: (pow_(x, 0.5), sqrt(x)), FINITE),
    rule("x ** -0.5", lambda x: (pow_(x, -0.5), rsqrt(x)), FINITE),
)

STEPS = (
    *[
        rule(f"{f.name} twice", lambda x, f=f: (f(f(x)), f(x)), EXACT)
        for f in (abs_, sign, floor, ceil, trunc, rint)
    ],
    rule("|-x|", lambda x: (abs_(-x), abs_(x)), EXACT, on=SIGNED),
    *[
        row
        for f in (minimum, maximum)
        for row in (
            rule(f"{f.name}(x, x)", lambda x, f=f: (f(x, x), x), EXACT),
            # Which zero wins of 0.0 and -0.0 depends on their order.
            rule(
                f"{f.name} again",
                lambda x, y, f=f: (f(f(x, y), y), f(x, y)),
                EXACT_BUT_SIGNED_ZERO,
            ),
        )
    ],
    rule("maximum(x, -inf)", lambda x: (maximum(x, -math.inf), x), EXACT),
    rule("minimum(x, inf)", lambda x: (minimum(x, math.inf), x), EXACT),
)

CHOICES = (
    rule("select(True)", lambda x, y: (select(True, x, y), x), EXACT),
    rule("select(False)", lambda x, y: (select(False, x, y), y), EXACT),
    rule("select(c, x, x)", lambda c, x: (select(c, x, x), x), EXACT),
    rule(
        "select(not c)",
        lambda c, x, y: (select(logical_not(c), x, y), select(c, y, x)),
        EXACT,
    ),
    rule(
        "select, chosen before",
        lambda c, x, y, z: (select(c, select(c, x, y), z), select(c, x, z)),
        EXACT,
    ),
    rule(
        "select, refused before",
        lambda c, x, y, z: (select(c, x, select(c, y, z)), select(c, x, z)),
        EXACT,
    ),
    rule("select(c, True, False)", lambda c: (select(c, True, False), c), EXACT),
    rule("select(c, False, True)", lambda c: (select(c, False, True), logical_not(c)), EXACT),
    # Passes run after differentiation; nothing reads the mark any more.
    rule("stop_gradient", lambda x: (stop_gradient(x), x), EXACT),
    rule("value_of", lambda x: (value_of(x), x), EXACT),
)

COMPARISONS = (
    rule("x == x", lambda x: (equal(x, x), True), EXACT, on=DISCRETE),
    rule("x != x", lambda x: (not_equal(x, x), False), EXACT, on=DISCRETE),
    rule("x <= x", lambda x: (less_equal(x, x), True), EXACT, on=DISCRETE),
    rule("x < x", lambda x: (less(x, x), False), EXACT),
    rule("x == True", lambda x: (equal(x, True), x), EXACT),
    rule("x == False", lambda x: (equal(x, False), logical_not(x)), EXACT),
    rule("x != False", lambda x: (not_equal(x, False), x), EXACT),
    rule("x != True", lambda x: (not_equal(x, True), logical_not(x)), EXACT),
    rule("not x == y", lambda x, y: (logical_not(equal(x, y)), not_equal(x, y)), EXACT),
    rule("not x != y", lambda x, y: (logical_not(not_equal(x, y)), equal(x, y)), EXACT),
    rule("not x < y", lambda x, y: (logical_not(less(x, y)), y <= x), EXACT, on=DISCRETE),
    rule("not x <= y", lambda x, y: (logical_not(less_equal(x, y)), y < x), EXACT, on=DISCRETE),
)


@rewrite(lambda x: not_equal(cast(x), 0), EXACT)
def truth_of_a_number_made_from_truth(x):
    """A bool made a number is not 0 where it is true."""
    return x if x.dtype.kind == "b" else None


LOGIC = (
    rule("not not x", lambda x: (logical_not(logical_not(x)), x), EXACT),
    *[
        row
        for both, either, one, yes, no in (
            (logical_and, logical_or, logical_xor, True, False),
            (bit_and, bit_or, bit_xor, True, False),
        )
        for row in (
            rule(f"{both.name}(x, x)", lambda x, f=both: (f(x, x), x), EXACT),
            rule(f"{either.name}(x, x)", lambda x, f=either: (f(x, x), x), EXACT),
            rule(f"{both.name}(x, True)", lambda x, f=both, y=yes: (f(x, y), x), EXACT),
            rule(f"{both.name}(x, False)", lambda x, f=both, n=no: (f(x, n), n), EXACT),
            rule(f"{either.name}(x, True)", lambda x, f=either, y=yes: (f(x, y), y), EXACT),
            rule(f"{either.name}(x, False)", lambda x, f=either, n=no: (f(x, n), x), EXACT),
            rule(f"{one.name}(x, False)", lambda x, f=one, n=no: (f(x, n), x), EXACT),
        )
    ],
    rule("x xor x", lambda x: (logical_xor(x, x), False), EXACT),
    rule("x xor True", lambda x: (logical_xor(x, True), logical_not(x)), EXACT),
    rule("x & 0", lambda x: (bit_and(x, 0), 0), EXACT, on=INTS),
    rule("x | 0", lambda x: (bit_or(x, 0), x), EXACT, on=INTS),
    rule("x ^ 0", lambda x: (bit_xor(x, 0), x), EXACT, on=INTS),
    rule("x ^ x", lambda x: (bit_xor(x, x), 0), EXACT, on=INTS),
    rule("~~x", lambda x: (bit_not(bit_not(x)), x), EXACT),
    rule("x << 0", lambda x: (shift_left(x, 0), x), EXACT),
    rule("x >> 0", lambda x: (shift_right(x, 0), x), EXACT),
    truth_of_a_number_made_from_truth,
)

ARITHMETIC = (
    *(*SUMS, *PRODUCTS, *QUOTIENTS, *POWERS),
    *(*STEPS, *CHOICES, *COMPARISONS, *LOGIC),
)
