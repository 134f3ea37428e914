"""Further functions of numbers, made of the elementwise ones."""

from __future__ import annotations

import math

from jitgrad.ir.types import bool_, float32, float64, int32
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.joining import stack
from jitgrad.ops.promote import (
    align,
    apply,
    cast,
    floating,
    fresh,
    inexact,
    is_number,
    scalar,
    splat,
    tensor,
)
from jitgrad.ops.reduce import sum as sum_

# --- of one number ------------------------------------------------------------------------------


def frac(x):
    """The part after the point, with the sign of x.

    >>> ops.frac(Tensor([1.5, -1.25])).tolist()
    [0.5, -0.25]
    """
    x = floating("frac", x)
    return apply(scalar.sub, x, apply(scalar.trunc, x))


def deg2rad(x):
    """Degrees to radians.

    >>> print(ops.deg2rad(Tensor([180.0])).asnumpy().round(4))
    [3.1416]
    """
    return e.mul(floating("deg2rad", x), math.pi / 180)


def rad2deg(x):
    """Radians to degrees.

    >>> print(ops.rad2deg(Tensor([3.14159265])).asnumpy().round(2))
    [180.]
    """
    return e.mul(floating("rad2deg", x), 180 / math.pi)


def sinc(input):
    """sin(pi x) / (pi x), and 1 at 0.

    >>> ops.sinc(Tensor([0.0])).tolist()
    [1.0]
    """
    x = e.mul(inexact("sinc", input), math.pi)
    at_zero = c.eq(x, 0)
    safe = c.where(at_zero, 1.0, x)
    # Where x is 0 the series 1 - x**2 / 6 stands in, which has the right derivatives there.
    series = e.sub(1, e.div(e.square(x), 6))
    return c.where(at_zero, series, e.div(e.sin(safe), safe))


def signbit(input):
    """Whether the sign is negative, that of -0.0 included.

    >>> ops.signbit(Tensor([-0.0, 1.0])).tolist()
    [True, False]
    """
    x = tensor("signbit", input)
    if not x.dtype.is_float:
        return c.lt(x, 0) if x.dtype is not bool_ else c.ne(x, x)
    zero_below = c.lt(e.atan2(x, splat(-1, x._type)), 0)  # -pi for -0.0, pi for 0.0
    return c.logical_or(c.lt(x, 0), zero_below)


@fresh
def nan_to_num(input, nan=None, posinf=None, neginf=None):
    """nan as a number (0 by default), infinities as numbers (the largest of the dtype).

    >>> ops.nan_to_num(Tensor([float("nan"), 1.0])).tolist()
    [0.0, 1.0]
    """
    x = tensor("nan_to_num", input)
    if not x.dtype.is_float:
        return x
    import numpy as np

    most = float(np.finfo(x.dtype.numpy).max)
    high = most if posinf is None else posinf
    low = -most if neginf is None else neginf
    out = c.where(c.isnan(x), 0.0 if nan is None else nan, x)
    out = c.where(c.eq(x, math.inf), high, out)
    return c.where(c.eq(x, -math.inf), low, out)


def isposinf(input):
    """Whether plus infinity.

    >>> ops.isposinf(Tensor([float("inf"), 1.0])).tolist()
    [True, False]
    """
    return c.eq(tensor("isposinf", input), math.inf)


def isneginf(input):
    """Whether minus infinity.

    >>> ops.isneginf(Tensor([-float("inf"), 1.0])).tolist()
    [True, False]
    """
    return c.eq(tensor("isneginf", input), -math.inf)


def mvlgamma(input, p):
    """The logarithm of the multivariate gamma function of dimension p.

    >>> print(ops.mvlgamma(Tensor([3.0]), 1).asnumpy().round(4))
    [0.6931]
    """
    x = floating("mvlgamma", input)
    parts = [e.lgamma(e.sub(x, i / 2)) for i in range(p)]
    return e.add(sum_(stack(parts), 0), p * (p - 1) / 4 * math.log(math.pi))


# --- of two numbers -----------------------------------------------------------------------------


def hypot(input, other):
    """sqrt(x**2 + y**2) without overflow in between.

    >>> ops.hypot(Tensor([3.0]), Tensor([4.0])).tolist()
    [5.0]
    """
    x, y = (e.abs(v) for v in align("hypot", input, other, integers_as=float32))
    top = e.stop_gradient(e.maximum(x, y))
    unit = c.where(c.logical_or(c.eq(top, 0), c.isinf(top)), 1.0, top)
    return e.mul(unit, e.sqrt(e.add(e.square(e.div(x, unit)), e.square(e.div(y, unit)))))


def logaddexp(input, other):
    """log(exp(x) + exp(y)) without overflow.

    >>> print(ops.logaddexp(Tensor([0.0]), Tensor([0.0])).asnumpy().round(4))
    [0.6931]
    """
    from jitgrad.ops.activation import log1pexp

    x, y = align("logaddexp", input, other, integers_as=float32)
    larger = c.ge(x, y)
    top, rest = c.where(larger, x, y), c.where(larger, y, x)
    same = c.logical_and(c.eq(x, y), c.isinf(x))
    return c.where(same, x, e.add(top, log1pexp(e.sub(rest, top))))


def logaddexp2(input, other):
    """log2(2**x + 2**y) without overflow.

    >>> ops.logaddexp2(Tensor([0.0]), Tensor([0.0])).tolist()
    [1.0]
    """
    scale = math.log(2)
    x, y = align("logaddexp2", input, other, integers_as=float32)
    return e.div(logaddexp(e.mul(x, scale), e.mul(y, scale)), scale)


def xdivy(x, y):
    """x / y, and 0 where x is 0, whatever y is.

    >>> ops.xdivy(Tensor([0.0, 3.0]), Tensor([0.0, 2.0])).tolist()
    [0.0, 1.5]
    """
    x, y = align("xdivy", x, y, integers_as=float32)
    zero = c.eq(x, 0)
    return c.where(zero, 0.0, e.div(x, c.where(zero, 1.0, y)))


def copysign(x, other):
    """The magnitude of x with the sign of the other.

    >>> ops.copysign(Tensor([1.0, -2.0]), -1.0).tolist()
    [-1.0, -2.0]
    """
    x, y = align("copysign", x, other, integers_as=float32)
    size = e.abs(x)
    return c.where(signbit(y), e.neg(size), size)


def heaviside(input, values):
    """0 below 0, 1 above, `values` at 0.

    >>> ops.heaviside(Tensor([-1.0, 0.0, 1.0]), Tensor(0.5)).tolist()
    [0.0, 0.5, 1.0]
    """
    x, at_zero = align("heaviside", input, values)
    step = c.where(c.gt(x, 0), splat(1, x._type), splat(0, x._type))
    return c.where(c.isnan(x), x, c.where(c.eq(x, 0), at_zero, step))


def fmax(input, other):
    """The larger of two; a nan counts only if both are.

    >>> ops.fmax(Tensor([1.0, float("nan")]), Tensor([2.0, 3.0])).tolist()
    [2.0, 3.0]
    """
    x, y = align("fmax", input, other)
    return c.where(c.isnan(x), y, c.where(c.isnan(y), x, e.maximum(x, y)))


def fmin(input, other):
    """The smaller of two; a nan counts only if both are.

    >>> ops.fmin(Tensor([1.0, float("nan")]), Tensor([2.0, 3.0])).tolist()
    [1.0, 3.0]
    """
    x, y = align("fmin", input, other)
    return c.where(c.isnan(x), y, c.where(c.isnan(y), x, e.minimum(x, y)))


def lerp(input, end, weight):
    """input + weight * (end - input).

    >>> ops.lerp(Tensor([0.0]), Tensor([10.0]), 0.25).tolist()
    [2.5]
    """
    if is_number(weight):
        x, y = align("lerp", input, end, integers_as=float32)
    else:
        x, y, weight = align("lerp", input, end, weight, integers_as=float32)
    return e.add(x, e.mul(e.sub(y, x), weight))


def ldexp(x, other):
    """x * 2**other.

    >>> ops.ldexp(Tensor([3.0]), Tensor([2])).tolist()
    [12.0]
    """
    return e.mul(x, e.pow(2.0, other))


def float_power(input, exponent):
    """The power in float64.

    >>> ops.float_power(Tensor([2, 3]), 2).tolist()
    [4.0, 9.0]
    """
    x, y = (cast(v, float64) for v in align("float_power", input, exponent))
    return apply(scalar.pow_, x, y)


def squared_difference(x, y):
    """(x - y)**2.

    >>> ops.squared_difference(Tensor([1.0]), Tensor([4.0])).tolist()
    [9.0]
    """
    return e.square(e.sub(x, y))


def div_no_nan(x, y):
    """x / y, and 0 where y is 0.

    >>> ops.div_no_nan(Tensor([1.0, 1.0]), Tensor([2.0, 0.0])).tolist()
    [0.5, 0.0]
    """
    x, y = align("div_no_nan", x, y, integers_as=float32)
    zero = c.eq(y, 0)
    return c.where(zero, 0.0, e.div(x, c.where(zero, 1.0, y)))


def mul_no_nan(x, y):
    """x * y, and 0 where y is 0, whatever x is.

    >>> ops.mul_no_nan(Tensor([float("inf")]), Tensor([0.0])).tolist()
    [0.0]
    """
    x, y = align("mul_no_nan", x, y)
    return c.where(c.eq(y, 0), splat(0, x._type), e.mul(x, y))


def approximate_equal(x, y, tolerance=1e-05):
    """Whether \\|x - y\\| < tolerance, elementwise.

    >>> ops.approximate_equal(Tensor([1.0]), Tensor([1.1]), 0.2).tolist()
    [True]
    """
    return c.lt(e.abs(e.sub(x, y)), tolerance)


def truncate_div(x, y):
    """The quotient without what is after the point.

    >>> ops.truncate_div(Tensor([-7]), Tensor([2])).tolist()
    [-3]
    """
    return e.div(x, y, rounding_mode="trunc")


# --- of several ---------------------------------------------------------------------------------


def addcmul(input, tensor1, tensor2, value=1):
    """input + value * tensor1 * tensor2.

    >>> ops.addcmul(Tensor([1.0]), Tensor([2.0]), Tensor([3.0]), 10).tolist()
    [61.0]
    """
    return e.add(input, e.mul(e.mul(tensor1, tensor2), value))


def addcdiv(input, tensor1, tensor2, value=1):
    """input + value * tensor1 / tensor2.

    >>> ops.addcdiv(Tensor([1.0]), Tensor([3.0]), Tensor([2.0])).tolist()
    [2.5]
    """
    return e.add(input, e.mul(e.div(tensor1, tensor2), value))


def addn(x):
    """The sum of a tuple or list of Tensors.

    >>> ops.addn([Tensor([1.0]), Tensor([2.0]), Tensor([3.0])]).tolist()
    [6.0]
    """
    total, *rest = (tensor("addn", part) for part in x)
    for part in rest:
        total = e.add(total, part)
    return total


def population_count(input_x):
    """How many bits are 1 (uint8).

    >>> ops.population_count(Tensor([7, 8], ms.int32)).tolist()
    [3, 1]
    """
    from jitgrad.ir.types import uint8, uint64
    from jitgrad.primitives.declare import INTEGER

    x = tensor("population_count", input_x, INTEGER)
    bits = cast(x, uint64)
    if x.dtype.kind == "i" and x.dtype.size < 8:
        bits = c.bitwise_and(bits, (1 << 8 * x.dtype.size) - 1)
    total = splat(0, bits._type.with_dtype(int32))
    for i in range(8 * x.dtype.size):
        total = e.add(total, cast(c.bitwise_and(c.bitwise_right_shift(bits, i), 1), int32))
    return cast(total, uint8)


__all__ = [
    "addcdiv", "addcmul", "addn", "approximate_equal", "copysign", "deg2rad",
    "div_no_nan", "float_power", "fmax", "fmin", "frac", "heaviside", "hypot", "isneginf",
    "isposinf", "ldexp", "lerp", "logaddexp", "logaddexp2", "mul_no_nan", "mvlgamma",
    "nan_to_num", "population_count", "rad2deg", "signbit", "sinc", "squared_difference",
    "truncate_div", "xdivy",
]  # fmt: skip
