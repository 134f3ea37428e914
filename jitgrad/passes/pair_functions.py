"""Complex numbers as pairs of nodes: arithmetic, and the functions of one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from jitgrad.ir.node import Node, full
from jitgrad.ir.op import Op
from jitgrad.primitives import complex as parts
from jitgrad.primitives import elementwise as e


@dataclass(frozen=True, slots=True)
class Pair:
    """A complex number as nodes; arithmetic is with pairs of the same type."""

    re: Node
    im: Node

    def each(self, function: Callable[[Node], Node]) -> Pair:
        return Pair(function(self.re), function(self.im))

    def scaled(self, factor: float) -> Pair:
        return Pair(self.re * factor, self.im * factor)

    def __add__(self, other: Pair) -> Pair:
        return Pair(self.re + other.re, self.im + other.im)

    def __mul__(self, other: Pair) -> Pair:
        a, b, c, d = self.re, self.im, other.re, other.im
        return Pair(a * c - b * d, a * d + b * c)

    def times_i(self) -> Pair:
        return Pair(-self.im, self.re)

    def over_i(self) -> Pair:
        return Pair(self.im, -self.re)


Value = Node | Pair  # what stands for a value of a graph that may be complex


def zero(x: Node) -> Node:
    """Zeros of a node's type."""
    return full(0, x.type)


def quotient(x: Pair, y: Pair) -> Pair:
    """Smith's: no overflow on the way. What is divided by 0 is infinite, or nan."""
    flat = e.abs_(y.re) >= e.abs_(y.im)
    large, small = e.select(flat, y.re, y.im), e.select(flat, y.im, y.re)
    ratio = e.select(e.equal(large, zero(large)), zero(large), small / large)
    below = large + small * ratio
    a, b = x.re, x.im
    re = e.select(flat, a + b * ratio, a * ratio + b)
    im = e.select(flat, b - a * ratio, b * ratio - a)
    return Pair(re / below, im / below)


def _hypotenuse(x: Pair) -> Node:
    a, b = e.abs_(x.re), e.abs_(x.im)
    large, small = e.maximum(a, b), e.minimum(a, b)
    ratio = small / large
    length = large * e.sqrt(ratio * ratio + 1)
    whole = e.logical_or(e.equal(large, zero(large)), e.isinf(large))
    return e.select(whole, large, length)


def _exp(x: Pair) -> Pair:
    radius = e.exp(x.re)
    im = e.select(e.equal(x.im, zero(x.im)), x.im, radius * e.sin(x.im))
    return Pair(radius * e.cos(x.im), im)


def _expm1(x: Pair) -> Pair:
    half = e.sin(x.im * 0.5)
    return Pair(e.expm1(x.re) * e.cos(x.im) - half * half * 2, e.exp(x.re) * e.sin(x.im))


def _log(x: Pair) -> Pair:
    return Pair(e.log(_hypotenuse(x)), e.atan2(x.im, x.re))


def _log1p(x: Pair) -> Pair:
    a, b = x.re, x.im
    return Pair(e.log1p(a * (a + 2) + b * b) * 0.5, e.atan2(b, a + 1))


def _sqrt(x: Pair) -> Pair:
    """The root to the right of 0."""
    a, b = x.re, x.im
    large = e.sqrt((_hypotenuse(x) + e.abs_(a)) * 0.5)
    at_zero = e.equal(large, zero(large))
    small = e.select(at_zero, e.abs_(b), e.abs_(b) / (large * 2))
    right = a >= 0
    return Pair(e.select(right, large, small), _with_sign(b, e.select(right, small, large)))


def _with_sign(sign: Node, x: Node) -> Node:
    """A number that is not negative, with the sign of another, which may be -0."""
    negative = e.logical_or(sign < 0, 1 / sign < 0)
    return e.select(negative, -x, x)


def _rsqrt(x: Pair) -> Pair:
    root = _sqrt(x)
    return quotient(Pair(full(1, root.re.type), zero(root.im)), root)


def power(x: Pair, y: Pair) -> Pair:
    """exp(y log(x)); 0 to a power with a positive real part is 0, and anything to the 0 is 1."""
    usual = _exp(y * _log(x))
    nothing, one = zero(x.re), full(1, x.re.type)
    of_zero = e.logical_and(e.equal(x.re, nothing), e.equal(x.im, nothing))
    to_zero = e.logical_and(e.equal(y.re, nothing), e.equal(y.im, nothing))
    known = e.logical_or(to_zero, e.logical_and(of_zero, nothing < y.re))
    value = e.select(to_zero, one, nothing)
    return Pair(e.select(known, value, usual.re), e.select(known, nothing, usual.im))


def _sinh(x: Pair) -> Pair:
    return Pair(e.sinh(x.re) * e.cos(x.im), e.cosh(x.re) * e.sin(x.im))


def _cosh(x: Pair) -> Pair:
    return Pair(e.cosh(x.re) * e.cos(x.im), e.sinh(x.re) * e.sin(x.im))


def _tanh(x: Pair) -> Pair:
    """Kahan's, which overflows nowhere: far from 0 it is 1 or -1."""
    t = e.tan(x.im)
    sinh = e.sinh(e.minimum(e.maximum(x.re, full(-FAR, x.re.type)), full(FAR, x.re.type)))
    beta = t * t + 1
    below = sinh * sinh * beta + 1
    far = e.select(x.re < 0, full(-1, x.re.type), full(1, x.re.type))
    re = e.select(e.abs_(x.re) > FAR, far, beta * sinh * e.sqrt(sinh * sinh + 1) / below)
    return Pair(re, t / below)


FAR = 20.0  # from where tanh is 1 in double precision


def _minus(x: float, y: Pair) -> Pair:
    """A real number minus a complex one."""
    return Pair(x - y.re, -y.im)


def _plus(x: Pair, y: float) -> Pair:
    return Pair(x.re + y, x.im)


# The inverse functions are those of W. Kahan, "Branch Cuts for Complex Elementary Functions", 1987.


def _acos(x: Pair) -> Pair:
    left, right = _sqrt(_minus(1, x)), _sqrt(_plus(x, 1))
    im = right.re * left.im - right.im * left.re
    return Pair(e.atan2(left.re, right.re) * 2, e.asinh(im))


def _asin(x: Pair) -> Pair:
    left, right = _sqrt(_minus(1, x)), _sqrt(_plus(x, 1))
    im = left.re * right.im - left.im * right.re
    return Pair(e.atan2(x.re, (left * right).re), e.asinh(im))


def _acosh(x: Pair) -> Pair:
    left, right = _sqrt(_plus(x, -1)), _sqrt(_plus(x, 1))
    return Pair(e.asinh(left.re * right.re + left.im * right.im), e.atan2(left.im, right.re) * 2)


def _atanh(x: Pair) -> Pair:
    a, b = x.re, x.im
    away = (1 - a) * (1 - a) + b * b
    im = e.atan2(b * 2, (1 - a) * (a + 1) - b * b) * 0.5
    return Pair(e.log1p(a * 4 / away) * 0.25, im)


def _turned(function: Callable[[Pair], Pair]) -> Callable[[Pair], Pair]:
    """The circular function of a hyperbolic one, or the other way round: f(i x) / i."""
    return lambda x: function(x.times_i()).over_i()


FUNCTIONS: dict[Op, Callable[[Pair], Value]] = {
    e.exp: _exp,
    e.exp2: lambda x: _exp(x.scaled(math.log(2))),
    e.expm1: _expm1,
    e.log: _log,
    e.log1p: _log1p,
    e.log2: lambda x: _log(x).scaled(1 / math.log(2)),
    e.log10: lambda x: _log(x).scaled(1 / math.log(10)),
    e.sqrt: _sqrt,
    e.rsqrt: _rsqrt,
    e.sinh: _sinh,
    e.cosh: _cosh,
    e.tanh: _tanh,
    e.sin: _turned(_sinh),
    e.cos: lambda x: _cosh(x.times_i()),
    e.tan: _turned(_tanh),
    e.asin: _asin,
    e.acos: _acos,
    e.acosh: _acosh,
    e.atanh: _atanh,
    e.asinh: _turned(_asin),
    e.atan: _turned(_atanh),
    e.isnan: lambda x: e.logical_or(e.isnan(x.re), e.isnan(x.im)),
    e.isinf: lambda x: e.logical_or(e.isinf(x.re), e.isinf(x.im)),
    e.isfinite: lambda x: e.logical_and(e.isfinite(x.re), e.isfinite(x.im)),
    parts.real: lambda x: x.re,
    parts.imag: lambda x: x.im,
    parts.conj: lambda x: Pair(x.re, -x.im),
    parts.magnitude: _hypotenuse,
}

__all__ = ["FUNCTIONS", "Pair", "Value", "power", "quotient", "zero"]
