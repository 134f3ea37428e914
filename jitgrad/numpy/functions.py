"""NumPy's functions that make Tensors, go along axes, or ask about them."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.arrays import leaves
from jitgrad.ir.types import dtype as _dtype
from jitgrad.ir.types import int32, int64
from jitgrad.ops.promote import named as ops_named
from jitgrad.ops.promote import promote_types as _promote
from jitgrad.ops.promote import result_dtype
from jitgrad.ops.rearranging import unravel_index as _unravel
from jitgrad.tensor import Tensor


def _tensor(a: Any, dtype: Any = None) -> Tensor:
    """Ints and lists of ints are int32, as in MindSpore's numpy; arrays keep their dtype."""
    if isinstance(a, Tensor):
        return a if dtype is None else ops.cast(a, dtype)
    if isinstance(a, (list, tuple)) and any(isinstance(x, Tensor) for x in leaves(a)):
        return stacked(a) if dtype is None else ops.cast(stacked(a), dtype)
    x = Tensor(a, None if dtype is None else _dtype(dtype))
    own = dtype is not None or isinstance(a, (np.ndarray, np.generic))
    return ops.cast(x, int32) if x.dtype is int64 and not own else x


def stacked(value: Any) -> Tensor:
    """A Tensor of nested lists of Tensors, traced ones too, numbers and arrays."""
    if isinstance(value, (list, tuple)):
        return ops.stack([stacked(x) for x in value])
    return value if isinstance(value, Tensor) else Tensor(value)


def _constant(values: Any, dtype: Any = None) -> Tensor:
    return _tensor(np.asarray(values).tolist(), dtype)


# --- making Tensors -----------------------------------------------------------------------------


def copy(a):
    """A Tensor of the same values."""
    return ops.deepcopy(_tensor(a))


def asfarray(a, dtype="float32"):
    """A Tensor of floats."""
    return ops.cast(_tensor(a), dtype)


def empty_like(prototype, dtype=None, shape=None):
    """A Tensor like another, whose values do not matter."""
    x = _tensor(prototype)
    return ops.zeros(x.shape if shape is None else shape, dtype or x.dtype)


def bartlett(M):
    """Bartlett's window: a triangle."""
    return ops.bartlett_window(M, periodic=False)


def blackman(M):
    """Blackman's window."""
    return ops.blackman_window(M, periodic=False)


def hamming(M):
    """Hamming's window."""
    return ops.hamming_window(M, periodic=False)


def hanning(M):
    """Hann's window."""
    return ops.hann_window(M, periodic=False)


def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None):
    """Powers of a base at equal distances of the exponent."""
    return _constant(np.logspace(start, stop, num, endpoint, base), dtype or "float32")


def geomspace(start, stop, num=50, endpoint=True, dtype=None):
    """Numbers of one ratio from start to stop."""
    return _constant(np.geomspace(start, stop, num, endpoint), dtype or "float32")


def indices(dimensions, dtype="int32", sparse=False):
    """The indices of each axis of a shape, a Tensor each; `sparse`: with extent 1 elsewhere."""
    return tuple(_constant(part, dtype) for part in np.indices(tuple(dimensions), sparse=sparse))


def ix_(*args):
    """Vectors as axes of one grid."""
    count = len(args)
    return tuple(
        ops.reshape(_tensor(a), (1,) * i + (-1,) + (1,) * (count - i - 1))
        for i, a in enumerate(args)
    )


class _Grid:
    """`mgrid[0:3, 0:2]` and `ogrid`: slices give coordinates."""

    def __init__(self, of: Any) -> None:
        self._of = of

    def __getitem__(self, key: Any) -> Any:
        found = self._of[key]
        return (
            tuple(map(_constant, found)) if isinstance(found, (list, tuple)) else _constant(found)
        )


mgrid, ogrid = _Grid(np.mgrid), _Grid(np.ogrid)


def tri(N, M=None, k=0, dtype="float32"):
    """Ones on and below a diagonal."""
    return _constant(np.tri(N, M, k), dtype)


def tril_indices(n, k=0, m=None):
    """The rows and columns of a lower triangle."""
    return tuple(map(_constant, np.tril_indices(n, k, m)))


def triu_indices(n, k=0, m=None):
    """The rows and columns of an upper triangle."""
    return tuple(map(_constant, np.triu_indices(n, k, m)))


def tril_indices_from(arr, k=0):
    """The rows and columns of the lower triangle of a matrix."""
    return tril_indices(arr.shape[-2], k, arr.shape[-1])


def triu_indices_from(arr, k=0):
    """The rows and columns of the upper triangle of a matrix."""
    return triu_indices(arr.shape[-2], k, arr.shape[-1])


def diag_indices(n, ndim=2):
    """The indices of a diagonal, one Tensor an axis."""
    return (_constant(np.arange(n)),) * ndim


# --- functions along axes -----------------------------------------------------------------------


def apply_along_axis(func1d: Callable, axis, arr, *args, **kwargs):
    """A function of vectors, on each along an axis."""
    x = _tensor(arr)
    axis = axis % x.ndim
    lead = [n for a, n in enumerate(x.shape) if a != axis]
    rows = ops.reshape(ops.moveaxis(x, axis, -1), (-1, x.shape[axis]))
    found = ops.stack([_tensor(func1d(row, *args, **kwargs)) for row in rows])
    shape = found.shape[1:]
    out = ops.reshape(found, (*lead, *shape))
    for i in range(len(shape)):
        out = ops.moveaxis(out, len(lead) + i, axis + i)
    return out


def apply_over_axes(func: Callable, a, axes):
    """A function of a Tensor and an axis, over several axes in turn."""
    x = _tensor(a)
    for axis in (axes,) if isinstance(axes, int) else axes:
        out = func(x, axis)
        x = out if out.ndim == x.ndim else ops.expand_dims(out, axis)
    return x


def piecewise(x, condlist, funclist, *args, **kw):
    """Functions or values, each where its condition holds; one more is for the rest."""
    x, conditions = _tensor(x), [_tensor(c) for c in condlist]
    values = [f(x, *args, **kw) if callable(f) else f for f in funclist]
    rest = values.pop() if len(values) > len(conditions) else 0
    return select(conditions, [ops.cast(ops.zeros_like(x) + v, x.dtype) for v in values], rest)


def select(condlist, choicelist, default=0):
    """The first choice whose condition holds, elementwise."""
    out = _tensor(default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = ops.where(_tensor(condition), _tensor(choice), out)
    return out


def _atleast(function: Callable) -> Callable:
    def call(*arys):
        found = [function(_tensor(a)) for a in arys]
        return found[0] if len(found) == 1 else found

    return ops_named(call, function.__name__, function.__doc__)


atleast_1d, atleast_2d = _atleast(ops.atleast_1d), _atleast(ops.atleast_2d)
atleast_3d = _atleast(ops.atleast_3d)


def choose(a, choices, mode="clip"):
    """Of several Tensors, elementwise, the one of the number that a holds.

    Numbers beyond the last go to the nearest (mode "clip") or count on from 0 ("wrap").
    """
    at, *choices = ops.broadcast_tensors(_tensor(a), *[_tensor(c) for c in choices])
    count = len(choices)
    at = at % count if mode == "wrap" else ops.clamp(at, 0, count - 1)
    return ops.squeeze(ops.gather_elements(ops.stack(choices), 0, ops.expand_dims(at, 0)), 0)


def rollaxis(x, axis, start=0):
    """An axis moved before another."""
    ndim = _tensor(x).ndim
    axis, start = axis % ndim, start + ndim * (start < 0)
    return ops.moveaxis(x, axis, start - (start > axis))


def unravel_index(indices, shape, order="C"):
    """Places in a flat Tensor as coordinates, one Tensor an axis; order "F": the first axis is
    counted first.
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if order == "F":
        return unravel_index(indices, shape[::-1])[::-1]
    return tuple(ops.unbind(_unravel(indices, shape), 0))


def ravel_multi_index(x, dims, mode="clip", order="C"):
    """Coordinates as places in a flat Tensor; order "F": the first axis is counted first."""
    total = 0
    pairs = zip(ops.unbind(_tensor(x), 0), dims, strict=True)
    for part, extent in reversed(list(pairs)) if order == "F" else pairs:
        part = part % extent if mode == "wrap" else ops.clamp(part, 0, extent - 1)
        total = total * extent + part
    return total


# --- logic --------------------------------------------------------------------------------------


def array_equiv(a1, a2):
    """Whether two Tensors are equal after broadcasting."""
    a1, a2 = _tensor(a1), _tensor(a2)
    try:
        np.broadcast_shapes(a1.shape, a2.shape)
    except ValueError:
        return False
    return builtins.bool(ops.all(ops.eq(a1, a2)))


def isin(element, test_elements, invert=False):
    """Whether each element is among others."""
    x, others = _tensor(element), ops.ravel(_tensor(test_elements))
    found = ops.any(ops.eq(ops.expand_dims(x, -1), others), -1)
    return ops.logical_not(found) if invert else found


def in1d(ar1, ar2, invert=False):
    """Whether each element of a flattened Tensor is among others."""
    return isin(ops.ravel(_tensor(ar1)), ar2, invert)


def isscalar(element):
    """Whether it is a Python or NumPy number or a string."""
    return np.isscalar(element)


def sometrue(x, axis=None, keepdims=False):
    """Whether any element is true over axes."""
    return ops.any(x, axis, keepdims)


def array_str(a):
    """The values as a string."""
    return str(_tensor(a))


def promote_types(type1, type2):
    """The dtype of a result of Tensors of two dtypes."""
    return _promote(_dtype(type1), _dtype(type2))


def result_type(*arrays_and_dtypes):
    """The dtype of a result of Tensors, numbers and dtypes."""
    values = [x for x in arrays_and_dtypes if isinstance(x, (Tensor, int, float))]
    dtypes = [_dtype(x) for x in arrays_and_dtypes if not isinstance(x, (Tensor, int, float))]
    found = [result_dtype(values)] if values else []
    return functools.reduce(_promote, [*found, *dtypes])


__all__ = [
    "apply_along_axis", "apply_over_axes", "array_equiv", "array_str", "asfarray", "atleast_1d",
    "atleast_2d", "atleast_3d", "bartlett",
    "blackman", "choose", "copy", "diag_indices", "empty_like", "geomspace", "hamming",
    "hanning", "in1d", "indices", "isin", "isscalar", "ix_", "logspace", "mgrid", "ogrid",
    "piecewise", "promote_types", "ravel_multi_index", "result_type", "rollaxis", "select",
    "sometrue", "tri", "tril_indices", "tril_indices_from", "triu_indices", "triu_indices_from",
    "unravel_index",
]  # fmt: skip
