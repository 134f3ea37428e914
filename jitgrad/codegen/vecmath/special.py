"""erf, erfc and rsqrt.

Coefficients: ``derive.rounded`` (minimax).
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.exp import (
    EXP_Q,
    clamp_above,
    exp,
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

# erf(x)/x - 1 in x**2, x up to 1.25 (float64: 1.3): error 2**-29.4, 2**-56
ERF_SMALL = {
    32: (0.12837916612625122, -0.3761262893676758, 0.11283662915229797, -0.02685980126261711,
         0.005208239424973726, -0.0008332589641213417, 0.00010362560715293512,
         -7.517425274272682e-06),
    64: (0.12837916709551256, -0.376126389031836, 0.11283791670950771, -0.026866170644575412,
         0.0052239776215100295, -0.0008548326851195162, 0.00012055327988377129,
         -1.4925550592346535e-05, 1.646070779373523e-06, -1.6351707675447216e-07,
         1.4706128821765687e-08, -1.1784910075598264e-09, 7.713046102201563e-11,
         -3.046839861605077e-12),
}  # fmt: skip
# -exp(x**2) erfc(x) in x - 2.5, from there up to where erf is 1: error in erf 2**-28.5, 2**-56.2
ERF_LARGE = {
    32: (-0.21080529689788818, 0.07435020059347153, -0.02496744692325592, 0.007882191799581051,
         -0.002562440698966384, 0.0008897798252291977, 9.570916154189035e-05,
         0.0002237798908026889),
    64: (-0.21080636406114406, 0.07434734678970917, -0.024937997087063745, 0.008001569384065389,
         -0.0024670368041351284, 0.0007335909348769169, -0.00021101990288126214,
         5.886890148524989e-05, -1.596165482180707e-05, 4.21455404435091e-06,
         -1.0854361103129807e-06, 2.7255222985097004e-07, -6.704610772486599e-08,
         1.6477031118267077e-08, -3.826277604118114e-09, 7.574686268855045e-10,
         -2.015486499501398e-10, 7.17755461527216e-11, -1.15408890030705e-11),
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
    """Error function.  At most 2 ulp.

    Its exponential is also in its derivative.  It is written as LLVM writes that one when the
    square is used nowhere else, -(x * x) becoming x * -x, so that LLVM computes both once.
    """
    w = width(x)
    a = absolute(x)
    large = fma(exp(x * -x), poly(clamp_above(a, pick(x, 4.0, 6.0)) - 2.5, ERF_LARGE[w]), 1.0)
    small = fma(a, poly(x * x, ERF_SMALL[w]), a)
    return copysign(select(a < pick(x, 1.25, 1.3), small, large), x)


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
