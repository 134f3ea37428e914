"""The inverse of erf.

With w = -log(1 - x**2), erfinv(x) / x is smooth in w, and for large w in sqrt(w).  (The variables
are Giles's, 2010.)  Most x, up to 0.9966, have w < 5; where a vector holds a larger one, a second
polynomial is evaluated, whose coefficients are picked by the size of w.
Coefficients: ``derive.rounded`` (minimax in relative error); the constant terms are in two parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad.codegen.vecmath.lang import (
    absolute,
    const,
    fma,
    patched,
    poly,
    select,
    sqrt,
    width,
)
from jitgrad.codegen.vecmath.log import log

INF = float("inf")
NAN = float("nan")
# up to which w, in which variable minus what, constant term's low part, coefficients: error 2**-27,
# 2**-30; 2**-59.9, 2**-58.4, 2**-59.6
PIECES = {
    32: (
        (5.0, "w", 2.5, 5.8889721543664564e-08,
         (1.5014093511107909, 0.24664027988910675, -0.004177370108664036,
          -0.0012527256039902568, 0.00021833520440850407, -4.973496743332362e-06,
          -3.460798779997276e-06, 4.6843408085806004e-07, 2.3100842128087606e-08,
          -8.95672425116345e-09)),
        (INF, "root", 3.0, -1.9356445335461103e-08,
         (2.8329767987282715, 1.0016752481460571, 0.009445488452911377,
          -0.007642969489097595, 0.005685541778802872, -0.0035657312255352736,
          0.001483991160057485, -0.00012498689466156065, -0.00029266151250340044,
          0.0001696944673312828, -2.0256999050616287e-05, -6.361765827023191e-06)),
    ),
    64: (
        (5.0, "w", 2.5, -6.515399129749711e-17,
         (1.501409351110792, 0.246640276744167, -0.004177317724383623,
          -0.0012527079078110156, 0.00021825026434405684, -4.996079598903651e-06,
          -3.4166195965540624e-06, 4.787252186056165e-07, 1.3416803741149606e-08,
          -1.0861169007775095e-08, 9.07303660036792e-10, 1.1960702392789462e-10,
          -3.1102791596998844e-11, 9.115544580092339e-13, 5.356357713084226e-13,
          -7.61243165284793e-14, -2.881389995425921e-15, 1.8964301805005077e-15,
          -1.3658594525697867e-16, -2.680752185991966e-17, 4.907156044311168e-18,
          1.6945084768298445e-19, -6.884238649158836e-20)),
        (14.0, "root", 3.0, 1.5047852583416206e-16,
         (2.8329767987282706, 1.0016752766934, 0.009445522011986342,
          -0.007643805570084303, 0.00568518241806449, -0.003558794015209284,
          0.001483737340871845, -0.0001488981127329702, -0.000283124400740617,
          0.00020551666858858637, -4.6460417614020444e-05, -2.2873479127928416e-05,
          2.193385822436059e-05, -5.94627707295119e-06, -1.6488251180273654e-06,
          1.9962789454480127e-06, -6.534267672323598e-07, -7.35047307454968e-08,
          1.8116850679708387e-07, -6.99668281199478e-08, -1.3483963592469798e-08,
          1.3821946822868468e-08)),
        (INF, "root", 5.0, -8.25220929251163e-17,
         (4.849906401408584, 1.0103004648645448, -0.0001387193183794871,
          -0.0002150301197959545, 7.599527807553719e-05, -1.968177126535164e-05,
          4.5260527793209675e-06, -9.930248703358361e-07, 2.2905130442534836e-07,
          -6.757573169338939e-08, 2.9023834379490023e-08, -1.520513303423945e-08,
          7.810570056077818e-09, -3.5493376229901614e-09, 1.330202633934526e-09,
          -3.636523759926129e-10, 5.822708555289467e-11, 2.847522211950613e-12,
          -1.5330641605612226e-11, 1.0520357889994167e-11, -9.68258092399364e-13,
          -7.806108674035225e-13)),
    ),
}  # fmt: skip


def erfinv(x: Any) -> Any:
    """Inverse error function; inf at 1, nan beyond.  At most 2 ulp."""
    a = absolute(x)
    w = -log((1.0 - a) * (1.0 + a))
    most, _, shift, low, table = PIECES[width(x)][0]
    y = x * _value(w - shift, table, low)
    return patched(w < most, [y], lambda: [_outer(x, a, w)])[0]


def _value(u: Any, table: Sequence[Any], low: Any) -> Any:
    return table[0] + fma(poly(u, table[1:]), u, low)


def _outer(x: Any, a: Any, w: Any) -> Any:
    """erfinv(x) where w is not small, and for |x| >= 1."""
    root = sqrt(absolute(w))
    first, *others = PIECES[width(x)][1:]
    u, low, table = root - first[2], const(x, first[3]), list(first[4])
    limit = first[0]
    for upto, _, shift, next_low, next_table in others:
        beyond = w >= limit
        u = select(beyond, root - shift, u)
        low = select(beyond, next_low, low)
        table = [select(beyond, const(x, c), d) for c, d in zip(next_table, table)]
        limit = upto
    return select(a < 1.0, x * _value(u, table, low), select(a == 1.0, x * INF, NAN))
