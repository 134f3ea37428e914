"""Bessel functions of orders 0 and 1 on a device: lines that make `y` of `x`, in float64.

Near 0 their power series, far from it Hankel's expansion; between them Miller's algorithm, and for
the modified ones of the second kind an integral that equal steps get right to the last digit.
Source: Gil, Segura and Temme, Numerical Methods for Special Functions (2007), chapters 4 and 5.
"""

from __future__ import annotations

import math

from jitgrad.codegen.canonical.text import indented

EULER = 0.5772156649015329


def put(text: str, **parts: object) -> str:
    """A text with names in braces replaced; lines that stand in the place of one keep its depth."""
    lines = []
    for line in text.splitlines():
        deep = len(line) - len(line.lstrip())
        for name, part in parts.items():
            line = line.replace("{" + name + "}", indented(str(part).rstrip("\n"), deep))
        lines.append(line)
    return "\n".join(line for line in lines if line.strip()) + "\n"


# The power series of the first kind, and `log_part`, of which the second kind is made; q is
# (x / 2)**2, or minus that.
SERIES = """term, total, extra = 1.0, 1.0, {order}.0
low, high, k = 0.0, {order}.0, 0.0
while abs_f64(term) > 1e-18 * abs_f64(total) or k < 2.0:
    k += 1.0
    term = term * q / (k * (k + {order}))
    low, high = low + 1.0 / k, high + 1.0 / (k + {order})
    total, extra = total + term, extra + term * (low + high)
log_part = (log_f64(0.5 * a) + {euler}) * total - 0.5 * extra
"""
# The next term of Hankel's expansion for large a.
HANKEL = "term = term * ({mu} - (2.0 * k - 1.0) * (2.0 * k - 1.0)) / (8.0 * k * a)"

FIRST_MODIFIED = """a = abs_f64(x)
if a <= 20.0:
    q = 0.25 * a * a
    {series}
    y = {near}
else:
    term, y, k = 1.0, 1.0, 0.0
    while abs_f64(term) > 1e-18 and k < 40.0:
        k += 1.0
        {hankel}
        term = -term
        y += term
    y = y / sqrt_f64(2.0 * {pi} * a)
    {end}
"""
SECOND_MODIFIED = """a = x
if x > 0.0 and x <= 2.0:
    q = 0.25 * a * a
    {series}
    y = {near}
elif x > 0.0 and x < inf:  # the integral of exp(-x (cosh t - 1)) cosh({order} t), by equal steps
    step = 0.35 / sqrt_f64(x)
    y, t, part = 0.5, step, 1.0
    while part > 1e-18:
        half = sinh_f64(0.5 * t)
        part = exp_f64(-2.0 * x * half * half){weight}
        y += part
        t += step
    y = y * step{fall}
else:
    y = 0.0 if x == inf else (inf if x == 0.0 else nan)
"""
# Up to 25 Miller's algorithm: the recurrence downwards from where the functions are almost 0, then
# made to add up to 1. Sums of all of them give the second kind (Neumann).
UNMODIFIED = """a = abs_f64(x)
if a <= 4.0:
    q = -0.25 * a * a
    {series}
    y = {near}
elif a <= 25.0:
    after, here, norm, even, odd = 0.0, 1e-30, 0.0, 0.0, 0.0
    for back in range(2 * to_i64(0.5 * a) + 32):
        n = 2 * to_i64(0.5 * a) + 32 - back
        j = to_f64(n // 2)
        term = here if n % 4 < 2 else -here
        if n % 2 == 0:
            norm += 2.0 * here
            even += term / j
        elif n > 1:
            odd += term * (2.0 * j + 1.0) / (j * (j + 1.0))
        after, here = here, 2.0 * to_f64(n) / a * here - after
    norm += here
    {between}
else:
    term, even, odd, k = 1.0, 1.0, 0.0, 0.0
    while abs_f64(term) > 1e-18 and k < 48.0:
        k += 1.0
        {hankel}
        odd += term
        k += 1.0
        {hankel}
        term = -term
        even += term
    sine, cosine = sin_f64(a), cos_f64(a)
    y = ({far}) / sqrt_f64({pi} * a)
{ends}
"""
LOG = f"(log_f64(0.5 * a) + {EULER})"
TWO_OVER_PI = 2 / math.pi
BETWEEN = {
    "j0": "y = here / norm",
    "j1": "y = after / norm",
    "y0": f"y = ({LOG} * here - 2.0 * even) / norm * {TWO_OVER_PI}",
    "y1": f"y = (({LOG} - 1.0) * after - here / a - odd) / norm * {TWO_OVER_PI}",
}
FAR = {
    "j0": "even * (cosine + sine) - odd * (sine - cosine)",
    "j1": "even * (sine - cosine) + odd * (sine + cosine)",
    "y0": "even * (sine - cosine) + odd * (sine + cosine)",
    "y1": "odd * (sine - cosine) - even * (sine + cosine)",
}
NEAR = {
    "i0": "total",
    "i1": "0.5 * x * total",
    "k0": "-log_part",
    "k1": "(1.0 / x + 0.5 * x * log_part)",
    "j0": "total",
    "j1": "0.5 * x * total",
    "y0": f"log_part * {TWO_OVER_PI}",
    "y1": f"(0.5 * a * log_part - 1.0 / a) * {TWO_OVER_PI}",
}
POSITIVE = """if not x > 0.0:
    y = -inf if x == 0.0 else nan"""
ODD = "y = -y if x < 0.0 else y"
GROWING = "y = y * exp_f64(0.5 * a) * exp_f64(0.5 * a)"  # the whole exponential may be too large


def _series(name: str) -> dict[str, object]:
    order = int(name[1])
    hankel = HANKEL.replace("{mu}", f"{4 * order}.0")
    return {"series": put(SERIES, order=order, euler=EULER), "hankel": hankel, "order": order}


def _text(name: str) -> str:
    """Of one of i, j, k and y, its order, and an e if it is scaled."""
    kind, of_order_1, scaled = name[0], name[1] == "1", name.endswith("e")
    near, parts = NEAR[name[:2]], _series(name)
    if kind == "i":
        near += " * exp_f64(-a)" if scaled else ""
        end = "" if scaled else GROWING
        end += f"\n{ODD}" if of_order_1 else ""
        return put(FIRST_MODIFIED, near=near, end=end, pi=math.pi, **parts)
    if kind == "k":
        near += " * exp_f64(a)" if scaled else ""
        weight, fall = " * cosh_f64(t)" if of_order_1 else "", "" if scaled else " * exp_f64(-x)"
        return put(SECOND_MODIFIED, near=near, weight=weight, fall=fall, **parts)
    ends = POSITIVE if kind == "y" else f"if a > 4.0:\n    {ODD}" if of_order_1 else ""
    between, far = BETWEEN[name], FAR[name]
    return put(UNMODIFIED, near=near, between=between, far=far, ends=ends, pi=math.pi, **parts)


NAMES = ("i0", "i0e", "i1", "i1e", "j0", "j1", "k0", "k0e", "k1", "k1e", "y0", "y1")
BESSEL = {f"bessel_{name}": _text(name) for name in NAMES}
