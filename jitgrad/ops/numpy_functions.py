"""NumPy's functions on Tensors that are traced or differentiated: ours of the same meaning.

Ufuncs (`np.sin`) are always the Tensor's own operations (`jitgrad.frontend.ufuncs`). Functions of
arrays, such as `np.where`, give arrays of arrays, and so they do of Tensors whose values can be
taken; of others they give Tensors, or an error where there is no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.errors import TapeError, TraceError
from jitgrad.ops import compare, joining, linalg, reduce
from jitgrad.ops.creation import ones_like, zeros_like
from jitgrad.ops.sorting import cumsum
from jitgrad.tensor import Tensor


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


def _reduction(function: Callable) -> Callable:
    def call(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        return function(_tensor(a), axis, keepdims)

    return call


def _cumsum(a: Any, axis: int | None = None) -> Tensor:
    return cumsum(_tensor(a), axis) if axis is not None else cumsum(_tensor(a).reshape(-1), 0)


def _dot(a: Any, b: Any) -> Tensor:
    a, b = _tensor(a), _tensor(b)
    return a * b if 0 in (a.ndim, b.ndim) else linalg.dot(a, b)


FUNCTIONS: dict[Any, Callable] = {
    np.where: lambda condition, x, y: compare.where(_tensor(condition), x, y),
    np.clip: lambda a, a_min=None, a_max=None: compare.clamp(_tensor(a), a_min, a_max),
    np.sum: _reduction(reduce.sum),
    np.mean: _reduction(reduce.mean),
    np.prod: _reduction(reduce.prod),
    np.max: _reduction(reduce.amax),
    np.min: _reduction(reduce.amin),
    np.amax: _reduction(reduce.amax),
    np.amin: _reduction(reduce.amin),
    np.cumsum: _cumsum,
    np.dot: _dot,
    np.outer: lambda a, b: linalg.outer(_tensor(a), _tensor(b)),
    np.stack: lambda arrays, axis=0: joining.stack([_tensor(a) for a in arrays], axis),
    np.concatenate: lambda arrays, axis=0: joining.concat([_tensor(a) for a in arrays], axis),
    np.reshape: lambda a, shape: _tensor(a).reshape(shape),
    np.transpose: lambda a, axes=None: _tensor(a).transpose(*(axes or ())),
    np.zeros_like: lambda a: zeros_like(a),
    np.ones_like: lambda a: ones_like(a),
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a: a.size,
}


def array_function(
    self: Tensor, function: Callable, types: Any, args: tuple, kwargs: dict[str, Any]
) -> Any:
    """What a function of NumPy's gives for Tensors."""

    def array(x: Any) -> Any:
        return x._untracked(f"given to np.{function.__name__}") if isinstance(x, Tensor) else x

    try:
        given, named = tree.map(array, (list(args), kwargs))
    except (TraceError, TapeError):
        if function not in FUNCTIONS:
            raise
        return FUNCTIONS[function](*args, **kwargs)
    return function(*given, **named)
