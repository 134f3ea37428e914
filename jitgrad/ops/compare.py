"""Elementwise comparison, logic, bits, and choice by a condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad.errors import ArgumentError, fail
from jitgrad.frontend.composed import composed
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType, bool_, float32, int64
from jitgrad.ops.elementwise import BINARY, UNARY, abs, add, mul, sub
from jitgrad.ops.promote import (
    align,
    apply,
    cast,
    convert,
    fill,
    named,
    pair,
    result_dtype,
    scalar,
    spread,
    steps_of,
    tensor,
    weak,
)
from jitgrad.primitives.declare import BITS, INTEGER, NUMBER
from jitgrad.state import state
from jitgrad.tensor import Tensor

# --- comparison ---------------------------------------------------------------------------------


def _compare(name: str, op: Op, sign: str, swap: bool = False) -> Callable:
    def compared(input, other):
        x, y = _comparable(name, input, other)
        return apply(op, y, x) if swap else apply(op, x, y)

    differing, steps = composed(named(compared, name, "")), steps_of(op, 2)

    def function(input, other):
        found = pair(input, other) if state.trace is None else None
        if found is None:
            return differing(input, other)
        x, y = found
        return steps(x._type)(y, x) if swap else steps(x._type)(x, y)

    return named(
        function, name, f"Whether input {sign} other, elementwise: a bool Tensor." + BINARY
    )


def _comparable(name: str, input: Any, other: Any) -> list[Tensor]:
    """One dtype and shape; a number that the integer dtype does not hold compares as int64."""
    try:
        return align(name, input, other)
    except ArgumentError:
        return align(name, input, other, dtype=int64)


eq = _compare("eq", scalar.equal, "==")
ne = _compare("ne", scalar.not_equal, "!=")
lt = _compare("lt", scalar.less, "<")
le = _compare("le", scalar.less_equal, "<=")
gt = _compare("gt", scalar.less, ">", swap=True)
ge = _compare("ge", scalar.less_equal, ">=", swap=True)


def equal(input, other):
    """Whether input == other, elementwise: a bool Tensor.

    >>> ops.equal(Tensor([1, 2]), Tensor([1, 3])).tolist()
    [True, False]
    """
    return eq(input, other)


def not_equal(input, other):
    """Whether input != other, elementwise: a bool Tensor.

    >>> ops.not_equal(Tensor([1, 2]), 2).tolist()
    [True, False]
    """
    return ne(input, other)


def _class_of(name: str, op: Op, of_integers: bool) -> Callable:
    def function(input):
        x = tensor(name, input)
        if x.dtype.is_float:
            return apply(op, x)
        return fill(of_integers, x._type.with_dtype(bool_))

    return named(function, name, op.doc + UNARY)


isnan = _class_of("isnan", scalar.isnan, False)
isinf = _class_of("isinf", scalar.isinf, False)
isfinite = _class_of("isfinite", scalar.isfinite, True)


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether ``|input - other| <= atol + rtol * |other|``, elementwise, as NumPy has it.

    >>> ops.isclose(Tensor([1.0, 2.0]), Tensor([1.000001, 2.1])).tolist()
    [True, False]
    """
    x, y = align("isclose", input, other, integers_as=float32)
    same = eq(x, y)  # equal infinities, whose difference is nan
    finite = isfinite(y)
    near = logical_and(le(abs(sub(x, y)), add(mul(abs(y), rtol), atol)), finite)
    near = logical_or(same, near)
    return logical_or(near, logical_and(isnan(x), isnan(y))) if equal_nan else near


# --- logic and bits -----------------------------------------------------------------------------


def _logic(name: str, op: Op, doc: str) -> Callable:
    def function(input, other):
        return apply(op, *align(name, truth(name, input), truth(name, other)))

    return named(function, name, doc + " Numbers count as true where not 0." + BINARY)


def truth(name: str, value: Any) -> Tensor:
    """An operand as a bool Tensor: true where not 0."""
    return cast(tensor(name, value), bool_)


logical_and = _logic("logical_and", scalar.logical_and, "Both, elementwise.")
logical_or = _logic("logical_or", scalar.logical_or, "Either or both, elementwise.")
logical_xor = _logic("logical_xor", scalar.logical_xor, "Exactly one, elementwise.")


def logical_not(input):
    """Whether 0 or false, elementwise: a bool Tensor.

    >>> ops.logical_not(Tensor([True, False])).tolist()
    [False, True]
    """
    return apply(scalar.logical_not, truth("logical_not", input))


def _bits(name: str, op: Op, takes: str = BITS) -> Callable:
    def function(input, other):
        return apply(op, *align(name, input, other, takes=takes))

    return named(function, name, op.doc + BINARY)


bitwise_and = _bits("bitwise_and", scalar.bit_and)
bitwise_or = _bits("bitwise_or", scalar.bit_or)
bitwise_xor = _bits("bitwise_xor", scalar.bit_xor)
bitwise_left_shift = _bits("bitwise_left_shift", scalar.shift_left, INTEGER)
bitwise_right_shift = _bits("bitwise_right_shift", scalar.shift_right, INTEGER)


def bitwise_not(input):
    """Bitwise complement; logical not of a bool.

    >>> ops.bitwise_not(Tensor([0, 5])).tolist()
    [-1, -6]
    """
    return apply(scalar.bit_not, tensor("bitwise_not", input, BITS))


# --- choice -------------------------------------------------------------------------------------


@composed
def where(condition, input, other):
    """input where the condition holds, else other. The branch not taken gets gradient 0.

    Args:
        condition: bool Tensor (numbers count as true where not 0).
        input, other: Tensors or numbers; promoted, and broadcast with the condition.

    >>> from jitgrad import Tensor, ops
    >>> x = Tensor([-1.0, 2.0])
    >>> ops.where(x > 0, x, 0.0).tolist()
    [0.0, 2.0]
    """
    condition = truth("where", condition)
    input, other = convert("where", input), convert("where", other)
    dtype = result_dtype((input, other))
    x, y = (
        cast(v, dtype) if isinstance(v, Tensor) else weak("where", v, TensorType(dtype, ()))
        for v in (input, other)
    )
    return apply(scalar.select, *spread("where", condition, x, y))


def clamp(input, min=None, max=None):
    """Limit values to [min, max]; the gradient is 1 on the edges, 0 outside. nan stays nan.

    Args:
        input: Tensor of numbers.
        min, max: numbers or Tensors that broadcast with the input, or None for no limit.

    >>> from jitgrad import Tensor, ops
    >>> ops.clamp(Tensor([-2.0, 0.5, 3.0]), 0.0, 1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    if min is None and max is None:
        raise fail(ArgumentError, "clamp got neither min nor max", instead="give one of them")
    limits = [v for v in (min, max) if v is not None]
    x, *limits = align("clamp", input, *limits, takes=NUMBER)
    if min is not None:
        x = apply(scalar.select, apply(scalar.less, x, limits[0]), limits[0], x)
    if max is not None:
        x = apply(scalar.select, apply(scalar.less, limits[-1], x), limits[-1], x)
    return x


__all__ = [
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "clamp", "eq", "equal", "ge", "gt", "isclose", "isfinite", "isinf", "isnan",
    "le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne", "not_equal",
    "truth", "where",
]  # fmt: skip
