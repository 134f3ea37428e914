"""MindSpore's `numpy`: functions of `ops` under NumPy's names and with its parameters."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as _np

from jitgrad import ops
from jitgrad.common import dtype as _dtypes
from jitgrad.errors import no_name as _no_name
from jitgrad.ir.types import dtype as _dtype
from jitgrad.numpy import fft as fft
from jitgrad.numpy import functions as _functions
from jitgrad.numpy import linalg as linalg
from jitgrad.numpy import numerical as _numerical
from jitgrad.ops.searching import distinct as _distinct
from jitgrad.tensor import Tensor

# Functions that are the same there.
SAME = (
    "abs absolute add angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh argwhere"
    " bitwise_and bitwise_not bitwise_or bitwise_xor ceil column_stack conj copysign cos cosh"
    " deg2rad diagflat divide dot dsplit dstack equal exp exp2 expand_dims expm1 fliplr flipud"
    " float_power floor floor_divide fmod greater greater_equal heaviside hsplit hstack hypot imag"
    " inner invert isfinite isinf isnan isneginf isposinf kron less less_equal log log10 log1p"
    " log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor matmul maximum"
    " minimum moveaxis multiply negative not_equal ones_like outer positive rad2deg ravel real"
    " reciprocal remainder repeat_elements rint sign signbit sin sinh sqrt square stack subtract"
    " swapaxes tan tanh tensordot true_divide trunc vander vsplit vstack zeros_like"
)
# Other names.
ALSO = {
    "around": "round", "power": "pow", "mod": "remainder", "fabs": "abs", "degrees": "rad2deg",
    "radians": "deg2rad", "concatenate": "concat", "broadcast_arrays": "broadcast_tensors",
    "fix": "trunc", "conjugate": "conj", "roll": "roll", "rot90": "rot90", "square": "square",
}  # fmt: skip
DTYPES = (
    "bool_ complex64 complex128 float16 float32 float64 float_ int8 int16 int32 int64 int_ uint8"
    " uint16 uint32 uint64"
)
_FOUND: dict[str, Any] = {
    **{name: getattr(_dtypes, name) for name in DTYPES.split()},
    **{name: getattr(ops, name) for name in SAME.split()},
    **{name: getattr(ops, of) for name, of in ALSO.items()},
}


# --- making Tensors -----------------------------------------------------------------------------


def array(obj, dtype=None, copy=True, ndmin=0):
    """A Tensor of numbers, nested lists, arrays or Tensors."""
    x = _functions._tensor(obj, dtype)
    return ops.reshape(x, (1,) * (ndmin - x.ndim) + x.shape) if x.ndim < ndmin else x


def asarray(a, dtype=None):
    """A Tensor; one that fits already is returned itself."""
    if isinstance(a, Tensor):
        return a if dtype is None else ops.cast(a, dtype)
    return array(a, dtype)


def zeros(shape, dtype=None):
    """Zeros of a shape."""
    return ops.zeros(shape, dtype)


def ones(shape, dtype=None):
    """Ones of a shape."""
    return ops.ones(shape, dtype)


def empty(shape, dtype=None):
    """A Tensor of a shape whose values do not matter."""
    return ops.zeros(shape, dtype)


def full(shape, fill_value, dtype=None):
    """One value in a shape, or values broadcast to it."""
    return ops.full(shape, asarray(fill_value), dtype=dtype)


def full_like(a, fill_value, dtype=None, shape=None):
    """One value in the shape of a, or another."""
    a = asarray(a)
    return ops.full(a.shape if shape is None else shape, fill_value, dtype=dtype or a.dtype)


def arange(start, stop=None, step=1, dtype=None):
    """start, start + step, … before stop."""
    line = ops.arange(start, stop, step, dtype=dtype)
    return ops.cast(line, _dtypes.int32) if dtype is None and line.dtype is _dtypes.int64 else line


def linspace(start, stop, num=50, endpoint=True, dtype=None):
    """`num` values at equal distances from start to stop, with or without the last."""
    line = ops.linspace(start, stop, num if endpoint else num + 1)
    line = line if endpoint else line[:-1]
    return line if dtype is None else ops.cast(line, dtype)


def eye(N, M=None, k=0, dtype=None):
    """A matrix with ones on a diagonal."""
    return Tensor(_np.eye(N, M, k, _dtype(dtype or "float32").numpy))


def identity(n, dtype=None):
    """A square matrix with ones on the diagonal."""
    return eye(n, dtype=dtype)


def meshgrid(*xi, sparse=False, indexing="xy"):
    """Grids of coordinates; `sparse`: each with extent 1 along the axes of the others."""
    grids = ops.meshgrid(*map(asarray, xi), indexing=indexing)
    if not sparse:
        return grids
    order = list(range(len(grids)))
    order[:2] = order[:2][::-1] if indexing == "xy" else order[:2]
    kept = [tuple(slice(None) if a == i else slice(1) for a in order) for i in range(len(grids))]
    return tuple(grid[key] for grid, key in zip(grids, kept, strict=True))


# --- shapes -------------------------------------------------------------------------------------


def reshape(x, new_shape):
    """The same elements under another shape."""
    return ops.reshape(x, new_shape)


def transpose(a, axes=None):
    """Axes in reverse order, or in the order given."""
    return asarray(a).transpose() if axes is None else ops.transpose(a, axes)


def squeeze(a, axis=None):
    """Without axes of extent 1."""
    return ops.squeeze(a, axis)


def broadcast_to(array, shape):
    """Repeated to a shape."""
    return ops.broadcast_to(array, shape)


def flip(m, axis=None):
    """In reverse order along an axis, several, or all."""
    m = asarray(m)
    axes = range(m.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return ops.flip(m, tuple(axes))


def tile(a, reps):
    """The whole repeated along axes."""
    return ops.tile(a, reps)


def repeat(a, repeats, axis=None):
    """Each element repeated."""
    return ops.repeat_interleave(a, repeats, axis)


def split(x, indices_or_sections, axis=0):
    """Equal pieces along an axis, or pieces cut at places."""
    x = asarray(x)
    if isinstance(indices_or_sections, int) and x.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return ops.tensor_split(x, indices_or_sections, axis)


def array_split(x, indices_or_sections, axis=0):
    """Pieces along an axis, as equal as can be."""
    return ops.tensor_split(x, indices_or_sections, axis)


def append(arr, values, axis=None):
    """Values joined to the end, along an axis or flattened."""
    parts = [asarray(v) for v in (arr, values)]
    return ops.concat([ops.ravel(p) for p in parts] if axis is None else parts, axis or 0)


def pad(arr, pad_width, mode="constant", constant_values=0):
    """Padded by pairs, one an axis."""
    arr = asarray(arr)
    pairs = _np.broadcast_to(_np.asarray(pad_width), (arr.ndim, 2))
    flat = [int(n) for pair in reversed(pairs.tolist()) for n in pair]
    names = {"edge": "replicate", "wrap": "circular"}
    value = constant_values if mode == "constant" else None
    return ops.pad(arr, flat, names.get(mode, mode), value)


# --- reductions ---------------------------------------------------------------------------------


def _reduction(function: Any) -> Any:
    def call(a, axis=None, keepdims=False):
        return function(a, axis, keepdims)

    call.__doc__ = function.__doc__
    return call


def sum(a, axis=None, dtype=None, keepdims=False, initial=None):
    """Sum over axes."""
    return asarray(a).sum(axis, dtype, keepdims, initial)


def prod(a, axis=None, dtype=None, keepdims=False):
    """Product over axes."""
    return ops.prod(a, axis, keepdims, dtype)


def var(x, axis=None, ddof=0, keepdims=False):
    """Variance over axes."""
    return ops.var(x, axis, ddof, keepdims)


def std(x, axis=None, ddof=0, keepdims=False):
    """Standard deviation over axes."""
    return ops.std(x, axis, ddof, keepdims)


def _extreme(function: Any) -> Any:
    def call(a, axis=None, keepdims=False, initial=None, where=True):
        where = None if where is True else asarray(where)
        return function(a, axis, keepdims, initial=initial, where=where)

    call.__doc__ = function.__doc__
    return call


mean, max, min = _reduction(ops.mean), _extreme(ops.amax), _extreme(ops.amin)
amax, amin, ptp = max, min, _reduction(ops.ptp)
all, any = _reduction(ops.all), _reduction(ops.any)
argmax, argmin = _reduction(ops.argmax), _reduction(ops.argmin)
nansum, nanmean = _reduction(ops.nansum), _reduction(ops.nanmean)
count_nonzero = _reduction(ops.count_nonzero)


def average(x, axis=None, weights=None, returned=False):
    """Mean over axes, weighted; `returned`: with the sum of the weights, as a tuple."""
    x = asarray(x)
    weights = ops.ones_like(x) if weights is None else asarray(weights)
    if weights.shape != x.shape and weights.ndim == 1:
        weights = ops.reshape(weights, (-1,) + (1,) * (x.ndim - axis % x.ndim - 1))
    weights = ops.broadcast_to(weights, x.shape)
    total = ops.sum(weights, axis)
    mean = ops.div(ops.sum(ops.mul(x, weights), axis), total)
    return (mean, total) if returned else mean


def cumsum(a, axis=None, dtype=None):
    """Running sum along an axis, or flattened."""
    return ops.cumsum(ops.ravel(a) if axis is None else a, axis or 0, dtype)


def cumprod(a, axis=None, dtype=None):
    """Running product along an axis, or flattened."""
    return ops.cumprod(ops.ravel(a) if axis is None else a, axis or 0, dtype)


def diff(a, n=1, axis=-1, prepend=None, append=None):
    """Differences of neighbours."""
    return ops.diff(a, n, axis, prepend, append)


def trapz(y, x=None, dx=1.0, axis=-1):
    """Integral by the trapezoidal rule."""
    return ops.trapz(y, x, dx=dx, dim=axis)


# --- choosing and linear algebra ----------------------------------------------------------------


def where(condition, x=None, y=None):
    """x where the condition holds, else y; without them, the places where it does."""
    return ops.nonzero(condition, as_tuple=True) if x is None else ops.where(condition, x, y)


def clip(x, xmin, xmax):
    """Values limited to an interval."""
    return ops.clamp(x, xmin, xmax)


def take(a, indices, axis=None, mode="clip"):
    """Elements, or slices along an axis, at indices."""
    return ops.take(a, asarray(indices), axis)


def take_along_axis(arr, indices, axis):
    """Elements along an axis at indices of the same shape."""
    return ops.gather_elements(arr, axis, indices)


def sort(a, axis=-1):
    """Values in order along an axis."""
    return ops.sort(a, axis)[0]


def argsort(a, axis=-1):
    """Where the values in order along an axis are."""
    return ops.argsort(a, axis)


def searchsorted(a, v, side="left", sorter=None):
    """Where values would be inserted to keep a sorted."""
    return ops.searchsorted(a, v, side=side, sorter=sorter)


def unique(x, return_inverse=False):
    """The different elements in order."""
    return _distinct(asarray(x), return_inverse)


def intersect1d(ar1, ar2, assume_unique=False, return_indices=False):
    """The elements that both have, in order; no trace.

    >>> ms.numpy.intersect1d([1, 3, 4, 3], [3, 1, 2, 1]).tolist()
    [1, 3]
    """
    x, y = ops.ravel(asarray(ar1)), ops.ravel(asarray(ar2))
    both = [a._array("searched by intersect1d") for a in (x, y)]
    _, *places = _np.intersect1d(*both, assume_unique, True)
    return (x[places[0]], *map(asarray, places)) if return_indices else x[places[0]]


def setdiff1d(ar1, ar2, assume_unique=False):
    """The elements of one that the other does not have, in order, each once (or as they come, if
    `assume_unique`); no trace.

    >>> ms.numpy.setdiff1d([1, 3, 4, 3], [3, 2]).tolist()
    [1, 4]
    """
    x, y = ops.ravel(asarray(ar1)), ops.ravel(asarray(ar2))
    own, other = (a._array("searched by setdiff1d") for a in (x, y))
    at = _np.arange(own.size) if assume_unique else _np.unique(own, return_index=True)[1]
    return x[at[~_np.isin(own[at], other)]]


def isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether values are close, elementwise."""
    return ops.isclose(a, b, rtol, atol, equal_nan)


def array_equal(a1, a2, equal_nan=False):
    """Whether shapes and all elements agree."""
    a1, a2 = asarray(a1), asarray(a2)
    return builtins.bool(a1.shape == a2.shape and ops.all(ops.eq(a1, a2)))


def vdot(a, b):
    """The sum of the products of all elements, in order; of complex numbers, a conjugated."""
    return ops.sum(ops.mul(ops.conj(ops.ravel(asarray(a))), ops.ravel(asarray(b))))


def diag(v, k=0):
    """A vector as a diagonal, or a diagonal as a vector."""
    v = asarray(v)
    return ops.diag_embed(v, k) if v.ndim == 1 else ops.diagonal(v, k)


def diagonal(a, offset=0, axis1=0, axis2=1):
    """A diagonal of two axes."""
    return ops.diagonal(a, offset, axis1, axis2)


def trace(a, offset=0, axis1=0, axis2=1, dtype=None):
    """The sum of a diagonal."""
    return asarray(a).trace(offset, axis1, axis2, dtype)


def tril(m, k=0):
    """The lower triangle."""
    return ops.tril(m, k)


def triu(m, k=0):
    """The upper triangle."""
    return ops.triu(m, k)


def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of vectors or matrices."""
    return ops.norm(x, ord, axis, keepdims)


def size(a, axis=None):
    """The number of elements, or an extent."""
    return asarray(a).size if axis is None else asarray(a).shape[axis]


def randn(*shape, dtype=None):
    """Standard normal, of a shape."""
    return ops.randn(*shape, dtype=dtype)


def rand(*shape, dtype=None):
    """Uniform in [0, 1), of a shape."""
    return ops.rand(*shape, dtype=dtype)


def randint(minval, maxval=None, shape=None, dtype=None):
    """Integers from minval, or 0, to below maxval."""
    low, high = (0, minval) if maxval is None else (minval, maxval)
    return ops.randint(low, high, shape or (), dtype=dtype)


pi, e, inf, nan, newaxis = _np.pi, _np.e, _np.inf, _np.nan, None
for _more in (_functions, _numerical):
    _FOUND |= {name: getattr(_more, name) for name in _more.__all__}
globals().update({name: found for name, found in _FOUND.items() if name not in globals()})
__all__ = sorted(
    {*_FOUND, *(n for n, f in globals().items() if callable(f) and not n.startswith("_"))} - {"Any"}
    | {"fft", "linalg"}
)


def __getattr__(name: str) -> Any:
    raise _no_name(__name__, name, __all__)
