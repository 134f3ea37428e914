"""NumPy's functions of Tensors: ``np.sum(t)`` is jitgrad's own `sum`, eagerly and in a trace.

NumPy asks `Tensor.__array_function__` (NEP 18) wherever one of its functions is given a Tensor. The
answer is the function of that name in `jitgrad.numpy`, or in `ops` where NumPy means the same. What
neither has is computed by NumPy itself, eagerly, and is an error in a trace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad import ops, tree
from jitgrad.errors import TraceError, fail
from jitgrad.ops.promote import other_names
from jitgrad.state import state
from jitgrad.tensor import Tensor

# Functions of `ops` that mean what NumPy's of these names mean.
OF_OPS = {
    "allclose": "allclose", "angle": "angle", "astype": "astype", "concat": "concat",
    "einsum": "einsum", "imag": "imag", "isclose": "isclose",
    "nan_to_num": "nan_to_num", "nonzero": "nonzero", "permute_dims": "permute", "real": "real",
    "sinc": "sinc", "unstack": "unbind", "i0": "bessel_i0",
}  # fmt: skip


def _vdot(a: Any, b: Any) -> Any:
    return ops.dot(ops.conj(ops.reshape(_tensor(a), (-1,))), ops.reshape(_tensor(b), (-1,)))


def _round(a: Any, decimals: int = 0) -> Any:
    return ops.round(_tensor(a), decimals=decimals)


def _array(object: Any, dtype: Any = None, *, copy: bool | None = True, ndmin: int = 0) -> Any:
    from jitgrad.numpy.functions import stacked  # all of `jitgrad.numpy` takes a while

    out = stacked(object)
    out = out if dtype is None else ops.cast(out, dtype)
    out = out.copy() if copy and out is object else out
    return ops.reshape(out, (1,) * (ndmin - out.ndim) + out.shape) if out.ndim < ndmin else out


def _asarray(a: Any, dtype: Any = None) -> Any:
    return _array(a, dtype, copy=None)


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(np.asarray(value))


OWN: dict[Any, Callable] = {
    np.shape: lambda a: _tensor(a).shape,
    np.ndim: lambda a: _tensor(a).ndim,
    np.size: lambda a, axis=None: _tensor(a).size if axis is None else _tensor(a).shape[axis],
    np.vdot: _vdot,
    np.matrix_transpose: lambda x: ops.swapaxes(_tensor(x), -1, -2),
    **dict.fromkeys((np.round, np.around), _round),
    np.array: _array,
    **dict.fromkeys((np.asarray, np.asanyarray, np.ascontiguousarray), _asarray),
}


def array_function(
    self: Tensor, function: Callable, types: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    """What NumPy calls instead of a function of its own that was given a Tensor."""
    given = {k: v for k, v in kwargs.items() if v is not None and v is not np._NoValue}
    ours = _counterpart(function)
    if ours is not None and _takes(ours, args, given):
        return ours(*args, **given)
    if state.trace is not None:
        module = {"numpy.linalg": "np.linalg.", "numpy.fft": "np.fft."}.get(
            function.__module__, "np."
        )
        raise fail(
            TraceError,
            f"{module}{function.__name__} is called on a traced Tensor",
            why="only NumPy computes it, or with these arguments, and a traced Tensor has no value",
            instead="a function of jitgrad.ops or jitgrad.numpy, or call it outside of jit",
        )
    return function(*_arrays(args), **_arrays(kwargs))


def _counterpart(function: Callable) -> Callable | None:
    from jitgrad import numpy as ours

    if function in OWN:
        return OWN[function]
    name, module = function.__name__, function.__module__
    if module == "numpy.linalg":
        return getattr(ours.linalg, name, None)
    if module == "numpy.fft":
        return getattr(ours.fft, name, None)
    if module != "numpy":
        return None
    found = getattr(ours, name, None)
    return found if found is not None else getattr(ops, OF_OPS.get(name, ""), None)


def _takes(function: Callable, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a function has these parameters, under NumPy's names or others that mean them."""
    signature = inspect.signature(function)
    own = signature.parameters.keys()
    also = other_names(own)
    try:
        signature.bind(*args, **{k if k in own else also.get(k, k): v for k, v in kwargs.items()})
    except TypeError:
        return False
    return True


def _arrays(values: Any) -> Any:
    """A nest with arrays for Tensors; TapeError where that would lose a gradient."""
    leaves, structure = tree.flatten(values)
    arrays = [np.asarray(x) if isinstance(x, Tensor) else x for x in leaves]
    return tree.unflatten(structure, arrays)
