"""Special functions: Bessel's, the bell's, the gamma family's."""

from __future__ import annotations

import math

from jitgrad.errors import ArgumentError, fail
from jitgrad.ir.op import Op
from jitgrad.ir.types import float32
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.promote import align, apply, floating, named, splat
from jitgrad.ops.special import sinc
from jitgrad.primitives import incomplete
from jitgrad.primitives import special as primitive
from jitgrad.primitives.declare import INTEGER
from jitgrad.tensor import Tensor


def _of_one(op: Op, name: str = ""):
    name = name or op.name

    def call(input):
        return apply(op, floating(name, input))

    return named(call, name, op.doc)


def _of_several(op: Op, name: str = ""):
    name = name or op.name

    def call(*operands):
        return apply(op, *align(name, *operands, integers_as=float32))

    return call


bessel_i0, bessel_i0e = _of_one(primitive.bessel_i0), _of_one(primitive.bessel_i0e)
bessel_i1, bessel_i1e = _of_one(primitive.bessel_i1), _of_one(primitive.bessel_i1e)
bessel_j0, bessel_j1 = _of_one(primitive.bessel_j0), _of_one(primitive.bessel_j1)
bessel_y0, bessel_y1 = _of_one(primitive.bessel_y0), _of_one(primitive.bessel_y1)
bessel_k0, bessel_k0e = _of_one(primitive.bessel_k0), _of_one(primitive.bessel_k0e)
bessel_k1, bessel_k1e = _of_one(primitive.bessel_k1), _of_one(primitive.bessel_k1e)
erfcx, dawsn, spence = (_of_one(f) for f in (primitive.erfcx, primitive.dawsn, primitive.spence))
log_ndtr, ndtri = _of_one(primitive.log_ndtr), _of_one(primitive.ndtri)
expint, exp1 = _of_one(primitive.expi, "expint"), _of_one(primitive.exp1)


def ndtr(input):
    """The normal distribution function: the probability of less than x.

    >>> ops.ndtr(Tensor([0.0])).tolist()
    [0.5]
    """
    return e.mul(e.erfc(e.mul(floating("ndtr", input), -math.sqrt(0.5))), 0.5)


def spherical_bessel_j0(input):
    """sin(x) / x, and 1 at 0.

    >>> ops.spherical_bessel_j0(Tensor([0.0])).tolist()
    [1.0]
    """
    return sinc(e.mul(floating("spherical_bessel_j0", input), 1 / math.pi))


def entr(input):
    """-x log(x), 0 at 0, -inf where negative.

    >>> ops.entr(Tensor([0.0, 1.0])).tolist()
    [0.0, -0.0]
    """
    x = floating("entr", input)
    inside = c.gt(x, 0)
    out = e.neg(e.mul(x, e.log(c.where(inside, x, 1.0))))
    return c.where(inside, out, c.where(c.lt(x, 0), -math.inf, c.where(c.isnan(x), x, 0.0)))


def xlog1py(input, other):
    """x log(1 + y), and 0 where x is 0, whatever y is but nan.

    >>> ops.xlog1py(Tensor([2.0]), Tensor([0.0])).tolist()
    [0.0]
    """
    x, y = align("xlog1py", input, other, integers_as=float32)
    zero = c.logical_and(c.eq(x, 0), c.logical_or(c.le(y, -1), c.isinf(y)))
    return c.where(zero, 0.0, e.mul(x, e.log1p(c.where(zero, 0.0, y))))


# --- the gamma family ---------------------------------------------------------------------------


def igamma(input, other):
    """The regularized lower incomplete gamma function P(a, x), from 0 to 1.

    >>> from jitgrad import Tensor, ops
    >>> round(ops.igamma(Tensor(1.0), Tensor(2.0)).item(), 4)
    0.8647
    """
    return _of_several(incomplete.igamma)(input, other)


def igammac(input, other):
    """The regularized upper incomplete gamma function Q(a, x), 1 - P(a, x) without cancellation.

    >>> print(ops.igammac(Tensor(1.0), Tensor(2.0)).asnumpy().round(4))
    0.1353
    """
    return _of_several(incomplete.igammac)(input, other)


def betainc(a, b, x):
    """The regularized incomplete beta function of x between 0 and 1.

    >>> ops.betainc(Tensor(1.0), Tensor(1.0), Tensor(0.25)).item()
    0.25
    """
    return _of_several(incomplete.betainc)(a, b, x)


def betaln(a, b):
    """The logarithm of the absolute beta function.

    >>> ops.betaln(Tensor(1.0), Tensor(1.0)).item()
    0.0
    """
    return _of_several(primitive.betaln)(a, b)


# The sum over all k of (q + k)**-x is summed up to TERMS, and the rest by Euler's and Maclaurin's
# formula, whose coefficients are B(2j) / (2j)!.
TERMS = 12
REST = (
    *(1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000),
    *(1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000),
)


def zeta(input, other):
    """Hurwitz's zeta function: the sum of (q + k)**-x over k = 0, 1, …

    inf at x = 1 and where q is 0 or a negative integer; nan for x < 1, and for q < 0 unless x is
    an integer. q may be down to -10.

    >>> print(ops.zeta(Tensor(2.0), Tensor(1.0)).asnumpy().round(4))
    1.6449
    """
    x, q = align("zeta", input, other, integers_as=float32)
    found = _zeta(x, q)
    pole = c.logical_and(c.le(q, 0), c.eq(q, e.floor(q)))
    broken = c.logical_or(c.lt(x, 1), c.logical_and(c.lt(q, 0), c.ne(x, e.floor(x))))
    found = c.where(c.logical_or(pole, c.eq(x, 1)), math.inf, found)
    return c.where(broken, math.nan, found)


def _zeta(x: Tensor, q: Tensor) -> Tensor:
    total = e.pow(q, e.neg(x))
    for k in range(1, TERMS):
        total = e.add(total, e.pow(e.add(q, k), e.neg(x)))
    end = e.add(q, TERMS)
    last = e.pow(end, e.neg(x))
    over = e.div(1, end)
    square = e.mul(over, over)
    factor, series = e.mul(x, over), None
    for j, coefficient in enumerate(REST):
        term = e.mul(factor, coefficient)
        series = term if series is None else e.add(series, term)
        rise = e.mul(e.add(x, 2 * j + 1), e.add(x, 2 * j + 2))
        factor = e.mul(factor, e.mul(rise, square))
    integral = e.div(e.pow(end, e.sub(1, x)), e.sub(x, 1))
    return e.add(total, e.add(integral, e.mul(last, e.add(series, 0.5))))


def polygamma(n, input):
    """The n-th derivative of digamma; n is an int, not negative.

    >>> from jitgrad import Tensor, ops
    >>> round(ops.polygamma(1, Tensor(1.0)).item(), 4)
    1.6449
    """
    n = int(n)
    x = floating("polygamma", input)
    if n < 0:
        raise fail(ArgumentError, f"polygamma got n={n}", why="it is not negative")
    if n == 0:
        return e.digamma(x)
    below = c.lt(x, 0.5)
    sign, factorial = (-1) ** (n + 1), float(math.factorial(n))
    mirrored = c.where(below, e.sub(1, x), x)
    found = e.mul(_zeta(splat(n + 1, mirrored._type), mirrored), sign * factorial)
    reflected = e.sub(e.mul(found, (-1) ** n), _cotangents(n, c.where(below, x, 0.25)))
    reflected = c.where(c.eq(x, e.floor(x)), _at_pole(n), reflected)
    return c.where(below, reflected, found)


def _at_pole(n: int) -> float:
    """What polygamma tends to at 0, -1, … from both sides, if that is one value."""
    return math.inf if n % 2 else math.nan


def _cotangents(n: int, x: Tensor) -> Tensor:
    """pi times the n-th derivative of cot(pi x): a polynomial in the cotangent."""
    terms = [0.0, 1.0]
    for _ in range(n):  # the derivative of cot is -pi (1 + cot**2)
        slopes = [k * value for k, value in enumerate(terms)][1:]
        terms = [0.0] * (len(terms) + 1)
        for k, value in enumerate(slopes):
            terms[k] -= math.pi * value
            terms[k + 2] -= math.pi * value
    from_integer = e.mul(e.sub(x, e.stop_gradient(e.rint(x))), math.pi)
    cotangent = e.div(e.cos(from_integer), e.sin(from_integer))
    total = splat(terms[-1], x._type)
    for value in reversed(terms[:-1]):
        total = e.add(e.mul(total, cotangent), value)
    return e.mul(total, math.pi)


# --- numbers ------------------------------------------------------------------------------------


def nextafter(input, other):
    """The next number after the first on the way to the second.

    >>> ops.nextafter(Tensor(1.0), Tensor(2.0)).item() - 1
    1.1920928955078125e-07
    """
    return _of_several(primitive.nextafter)(input, other)


def gcd(input, other):
    """The greatest common divisor of integers.

    >>> ops.gcd(Tensor([12, 7]), Tensor([18, 21])).tolist()
    [6, 7]
    """
    return apply(primitive.gcd, *align("gcd", input, other, takes=INTEGER))


def lcm(input, other):
    """The least common multiple of integers; 0 where one is 0.

    >>> ops.lcm(Tensor([4, 3]), Tensor([6, 5])).tolist()
    [12, 15]
    """
    x, y = align("lcm", input, other, takes=INTEGER)
    divisor = apply(primitive.gcd, x, y)
    share = e.floor_divide(x, c.where(c.eq(divisor, 0), 1, divisor))
    return e.abs(e.mul(share, y))


__all__ = [
    "bessel_i0", "bessel_i0e", "bessel_i1", "bessel_i1e", "bessel_j0", "bessel_j1", "bessel_k0",
    "bessel_k0e", "bessel_k1", "bessel_k1e", "bessel_y0", "bessel_y1", "betainc", "betaln",
    "dawsn", "entr", "erfcx", "exp1", "expint", "gcd", "igamma", "igammac", "lcm", "log_ndtr",
    "ndtr", "ndtri", "nextafter", "polygamma", "spence", "spherical_bessel_j0", "xlog1py", "zeta",
]  # fmt: skip
