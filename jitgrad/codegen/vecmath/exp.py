"""The exponential family: exp, exp2, expm1, sinh, cosh, tanh, sigmoid.

One reduction serves all: x = n ln2 + r with |r| <= ln2/2, and e**r = 1 + r + r**2 q(r).  sinh and
cosh use the even and odd parts cosh(r) = 1 + c and sinh(r) = s, which add up without cancellation:
with E = 2**n and F = 2**-n, 2 sinh(x) = (E-F) cosh(r) + (E+F) sinh(r) and
2 cosh(x) = (E+F) cosh(r) + (E-F) sinh(r).
Coefficients: ``derive.rounded`` on |r| <= ln2/2 (minimax in relative error).
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.lang import (
    absolute,
    copysign,
    fast_two_sum,
    fma,
    from_bits,
    nearest,
    pick,
    poly,
    select,
    shr,
    two_sum,
    width,
)

# q(r) = (exp(r) - 1 - r) / r**2: error 2**-28.2, 2**-57.9
EXP_Q = {
    32: (0.4999999403953552, 0.166665181517601, 0.041668254882097244, 0.008368960581719875,
         0.0013821865431964397),
    64: (0.5000000000000011, 0.16666666666666446, 0.04166666666652689, 0.008333333333475043,
         0.0013888888944398013, 0.00019841269545435952, 2.4801492354448426e-05,
         2.7557553566214653e-06, 2.763050366362427e-07, 2.501003618909671e-08),
}  # fmt: skip
# in z = r**2, (cosh(r) - 1) / z: error 2**-33, 2**-58; (sinh(r) - r) / (r z): 2**-34, 2**-62
COSH = {
    32: (0.5, 0.04166645556688309, 0.001393577316775918),
    64: (0.5000000000000013, 0.04166666666651161, 0.0013888888947870132, 2.4801489146022835e-05,
         2.763154466284506e-07),
}  # fmt: skip
SINH = {
    32: (0.1666666716337204, 0.008333191275596619, 0.00019959300698246807),
    64: (0.16666666666666677, 0.008333333333321436, 0.00019841269886597393, 2.75572437437406e-06,
         2.5109198472375955e-08),
}  # fmt: skip
LOG2E = 1.4426950408889634
LN2 = 0.6931471805599453
# ln2 in two parts; the first has so few bits that n times it is exact
LN2_HI = {32: 0.693145751953125, 64: 0.6931471805601177}
LN2_LO = {32: 1.428606765330187e-06, 64: -1.7239444525614835e-13}
MANTISSA = {32: 23, 64: 52}
BIAS = {32: 127, 64: 1023}


def power_of_two(n: Any) -> Any:
    """2**n for an integer n in the range of normal exponents."""
    w = width(n)
    return from_bits((n + BIAS[w]) << MANTISSA[w])


def scale(p: Any, n: Any) -> Any:
    """p * 2**n for p near 1 and |n| up to twice the largest exponent, rounded once."""
    w = width(p)
    n = n + 2 * BIAS[w]
    half = shr(n, 1)
    return p * from_bits(half << MANTISSA[w]) * from_bits((n - half) << MANTISSA[w])


def clamp(x: Any, low: float, high: float) -> Any:
    """x within [low, high]; nan stays nan."""
    return clamp_above(clamp_below(x, low), high)


def clamp_below(x: Any, low: float) -> Any:
    """x, or low if x is below; nan stays nan."""
    return select(x < low, low, x)


def clamp_above(x: Any, high: float) -> Any:
    """x, or high if x is above; nan stays nan."""
    return select(x > high, high, x)


def reduce(x: Any) -> tuple[Any, Any]:
    """(n, r) with x = n ln2 + r, |r| <= ln2/2, n an integer; |x| below a few thousand."""
    w = width(x)
    n, i = nearest(x * LOG2E)
    return i, fma(n, -LN2_LO[w], fma(n, -LN2_HI[w], x))


def reduce_pair(x: Any, low: Any) -> tuple[Any, Any, Any]:
    """(n, r, r_low) with x + low = n ln2 + r + r_low."""
    w = width(x)
    n, i = nearest(x * LOG2E)
    return i, *two_sum(fma(n, -LN2_HI[w], x), fma(n, -LN2_LO[w], low))


def exp(x: Any) -> Any:
    """e**x.  At most 1 ulp."""
    n, r = reduce(clamp(x, pick(x, -104.0, -746.0), pick(x, 89.0, 710.0)))
    return scale(exp_r(r), n)


def exp_r(r: Any) -> Any:
    """e**r for |r| <= ln2/2, to 0.85 ulp."""
    return fma(fma(poly(r, EXP_Q[width(r)]), r, 1.0), r, 1.0)


def exp2(x: Any) -> Any:
    """2**x.  At most 1 ulp; exact for integers."""
    x = clamp(x, pick(x, -151.0, -1076.0), pick(x, 129.0, 1025.0))
    n, i = nearest(x)
    return scale(exp_r((x - n) * LN2), i)


def expm1(x: Any) -> Any:
    """e**x - 1 without cancellation.  At most 2 ulp."""
    n, r = reduce(clamp(x, pick(x, -20.0, -40.0), pick(x, 89.0, 710.0)))
    square = r * r * poly(r, EXP_Q[width(x)])  # e**r - 1 - r
    half = power_of_two(n - 1)  # 2**n itself may overflow
    y = 2.0 * fma(half, square, fma(half, r, half - 0.5))
    return copysign(select(n == 0, r + square, y), x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x), without loss where it is small.  At most 2 ulp."""
    n, r = reduce(clamp_below(-absolute(x), pick(x, -104.0, -746.0)))
    e = scale(1.0 + fma(r * r, poly(r, EXP_Q[width(x)]), r), n)
    # 1 - t or e - e*t with t = e/(1+e): the roundings of t weigh little in either
    m = select(x < 0.0, e, 1.0)
    return fma(-m, e / (1.0 + e), m)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent.  At most 2 ulp; never above 1."""
    a = clamp_above(absolute(x), pick(x, 10.0, 20.0))
    n, r = reduce(a + a)
    e = power_of_two(n)
    head, tail = fast_two_sum(e - 1.0, e * r)
    y = head + fma(e, r * r * poly(r, EXP_Q[width(x)]), tail)  # e**2x - 1
    small = a < 0.55
    # tanh = t = y/(y+2) = y/2 (1 - t), or 1 - 2/(y+2): the roundings of the ratio weigh little
    m = select(small, 0.5 * y, 1.0)
    return copysign(fma(-m, select(small, y, 2.0) / (y + 2.0), m), x)


def sinh(x: Any) -> Any:
    """Hyperbolic sine.  At most 2 ulp."""
    a, b, r, c, s = _hyperbolic(x)
    y = 2.0 * (fma(b, r, a) + fma(a, c, b * s))
    tiny = absolute(x) < pick(x, 2.0**-13, 2.0**-28)
    return select(tiny, x, copysign(y, x))


def cosh(x: Any) -> Any:
    """Hyperbolic cosine.  At most 2 ulp."""
    a, b, r, c, s = _hyperbolic(x)
    return 2.0 * (b + fma(b, c, a * (r + s)))


def _hyperbolic(x: Any) -> tuple[Any, Any, Any, Any, Any]:
    """(E-F)/4, (E+F)/4 (a quarter, lest E overflow too soon), r, cosh(r) - 1, sinh(r) - r."""
    w = width(x)
    n, r = reduce(clamp_above(absolute(x), pick(x, 89.5, 710.5)))
    e = power_of_two(n - 2)
    f = power_of_two(-2 - select(n > 64, 64, n))  # adds nothing beyond
    z = r * r
    return e - f, e + f, r, z * poly(z, COSH[w]), r * z * poly(z, SINH[w])
