"""Elementwise ops. The decorated function is the derivative; see `declare`."""

from __future__ import annotations

import math

from jitgrad.ir.node import Node, full
from jitgrad.ir.op import Op
from jitgrad.primitives.declare import FLOAT, INEXACT, NUMBER, REAL, elementwise, reals, zeros
from jitgrad.primitives.logic import (
    bit_and,
    bit_not,
    bit_or,
    bit_xor,
    equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
    select,
    shift_left,
    shift_right,
    squares32,
    stop_gradient,
    value_of,
)

# --- arithmetic ---------------------------------------------------------------------------------


@elementwise("x + y", dtype=NUMBER, sample=reals(-3, 3), commutative=True)
def add(x, y):
    """Sum."""
    return 1, 1


@elementwise("x - y", dtype=NUMBER, sample=reals(-3, 3))
def sub(x, y):
    """Difference."""
    return 1, -1


@elementwise("x * y", dtype=NUMBER, sample=reals(-3, 3), commutative=True)
def mul(x, y):
    """Product."""
    return y, x


@elementwise("x / y", dtype=INEXACT, sample=(reals(-3, 3), reals(0.5, 3)))
def div(x, y, out):
    """Quotient of floats; IEEE at zero."""
    once = 1 / y  # for both, and for all that is divided by y
    return (lambda g: g * once), (lambda g: -(g * once) * out)


@elementwise("-x", dtype=NUMBER, sample=reals(-3, 3))
def neg(x):
    """Negation."""
    return (-1,)


@elementwise("floordiv(x, y)", dtype=REAL, sample=(reals(-9, 9), reals(1, 4)))
def floordiv(x, y):
    """Quotient rounded towards minus infinity; x // 0 is 0 for integers."""
    return None, None


@elementwise("mod(x, y)", dtype=REAL, sample=(reals(1.1, 1.9), reals(2, 3)))
def mod(x, y):
    """Remainder with the divisor's sign; x % 0 is 0 for integers."""
    return 1, -floordiv(x, y)


@elementwise("fmod(x, y)", dtype=REAL, sample=(reals(1.1, 1.9), reals(2, 3)))
def fmod(x, y):
    """Remainder with the dividend's sign, as C's fmod."""
    return 1, (-trunc(x / y) if x.dtype.is_float else None)


@elementwise("pow(x, y)", dtype=NUMBER, sample=(reals(0.5, 3), reals(0, 3)))
def pow_(x, y, out):
    """x to the power y. The derivative in x is 0 where y is 0; integers differentiate in x only."""
    constant_base = equal(y, zeros(y.type))
    if not x.dtype.is_inexact:
        lower = maximum(y - 1, zeros(y.type))
        return (lambda g: select(constant_base, zeros(g.type), g * y * pow_(x, lower))), None
    at_zero = select(equal(y, zeros(y.type)), full(-math.inf, x.type), zeros(x.type))
    in_y = select(equal(x, zeros(x.type)), at_zero, out * log(x))
    return (lambda g: select(constant_base, zeros(g.type), g * y * pow_(x, y - 1))), in_y


@elementwise("minimum(x, y)", dtype=REAL, sample=reals(-3, 3), commutative=True)
def minimum(x, y):
    """The smaller; nan if either is nan. A tie gives half of the gradient to each."""
    return _share(x < y, equal(x, y)), _share(y < x, equal(x, y))


@elementwise("maximum(x, y)", dtype=REAL, sample=reals(-3, 3), commutative=True)
def maximum(x, y):
    """The larger; nan if either is nan. A tie gives half of the gradient to each."""
    return _share(x > y, equal(x, y)), _share(y > x, equal(x, y))


def _share(wins: Node, tie: Node):
    """All of the gradient where `wins`, half of it where `tie`."""

    def partial(g: Node) -> Node:
        half = g * 0.5 if g.dtype.is_float else floordiv(g, 2)
        return select(wins, g, select(tie, half, zeros(g.type)))

    return partial


@elementwise("abs(x)", dtype=REAL, sample=reals(-3, 3, 0))
def abs_(x):
    """Magnitude; the derivative at 0 is 0."""
    return (sign(x),)


@elementwise("sign(x)", dtype=REAL, sample=reals(-3, 3, 0))
def sign(x):
    """-1, 0 or 1; nan for nan."""
    return (None,)


@elementwise("floor(x)", dtype=FLOAT, sample=reals(1.1, 1.9))
def floor(x):
    """Largest integer not above."""
    return (None,)


@elementwise("ceil(x)", dtype=FLOAT, sample=reals(1.1, 1.9))
def ceil(x):
    """Smallest integer not below."""
    return (None,)


@elementwise("trunc(x)", dtype=FLOAT, sample=reals(1.1, 1.9))
def trunc(x):
    """Integer part."""
    return (None,)


@elementwise("rint(x)", dtype=FLOAT, sample=reals(1.1, 1.4))
def rint(x):
    """Nearest integer, halves to even."""
    return (None,)


@elementwise("select(x <= 0, 0, x)", dtype=REAL, sample=reals(-3, 3, 0))
def relu(x, out):
    """x where positive, else 0; nan for nan. The derivative at 0 is 0."""
    return ((lambda g: select(out <= 0, zeros(g.type), g)),)


# --- exponentials, logarithms, roots ------------------------------------------------------------


@elementwise("exp(x)", dtype=INEXACT, sample=reals(-3, 3))
def exp(x, out):
    """e to the x."""
    return (out,)


@elementwise("exp2(x)", dtype=INEXACT, sample=reals(-3, 3))
def exp2(x, out):
    """2 to the x."""
    return (out * math.log(2),)


@elementwise("expm1(x)", dtype=INEXACT, sample=reals(-3, 3))
def expm1(x, out):
    """exp(x) - 1, accurate near 0."""
    return (out + 1,)


@elementwise("log(x)", dtype=INEXACT, sample=reals(0.1, 3))
def log(x):
    """Natural logarithm."""
    return ((lambda g: g / x),)


@elementwise("log1p(x)", dtype=INEXACT, sample=reals(-0.8, 3))
def log1p(x):
    """log(1 + x), accurate near 0."""
    return ((lambda g: g / (x + 1)),)


@elementwise("log2(x)", dtype=INEXACT, sample=reals(0.1, 3))
def log2(x):
    """Logarithm to base 2."""
    return ((lambda g: g / (x * math.log(2))),)


@elementwise("log10(x)", dtype=INEXACT, sample=reals(0.1, 3))
def log10(x):
    """Logarithm to base 10."""
    return ((lambda g: g / (x * math.log(10))),)


@elementwise("sqrt(x)", dtype=INEXACT, sample=reals(0.1, 3))
def sqrt(x, out):
    """Square root; the derivative at 0 is inf."""
    return ((lambda g: g * 0.5 * (1 / out)),)  # what is divided by a norm shares it


@elementwise("rsqrt(x)", dtype=INEXACT, sample=reals(0.1, 3))
def rsqrt(x, out):
    """1 / sqrt(x)."""
    return ((lambda g: g * -0.5 * out * (out * out)),)


# --- trigonometry -------------------------------------------------------------------------------


@elementwise("sin(x)", dtype=INEXACT, sample=reals(-3, 3))
def sin(x):
    """Sine of radians."""
    return (cos(x),)


@elementwise("cos(x)", dtype=INEXACT, sample=reals(-3, 3))
def cos(x):
    """Cosine of radians."""
    return (-sin(x),)


@elementwise("tan(x)", dtype=INEXACT, sample=reals(-1.2, 1.2))
def tan(x, out):
    """Tangent of radians."""
    return (out * out + 1,)


@elementwise("asin(x)", dtype=INEXACT, sample=reals(-0.9, 0.9))
def asin(x):
    """Inverse sine."""
    return (rsqrt(1 - x * x),)


@elementwise("acos(x)", dtype=INEXACT, sample=reals(-0.9, 0.9))
def acos(x):
    """Inverse cosine."""
    return (-rsqrt(1 - x * x),)


@elementwise("atan(x)", dtype=INEXACT, sample=reals(-3, 3))
def atan(x):
    """Inverse tangent."""
    return ((lambda g: g / (x * x + 1)),)


@elementwise("atan2(y, x)", dtype=FLOAT, sample=reals(0.3, 3))
def atan2(y, x):
    """Angle of the point (x, y)."""
    square = x * x + y * y
    return (lambda g: g * x / square), (lambda g: -(g * y) / square)


@elementwise("sinh(x)", dtype=INEXACT, sample=reals(-3, 3))
def sinh(x):
    """Hyperbolic sine."""
    return (cosh(x),)


@elementwise("cosh(x)", dtype=INEXACT, sample=reals(-3, 3))
def cosh(x):
    """Hyperbolic cosine."""
    return (sinh(x),)


@elementwise("tanh(x)", dtype=INEXACT, sample=reals(-3, 3))
def tanh(x, out):
    """Hyperbolic tangent."""
    return (1 - out * out,)


@elementwise("asinh(x)", dtype=INEXACT, sample=reals(-3, 3))
def asinh(x):
    """Inverse hyperbolic sine."""
    return (rsqrt(x * x + 1),)


@elementwise("acosh(x)", dtype=INEXACT, sample=reals(1.2, 3))
def acosh(x):
    """Inverse hyperbolic cosine."""
    if x.dtype.is_complex:  # where one root of a product is not the product of the roots
        return (rsqrt(x - 1) * rsqrt(x + 1),)
    return (rsqrt(x * x - 1),)


@elementwise("atanh(x)", dtype=INEXACT, sample=reals(-0.9, 0.9))
def atanh(x):
    """Inverse hyperbolic tangent."""
    return ((lambda g: g / (1 - x * x)),)


# --- the bell's family --------------------------------------------------------------------------


@elementwise("sigmoid(x)", dtype=FLOAT, sample=reals(-3, 3))
def sigmoid(x, out):
    """1 / (1 + exp(-x))."""
    return (out * (1 - out),)


@elementwise("erf(x)", dtype=FLOAT, sample=reals(-2, 2))
def erf(x):
    """Error function."""
    return (exp(-(x * x)) * (2 / math.sqrt(math.pi)),)


@elementwise("erfc(x)", dtype=FLOAT, sample=reals(-2, 2))
def erfc(x):
    """1 - erf(x), accurate for large x."""
    return (exp(-(x * x)) * (-2 / math.sqrt(math.pi)),)


@elementwise("erfinv(x)", dtype=FLOAT, sample=reals(-0.8, 0.8))
def erfinv(x, out):
    """Inverse of erf."""
    return (exp(out * out) * (math.sqrt(math.pi) / 2),)


@elementwise("lgamma(x)", dtype=FLOAT, sample=reals(0.3, 4))
def lgamma(x):
    """Logarithm of the absolute gamma function."""
    return (digamma(x),)


@elementwise("digamma(x)", dtype=FLOAT, sample=reals(0.3, 4))
def digamma(x):
    """Derivative of lgamma."""
    return (trigamma(x),)


def trigamma(x: Node) -> Node:
    """Derivative of digamma: recurrence up to x + 8, then the asymptotic series with the
    Bernoulli numbers (DLMF 5.11, 5.15); reflection for x < 0.5. Made of ops, so that every
    further derivative exists.
    """
    reflected = x < 0.5
    z = select(reflected, 1 - x, x)
    total = zeros(x.type)
    for step in range(8):
        total = total + 1 / ((z + step) * (z + step))
    inverse = 1 / (z + 8)
    square = inverse * inverse
    series = zeros(x.type)
    for bernoulli in (7 / 6, -691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6):
        series = series * square + bernoulli
    total = total + inverse + square * 0.5 + series * square * inverse
    sine = sin(x * math.pi)
    return select(reflected, math.pi**2 / (sine * sine) - total, total)


# --- operators of nodes -------------------------------------------------------------------------


def _operator(op: Op):
    return lambda self, other: op(self, other)


def _reflected(op: Op):
    return lambda self, other: op(other, self)


def _install_operators() -> None:
    """Give nodes the operators that derivatives and rewrite rules are written in."""
    binary = {"add": add, "sub": sub, "mul": mul, "truediv": div, "and": bit_and, "or": bit_or}
    for name, op in binary.items():
        setattr(Node, f"__{name}__", _operator(op))
        setattr(Node, f"__r{name}__", _reflected(op))
    compare = {"lt": _operator(less), "le": _operator(less_equal)}
    compare |= {"gt": _reflected(less), "ge": _reflected(less_equal)}
    for name, function in compare.items():
        setattr(Node, f"__{name}__", function)
    Node.__neg__ = lambda self: neg(self)  # type: ignore[attr-defined]


_install_operators()

__all__ = [
    "abs_", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bit_and",
    "bit_not", "bit_or", "bit_xor", "ceil", "cos", "cosh", "digamma", "div", "equal", "erf",
    "erfc", "erfinv", "exp", "exp2", "expm1", "floor", "floordiv", "fmod", "isfinite", "isinf",
    "isnan", "less", "less_equal", "lgamma", "log", "log1p", "log2", "log10", "logical_and",
    "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "mod", "mul", "neg",
    "not_equal", "pow_", "relu", "rint", "rsqrt", "select", "shift_left", "shift_right",
    "sigmoid", "sign", "sin", "sinh", "sqrt", "squares32", "stop_gradient", "sub", "tan",
    "tanh", "trigamma", "trunc", "value_of",
]  # fmt: skip
