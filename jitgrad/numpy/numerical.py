"""NumPy's functions of numbers: statistics, arithmetic, polynomials."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.numpy.functions import _constant, _tensor
from jitgrad.ops.decompose import turned
from jitgrad.ops.solving import multi_dot
from jitgrad.tensor import Tensor

# --- reductions without nan, and statistics -----------------------------------------------------


def _without_nan(x: Tensor, instead: Any) -> tuple[Tensor, Tensor]:
    missing = ops.isnan(x)
    return ops.where(missing, instead, x), missing


def _nan_extreme(function: Callable, least: float) -> Callable:
    def call(a, axis=None, dtype=None, keepdims=False):
        x, missing = _without_nan(_tensor(a), least)
        none = ops.all(missing, axis, keepdims)
        return ops.where(none, math.nan, function(x, axis, keepdims))

    return call


nanmax, nanmin = _nan_extreme(ops.amax, -math.inf), _nan_extreme(ops.amin, math.inf)
nanmax.__doc__, nanmin.__doc__ = (
    "Largest over axes, without nan.",
    "Smallest over axes, without nan.",
)


def nanvar(a, axis=None, dtype=None, ddof=0, keepdims=False):
    """Variance over axes, without nan."""
    x = _tensor(a)
    centre = ops.nanmean(x, axis, True)
    squares, missing = _without_nan(ops.square(x - centre), 0.0)
    count = ops.sum(ops.cast(ops.logical_not(missing), x.dtype), axis, keepdims)
    return ops.sum(squares, axis, keepdims) / (count - ddof)


def nanstd(a, axis=None, dtype=None, ddof=0, keepdims=False):
    """Standard deviation over axes, without nan."""
    return ops.sqrt(nanvar(a, axis, dtype, ddof, keepdims))


def nancumsum(a, axis=None, dtype=None):
    """Running sum, nan counting as 0."""
    x = _without_nan(_tensor(a), 0.0)[0]
    return ops.cumsum(ops.ravel(x) if axis is None else x, axis or 0, dtype)


def quantile(a, q, axis=None, keepdims=False):
    """Quantiles over an axis."""
    return ops.quantile(a, q, axis, keepdims)


def percentile(a, q, axis=None, keepdims=False):
    """Percentiles over an axis."""
    return ops.quantile(a, ops.div(_tensor(q), 100.0), axis, keepdims)


def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None):
    """The covariances of rows."""
    x = _tensor(m)
    x = ops.reshape(x, (1, -1)) if x.ndim < 2 else x if rowvar else turned(x)
    if y is not None:
        y = _tensor(y)
        y = ops.reshape(y, (1, -1)) if y.ndim < 2 else y if rowvar else turned(y)
        x = ops.concat((x, y), 0)
    correction = ddof if ddof is not None else 0 if bias else 1
    found = ops.cov(x, correction=correction, fweights=fweights, aweights=aweights)
    return ops.squeeze(found)


def corrcoef(x, y=None, rowvar=True, dtype=None):
    """The correlations of rows."""
    c = cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    spread = ops.sqrt(ops.diagonal(c))
    return c / ops.outer(spread, spread)


def bincount(x, weights=None, minlength=0, length=None):
    """How often each number occurs."""
    return ops.bincount(x, weights, length or minlength)


def digitize(x, bins, right=False):
    """The interval in which each element lies."""
    edges = np.asarray(_tensor(bins).asnumpy())
    if edges.size > 1 and edges[0] > edges[-1]:
        at = ops.searchsorted(_tensor(edges[::-1].copy()), x, right=right, out_int32=True)
        return ops.sub(edges.size, at)
    return ops.searchsorted(_tensor(edges), x, right=not right, out_int32=True)


def histogram_bin_edges(a, bins=10, range=None, weights=None):
    """The edges of equal bins over the values, or over a range."""
    values = _tensor(a).asnumpy()
    return _constant(np.histogram_bin_edges(values, _static(bins), range), "float32")


def _static(value: Any) -> Any:
    return value.asnumpy() if isinstance(value, Tensor) else value


def histogram(a, bins=10, range=None, weights=None, density=False):
    """How many elements lie in each bin, and its edges. Not in a trace."""
    given = [_tensor(a).asnumpy(), _static(bins), range, density, _static(weights)]
    counts, edges = np.histogram(given[0], given[1], given[2], density=given[3], weights=given[4])
    return _constant(counts, "float32"), _constant(edges, "float32")


def histogramdd(sample, bins=10, range=None, weights=None, density=False):
    """How many points lie in each cell of a grid, and its edges. Not in a trace."""
    sample = [_static(s) for s in sample] if isinstance(sample, (list, tuple)) else _static(sample)
    counts, edges = np.histogramdd(sample, _static(bins), range, density, _static(weights))
    return _constant(counts, "float32"), [_constant(e, "float32") for e in edges]


def histogram2d(x, y, bins=10, range=None, weights=None, density=False):
    """How many points lie in each cell of a grid of two axes, and its edges. Not in a trace."""
    counts, edges = histogramdd([x, y], bins, range, weights, density)
    return counts, *edges


# --- arithmetic ---------------------------------------------------------------------------------


def cbrt(x):
    """The cube root, with the sign."""
    x = _tensor(x)
    return ops.sign(x) * ops.pow(ops.abs(x), 1 / 3)


def divmod(x1, x2):
    """The quotient rounded down, and the remainder."""
    return ops.floor_divide(x1, x2), ops.remainder(x1, x2)


gcd, lcm, matrix_power = ops.gcd, ops.lcm, ops.matrix_power


def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """The cross product along an axis of extent 3."""
    if axis is not None:
        axisa = axisb = axisc = axis
    found = ops.cross(ops.moveaxis(_tensor(a), axisa, -1), ops.moveaxis(_tensor(b), axisb, -1), -1)
    return ops.moveaxis(found, -1, axisc)


def ediff1d(ary, to_end=None, to_begin=None):
    """Differences of neighbours of a flattened Tensor, with what comes before and after."""
    x = ops.ravel(_tensor(ary))
    parts = [x[1:] - x[:-1]]
    parts = [ops.ravel(_tensor(to_begin)), *parts] if to_begin is not None else parts
    parts = [*parts, ops.ravel(_tensor(to_end))] if to_end is not None else parts
    return ops.concat(parts)


def gradient(f, *varargs, axis=None, edge_order=1):
    """Differences across neighbours: central inside, one-sided at the ends."""
    x = _tensor(f)
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    steps = list(varargs) if len(varargs) > 1 else [varargs[0] if varargs else 1] * len(list(axes))
    found = []
    for at, step in zip(axes, steps, strict=True):
        v = ops.moveaxis(x, at, 0)
        inner = (v[2:] - v[:-2]) * 0.5
        d = ops.concat([v[1:2] - v[:1], inner, v[-1:] - v[-2:-1]], 0) / step
        found.append(ops.moveaxis(d, 0, at))
    return found if len(found) > 1 else found[0]


def interp(x, xp, fp, left=None, right=None):
    """Values between known points, on straight lines."""
    x, xp, fp = (_tensor(v) for v in (x, xp, fp))
    at = ops.clamp(ops.searchsorted(xp, x, right=True), 1, xp.shape[0] - 1)
    x0, x1, f0, f1 = xp[at - 1], xp[at], fp[at - 1], fp[at]
    out = f0 + (f1 - f0) * (ops.clamp(x, xp[0], xp[-1]) - x0) / (x1 - x0)
    out = out if left is None else ops.where(x < xp[0], left, out)
    return out if right is None else ops.where(x > xp[-1], right, out)


def unwrap(p, discont=math.pi, axis=-1):
    """Angles without jumps of more than pi along an axis."""
    p = _tensor(p)
    steps = ops.diff(p, axis=axis)
    turned_back = ops.remainder(steps + math.pi, 2 * math.pi) - math.pi
    at_edge = ops.logical_and(ops.eq(turned_back, -math.pi), steps > 0)
    turned_back = ops.where(at_edge, math.pi, turned_back)
    change = ops.where(ops.abs(steps) < discont, 0.0, turned_back - steps)
    first = ops.narrow(p, axis, 0, 1)
    rest = ops.narrow(p, axis, 1, p.shape[axis] - 1) + ops.cumsum(change, axis)
    return ops.concat((first, rest), axis)


def convolve(a, v, mode="full"):
    """The convolution of two vectors."""
    return correlate(a, ops.flip(_tensor(v), (0,)), mode)


def correlate(a, v, mode="valid"):
    """The correlation of two vectors: sums of products at all shifts."""
    a, v = _tensor(a), _tensor(v)
    swapped = a.shape[0] < v.shape[0]
    long, short = (v, a) if swapped else (a, v)
    n = short.shape[0]
    low, high = {"full": (n - 1, n - 1), "same": (n // 2, (n - 1) // 2), "valid": (0, 0)}[mode]
    image = ops.reshape(ops.pad(long, (low, high)), (1, 1, -1))
    out = ops.conv1d(image, ops.reshape(short, (1, 1, -1)))
    out = ops.reshape(out, (-1,))
    return ops.flip(out, (0,)) if swapped else out


# --- polynomials: the highest power first -------------------------------------------------------


def polyval(p, x):
    """The value of a polynomial."""
    total = ops.zeros_like(_tensor(x))
    for coefficient in ops.unbind(_tensor(p), 0):
        total = total * x + coefficient
    return total


def polyadd(a1, a2):
    """The sum of polynomials."""
    a1, a2 = _tensor(a1), _tensor(a2)
    size = builtins.max(a1.shape[0], a2.shape[0])
    return sum(ops.pad(a, (size - a.shape[0], 0)) for a in (a1, a2))


def polysub(a1, a2):
    """The difference of polynomials."""
    return polyadd(a1, -_tensor(a2))


def polymul(a1, a2):
    """The product of polynomials."""
    return convolve(a1, a2)


def polyder(p, m=1):
    """The m-th derivative of a polynomial."""
    p = _tensor(p)
    for _ in range(m):
        p = p[:-1] * _constant(np.arange(p.shape[0] - 1, 0, -1), p.dtype)
    return p


def polyint(p, m=1, k=None):
    """The m-th integral of a polynomial, with constants k."""
    p, constants = _tensor(p), [0.0] * m if k is None else [k] if isinstance(k, (int, float)) else k
    for constant in constants[:m]:
        p = p / _constant(np.arange(p.shape[0], 0, -1), p.dtype)
        p = ops.concat((p, ops.reshape(_tensor(constant).astype(p.dtype), (1,))))
    return p


__all__ = [
    "bincount", "cbrt", "convolve", "corrcoef", "correlate", "cov", "cross", "digitize",
    "divmod", "ediff1d", "gcd", "gradient", "histogram", "histogram2d", "histogram_bin_edges",
    "histogramdd", "interp", "lcm", "matrix_power", "multi_dot", "nancumsum", "nanmax",
    "nanmin", "nanstd", "nanvar", "percentile", "polyadd", "polyder", "polyint", "polymul",
    "polysub", "polyval", "quantile", "unwrap",
]  # fmt: skip
