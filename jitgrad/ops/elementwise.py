"""Elementwise functions: arithmetic, families of floats, comparison, logic and bits.

Operands are Tensors, NumPy arrays and Python numbers; they are promoted and broadcast.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from jitgrad import tree
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType, bool_, float32, int64
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ops.promote import (
    align,
    apply,
    cast,
    convert,
    floating,
    is_number,
    named,
    one_of,
    promote_types,
    rank_of,
    result_dtype,
    scalar,
    splat,
    spread,
    tensor,
    weak,
)
from jitgrad.primitives.declare import BITS, INTEGER, NUMBER
from jitgrad.tensor import Tensor

BINARY = """

    Args:
        input, other: Tensors, arrays or numbers; promoted and broadcast to one shape.

    Raises:
        ShapeError (a ValueError): the shapes do not broadcast.
        DTypeError (a TypeError): a dtype that the operation does not take.
    """
UNARY = """

    Args:
        input: Tensor, array or number of any shape.

    Returns:
        A Tensor of the same shape.
    """


# --- arithmetic ---------------------------------------------------------------------------------


def _arithmetic(name: str, op: Op, doc: str, on_bool: Op | None = None) -> Callable:
    """A function of two numbers; `on_bool` is what it means for two bools."""

    def function(input, other):
        x, y = align(name, input, other)
        if x.dtype is bool_:
            if on_bool is None:
                align(name, input, other, takes=NUMBER)
            return apply(on_bool, x, y)
        return apply(op, x, y)

    return named(function, name, doc + BINARY)


add = _arithmetic("add", scalar.add, "Sum of two Tensors; of bools, whether any.", scalar.bit_or)
sub = _arithmetic("sub", scalar.sub, "Difference of two Tensors.")
mul = _arithmetic("mul", scalar.mul, "Product of two Tensors; of bools, both.", scalar.bit_and)
maximum = _arithmetic(
    "maximum",
    scalar.maximum,
    "The larger of two; nan if either is. A tie gives each half of the gradient.",
    scalar.bit_or,
)
minimum = _arithmetic(
    "minimum",
    scalar.minimum,
    "The smaller of two; nan if either is. A tie gives each half of the gradient.",
    scalar.bit_and,
)
remainder = _arithmetic(
    "remainder", scalar.mod, "Remainder of a division, with the divisor's sign, as Python's %."
)
fmod = _arithmetic("fmod", scalar.fmod, "Remainder with the dividend's sign, as C's fmod.")
floor_divide = _arithmetic(
    "floor_divide", scalar.floordiv, "Quotient rounded towards minus infinity, as Python's //."
)


def div(input, other, *, rounding_mode=None):
    """Quotient of two Tensors. Integers divide as float32, unless a rounding mode is given.

    Args:
        input, other: Tensors, arrays or numbers; promoted and broadcast to one shape.
        rounding_mode: None, "floor" (towards minus infinity) or "trunc" (towards zero).

    >>> from jitgrad import Tensor, ops
    >>> ops.div(Tensor([7, -7]), 2).tolist()
    [3.5, -3.5]
    >>> ops.div(Tensor([7, -7]), 2, rounding_mode="trunc").tolist()
    [3, -3]
    """
    one_of("div", "rounding_mode", rounding_mode, (None, "floor", "trunc"))
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        x, y = align("div", input, other, takes=NUMBER)
        if x.dtype.is_float:
            return apply(scalar.trunc, apply(scalar.div, x, y))
        return apply(scalar.floordiv, apply(scalar.sub, x, apply(scalar.fmod, x, y)), y)
    return apply(scalar.div, *align("div", input, other, integers_as=float32))


def pow(input, exponent):
    """input to the power of exponent.

    Integers stay integers; a negative integer exponent of an integer is an error.

    Args:
        input, exponent: Tensors, arrays or numbers; promoted and broadcast to one shape.

    >>> from jitgrad import Tensor, ops
    >>> ops.pow(Tensor([1.0, 2.0, 3.0]), 3).tolist()
    [1.0, 8.0, 27.0]
    """
    if isinstance(input, Tensor) and is_number(exponent) and rank_of(exponent) == 1:
        if not input.dtype.is_float and exponent < 0:
            raise fail(
                ArgumentError,
                f"pow got {input._type} and the exponent {exponent}",
                why="the power is no integer",
                instead="make the base a float, as in x.astype(jitgrad.float32)",
            )
        if input.dtype is not bool_ and 1 <= exponent <= 4:
            return _small_power(input, int(exponent))
    x, y = align("pow", input, exponent)
    if x.dtype is bool_:
        x, y = cast(x, int64), cast(y, int64)
    return apply(scalar.pow_, x, y)


def _small_power(x: Tensor, exponent: int) -> Tensor:
    """Products are faster than pow, and exact for small integers."""
    if exponent == 1:
        return x
    squared = apply(scalar.mul, x, x)
    if exponent == 2:
        return squared
    return apply(scalar.mul, squared, squared if exponent == 4 else x)


def neg(input):
    """Negation; of an unsigned integer, modulo its range."""
    return apply(scalar.neg, tensor("neg", input, NUMBER))


def abs(input):
    """Magnitude; the derivative at 0 is 0."""
    x = tensor("abs", input)
    return x if x.dtype.kind in "bu" else apply(scalar.abs_, x)


def sign(input):
    """-1, 0 or 1 with the dtype of the input; nan for nan."""
    x = tensor("sign", input)
    return x if x.dtype is bool_ else apply(scalar.sign, x)


def positive(input):
    """The input itself."""
    return tensor("positive", input, NUMBER)


def square(input):
    """x * x."""
    x = tensor("square", input, NUMBER)
    return apply(scalar.mul, x, x)


def reciprocal(input):
    """1 / x."""
    x = floating("reciprocal", input)
    return apply(scalar.div, splat(1, x._type), x)


# --- families of floats -------------------------------------------------------------------------


def _float(name: str, op: Op) -> Callable:
    """A function of one float; integers and bools compute in float32."""

    def function(input):
        return apply(op, floating(name, input))

    return named(function, name, op.doc + UNARY)


exp = _float("exp", scalar.exp)
exp2 = _float("exp2", scalar.exp2)
expm1 = _float("expm1", scalar.expm1)
log = _float("log", scalar.log)
log1p = _float("log1p", scalar.log1p)
log2 = _float("log2", scalar.log2)
log10 = _float("log10", scalar.log10)
sqrt = _float("sqrt", scalar.sqrt)
rsqrt = _float("rsqrt", scalar.rsqrt)
sin = _float("sin", scalar.sin)
cos = _float("cos", scalar.cos)
tan = _float("tan", scalar.tan)
asin = _float("asin", scalar.asin)
acos = _float("acos", scalar.acos)
atan = _float("atan", scalar.atan)
sinh = _float("sinh", scalar.sinh)
cosh = _float("cosh", scalar.cosh)
tanh = _float("tanh", scalar.tanh)
asinh = _float("asinh", scalar.asinh)
acosh = _float("acosh", scalar.acosh)
atanh = _float("atanh", scalar.atanh)
sigmoid = _float("sigmoid", scalar.sigmoid)
erf = _float("erf", scalar.erf)
erfc = _float("erfc", scalar.erfc)
erfinv = _float("erfinv", scalar.erfinv)
lgamma = _float("lgamma", scalar.lgamma)
digamma = _float("digamma", scalar.digamma)


def atan2(input, other):
    """Angle of the point (other, input), in radians from -pi to pi."""
    return apply(scalar.atan2, *align("atan2", input, other, integers_as=float32))


def _rounding(name: str, op: Op) -> Callable:
    """A function that leaves integers and bools alone."""

    def function(input):
        x = tensor(name, input)
        return apply(op, x) if x.dtype.is_float else x

    return named(function, name, op.doc + " Integers stay what they are." + UNARY)


floor = _rounding("floor", scalar.floor)
ceil = _rounding("ceil", scalar.ceil)
trunc = _rounding("trunc", scalar.trunc)
rint = _rounding("rint", scalar.rint)


def round(input, *, decimals=0):
    """Nearest number with `decimals` places, halves to even."""
    if decimals == 0:
        return rint(input)
    x = tensor("round", input)
    if not x.dtype.is_float:
        if decimals > 0:
            return x
        unit = splat(10**-decimals, x._type)
        return cast(mul(rint(div(x, unit)), unit), x.dtype)
    unit = splat(10.0 ** builtins.abs(decimals), x._type)
    down, up = (scalar.mul, scalar.div) if decimals > 0 else (scalar.div, scalar.mul)
    return apply(up, apply(scalar.rint, apply(down, x, unit)), unit)


# --- comparison ---------------------------------------------------------------------------------


def _compare(name: str, op: Op, sign: str, swap: bool = False) -> Callable:
    def function(input, other):
        x, y = _comparable(name, input, other)
        return apply(op, y, x) if swap else apply(op, x, y)

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
    """Whether input == other, elementwise: a bool Tensor."""
    return eq(input, other)


def not_equal(input, other):
    """Whether input != other, elementwise: a bool Tensor."""
    return ne(input, other)


def _class_of(name: str, op: Op, of_integers: bool) -> Callable:
    def function(input):
        x = tensor(name, input)
        if x.dtype.is_float:
            return apply(op, x)
        return splat(of_integers, x._type.with_dtype(bool_))

    return named(function, name, op.doc + UNARY)


isnan = _class_of("isnan", scalar.isnan, False)
isinf = _class_of("isinf", scalar.isinf, False)
isfinite = _class_of("isfinite", scalar.isfinite, True)


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether ``|input - other| <= atol + rtol * |other|``, elementwise, as NumPy has it."""
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
    """Whether 0 or false, elementwise: a bool Tensor."""
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
    """Bitwise complement; logical not of a bool."""
    return apply(scalar.bit_not, tensor("bitwise_not", input, BITS))


# --- choice -------------------------------------------------------------------------------------


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


def stop_gradient(value):
    """The value with no derivative: a constant to every gradient.

    A tuple, list or dict of Tensors gives the same of constants.
    """
    return tree.map(lambda x: apply(scalar.stop_gradient, tensor("stop_gradient", x)), value)


def to_dtype(name: str, input, dtype):
    """Cast by whatever names a dtype; DTypeError for what names none."""
    try:
        target = dtype_of(dtype)
    except TypeError as error:
        raise fail(DTypeError, f"{name}: {error}") from None
    return cast(tensor(name, input), target)


__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clamp",
    "cos",
    "cosh",
    "digamma",
    "div",
    "eq",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "fmod",
    "ge",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "maximum",
    "minimum",
    "mul",
    "ne",
    "neg",
    "not_equal",
    "positive",
    "pow",
    "promote_types",
    "reciprocal",
    "remainder",
    "rint",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "stop_gradient",
    "sub",
    "tan",
    "tanh",
    "trunc",
    "where",
]  # fmt: skip
