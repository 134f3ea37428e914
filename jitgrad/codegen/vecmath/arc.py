"""asin, acos, atan, atan2.

atan(t) = t + t**3 A(t**2) on [0, 1], and pi/2 - atan(1/t) beyond.  asin(x) = x + x**3 S(x**2) up to
1/2, and pi/2 - 2 asin(sqrt((1 - x) / 2)) beyond.
Coefficients: ``derive.rounded`` (minimax in relative error).
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.lang import (
    absolute,
    bits,
    const,
    copysign,
    poly,
    select,
    sqrt,
    width,
)

# error 2**-28.4, 2**-57.4
ATAN = {
    32: (-0.33333298563957214, 0.199985072016716, -0.1426364928483963, 0.10948573797941208,
         -0.0839189738035202, 0.057747893035411835, -0.030960354954004288, 0.010794458910822868,
         -0.0017661930760368705),
    64: (-0.3333333333333307, 0.1999999999995017, -0.1428571428245041, 0.11111111002493913,
         -0.09090906913141619, 0.07692278714914184, -0.06666394440231918, 0.058804687379133636,
         -0.052532493029514994, 0.04721391670057679, -0.04216705798562986, 0.036590969298211214,
         -0.029822363406650232, 0.02188396257013372, -0.013804901559599396, 0.007128376617549848,
         -0.0028496660041521576, 0.0008188139867780527, -0.00014944023238965104,
         1.2951580988853874e-05),
}  # fmt: skip
# error 2**-27.6, 2**-55.8
ASIN = {
    32: (0.16666752099990845, 0.07495331019163132, 0.04546516761183739, 0.024207627400755882,
         0.04211674630641937),
    64: (0.16666666666665403, 0.07500000000334699, 0.04464285683180396, 0.03038195895756257,
         0.022371762855325415, 0.017359627912996098, 0.013886018242403961, 0.012164000451140652,
         0.00655058071084496, 0.019466668603052115, -0.016128501609865648, 0.03184749044505435),
}  # fmt: skip
PI = {
    32: (3.1415927410125732, -8.742277657347586e-08),
    64: (3.141592653589793, 1.2246467991473532e-16),
}
HALF_PI = 1.5707963267948966
NAN = float("nan")


def atan(x: Any) -> Any:
    """Inverse tangent.  At most 1.5 ulp."""
    a = absolute(x)
    steep = a > 1.0
    t = select(steep, 1.0 / a, a)
    return copysign(_angle(t, select(steep, HALF_PI, const(x, 0.0)), steep), x)


def _angle(t: Any, base: Any, minus: Any) -> Any:
    """base + atan(t), or base - atan(t), for 0 <= t <= 1 and a base of 0, pi/2 or pi."""
    w = width(t)
    z = t * t
    rest = t * z * poly(z, ATAN[w])
    base_low = base * (PI[w][1] / PI[w][0])
    return (base + select(minus, -t, t)) + (base_low + select(minus, -rest, rest))


def atan2(y: Any, x: Any) -> Any:
    """The angle of (x, y) from the x axis, in (-pi, pi], with all of C's special cases.

    At most 2 ulp, unless the smaller of |x|, |y| over the larger is subnormal.
    """
    a, b = absolute(y), absolute(x)
    steep = a > b
    left = bits(x) < 0  # -0 too
    top, bottom = select(steep, b, a), select(steep, a, b)
    t = select(top == bottom, 1.0, top / bottom)  # inf / inf as well
    t = select(top == 0.0, 0.0, t)
    base = select(steep, HALF_PI, select(left, const(x, PI[width(x)][0]), 0.0))
    p = copysign(_angle(t, base, steep ^ left), y)
    return select((x == x) & (y == y), p, NAN)


def asin(x: Any) -> Any:
    """Inverse sine; nan beyond 1.  At most 2 ulp."""
    pi, pi_low = PI[width(x)]
    a = absolute(x)
    large, t, rest = _asin_parts(a)
    # pi/4 twice: taken from pi/2, 2t would leave a number that is larger than the result
    beyond = 0.25 * pi + ((0.25 * pi - 2.0 * t) + (0.5 * pi_low - 2.0 * rest))
    y = select(large, beyond, t + rest)
    return copysign(y, x)


def acos(x: Any) -> Any:
    """Inverse cosine; nan beyond 1.  At most 1.5 ulp."""
    pi, pi_low = PI[width(x)]
    large, t, rest = _asin_parts(absolute(x))
    t, rest = copysign(t, x), copysign(rest, x)
    near = 0.5 * pi - (t - (0.5 * pi_low - rest))
    half = 2.0 * (t + rest)
    return select(large, select(x < 0.0, (pi + half) + pi_low, half), near)


def _asin_parts(a: Any) -> tuple[Any, Any, Any]:
    """(a > 1/2, t, asin(t) - t), with t = a or sqrt((1 - a) / 2); t is nan for a > 1."""
    large = a > 0.5
    z = select(large, 0.5 * (1.0 - a), a * a)
    t = select(large, sqrt(z), a)
    return large, t, t * z * poly(z, ASIN[width(a)])
