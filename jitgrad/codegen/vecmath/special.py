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
    32: (0.12837916612625122, -0.3761261999607086, 0.11283384263515472, -0.026834819465875626,
         0.0051145413890480995, -0.0006750011816620827),
    64: (0.12837916709551256, -0.37612638903183454, 0.1128379167094242, -0.02686617064289314,
         0.005223977604623254, -0.0008548325866905287, 0.00012055291907081775,
         -1.4924683058477733e-05, 1.6446798054422378e-06, -1.6203927736074155e-07,
         1.3701258390000972e-08, -7.762257462079297e-10),
}  # fmt: skip
# -log(erfc(x)) from there up to where erf is 1: error in erf 2**-28.3, 2**-54.8
ERF_LARGE = {
    32: (2.1448049665195867e-05, 1.1284337043762207, 0.6358402967453003, 0.10516725480556488,
         -0.022850526496767998, 0.003206647466868162, -0.00021330466552171856),
    64: (1.063470500996938e-06, 1.1283687131832323, 0.6366675748986732, 0.10263765984481638,
         -0.018865403375686745, -0.0005840368143869086, 0.0020987457008537834,
         -0.0009199190695901933, 0.0002306323526389914, -2.7989878262454e-05,
         -3.61457713668152e-06, 2.6742912422984476e-06, -6.881049817461443e-07,
         1.082885889517878e-07, -1.0912005147558697e-08, 6.524786846336881e-10,
         -1.7727286033037455e-11),
}  # fmt: skip
# (x + K) exp(x**2) erfc(x) in t = (x - K) / (x + K), beyond: error 2**-27, 2**-56; the constant
# term, the weightiest, is in two parts
ERFC_K = {32: 3.0, 64: 4.0}
ERFC_LOW = {32: -8.004128915217734e-09, 64: 5.757254511326975e-17}
ERFC = {
    32: (1.0740069070883393, -0.8833943605422974, 0.5902281999588013, -0.3104713261127472,
         0.11953239887952805, -0.02678123489022255, -0.0012507562059909105, 0.002841903129592538,
         -0.00043446943163871765),
    64: (1.095995661000491, -0.9765487290808815, 0.773208702265238, -0.5408538313133001,
         0.3308515878779681, -0.17401093723726205, 0.07638151490964105, -0.02637005339026867,
         0.006112055666168897, -0.00028095836005967456, -0.0004550529078442616,
         0.00017680981482911726, -3.633308463854326e-06, -1.885010153740715e-05,
         4.686178993072027e-06, 1.401190246391538e-06, -8.257822282484699e-07,
         -4.873804792519828e-08, 9.71129252995772e-08, -1.2171928455509497e-08),
}  # fmt: skip


def erf(x: Any) -> Any:
    """Error function.  At most 1.5 ulp."""
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
