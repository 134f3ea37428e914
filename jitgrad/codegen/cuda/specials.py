"""Special functions on a device, which has no library for them: series and continued fractions.

Each is the lines that make `y` of its operands, in float64 whatever they are, as SciPy's routines
on the CPU do. Loops end where a term no longer counts.
Sources: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), chapters 5 to 7; Gil,
Segura and Temme, Numerical Methods for Special Functions (2007), chapters 5 and 6; Rybicki,
Dawson's integral and the sampling theorem, Computers in Physics 3 (1989).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from textwrap import indent

from jitgrad.codegen.canonical.text import fill
from jitgrad.codegen.cuda import tables
from jitgrad.codegen.cuda.bessel import BESSEL, EULER, put
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.launch import Launch
from jitgrad.codegen.specials import WORK
from jitgrad.passes.plan import Step

KERNEL = """def kernel(ptrs, dims, lo, hi):
{pointers}    out = {T}_ptr(ptrs, {count})
    inf = f64(1) / f64(0)
    nan = inf - inf
    for i in range(lo, hi):
{operands}{body}        out[i] = {store}(to_{C}(y))
"""


# --- the bell's family --------------------------------------------------------------------------

# The square is taken in two parts, the first of them exact, or its rounding would be magnified.
ERFCX = """if x < 2.0:
    near = rint_f64(16.0 * x) * 0.0625
    y = exp_f64(near * near) * exp_f64((x - near) * (x + near)) * erfc_f64(x)
    y = y if x > -27.0 else inf
else:  # a continued fraction, from its end
    y = x
    for back in range(60):
        y = x + 0.5 * to_f64(60 - back) / y
    y = {over_root_pi} / y
"""
DAWSN = """square = x * x
if square < 1.0:
    term, y, k = x, x, 1.0
    while abs_f64(term) > 1e-18 * abs_f64(y):
        k += 2.0
        term = -2.0 * term * square / k
        y += term
elif square < 100.0:  # Rybicki's sum of bells at odd multiples of a quarter
    middle = 2.0 * rint_f64(2.0 * x - 0.5) + 1.0
    y = 0.0
    for j in range(-13, 14):
        n = middle + 2.0 * to_f64(j)
        away = x - 0.25 * n
        y += exp_f64(-away * away) / n
    y = y * {over_root_pi}
else:
    term, y = 1.0, 1.0
    for j in range(1, 12):
        term = term * to_f64(2 * j - 1) * 0.5 / square
        y += term
    y = 0.5 * y / x
"""
LOG_NDTR = """z = x
if z > -1.0:
    y = log1p_f64(-0.5 * erfc_f64(z * {root_half}))
else:
    x = -z * {root_half}
    {erfcx}
    y = log_f64(0.5 * y) - x * x
"""
# In the tails Newton's method for the logarithm of the distribution.
NDTRI = """p = x
tail = p if p < 0.5 else 1.0 - p
if tail >= 0.1:
    y = erfinv_f64(2.0 * p - 1.0) * {root_two}
elif tail > 0.0:
    z, goal = sqrt_f64(-2.0 * log_f64(tail)), log_f64(tail)
    for step in range(6):
        x = z * {root_half}
        {erfcx}
        z += (log_f64(0.5 * y) - 0.5 * z * z - goal) * y * {root_half_pi}
    y = -z if p < 0.5 else z
else:
    y = -inf if p == 0.0 else (inf if p == 1.0 else nan)
"""
ROOTS = {
    "over_root_pi": 1 / math.sqrt(math.pi), "root_half": math.sqrt(0.5), "root_two": math.sqrt(2),
    "root_half_pi": math.sqrt(math.pi / 2),
}  # fmt: skip

# --- integrals ----------------------------------------------------------------------------------

# E1 of z > 0.
EXP1 = """if z <= 1.0:
    term, y, k = -1.0, -{euler} - log_f64(z), 0.0
    while abs_f64(term) > 1e-18:
        k += 1.0
        term = -term * z / k
        y += term / k
else:
    count = to_i64(100.0 / z) + 10
    y = z + to_f64(2 * count + 1)
    for back in range(count):
        k = to_f64(count - back)
        y = z + 2.0 * k - 1.0 - k * k / y
    y = exp_f64(-z) / y
"""
POSITIVE_EXP1 = """z = x
if x > 0.0:
    {exp1}
else:
    y = inf if x == 0.0 else nan
"""
EXPI = """if x < 0.0:
    z = -x
    {exp1}
    y = -y
elif x <= 40.0:
    term, y, k = 1.0, {euler} + log_f64(x), 0.0
    while term > 1e-18 * abs_f64(y):
        k += 1.0
        term = term * x / k
        y += term / k
else:
    term, y, k = 1.0, 1.0, 0.0
    while term > 1e-18 and k < 40.0:
        k += 1.0
        term = term * k / x
        y += term
    y = (y / x * exp_f64(0.5 * x)) * exp_f64(0.5 * x) if x < 1000.0 else x * inf
"""
# The dilogarithm of 1 - x; x is brought between 1/2 and 1 first.
SPENCE = """inside = x if x <= 1.0 else 1.0 / x
v = inside if inside >= 0.5 else 1.0 - inside
w = inside if inside < 0.5 else (1.0 - x if x <= 1.0 else (x - 1.0) / x)
term, y, k = 1.0, 0.0, 0.0
while term > 1e-18 and k < 64.0:
    k += 1.0
    term = term * w
    y += term / (k * k)
if inside < 0.5:
    y = {zeta} - y - (log_f64(inside) * log_f64(v) if inside > 0.0 else 0.0)
if x > 1.0:
    y = -0.5 * log_f64(x) * log_f64(x) - y
y = y if x >= 0.0 and x < inf else nan
"""

# --- the gamma family ---------------------------------------------------------------------------

# log gamma(z) less the main part of Stirling's formula, for z >= 10.
STIRLING = """s = 1.0 / ({z} * {z})
{w} = 1.0 / 1680.0 - s * (1.0 / 1188.0 - s * (691.0 / 360360.0))
{w} = (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * {w}))) / {z}
"""
BETALN = """small, large = (a, b) if a < b else (b, a)
if small > 0.0 and large >= 10.0 and large < inf:  # of large numbers the difference first
    both = small + large
    {large}
    {both}
    y = lgamma_f64(small) + (of_large - of_both) - small * (log_f64(both) - 1.0)
    y -= (large - 0.5) * log1p_f64(small / large)
elif small > 0.0 and large == inf:
    y = -inf
else:
    y = lgamma_f64(a) + lgamma_f64(b) - lgamma_f64(a + b)
"""
INCOMPLETE_GAMMA = """if x > 0.0 and a > 0.0 and x < inf and a < inf:
    if a < 10.0:
        scale = exp_f64(a * log_f64(x) - x - lgamma_f64(a))
    else:
        {stirling}
        away = (x - a) / a
        gap = log1p_f64(away) - away if abs_f64(away) < 0.5 else log_f64(x / a) - away
        scale = exp_f64(a * gap - w) * sqrt_f64(a * {over_two_pi})
    k = 0.0
    if x < a + 1.0:
        term, y = 1.0 / a, 1.0 / a
        while term > 1e-17 * y and k < 1e6:
            k += 1.0
            term = term * x / (a + k)
            y += term
        y = {below}
    else:
        last = x + 1.0 - a
        c, d, moved = 1e300, 1.0 / last, 2.0
        y = d
        while abs_f64(moved - 1.0) > 3e-16 and k < 1e6:
            k += 1.0
            last += 2.0
            d = 1.0 / (last - k * (k - a) * d)
            c = last - k * (k - a) / c
            moved = c * d
            y = y * moved
        y = {above}
elif (a == 0.0 and x > 0.0) or (x == inf and a > 0.0 and a < inf):
    y = {most}
elif (x == 0.0 and a > 0.0) or (a == inf and x > 0.0 and x < inf):
    y = {least}
else:
    y = nan
"""
BETAINC = """if x > 0.0 and x < 1.0 and a > 0.0 and b > 0.0 and a < inf and b < inf:
    turned = x * (a + b + 2.0) > a + 1.0
    if turned:
        a, b, x = b, a, 1.0 - x
    {betaln}
    scale = exp_f64(a * log_f64(x) + b * log1p_f64(-x) - y) / a
    c, d, moved, k = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0)), 2.0, 0.0
    y = d
    while abs_f64(moved - 1.0) > 3e-16 and k < 1e5:
        k += 1.0
        twice = a + 2.0 * k
        step = k * (b - k) * x / ((twice - 1.0) * twice)
        d, c = 1.0 / (1.0 + step * d), 1.0 + step / c
        y = y * d * c
        step = -(a + k) * (a + b + k) * x / (twice * (twice + 1.0))
        d, c = 1.0 / (1.0 + step * d), 1.0 + step / c
        moved = d * c
        y = y * moved
    y = 1.0 - scale * y if turned else scale * y
elif x >= 0.0 and x <= 1.0 and a >= 0.0 and b >= 0.0:
    y = 0.0 if x == 0.0 or ((b == 0.0 or a == inf) and x < 1.0) else 1.0
else:
    y = nan
"""


def _stirling(z: str, w: str) -> str:
    return put(STIRLING, z=z, w=w)


def _incomplete_gamma(low: str, high: str, most: str, least: str) -> str:
    return put(
        INCOMPLETE_GAMMA, below=low, above=high, most=most, least=least,
        stirling=_stirling("a", "w"), over_two_pi=0.5 / math.pi,
    )  # fmt: skip


def _bodies() -> dict[str, tuple[tuple[str, ...], str]]:
    """By op: the names of its operands, and the lines."""
    one = ("x",)
    erfcx = put(ERFCX, **ROOTS)
    exp1 = put(EXP1, euler=EULER)
    betaln = put(BETALN, large=_stirling("large", "of_large"), both=_stirling("both", "of_both"))
    return {
        **{name: (one, lines) for name, lines in BESSEL.items()},
        "erfcx": (one, erfcx),
        "dawsn": (one, put(DAWSN, **ROOTS)),
        "log_ndtr": (one, put(LOG_NDTR, erfcx=erfcx, **ROOTS)),
        "ndtri": (one, put(NDTRI, erfcx=erfcx, **ROOTS)),
        "exp1": (one, put(POSITIVE_EXP1, exp1=exp1)),
        "expi": (one, put(EXPI, exp1=exp1, euler=EULER)),
        "spence": (one, put(SPENCE, zeta=math.pi**2 / 6)),
        "betaln": (("a", "b"), betaln),
        "igamma": (("a", "x"), _incomplete_gamma("scale * y", "1.0 - scale * y", "1.0", "0.0")),
        "igammac": (("a", "x"), _incomplete_gamma("1.0 - scale * y", "scale * y", "0.0", "1.0")),
        "betainc": (("a", "b", "x"), put(BETAINC, betaln=betaln)),
    }


def text_of(operands: tuple[str, ...], body: str, dtype: str) -> str:
    """ptrs  operands, out      range  elements."""
    pointers = [f"    all_{n} = {{T}}_ptr(ptrs, {k})\n" for k, n in enumerate(operands)]
    values = [f"        {n} = to_f64({{load}}(all_{n}[i]))\n" for n in operands]
    parts = {"pointers": "".join(pointers), "operands": "".join(values)}
    return fill(KERNEL, dtype, **parts, body=indent(body, " " * 8), count=str(len(operands)))


def _rule(operands: tuple[str, ...], body: str) -> Callable[[Step], list[Grid]]:
    def rule(step: Step) -> list[Grid]:
        node = step.node
        assert node is not None
        text, size = text_of(operands, body, node.dtype.code), node.type.size
        launch = Launch(text, (*step.reads, *step.writes), (), size, WORK * size)
        return [tables.shared(launch)]

    return rule


BODIES = _bodies()
RULES = {name: _rule(*parts) for name, parts in BODIES.items()}
