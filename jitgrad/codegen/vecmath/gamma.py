"""lgamma and digamma.

Up to 7.5 the recurrence leads to an interval where a polynomial holds, chosen so that the zeros on
the positive axis (1 and 2; 1.4616...) stay factors and keep their relative accuracy; the factors of
the recurrence are gathered into one logarithm, or one quotient.  Beyond, Stirling's series.
Negative x by reflection: there the functions have a zero between any two poles, next to which the
error is small against 1 but not against the result.
Coefficients: ``derive.rounded`` (minimax).
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.lang import (
    absolute,
    const,
    fast_two_sum,
    fma,
    patched,
    poly,
    rint,
    select,
    two_prod,
    width,
)
from jitgrad.codegen.vecmath.log import log_pair
from jitgrad.codegen.vecmath.trig import cos_part, sin_part

# lgamma(2 + t) / t for |t| <= 1/2, the constant term in two parts: error 2**-28.2, 2**-58
LGAMMA_LOW = {32: 6.637773886097875e-09, 64: 4.942915152430645e-18}
LGAMMA = {
    32: (0.42278433509846725, 0.32246702909469604, -0.06735224276781082, 0.020581357181072235,
         -0.007387159857898951, 0.0028807215858250856, -0.0011789625277742743,
         0.0005663887714035809, -0.0002682718331925571),
    64: (0.42278433509846713, 0.32246703342411326, -0.06735230105319817, 0.020580808427777448,
         -0.007385551028663104, 0.002890510331163217, -0.001192753912238893, 0.0005096695126615814,
         -0.00022315474549173072, 9.94577060490744e-05, -4.4926414513849335e-05,
         2.0505366866331047e-05, -9.438015421004763e-06, 4.3855998064905e-06,
         -2.0467115411557313e-06, 9.181268282818623e-07, -4.264723363068319e-07,
         2.8046381880459526e-07, -1.3762386960425482e-07),
}  # fmt: skip
# x (lgamma(x) - (x - 1/2) log(x) + x - log(2 pi)/2) in 1/x**2: error 2**-31.6, 2**-60.3
STIRLING = {
    32: (0.08333325386047363, -0.0027602126356214285),
    64: (0.08333333333333284, -0.0027777777769969433, 0.0007936504381341209,
         -0.0005951684140096517, 0.0008350442499324407, -0.0015995334932529962),
}  # fmt: skip
HALF_LOG_2PI_LESS_HALF = 0.4189385332046727
# digamma(x) / (x - ROOT) in x - 1.75, 1 <= x <= 2.5: error 2**-25.6, 2**-55.7
ROOT = {
    32: (1.4616321325302124, 1.243815006546356e-08),
    64: (1.4616321449683622, 9.549995429965697e-17),
}
DIGAMMA = {
    32: (0.8581832051277161, -0.32625463604927063, 0.15712174773216248, -0.08228599280118942,
         0.04476569592952728, -0.024875886738300323, 0.014238421805202961, -0.008033490739762783,
         0.003665254218503833, -0.0021224485244601965, 0.0026297697331756353,
         -0.0014766030944883823),
    64: (0.8581832171262995, -0.32625462786810566, 0.15712011335203652, -0.08228558635578187,
         0.044799654453411525, -0.024890048488929072, 0.013985786159114935, -0.007910468775473663,
         0.004491814206900457, -0.002556686562387906, 0.0014573687297807251,
         -0.0008314963014538563, 0.00047472630317743153, -0.00027109874860786515,
         0.00015459795006381847, -8.834334802866838e-05, 5.1384308651467206e-05,
         -2.929831260615266e-05, 1.4513017225193246e-05, -8.399247003162205e-06,
         8.47711663150355e-06, -4.725507402580216e-06, -1.2136681013918418e-06,
         6.171672279058595e-07, 2.0718400845522375e-06, -1.1622443130054869e-06),
}  # fmt: skip
# (log(x) - 1/(2x) - digamma(x)) x**2 in 1/x**2: error 2**-38.6, 2**-58.6
DIGAMMA_TAIL = {
    32: (0.0833333283662796, -0.00833179708570242, 0.0038262438029050827),
    64: (0.08333333333331766, -0.008333333315937679, 0.00396824753543169, -0.004165567547357583,
         0.007479671442265621, -0.016829879186470328),
}  # fmt: skip
PI = 3.141592653589793
INF = float("inf")
NAN = float("nan")
LARGE = 7.5


def lgamma(x: Any) -> Any:
    """log|gamma(x)|.  At most 4 ulp for x > -1/2; below, at most 4 ulp of max(1, |result|)."""
    a = absolute(x)
    usual = x >= -0.5
    head, low = _lgamma_pair(select(usual, x, a))
    y = patched(usual, [head + low], lambda: [_lgamma_below(a, head, low)])[0]
    return select((x == 0.0) | (a == INF), INF, y)


def _lgamma_below(a: Any, head: Any, low: Any) -> Any:
    """lgamma(-a) from lgamma(a) = head + low, by reflection."""
    sine, _ = _sine_cosine(a)
    log_head, log_low = log_pair(a * sine * (1.0 / PI))
    return select(sine == 0.0, INF, -(log_head + head) - (log_low + low))


def _lgamma_pair(v: Any) -> tuple[Any, Any]:
    """lgamma(v) as a sum of two, for v >= -1/2."""
    w = width(v)
    large = v >= LARGE
    n = rint(v)
    t = v - n
    product = const(v, 1.0)  # lgamma(v) = lgamma(2 + t) + log of this ...
    for j in range(1, 6):
        product = select(n >= j + 2.0, product * (v - float(j)), product)
    raised = select(n < 0.5, absolute(v * (v + 1.0)), v)  # ... or minus log of that
    up = n < 1.5
    head, low = log_pair(select(large, v, select(up, raised, product)))
    small, small_low = two_prod(t, const(v, LGAMMA[w][0]))
    small = select(up, -head, head) + small
    small_low = small_low + fma(t, LGAMMA_LOW[w], t * t * poly(t, LGAMMA[w][1:]))
    small_low = select(up, -low, low) + small_low
    # (v - 1/2) (log(v) - 1) + log(2 pi)/2 - 1/2 + s(1/v**2) / v
    less, less_low = fast_two_sum(head, const(v, -1.0))
    over = 1.0 / v
    main, error = two_prod(v - 0.5, less)
    rest = fma(over, poly(over * over, STIRLING[w]), HALF_LOG_2PI_LESS_HALF)
    rest = fma(v - 0.5, less_low + low, rest) + error
    rest = select(main < INF, rest, 0.0)
    return select(large, main, small), select(large, rest, small_low)


def _sine_cosine(a: Any) -> tuple[Any, Any]:
    """(|sin(pi a)|, cos(pi r)) with r the distance of a from the nearest integer."""
    r = absolute(a - rint(a))
    near = r <= 0.25
    angle = select(near, r, 0.5 - r) * PI
    low = const(a, 0.0)
    s, c = sin_part(angle, low), cos_part(angle, low)
    return select(near, s, c), select(near, c, s)


def digamma(x: Any) -> Any:
    """Derivative of lgamma; nan at negative integers, -inf at 0, +inf at -0.

    At most 4 ulp for x > 0; below, at most 4 ulp of the largest of 1, the result, and pi/tan(pi x).
    """
    w = width(x)
    reflect = x < 0.0
    v = select(reflect, 1.0 - x, x)
    large = v >= LARGE
    q = _reciprocals(v, large)
    u = select(v < 1.0, v + 1.0, v - select(v < 2.5, 0.0, rint(v) - 2.0))
    base = ((u - ROOT[w][0]) - ROOT[w][1]) * poly(u - 1.75, DIGAMMA[w])
    head, low = log_pair(v)
    square = 4.0 * q * q  # 1/v**2, for q is -1/(2v) there
    series = head + (q + fma(-square, poly(square, DIGAMMA_TAIL[w]), low))
    y = select(large, series, base + q)
    y = select(v == INF, v, y)
    return patched(~reflect, [y], lambda: [_digamma_below(x, y)])[0]


def _digamma_below(x: Any, y: Any) -> Any:
    """digamma(x) from digamma(1 - x) = y, by reflection."""
    sine, cosine = _sine_cosine(x)
    cotangent = PI * cosine / sine
    cotangent = select(x < rint(x), -cotangent, cotangent)
    return select((sine == 0.0) | (x == -INF), NAN, y - cotangent)


def _reciprocals(v: Any, large: Any) -> Any:
    """What the recurrence adds: a sum of 1/(v - j), as one quotient; -1/(2v) for large v."""
    n = rint(v)
    top, bottom = const(v, 0.0), const(v, 1.0)
    for j in range(1, 6):
        on = (n >= j + 2.0) & (v >= 2.5)
        factor = v - float(j)
        top, bottom = (
            select(on, fma(top, factor, bottom), top),
            select(on, bottom * factor, bottom),
        )
    one = v < 1.0
    top = select(one, -1.0, select(large, -0.5, top))
    return top / select(one | large, v, bottom)
