"""sin, cos, tan over the whole range, and the inverse functions.

x = (n + r) pi/2 with |r| <= 1/2 and only n mod 4 kept.  x is an integer m times 2**e, so the digits
of 2/pi that m 2**e turns into multiples of 4 are skipped: from a table of words the digits that
matter are picked by the exponent (by selects: there is no branch and no memory access), shifted
into place, and multiplied by m in integer arithmetic, which drops multiples of 4 by itself.  (Payne
and Hanek's method, 1983.)  No float comes closer to a multiple of pi/2 than 2**-29 (float64:
2**-61), and r is known to 2**-60 (2**-124), so it has its full relative accuracy for every x.
Coefficients: ``derive.rounded`` on |r pi/2| <= pi/4 (minimax in relative error).
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.lang import (
    absolute,
    bits,
    const,
    fast_two_sum,
    fma,
    from_bits,
    funnel,
    mul_wide,
    poly,
    rounded_float,
    select,
    signed,
    two_prod,
    unsigned,
    width,
)

# the first 1216 bits of 2/pi after the point
TWO_OVER_PI = int(
    "A2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561B7246E3A424D"
    "D2E006492EEA09D1921CFE1DEB1CB129A73EE88235F52EBB4484E99C7026B45F7E413991D639"
    "835339F49C845F8BBDF9283B1FF897FFDE05980FEF2F118B5A0A6D1F6D367ECF27CB09B74F46"
    "3F669E5FEA2D7527BAC7EBE5F17B3D0739F78A5292EA6BFB5FB11F8D5D0856033046FC7B6BAB",
    16,
)
WORDS = {  # a word of zeros comes first, for |x| about 1
    w: tuple(TWO_OVER_PI >> (1216 - w * i) & ((1 << w) - 1) for i in range(1216 // w + 1))
    for w in (32, 64)
}  # fmt: skip
STAGES = {32: (4, 2, 1), 64: (16, 8, 4, 2, 1)}  # steps whose sums reach every first word
MANTISSA = {32: 23, 64: 52}
FIRST = {32: 120, 64: 1013}  # the biased exponent whose digits begin with bit 0 of WORDS
HALF_PI = {
    32: (1.5707963705062866, -4.371138828673793e-08),
    64: (1.5707963267948966, 6.123233995736766e-17),
}
QUARTER_PI = 0.7853981633974483
# (sin(r) - r) / r**3 in r**2: error 2**-27.9, 2**-57.9
SIN = {
    32: (-0.16666655242443085, 0.008332188241183758, -0.00019518072076607496),
    64: (-0.1666666666666663, 0.008333333333321888, -0.00019841269829418912,
         2.7557313565055473e-06, -2.5050739216082274e-08, 1.5895744584161562e-10),
}  # fmt: skip
# (cos(r) - 1 + r**2/2) / r**4 in r**2: error 2**-33, 2**-63.9
COS = {
    32: (0.04166664555668831, -0.0013887309469282627, 2.4432338250335306e-05),
    64: (0.041666666666666595, -0.0013888888888873318, 2.4801587288975266e-05,
         -2.7557314206447894e-07, 2.0875703628289734e-09, -1.1358642982623601e-11),
}  # fmt: skip
INF = float("inf")
NAN = float("nan")


def reduce(x: Any) -> tuple[Any, Any, Any]:
    """(n, hi, lo) with |x| = n pi/2 + hi + lo modulo 2 pi, |hi| <= pi/4; n unsigned, x finite."""
    w = width(x)
    a = absolute(x)
    i = unsigned(bits(a))
    m = i & ((1 << MANTISSA[w]) - 1) | (1 << MANTISSA[w])
    v0, v1, v2 = _digits((i >> MANTISSA[w]) - FIRST[w], w)
    # (m * v0v1v2) modulo 2**(3w): two words of it, the point after the first two bits
    high, low = mul_wide(m, v1)
    low2 = low + mul_wide(m, v2)[0]
    high = high + m * v0
    high = select(low2 < low, high + 1, high)
    n = (high + (1 << (w - 3))) >> (w - 2)
    fraction = signed(high - (n << (w - 2)))
    hi, lo = _to_floats(fraction, low2)
    # times pi/2
    product, error = two_prod(hi, const(x, HALF_PI[w][0]))
    error = error + fma(hi, HALF_PI[w][1], lo * HALF_PI[w][0])
    hi, lo = fast_two_sum(product, error)
    small = a < QUARTER_PI
    return select(small, 0, n), select(small, a, hi), select(small, 0.0, lo)


def _digits(position: Any, w: int) -> tuple[Any, Any, Any]:
    """Three words of 2/pi from a bit position on: the table shifted by words, then by bits."""
    words = list(WORDS[w])
    most = len(words)
    keep = 4 + sum(STAGES[w])
    for step in STAGES[w]:
        keep -= step
        chosen = (position & (step * w)) != 0
        words = [
            select(chosen, _word(position, words[i + step]), words[i])
            if i + step < len(words)
            else words[i]
            for i in range(min(keep, most))
        ]
    shift = position & (w - 1)
    return tuple(funnel(words[i], words[i + 1], shift) for i in range(3))


def _word(like: Any, x: Any) -> Any:
    return const(like, x) if isinstance(x, int) else x


def _to_floats(fraction: Any, low: Any) -> tuple[Any, Any]:
    """fraction (signed, |.| <= 2**(w-3)) and the word after it, over 2**(w-2), as hi + lo."""
    w = width(low)
    cut = w - MANTISSA[w] - 3  # with so many bits less, fraction is exact as a float
    mask = (1 << cut) - 1
    hi = rounded_float(fraction & ~mask) * 2.0 ** (2 - w)
    rest = (unsigned(fraction & mask) << (w - 1 - cut)) | (low >> (cut + 1))
    return fast_two_sum(hi, rounded_float(signed(rest)) * 2.0 ** (3 - 2 * w + cut))


def sin(x: Any) -> Any:
    """Sine; nan for infinities.  At most 1 ulp over the whole range."""
    n, hi, lo = reduce(x)
    y = select((n & 1) != 0, cos_part(hi, lo), sin_part(hi, lo))
    return _signed_result(x, y, unsigned(bits(x)) >> (width(x) - 1) << 1 ^ n)


def cos(x: Any) -> Any:
    """Cosine; nan for infinities.  At most 1 ulp over the whole range."""
    n, hi, lo = reduce(x)
    y = select((n & 1) != 0, sin_part(hi, lo), cos_part(hi, lo))
    return _signed_result(x, y, n + 1)


def _signed_result(x: Any, y: Any, turn: Any) -> Any:
    """y, negated if bit 1 of turn is set; nan if x is not finite."""
    y = from_bits(bits(y) ^ signed((turn >> 1) << (width(x) - 1)))
    return select(absolute(x) < INF, y, NAN)


def sin_part(hi: Any, lo: Any) -> Any:
    """sin(hi + lo) for |hi| <= pi/4."""
    z = hi * hi
    return hi + fma(hi * z, poly(z, SIN[width(z)]), lo)


def cos_part(hi: Any, lo: Any) -> Any:
    """cos(hi + lo) for |hi| <= pi/4."""
    z = hi * hi
    half = 0.5 * z
    head = 1.0 - half
    return head + (((1.0 - head) - half) + fma(z * z, poly(z, COS[width(z)]), -hi * lo))


def tan(x: Any) -> Any:
    """Tangent; nan for infinities.  At most 1.2 ulp over the whole range."""
    n, hi, lo = reduce(x)
    z = hi * hi
    half = 0.5 * z
    s, s_low = fast_two_sum(hi, fma(hi * z, poly(z, SIN[width(z)]), lo))
    head = 1.0 - half
    c, c_low = fast_two_sum(
        head, ((1.0 - head) - half) + fma(z * z, poly(z, COS[width(z)]), -hi * lo)
    )
    odd = (n & 1) != 0
    top, top_low = select(odd, -c, s), select(odd, -c_low, s_low)
    bottom, bottom_low = select(odd, s, c), select(odd, s_low, c_low)
    over = 1.0 / bottom
    q = top * over
    p, error = two_prod(q, bottom)
    q = fma(((top - p) - error) + (top_low - q * bottom_low), over, q)
    q = select(z == 0.0, hi, q)  # 0 * inf
    return _signed_result(x, q, unsigned(bits(x)) >> (width(x) - 1) << 1)
