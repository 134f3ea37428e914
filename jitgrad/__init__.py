"""Automatic differentiation compiled by Numba: MindSpore's and PyTorch's front ends.

>>> import jitgrad as ms
>>> x = ms.Tensor([1.0, 2.0])
>>> print(ms.grad(lambda x: x * x * x)(x))
[ 3. 12.]
"""

from __future__ import annotations

import importlib
from typing import Any

from jitgrad import api, autograd, context, ops
from jitgrad.api.context import GRAPH_MODE, PYNATIVE_MODE, get_context, set_context
from jitgrad.api.grad import get_grad, grad, value_and_grad
from jitgrad.api.jit import jit
from jitgrad.api.mutable import mutable
from jitgrad.api.operation import GradOperation
from jitgrad.api.recompute import recompute
from jitgrad.api.transforms import jacfwd, jacrev, jvp, vjp, vmap
from jitgrad.autograd import enable_grad, no_grad
from jitgrad.frontend.random import get_seed, set_seed
from jitgrad.ir.types import (
    DType,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from jitgrad.runtime.stats import empty_cache, memory_stats
from jitgrad.runtime.threads import get_num_threads, set_num_threads
from jitgrad.tensor import Parameter, ParameterTuple, Tensor

__version__ = "0.1.0"

half, single, double = float16, float32, float64
int_, long, float_ = int64, int64, float64

# `ops` is below the derivatives; MindSpore has them under that name too.
for _function in (grad, value_and_grad, get_grad, jvp, vjp, vmap, jacfwd, jacrev, GradOperation):
    setattr(ops, _function.__name__, _function)

# Imported when first used.
_LATER = (
    "nn", "train", "numpy", "mint", "common", "tools", "data", "amp", "experimental", "onnx"
)  # fmt: skip
_TRAIN = ("save_checkpoint", "load_checkpoint", "load_param_into_net", "Model")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _TRAIN:
        return getattr(importlib.import_module(f"{__name__}.train"), name)
    if name == "export":
        return importlib.import_module(f"{__name__}.onnx").export
    if name == "compare":
        return importlib.import_module(f"{__name__}.tools.compare").compare
    if name == "explain":
        return importlib.import_module(f"{__name__}.tools.explain").explain
    if name == "stop_gradient":
        return ops.stop_gradient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor, as ``torch.tensor`` makes it.

    >>> import jitgrad as torch
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> (x * x).backward()
    >>> print(x.grad)
    4.0
    """
    return Tensor(data, dtype, requires_grad=requires_grad)


__all__ = [
    "GRAPH_MODE",
    "PYNATIVE_MODE",
    "DType",
    "GradOperation",
    "Parameter",
    "ParameterTuple",
    "Tensor",
    "api",
    "autograd",
    "bool_",
    "context",
    "double",
    "empty_cache",
    "enable_grad",
    "float16",
    "float32",
    "float64",
    "float_",
    "get_context",
    "get_grad",
    "get_num_threads",
    "get_seed",
    "grad",
    "half",
    "int8",
    "int16",
    "int32",
    "int64",
    "int_",
    "jacfwd",
    "jacrev",
    "jit",
    "jvp",
    "long",
    "memory_stats",
    "mutable",
    "no_grad",
    "ops",
    "recompute",
    "set_context",
    "set_num_threads",
    "set_seed",
    "single",
    "tensor",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "value_and_grad",
    "vjp",
    "vmap",
]
