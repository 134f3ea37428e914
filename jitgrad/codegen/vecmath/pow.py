"""pow: 2**(y log2|x|), with log2|x| and the product in two floats each.

log2(1+f) = s (C0 + z (C1 + z R(z))), s = f / (2 + f), z = s**2: a term z**2 R(z) < 2**-10 needs no
second float, the others get one, so log2 is good to 2**-33 (float64: 2**-64) and a result near
overflow, where y log2|x| is about 1024, to an ulp.
Coefficients: ``derive.rounded`` (minimax in relative error).
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.exp import EXP_Q, LN2, clamp, scale
from jitgrad.codegen.vecmath.lang import (
    absolute,
    bits,
    const,
    fast_two_sum,
    floor,
    fma,
    from_bits,
    nearest,
    pick,
    poly,
    select,
    two_prod,
    width,
)
from jitgrad.codegen.vecmath.log import split_any

C0 = {
    32: (2.885390043258667, 3.851926067000022e-08),
    64: (2.8853900817779268, 4.0710547481862066e-17),
}
C1 = {
    32: (0.9617967009544373, -7.028461812552678e-09),
    64: (0.9617966939259756, 5.0577616648125907e-17),
}
R = {
    32: (0.5770801901817322, 0.41184982657432556, 0.33782482147216797),
    64: (0.5770780163556182, 0.4121985830918371, 0.32059890229182414, 0.2623076995131965,
         0.2219840732890056, 0.1912533650211614, 0.19040248101836849),
}  # fmt: skip
INF = float("inf")
NAN = float("nan")


def log2_pair(x: Any) -> tuple[Any, Any]:
    """log2(x) in two floats, for finite x > 0."""
    w = width(x)
    k, f = split_any(x)
    # s = f / (2 + f)
    d, d_low = fast_two_sum(const(x, 2.0), f)
    over = 1.0 / d
    s = f * over
    p, error = two_prod(s, d)
    s_low = (((f - p) - error) - s * d_low) * over
    # b = z (C1 + z R)
    z, z_low = two_prod(s, s)
    z_low = fma(s + s, s_low, z_low)
    a, a_low = fast_two_sum(const(x, C1[w][0]), z * poly(z, R[w]))
    b, b_low = two_prod(z, a)
    b_low = fma(z_low, a, fma(z, a_low + C1[w][1], b_low))
    # s (C0 + b) + k
    c, c_low = fast_two_sum(const(x, C0[w][0]), b)
    head, low = two_prod(s, c)
    low = fma(s_low, c, fma(s, c_low + (b_low + C0[w][1]), low))
    total, rest = fast_two_sum(k, head)
    return fast_two_sum(total, rest + low)


def pow(x: Any, y: Any) -> Any:
    """x**y with all of C's (and NumPy's) special cases.  At most 1.5 ulp."""
    w = width(x)
    a = absolute(x)
    head, low = log2_pair(a)
    v = clamp(y, *pick(x, (-(2.0**34), 2.0**34), (-(2.0**65), 2.0**65)))  # as good as infinite
    p, error = two_prod(v, head)
    error = fma(v, low, error)
    limit = pick(x, 200.0, 1100.0)
    error = select(absolute(p) < limit, error, 0.0)
    p = clamp(p, -limit, limit)
    n, i = nearest(p)
    r = ((p - n) + error) * LN2
    result = scale(1.0 + fma(r * r, poly(r, EXP_Q[w]), r), i)
    return _special(x, y, a, result)


def _special(x: Any, y: Any, a: Any, result: Any) -> Any:
    """The sign, and the cases where x or y is 0, infinite or nan, or x is 1 or negative."""
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
