"""NumPy's functions on Tensors are the Tensor's own operators and methods, never a silent copy."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.tensor import Tensor

UFUNCS: dict[str, Callable[..., Any]] = {}


def _fill_ufuncs() -> None:
    operators = {
        "add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv",
        "floor_divide": "floordiv", "remainder": "mod", "power": "pow", "matmul": "matmul",
        "negative": "neg", "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le",
        "greater": "gt", "greater_equal": "ge", "bitwise_and": "and_", "bitwise_or": "or_",
        "bitwise_xor": "xor", "invert": "invert", "left_shift": "lshift", "right_shift": "rshift",
    }  # fmt: skip
    methods = {
        "absolute": "abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan",
        "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "rint": "round",
        "conjugate": "conj", "arctan2": "atan2",
    }  # fmt: skip
    same = (
        "sin cos tan sinh cosh tanh exp exp2 expm1 log log2 log10 log1p sqrt square sign floor ceil"
        " trunc isnan isinf isfinite maximum minimum logical_and logical_or logical_xor"
        " logical_not reciprocal"
    )
    UFUNCS.update({name: getattr(operator, function) for name, function in operators.items()})
    for name, method in (*methods.items(), *((name, name) for name in same.split())):
        UFUNCS[name] = _by_method(method)


def _by_method(name: str) -> Callable[..., Any]:
    def call(first: Any, *rest: Any) -> Any:
        return getattr(first if isinstance(first, Tensor) else Tensor(first), name)(*rest)

    return call


_fill_ufuncs()


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """``np.sin(t)`` and ``array * t`` are the Tensor's own operations, never a silent copy."""
    call = UFUNCS.get(ufunc.__name__)
    if method != "__call__" or kwargs or call is None:
        name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        for x in inputs:
            if isinstance(x, Tensor):
                x._untracked(f"given to {name}")
        arrays = [x._array("computed by NumPy") if isinstance(x, Tensor) else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **kwargs)
    return call(*[_operand(x) for x in inputs])


def _operand(x: Any) -> Any:
    if isinstance(x, np.generic):
        return x.item()  # NumPy's scalars are weak, and must not call the ufunc again
    return Tensor(x) if isinstance(x, np.ndarray) else x


Tensor.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined] = array_ufunc
