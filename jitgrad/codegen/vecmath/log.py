"""The logarithms: log, log2, log10, log1p, and asinh, acosh, atanh, which are log1p of something.

x = 2**k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), so k = 0 near 1 and nothing cancels there;
log(x) = k ln2 + f + t with t = log(1 + f) - f, a polynomial in f.  (In s = f / (2 + f) it would be
half as long, but the division takes long, and delays others in loops that divide.)
Coefficients: ``derive.rounded`` (minimax in relative error).
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.lang import (
    MAGIC,
    MAGIC_BITS,
    absolute,
    bits,
    const,
    copysign,
    fast_two_sum,
    fma,
    from_bits,
    pick,
    poly,
    select,
    shr,
    sqrt,
    two_prod,
    two_sum,
    width,
)

# (log(1+f) - f + f**2/2) / f**3: error 2**-27.3, 2**-56.4
CUBIC = {
    32: (0.3333333134651184, -0.2500084936618805, 0.20001040399074554, -0.1662224531173706,
         0.14206908643245697, -0.13176748156547546, 0.1272798627614975, -0.07545716315507889),
    64: (0.3333333333333314, -0.2499999999998794, 0.2000000000007993, -0.16666666669825347,
         0.14285714277782827, -0.12499999690359133, 0.11111111303142145, -0.10000015372544704,
         0.09090918568202562, -0.08332904723069624, 0.07691632321464065, -0.07149667148931825,
         0.06683521150202837, -0.0619356703455049, 0.056734647106278846, -0.056994620204376956,
         0.06502410861751277, -0.059209887659189255, 0.025623506365037216),
}  # fmt: skip
LN2_HI = {32: 0.693145751953125, 64: 0.6931471805601177}  # short: times k it is exact
LN2_LO = {32: 1.428606765330187e-06, 64: -1.7239444525614835e-13}
LOG2E = {
    32: (1.4426950216293335, 1.925963033500011e-08),
    64: (1.4426950408889634, 2.0355273740931033e-17),
}
LOG10E = {
    32: (0.4342944920063019, -1.0103049952192578e-08),
    64: (0.4342944819032518, 1.098319650216765e-17),
}
LOG10_2 = {
    32: (0.301025390625, 4.605039066518657e-06),  # short as ln2
    64: (0.3010299956640665, -8.532344317057107e-14),
}
SQRT_HALF = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}  # bits
MANTISSA = {32: 23, 64: 52}
BIAS = {32: 127, 64: 1023}
TINY = {32: 2.0**-126, 64: 2.0**-1022}  # the least normal number
INF = float("inf")
NAN = float("nan")


def split(x: Any) -> tuple[Any, Any]:
    """(k + BIAS as integer, f) with x = 2**k (1 + f), for normal x > 0."""
    w = width(x)
    i = bits(x) + ((BIAS[w] << MANTISSA[w]) - SQRT_HALF[w])
    m = from_bits((i & ((1 << MANTISSA[w]) - 1)) + SQRT_HALF[w])
    return shr(i, MANTISSA[w]), m - 1.0


def split_normal(x: Any) -> tuple[Any, Any]:
    """(k as float, f) with x = 2**k (1 + f), for normal x > 0."""
    w = width(x)
    e, f = split(x)
    return from_bits(e + MAGIC_BITS[w]) - (MAGIC[w] + BIAS[w]), f


def split_any(x: Any) -> tuple[Any, Any]:
    """(k as float, f) with x = 2**k (1 + f), for x > 0, subnormal x included."""
    w = width(x)
    tiny = x < TINY[w]
    e, f = split(select(tiny, x * 2.0 ** (MANTISSA[w] + 1), x))
    offset = MAGIC[w] + BIAS[w]
    k = from_bits(e + MAGIC_BITS[w]) - select(tiny, const(x, offset + MANTISSA[w] + 1), offset)
    return k, f


def tail(f: Any) -> Any:
    """log(1 + f) - f for 1 + f between sqrt(1/2) and sqrt(2)."""
    return f * f * fma(poly(f, CUBIC[width(f)]), f, -0.5)


def special(x: Any, y: Any) -> Any:
    """y, or what a logarithm gives for x = 0, x < 0, inf and nan."""
    y = select(x < INF, y, x)
    y = select(x < 0.0, NAN, y)
    return select(x == 0.0, -INF, y)


def log(x: Any) -> Any:
    """Natural logarithm.  At most 1 ulp."""
    w = width(x)
    k, f = split_any(x)
    return special(x, fma(k, LN2_HI[w], f + fma(k, LN2_LO[w], tail(f))))


def log_pair(x: Any) -> tuple[Any, Any]:
    """log(x) for finite x > 0 in two floats, to about 2**-6 ulp of the first."""
    w = width(x)
    k, f = split_any(x)
    head, rest = fast_two_sum(k * LN2_HI[w], f)
    return fast_two_sum(head, rest + fma(k, LN2_LO[w], tail(f)))


def log2(x: Any) -> Any:
    """Logarithm to base 2, exact for powers of 2.  At most 1.4 ulp."""
    return _based(x, LOG2E[width(x)], (1.0, 0.0))


def log10(x: Any) -> Any:
    """Logarithm to base 10.  At most 1.4 ulp."""
    return _based(x, LOG10E[width(x)], LOG10_2[width(x)])


def _based(x: Any, unit: tuple[float, float], two: tuple[float, float]) -> Any:
    """log(x) * unit, where two is log(2) * unit; both in two parts."""
    k, f = split_any(x)
    inner = fma(f, unit[0], fma(tail(f), unit[0], f * unit[1]))
    return special(x, fma(k, two[0], fma(k, two[1], inner) if two[1] else inner))


def log1p(x: Any) -> Any:
    """log(1 + x), accurate where x is small.  At most 1.1 ulp."""
    y = select(x < INF, log1p_sum(x, 0.0), x)
    y = select(x < -1.0, NAN, y)
    return copysign(select(x == -1.0, -INF, y), x)


def log1p_sum(x: Any, low: Any, extra: Any = 0.0) -> Any:
    """log(1 + x + low) + extra ln2 for finite x > -1, with low below an ulp of x."""
    w = width(x)
    u, c = two_sum(const(x, 1.0), x)
    e, f = split(u)
    most = 2 * BIAS[w]
    c = (c + low) * from_bits((most - select(e > most, most, e)) << MANTISSA[w])
    f, rest = fast_two_sum(f, c)
    k = from_bits(e + MAGIC_BITS[w]) - (MAGIC[w] + BIAS[w]) + extra
    return fma(k, LN2_HI[w], f + (fma(k, LN2_LO[w], tail(f)) + rest))


def asinh(x: Any) -> Any:
    """Inverse hyperbolic sine.  At most 2 ulp."""
    a = absolute(x)
    big = a > pick(x, 2.0**28, 2.0**60)  # here asinh(a) = log(a) + ln2, and a**2 may overflow
    square = a * a
    q = select(big, a, a + square / (1.0 + sqrt(1.0 + square)))
    y = log1p_sum(q, 0.0, select(big, const(x, 1.0), 0.0))
    return copysign(select(a < INF, y, x), x)


def acosh(x: Any) -> Any:
    """Inverse hyperbolic cosine; nan below 1.  At most 2 ulp."""
    big = x > pick(x, 2.0**28, 2.0**60)
    t = x - 1.0
    q, low = two_sum(t, sqrt(fma(t, t, 2.0 * t)))
    y = log1p_sum(select(big, x, q), select(big, 0.0, low), select(big, const(x, 1.0), 0.0))
    return select(x < 1.0, NAN, select(x < INF, y, x))


def atanh(x: Any) -> Any:
    """Inverse hyperbolic tangent; nan beyond 1.  At most 2 ulp."""
    a = absolute(x)
    d, d_low = fast_two_sum(const(x, 1.0), -a)
    over = 1.0 / d
    q = 2.0 * a * over  # 2a / (1 - a), and what is missing:
    p, error = two_prod(q, d)
    low = (((2.0 * a - p) - error) - q * d_low) * over
    y = select(a < 1.0, 0.5 * log1p_sum(q, low), select(a == 1.0, const(x, INF), NAN))
    return copysign(y, x)
