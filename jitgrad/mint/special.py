"""`mint.special`: special functions under PyTorch's names."""

from __future__ import annotations

from jitgrad.ops.activation import log_softmax, logit, softmax
from jitgrad.ops.elementwise import digamma, erf, erfc, erfinv, exp2, expm1, log1p, round
from jitgrad.ops.elementwise import lgamma as gammaln
from jitgrad.ops.elementwise import sigmoid as expit
from jitgrad.ops.loss import xlogy
from jitgrad.ops.reduce import logsumexp
from jitgrad.ops.scientific import bessel_i0 as i0
from jitgrad.ops.scientific import bessel_i0e as i0e
from jitgrad.ops.scientific import bessel_i1 as i1
from jitgrad.ops.scientific import bessel_i1e as i1e
from jitgrad.ops.scientific import (
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    entr,
    erfcx,
    log_ndtr,
    ndtr,
    ndtri,
    polygamma,
    spherical_bessel_j0,
    xlog1py,
    zeta,
)
from jitgrad.ops.scientific import bessel_k0 as modified_bessel_k0
from jitgrad.ops.scientific import bessel_k0e as scaled_modified_bessel_k0
from jitgrad.ops.scientific import bessel_k1 as modified_bessel_k1
from jitgrad.ops.scientific import bessel_k1e as scaled_modified_bessel_k1
from jitgrad.ops.scientific import igamma as gammainc
from jitgrad.ops.scientific import igammac as gammaincc
from jitgrad.ops.special import mvlgamma as multigammaln
from jitgrad.ops.special import sinc

psi, modified_bessel_i0, modified_bessel_i1 = digamma, i0, i1

__all__ = [
    "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "digamma", "entr", "erf", "erfc",
    "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln", "i0", "i0e",
    "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "modified_bessel_i0",
    "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "ndtr",
    "ndtri", "polygamma", "psi", "round", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1",
    "sinc", "softmax", "spherical_bessel_j0", "xlog1py", "xlogy", "zeta",
]  # fmt: skip
