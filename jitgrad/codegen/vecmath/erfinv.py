"""The inverse of erf.

With w = -log(1 - x**2), erfinv(x) / x is smooth in w, and for large w in sqrt(w); one polynomial is
evaluated, whose coefficients are picked by the size of w.  (The variables are Giles's, 2010.)
Coefficients: ``derive.rounded`` (minimax in relative error); the constant terms are in two parts.
"""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.lang import (
    absolute,
    const,
    fma,
    select,
    sqrt,
    width,
)
from jitgrad.codegen.vecmath.log import log

INF = float("inf")
NAN = float("nan")
# up to which w, in which variable minus what, constant term's low part, coefficients: error 2**-27,
# 2**-26.1; 2**-53.4, 2**-54.4, 2**-53.7
PIECES = {
    32: (
        (5.0, "w", 2.5, 5.8889721543664564e-08,
         (1.5014093511107909, 0.24664027988910675, -0.004177370108664036, -0.0012527256039902568,
          0.00021833520440850407, -4.973496743332362e-06, -3.460798779997276e-06,
          4.6843408085806004e-07, 2.3100842128087606e-08, -8.95672425116345e-09)),
        (INF, "root", 3.0, -1.9356445335461103e-08,
         (2.8329767987282715, 1.0016748905181885, 0.009445218369364738, -0.007636162452399731,
          0.005687951575964689, -0.003602000419050455, 0.001482209307141602,
          -4.9511712859384716e-05, -0.00030722026713192463, 0.0001116385537898168)),
    ),
    64: (
        (6.0, "w", 3.0, 8.832972287279309e-17,
         (1.6235420064648298, 0.241630404166159, -0.005738135221006656, -0.00083618177691632,
          0.0001950613244176493, -1.2716422618325621e-05, -1.7480021041323439e-06,
          4.499853980926818e-07, -2.368871935357824e-08, -5.46715860902877e-09,
          1.1107937396681686e-09, -3.143481214190608e-11, -1.7327326095099754e-11,
          2.701666648900633e-12, 5.93577704746631e-15, -5.3445987397149276e-14,
          6.373334153711012e-15, 3.383594393757402e-16, -1.6541094319214001e-16,
          7.847614441930295e-18, 2.175896159731439e-18, -1.6767619903057135e-19,
          -1.2944272292405794e-20)),
        (16.0, "root", 3.25, -8.717498657592625e-17,
         (3.0838856104922208, 1.0052589676941674, 0.005370914553568599, -0.0037512085084445163,
          0.002491442097031294, -0.0016882755285575564, 0.0009532893635402893,
          -0.00035503791201798825, 2.4031255819438086e-05, 6.828787523097411e-05,
          -4.731897046801807e-05, 1.2461597495904248e-05, 2.9256791799867775e-06,
          -3.9763286283288136e-06, 1.4988014686382406e-06, -4.283576453443808e-08,
          -2.714199918551041e-07, 1.450831911697288e-07, 7.204755376689507e-10,
          -2.0341862365628005e-08)),
        (INF, "root", 5.0, -8.25220929251163e-17,
         (4.849906401408584, 1.0103004648645433, -0.0001387193183530578, -0.00021503011972027377,
          7.599527729164755e-05, -1.968177229552998e-05, 4.526060811420914e-06,
          -9.930189298470732e-07, 2.2901122646691737e-07, -6.759211240016443e-08,
          2.9134973783188174e-08, -1.5185676540268676e-08, 7.630658754042554e-09,
          -3.547193340839748e-09, 1.4985218220951287e-09, -3.9376634960184313e-10,
          -2.4815551152589845e-11, 3.2496706666726996e-11)),
    ),
}  # fmt: skip


def erfinv(x: Any) -> Any:
    """Inverse error function; inf at 1, nan beyond.  At most 3 ulp."""
    a = absolute(x)
    w = -log((1.0 - a) * (1.0 + a))
    variables = {"w": w, "root": sqrt(absolute(w))}
    pieces = PIECES[width(x)]
    inside = [w < piece[0] for piece in pieces[:-1]]

    def chosen(*values: Any) -> Any:
        """The value that belongs to the piece w is in."""
        result = const(x, values[-1]) if isinstance(values[-1], float) else values[-1]
        for here, value in reversed(list(zip(inside, values))):
            result = select(here, value, result)
        return result

    u = chosen(*(variables[name] - shift for _, name, shift, _, _ in pieces))
    terms = max(len(table) for *_, table in pieces)
    columns = [chosen(*(table[k] if k < len(table) else 0.0 for *_, table in pieces))
               for k in range(terms)]  # fmt: skip
    value = columns[-1]
    for c in reversed(columns[1:-1]):
        value = fma(value, u, c)
    value = columns[0] + fma(value, u, chosen(*(piece[3] for piece in pieces)))
    return select(a < 1.0, x * value, select(a == 1.0, x * INF, NAN))
