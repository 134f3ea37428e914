"""The names that generated kernels call, as Numba intrinsics and as plain Python functions.

Both namespaces have the keys of ``table.NAMES``:

- ``exp_f32(x)`` ...: exact dtype in, same dtype out, nothing widens;
- ``f32_ptr(ptrs, k)`` ... ``bool_ptr``: the k-th buffer (Numba: ``CPointer``; a bool is a uint8);
- ``select(c, a, b)``: both arms computed, of one type; c is a boolean or a uint8;
- ``add_reassoc_f32(acc, v)`` ...: accumulators whose order LLVM may change;
- ``to_f32(x)`` ... ``to_bool``: conversion from any scalar type; ``to_bool`` gives a boolean.

Numba is imported inside ``namespace_numba`` only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from jitgrad.codegen.vecmath import lang, table

Namespace = dict[str, Callable[..., Any]]


@cache
def namespace_python() -> Namespace:
    """Every name as a function on NumPy scalars and arrays; buffers are flat arrays."""
    space: Namespace = {
        name: _quiet(function, table.NUMPY_NAMES[dtype])
        for name, (function, _, dtype) in table.functions().items()
    }
    plain = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
    for dtype in table.FLOATS:
        for op in table.REASSOC:
            space[f"{op}_{dtype}"] = _quiet(plain[op[:3]], table.NUMPY_NAMES[dtype])
    for dtype in table.DTYPES:
        space[f"{dtype}_ptr"] = lambda ptrs, k: ptrs[k]
        space[f"to_{dtype}"] = _caster(np.dtype(table.NUMPY_NAMES[dtype]))
    space["select"] = lang.select
    return space


def _quiet(function: Callable[..., Any], dtype: str) -> Callable[..., Any]:
    """function over operands of the given dtype (literals are taken as it), without warnings."""
    of = np.dtype(dtype)

    def call(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*(_typed(a, of) for a in args))

    return call


def _typed(x: Any, of: np.dtype) -> Any:
    if type(x) in (int, float, bool):
        return of.type(x)
    if x.dtype != of:
        raise TypeError(f"expected {of}, got {x.dtype}")
    return x


def _caster(to: np.dtype) -> Callable[[Any], Any]:
    """x.astype(to), with the out-of-range conversions that ``llvm.convert`` makes."""
    through = np.int32 if to.kind in "iu" and to.itemsize < 4 else np.int64

    def cast(x: Any) -> Any:
        x = np.asarray(x)
        with np.errstate(all="ignore"):
            if x.dtype.kind == "f" and to.kind in "iu" and to not in (np.int32, np.int64):
                big = (x >= 2.0**63) if to == np.uint64 else np.zeros(x.shape, bool)
                whole = np.where(big, x - x.dtype.type(2.0**63), x).astype(through)
                x = np.where(big, whole ^ np.int64(-(2**63)), whole) if to == np.uint64 else whole
            return x.astype(to)[()]

    return cast


@cache
def namespace_numba() -> Namespace:
    """Every name as a Numba ``@intrinsic``.  Imports Numba."""
    from jitgrad.codegen.intrinsics import namespace
    from jitgrad.codegen.vecmath import emit

    return namespace(emit.functions())
