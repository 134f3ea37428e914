"""sin, cos, tan over the whole range.

x = n pi/2 + r with |r| <= pi/4 and only n mod 4 kept.  Up to LIMIT, n times three floats that add
up to pi/2 are subtracted (Cody and Waite, 1980): the first difference is exact, the rounding of the
second is kept.  A vector that holds a larger number takes Payne and Hanek's method (1983).  There x
is an integer m times 2**e, so the digits of 2/pi that m 2**e turns into multiples of 4 are skipped:
from a table of words the digits that matter are picked by the exponent (by selects: there is no
memory access), shifted into place, and multiplied by m in integer arithmetic, which drops multiples
of 4 by itself.  No float comes closer to a multiple of pi/2 than 2**-29 (float64: 2**-61), and r is
known to 2**-60 (2**-124), so it has its full relative accuracy for every x.
Coefficients: ``derive.rounded`` a little beyond |r| = pi/4, for n is rounded from a rounded
quotient (minimax in relative error).
"""

from __future__ import annotations

from collections.abc import Sequence
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
    nearest,
    patched,
    poly,
    remainder,
    rounded_float,
    select,
    signed,
    two_prod,
    two_sum,
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
    32: (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    64: (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
TWO_OVER_PI_FLOAT = 0.6366197723675814
LIMIT = {32: 2.0**15, 64: 2.0**30}
QUARTER_PI = 0.7853981633974483
# (sin(r) - r) / r**3 in r**2: error 2**-27.8, 2**-57.7
SIN = {
    32: (-0.16666653752326965, 0.00833210814744234, -0.00019508236437104642),
    64: (-0.16666666666666627, 0.008333333333321072, -0.0001984126982870197,
         2.7557313300014455e-06, -2.5050695706255247e-08, 1.5893126607337654e-10),
}  # fmt: skip
# (cos(r) - 1 + r**2/2) / r**4 in r**2: error 2**-32.7, 2**-63.7
COS = {
    32: (0.04166664555668831, -0.0013887298991903663, 2.4430286430288106e-05),
    64: (0.04166666666666658, -0.0013888888888871048, 2.4801587287610235e-05,
         -2.755731382239992e-07, 2.08756524105536e-09, -1.1356028235953707e-11),
}  # fmt: skip
INF = float("inf")
NAN = float("nan")


def reduce(x: Any) -> Sequence[Any]:
    """(n, hi, lo) with |x| = n pi/2 + hi + lo modulo 2 pi, |hi| <= pi/4; n unsigned, x finite."""
    a = absolute(x)
    return patched(a <= LIMIT[width(x)], _short(a), lambda: _long(a))


def _short(a: Any) -> Sequence[Any]:
    first, second, third = HALF_PI[width(a)]
    n, i = nearest(a * TWO_OVER_PI_FLOAT)
    product, error = two_prod(n, const(a, second))
    hi, lo = two_sum(remainder(a, n, const(a, first)), -product)
    return unsigned(i), hi, fma(n, -third, lo - error)


def _long(a: Any) -> Sequence[Any]:
    w = width(a)
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
    product, error = two_prod(hi, const(a, HALF_PI[w][0]))
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


def signed_by(x: Any, y: Any) -> Any:
    """y for x > 0, -y for x < 0; nan if x is not finite."""
    return _signed_result(x, y, unsigned(bits(x)) >> (width(x) - 1) << 1)


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
    return signed_by(x, q)
