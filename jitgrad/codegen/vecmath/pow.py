"""pow: 2**(y log2|x|), with log2|x| and the product in more digits than the result.

float32 computes in float64, where a short polynomial is enough for log2(1+f)/f.  float64, and
float32 on machines that are slow with it, have two floats for each: log2(1+f) = s (C0 + z (C1 + z
R(z))), s = f / (2 + f), z = s**2: a term z**2 R(z) < 2**-10 needs no second float, the others get
one, so log2 is good to 2**-64 (2**-36), and a result near overflow, where y log2|x| is about 1024
(128), to an ulp.
Coefficients: ``derive.rounded`` (minimax in relative error).
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.exp import EXP_Q, LN2, clamp, power_of_two, scale
from jitgrad.codegen.vecmath.lang import (
    absolute,
    bits,
    const,
    fast_two_sum,
    floor,
    fma,
    from_bits,
    has_doubles,
    narrow,
    nearest,
    patched,
    poly,
    select,
    two_prod,
    widen,
    width,
)
from jitgrad.codegen.vecmath.log import TINY, split_any, split_normal

# for float32: log2(1 + f) / f, error 2**-33; 2**r for |r| <= 1/2, error 2**-29
LOG2 = (1.4426950409399337, -0.7213475249365655, 0.48089831379945946, -0.36067283931479294,
        0.2885413333176379, -0.2405030248644347, 0.2060742067317848, -0.17904848719071334,
        0.159285742130173, -0.15722723615585318, 0.15357293315886797,
        -0.08445057524293843)  # fmt: skip
EXP2 = (1.0000000005560425, 0.6931472056287057, 0.24022646719372312, 0.05550328934965749,
        0.009618510730671775, 0.001339988596299742, 0.00015339613973462766)  # fmt: skip
# in pairs, by width: the first two terms in two parts, the rest with error 2**-60
C0 = {
    64: (2.8853900817779268, 4.0710547481862066e-17),
    32: (2.885390043258667, 3.851926067000022e-08),
}
C1 = {
    64: (0.9617966939259756, 5.0577616648125907e-17),
    32: (0.9617967009544373, -7.028461812552678e-09),
}
R = (0.5770780163556182, 0.4121985830918371, 0.32059890229182414, 0.2623076995131965,
     0.2219840732890056, 0.1912533650211614, 0.19040248101836849)  # fmt: skip
HUGE = {64: 2.0**65, 32: 2.0**33}  # an exponent as good as infinite
FAR = {64: 1100.0, 32: 200.0}  # a power of 2 that overflows
INF = float("inf")
NAN = float("nan")


def pow(x: Any, y: Any) -> Any:
    """x**y with all of C's (and NumPy's) special cases.  At most 1.5 ulp."""
    a = absolute(x)
    if width(x) == 32:
        result = _power_32(a, y) if has_doubles(x) else power_in_pairs(a, y)
        usual = (x > 0.0) & (x < INF) & (absolute(y) < INF)  # ... and not nan
        return patched(usual, [result], lambda: [_special(x, y, a, result)])[0]
    head, low = log2_pair(*split_normal(a))
    p, error = two_prod(y, head)
    n, r = _exponent(p, fma(y, low, error))
    usual = (x >= TINY[64]) & (x < INF) & (absolute(p) < 1000.0)
    result = _near_one(r) * power_of_two(n)
    return patched(usual, [result], lambda: [_special(x, y, a, power_in_pairs(a, y))])[0]


def _power_32(a: Any, y: Any) -> Any:
    """a**y for finite a > 0 and finite y.  In float64 no float32 is subnormal."""
    k, f = split_normal(widen(a))
    p = clamp(widen(y) * fma(f, poly(f, LOG2), k), -200.0, 200.0)
    n, i = nearest(p)
    return narrow(poly(p - n, EXP2) * power_of_two(i))


def power_in_pairs(a: Any, y: Any) -> Any:
    """a**y for finite a > 0 and finite y, without wider floats."""
    huge, far = HUGE[width(a)], FAR[width(a)]
    head, low = log2_pair(*split_any(a))
    v = clamp(y, -huge, huge)
    p, error = two_prod(v, head)
    error = select(absolute(p) < far, fma(v, low, error), 0.0)
    n, r = _exponent(clamp(p, -far, far), error)
    return scale(_near_one(r), n)


def _exponent(p: Any, low: Any) -> tuple[Any, Any]:
    """(n, r) with 2**(p + low) = 2**n e**r."""
    n, i = nearest(p)
    return i, ((p - n) + low) * LN2


def _near_one(r: Any) -> Any:
    return 1.0 + fma(r * r, poly(r, EXP_Q[width(r)]), r)


def log2_pair(k: Any, f: Any) -> tuple[Any, Any]:
    """log2(2**k (1 + f)) in two floats."""
    (c0, c0_low), (c1, c1_low) = C0[width(f)], C1[width(f)]
    # s = f / (2 + f)
    d, d_low = fast_two_sum(const(f, 2.0), f)
    over = 1.0 / d
    s = f * over
    p, error = two_prod(s, d)
    s_low = (((f - p) - error) - s * d_low) * over
    # b = z (C1 + z R)
    z, z_low = two_prod(s, s)
    z_low = fma(s + s, s_low, z_low)
    a, a_low = fast_two_sum(const(f, c1), z * poly(z, R))
    b, b_low = two_prod(z, a)
    b_low = fma(z_low, a, fma(z, a_low + c1_low, b_low))
    # s (C0 + b) + k
    c, c_low = fast_two_sum(const(f, c0), b)
    head, low = two_prod(s, c)
    low = fma(s_low, c, fma(s, c_low + (b_low + c0_low), low))
    total, rest = fast_two_sum(k, head)
    return fast_two_sum(total, rest + low)


def _special(x: Any, y: Any, a: Any, result: Any) -> Any:
    """The sign, and the cases where x or y is 0, infinite or nan, or x is 1 or negative."""
    result = select(a == 1.0, 1.0, result)  # y may be infinite
    zero = a == 0.0
    extreme = select(zero == (y < 0.0), const(x, INF), 0.0)  # of 0 and of inf
    result = select(zero | (a == INF), extreme, result)
    half = 0.5 * y
    whole = floor(y) == y
    odd = whole & (floor(half) != half)
    sign = bits(x) & (-1 << (width(x) - 1))
    result = select(odd, from_bits(bits(result) | sign), result)
    negative = (x < 0.0) & (a < INF) & (y == y)
    result = select(negative & ~whole, NAN, result)
    result = select((x == x) & (y == y), result, x + y)
    return select((x == 1.0) | (y == 0.0), 1.0, result)
