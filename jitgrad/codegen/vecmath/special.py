"""erf, erfc and rsqrt.

Coefficients: ``derive.rounded`` (minimax).
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.exp import (
    EXP_Q,
    clamp_above,
    exp_r,
    power_of_two,
    reduce,
    reduce_pair,
    scale,
)
from jitgrad.codegen.vecmath.lang import (
    absolute,
    const,
    copysign,
    fast_two_sum,
    fma,
    pick,
    poly,
    select,
    sqrt,
    two_prod,
    two_sum,
    width,
)

# erf(x)/x - 1 in x**2, x up to 0.75 (float64: 1): error 2**-29.2, 2**-55.1
ERF_SMALL = {
    32: (0.12837916612625122, -0.3761261999607086, 0.11283379048109055, -0.026834335178136826,
         0.005113156978040934, -0.0006737582734785974),
    64: (0.12837916709551256, -0.37612638903183343, 0.11283791670936952, -0.026866170641961777,
         0.005223977596782952, -0.0008548325488575902, 0.00012055280645593576,
         -1.4924469349769634e-05, 1.6444207020864903e-06, -1.6184504879672358e-07,
         1.3619265841515121e-08, -7.613226654479659e-10),
}  # fmt: skip
# -log(erfc(x)) from there up to where erf is 1: error in erf 2**-28.3, 2**-54.8
ERF_LARGE = {
    32: (2.1448049665195867e-05, 1.128433346748352, 0.6358418464660645, 0.10516464710235596,
         -0.022848401218652725, 0.003205810207873583, -0.00021317732171155512),
    64: (1.063470500996938e-06, 1.1283687132813918, 0.6366675743514284, 0.10263766079648595,
         -0.01886540264868021, -0.0005840431492520624, 0.002098759536435107,
         -0.0009199371078998505, 0.00023064850864970213, -2.8000338869854533e-05,
         -3.609581845288237e-06, 2.6725269951066406e-06, -6.876493757673167e-07,
         1.0820494529629373e-07, -1.09016676920121e-08, 6.51707918323923e-10,
         -1.770110561459099e-11),
}  # fmt: skip
# (x + K) exp(x**2) erfc(x) in t = (x - K) / (x + K), beyond: error 2**-27, 2**-56; the constant
# term, the weightiest, is in two parts
ERFC_K = {32: 3.0, 64: 4.0}
ERFC_LOW = {32: -8.004128915217734e-09, 64: 5.757254511326975e-17}
ERFC = {
    32: (1.0740069150924683, -0.8833943605422974, 0.5902281999588013, -0.3104712963104248,
         0.11953255534172058, -0.026781544089317322, -0.0012520613381639123,
         0.0028426407370716333, -0.0004318504361435771),
    64: (1.095995661000491, -0.9765487290808816, 0.7732087022652379, -0.5408538313132917,
         0.3308515878779776, -0.17401093723748406, 0.0763815149093948, -0.02637005338737396,
         0.006112055669146501, -0.00028095838168779865, -0.0004550529274700606,
         0.0001768099138696491, -3.6332335539774674e-06, -1.8850385463065042e-05,
         4.686013510664541e-06, 1.401689125982316e-06, -8.255857025114282e-07,
         -4.923096540960999e-08, 9.701575875686791e-08, -1.1961602722852541e-08),
}  # fmt: skip


def erf(x: Any) -> Any:
    """Error function.  At most 2 ulp."""
    w = width(x)
    a = clamp_above(absolute(x), pick(x, 4.1, 6.1))
    z = a * a
    n, r = reduce(-poly(a, ERF_LARGE[w]))
    large = 1.0 - exp_r(r) * power_of_two(n)
    small = fma(a, poly(z, ERF_SMALL[w]), a)
    return copysign(select(a < pick(x, 0.75, 1.0), small, large), x)


def erfc(x: Any) -> Any:
    """1 - erf(x), accurate in its tail.  At most 2 ulp."""
    w, k = width(x), ERFC_K[width(x)]
    a = clamp_above(absolute(x), pick(x, 10.2, 27.3))
    # g = exp(x**2) erfc(x) = q(t) u, each in two parts
    d, d_low = two_sum(a, const(x, k))
    u, u_low = _divide(const(x, 1.0), 0.0, d, d_low)
    t, t_low = _divide(*two_sum(a, const(x, -k)), d, d_low)
    step, step_low = two_prod(t, poly(t, ERFC[w][1:]))
    q, q_low = fast_two_sum(const(x, ERFC[w][0]), step)
    slope = poly(t, [i * ERFC[w][i] for i in range(1, 5)])
    q_low = q_low + fma(t_low, slope, step_low + ERFC_LOW[w])
    g, g_low = two_prod(q, u)
    g_low = fma(q, u_low, fma(q_low, u, g_low))
    # times exp(-x**2), the square in two parts too
    square, rest = two_prod(a, a)
    n, r, r_low = reduce_pair(-square, -rest)
    g_low = fma(g_low, r, fma(g, r_low, g_low))
    y = scale(g + fma(g, r, fma(g, r * r * poly(r, EXP_Q[w]), g_low)), n)
    y = select(x < 0.0, 2.0 - y, y)
    small = fma(-x, poly(x * x, ERF_SMALL[w]), 1.0 - x)
    return select(absolute(x) < pick(x, 0.75, 0.85), small, y)


def _divide(a: Any, a_low: Any, b: Any, b_low: Any) -> tuple[Any, Any]:
    """(a + a_low) / (b + b_low) in two parts."""
    over = 1.0 / b
    q = a * over
    p, error = two_prod(q, b)
    return q, ((((a - p) - error) + a_low) - q * b_low) * over


def rsqrt(x: Any) -> Any:
    """1 / sqrt(x).  At most 1.5 ulp."""
    return 1.0 / sqrt(x)
