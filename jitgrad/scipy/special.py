"""Special functions under SciPy's names and with its parameters, with gradients.

Integers become float32, as everywhere here. What has no derivative towards a parameter says so, as
the same function of `ops` does.
"""

from __future__ import annotations

from jitgrad import ops
from jitgrad.ops import (
    betainc,
    betaln,
    digamma,
    entr,
    erf,
    erfc,
    erfcx,
    erfinv,
    exp1,
    exp2,
    expm1,
    log1p,
    log_ndtr,
    logit,
    ndtr,
    ndtri,
    polygamma,
    sinc,
    spence,
    xlog1py,
    xlogy,
    zeta,
)

i0, i0e, i1, i1e = ops.bessel_i0, ops.bessel_i0e, ops.bessel_i1, ops.bessel_i1e
j0, j1, y0, y1 = ops.bessel_j0, ops.bessel_j1, ops.bessel_y0, ops.bessel_y1
k0, k0e, k1, k1e = ops.bessel_k0, ops.bessel_k0e, ops.bessel_k1, ops.bessel_k1e
gammainc, gammaincc, gammaln, multigammaln = ops.igamma, ops.igammac, ops.lgamma, ops.mvlgamma
expit, log_expit, psi, expi, dawsn = ops.sigmoid, ops.logsigmoid, ops.digamma, ops.expint, ops.dawsn


def gamma(x):
    """The gamma function: nan at negative integers.

    >>> import jitgrad.scipy.special as special
    >>> special.gamma(Tensor([0.5, 5.0, -1.0])).round(decimals=4).tolist()
    [1.7725000381469727, 24.0, nan]
    """
    below = ops.floor(x)
    odd = ops.logical_and(ops.lt(x, 0), ops.ne(ops.mul(2, ops.floor(ops.mul(below, 0.5))), below))
    size = ops.exp(ops.lgamma(x))
    pole = ops.logical_and(ops.lt(x, 0), ops.eq(below, x))
    return ops.where(pole, float("nan"), ops.where(odd, ops.neg(size), size))


def beta(a, b):
    """The beta function, of positive a and b.

    >>> import jitgrad.scipy.special as special
    >>> round(special.beta(Tensor([2.0]), 3.0).item() * 12, 5)
    1.0
    """
    return ops.exp(ops.betaln(a, b))


def rel_entr(x, y):
    """x log(x / y) elementwise, infinite where one is negative or y alone is 0; 0 where x is 0.

    >>> import jitgrad.scipy.special as special
    >>> special.rel_entr(Tensor([0.0, 1.0]), Tensor([1.0, 1.0])).tolist()
    [0.0, 0.0]
    """
    inside = ops.logical_and(ops.ge(x, 0), ops.ge(y, 0))
    return ops.where(inside, ops.sub(ops.xlogy(x, x), ops.xlogy(x, y)), float("inf"))


def kl_div(x, y):
    """x log(x / y) - x + y elementwise, with the edges of `rel_entr`."""
    return ops.add(ops.sub(rel_entr(x, y), x), y)


def softmax(x, axis=None):
    """exp(x) / sum(exp(x)) along an axis, or over all elements."""
    return ops.exp(log_softmax(x, axis))


def log_softmax(x, axis=None):
    """The logarithm of `softmax`."""
    return ops.sub(x, logsumexp(x, axis, keepdims=True))


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    """log(sum(b * exp(a))) over axes, without overflow; b is 1 unless given.

    With `return_sign` the logarithm of the magnitude and the sign; without it nan where the sum is
    negative.

    >>> import jitgrad.scipy.special as special
    >>> round(special.logsumexp(Tensor([1000.0, 1000.0]), b=Tensor([2.0, -1.0])).item(), 3)
    1000.0
    """
    if b is None:
        total = ops.logsumexp(a, axis, keepdims)
        return (total, ops.ones_like(total)) if return_sign else total
    counted = ops.where(ops.ne(b, 0), a, -float("inf"))
    top = ops.stop_gradient(ops.amax(counted, axis, True))
    top = ops.where(ops.isfinite(top), top, 0.0)
    total = ops.sum(ops.mul(b, ops.exp(ops.sub(counted, top))), axis, keepdims)
    top = ops.reshape(top, total.shape)
    if return_sign:
        return ops.add(ops.log(ops.abs(total)), top), ops.sign(total)
    return ops.add(ops.log(total), top)


__all__ = [
    "beta", "betainc", "betaln", "dawsn", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv",
    "exp1", "exp2", "expi", "expit", "expm1", "gamma", "gammainc", "gammaincc", "gammaln", "i0",
    "i0e", "i1", "i1e", "j0", "j1", "k0", "k0e", "k1", "k1e", "kl_div", "log1p", "log_expit",
    "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma",
    "psi", "rel_entr", "sinc", "softmax", "spence", "xlog1py", "xlogy", "y0", "y1", "zeta",
]  # fmt: skip
