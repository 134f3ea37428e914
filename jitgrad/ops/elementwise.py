"""Elementwise functions: arithmetic, families of floats, comparison, logic and bits.

Operands are Tensors, NumPy arrays and Python numbers; they are promoted and broadcast.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable

from jitgrad import tree
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.frontend.composed import composed
from jitgrad.ir.op import Op
from jitgrad.ir.types import bool_, float32, int64
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ops.promote import (
    align,
    apply,
    cast,
    floating,
    fresh,
    is_number,
    named,
    one_of,
    pair,
    rank_of,
    scalar,
    splat,
    steps_of,
    tensor,
)
from jitgrad.primitives.declare import NUMBER
from jitgrad.state import state
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

    def aligned(input, other):
        x, y = align(name, input, other)
        if x._type.dtype is bool_:
            if on_bool is None:
                align(name, input, other, takes=NUMBER)
            return apply(on_bool, x, y)
        return apply(op, x, y)

    differing, steps = composed(named(aligned, name, "")), steps_of(op, 2)

    def function(input, other):
        found = pair(input, other) if state.trace is None else None
        if found is None or found[0]._type.dtype is bool_:
            return differing(input, other)
        x, y = found
        return steps(x._type)(x, y)

    return named(function, name, doc + BINARY)


add = _arithmetic("add", scalar.add, "Sum of two Tensors; of bools, whether any.", scalar.bit_or)
sub = _arithmetic("sub", scalar.sub, "Difference of two Tensors.")
mul = _arithmetic("mul", scalar.mul, "Product of two Tensors; of bools, both.", scalar.bit_and)


def subtract(input, other, *, alpha=1):
    """input - alpha * other.

    >>> ops.subtract(Tensor([3.0, 4.0]), 1).tolist()
    [2.0, 3.0]
    """
    return sub(input, other if alpha == 1 else mul(other, alpha))


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


@fresh
def pow(input, exponent):
    """input to the power of exponent.

    Integers stay integers; a negative integer exponent of an integer is an error. The numbers 0.5
    and -0.5 take square roots.

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
    of_floats = isinstance(input, Tensor) and input.dtype.is_float and is_number(exponent)
    if of_floats and exponent in _ROOTS:
        return apply(_ROOTS[exponent], input)
    x, y = align("pow", input, exponent)
    if x.dtype is bool_:
        x, y = cast(x, int64), cast(y, int64)
    return apply(scalar.pow_, x, y)


# As in NumPy and PyTorch: several times faster, rounded exactly, and nan of -inf, not inf.
_ROOTS = {0.5: scalar.sqrt, -0.5: scalar.rsqrt}


def _small_power(x: Tensor, exponent: int) -> Tensor:
    """Products are faster than pow, and exact for small integers."""
    if exponent == 1:
        return x
    squared = apply(scalar.mul, x, x)
    if exponent == 2:
        return squared
    return apply(scalar.mul, squared, squared if exponent == 4 else x)


def neg(input):
    """Negation; of an unsigned integer, modulo its range.

    >>> ops.neg(Tensor([1, -2])).tolist()
    [-1, 2]
    """
    return apply(scalar.neg, tensor("neg", input, NUMBER))


@fresh
def abs(input):
    """Magnitude; the derivative at 0 is 0.

    >>> ops.abs(Tensor([-1.5, 2.0])).tolist()
    [1.5, 2.0]
    """
    x = tensor("abs", input)
    return x if x.dtype.kind in "bu" else apply(scalar.abs_, x)


@fresh
def sign(input):
    """-1, 0 or 1 with the dtype of the input; nan for nan.

    >>> ops.sign(Tensor([-1.5, 0.0, 2.0])).tolist()
    [-1.0, 0.0, 1.0]
    """
    x = tensor("sign", input)
    return x if x.dtype is bool_ else apply(scalar.sign, x)


@fresh
def positive(input):
    """The input itself.

    >>> ops.positive(Tensor([-1.5])).tolist()
    [-1.5]
    """
    return tensor("positive", input, NUMBER)


def square(input):
    """x * x.

    >>> ops.square(Tensor([-3, 2])).tolist()
    [9, 4]
    """
    x = tensor("square", input, NUMBER)
    return apply(scalar.mul, x, x)


def reciprocal(input):
    """1 / x.

    >>> ops.reciprocal(Tensor([2.0, -4.0])).tolist()
    [0.5, -0.25]
    """
    x = floating("reciprocal", input)
    return apply(scalar.div, splat(1, x._type), x)


# --- families of floats -------------------------------------------------------------------------


def _float(name: str, op: Op) -> Callable:
    """A function of one float; integers and bools compute in float32."""

    steps = steps_of(op, 1)

    def function(input):
        x = floating(name, input)
        return steps(x._type)(x) if state.trace is None else apply(op, x)

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
    """Angle of the point (other, input), in radians from -pi to pi.

    >>> print(ops.atan2(Tensor([1.0, -1.0]), Tensor([1.0, -1.0])).asnumpy().round(4))
    [ 0.7854 -2.3562]
    """
    return apply(scalar.atan2, *align("atan2", input, other, integers_as=float32))


def _rounding(name: str, op: Op) -> Callable:
    """A function that leaves integers and bools alone."""

    @fresh
    def function(input):
        x = tensor(name, input)
        return apply(op, x) if x.dtype.is_float else x

    return named(function, name, op.doc + " Integers stay what they are." + UNARY)


floor = _rounding("floor", scalar.floor)
ceil = _rounding("ceil", scalar.ceil)
trunc = _rounding("trunc", scalar.trunc)
rint = _rounding("rint", scalar.rint)


@fresh
def round(input, *, decimals=0):
    """Nearest number with `decimals` places, halves to even.

    >>> ops.round(Tensor([0.5, 1.5, 2.25]), decimals=1).tolist()
    [0.5, 1.5, 2.200000047683716]
    """
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


def stop_gradient(value):
    """The value with no derivative: a constant to every gradient.

    A tuple, list or dict of Tensors gives the same of constants; a number is one already.

    >>> ms.grad(lambda x: x * ops.stop_gradient(x))(Tensor(3.0)).item()
    3.0
    """
    return tree.map(
        lambda x: x if is_number(x) else apply(scalar.stop_gradient, tensor("stop_gradient", x)),
        value,
    )


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
    "ceil",
    "cos",
    "cosh",
    "digamma",
    "div",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "fmod",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "maximum",
    "minimum",
    "mul",
    "neg",
    "positive",
    "pow",
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
    "subtract",
    "tan",
    "tanh",
    "to_dtype",
    "trunc",
]  # fmt: skip
