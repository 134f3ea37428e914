"""Rows for special functions, against SciPy."""

from __future__ import annotations

import numpy as np
import scipy.special as sp

from jitgrad import ops
from tests.ops.table import Row, reals, row, rows, whole

A, POS, UNIT = reals(2, 3), reals(2, 3, low=0.2, high=3.0), reals(2, 3, low=0.1, high=0.9)
OTHER = reals(2, 3, low=0.2, high=3.0)

SPECIAL: list[Row] = [
    *rows("bessel_i0:i0 bessel_i1:i1 bessel_i0e:i0e bessel_i1e:i1e", (A,), sp),
    *rows("bessel_j0:j0 bessel_j1:j1 erfcx dawsn log_ndtr ndtr entr", (POS,), sp),
    *rows("bessel_y0:y0 bessel_y1:y1 bessel_k0:k0 bessel_k1:k1", (POS,), sp),
    *rows("bessel_k0e:k0e bessel_k1e:k1e expint:expi exp1 spence", (POS,), sp),
    *rows("ndtri", (UNIT,), sp),
    *rows("betaln xlog1py", (POS, OTHER), sp),
    *rows("zeta", (POS + 1.5, OTHER), sp),
    *(
        row(
            lambda x, n=n: ops.polygamma(n, x),
            lambda x, n=n: sp.polygamma(n, x),
            POS,
            name="polygamma",
        )
        for n in (0, 1, 2, 4)
    ),
    row(
        lambda x: ops.polygamma(3, x),
        lambda x: sp.polygamma(3, x),
        A - 0.1,
        name="polygamma below 0",
    ),
    row(lambda x: ops.igamma(1.5, x), lambda x: sp.gammainc(1.5, x), POS, name="igamma"),
    row(lambda x: ops.igammac(0.7, x), lambda x: sp.gammaincc(0.7, x), POS, name="igammac"),
    row(
        lambda x: ops.betainc(1.5, 2.5, x),
        lambda x: sp.betainc(1.5, 2.5, x),
        UNIT,
        name="betainc",
    ),
    row(ops.igamma, sp.gammainc, POS, OTHER, name="igamma of both"),
    row(ops.spherical_bessel_j0, lambda x: np.sin(x) / x, A),
    row(ops.nextafter, lambda x, y: x, A, OTHER, name="nextafter"),
]
INTEGERS = [
    (name, whole(4, 5), whole(4, 5), dtype)
    for name in ("gcd", "lcm")
    for dtype in ("int8", "int32", "int64")
]
