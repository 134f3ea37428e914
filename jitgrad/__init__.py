"""Automatic differentiation compiled by Numba: MindSpore's and PyTorch's front ends.

>>> import jitgrad as ms
>>> x = ms.Tensor([1.0, 2.0])
>>> print(ms.grad(lambda x: x * x * x)(x))
[ 3. 12.]
"""

from __future__ import annotations

import importlib
from typing import Any

from jitgrad import api, autograd, context, creation, ops
from jitgrad.api.context import GRAPH_MODE, PYNATIVE_MODE, get_context, set_context, set_device
from jitgrad.api.custom import custom_jvp, custom_vjp
from jitgrad.api.grad import get_grad, grad, value_and_grad
from jitgrad.api.higher import derivative, hessian, hvp, jet, linearize
from jitgrad.api.jacobian import jacfwd, jacrev
from jitgrad.api.jit import jit
from jitgrad.api.mutable import mutable
from jitgrad.api.operation import GradOperation
from jitgrad.api.recompute import recompute
from jitgrad.api.transforms import jvp, vjp
from jitgrad.api.vmap import vmap
from jitgrad.array_functions import array_function
from jitgrad.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from jitgrad.creation import tensor
from jitgrad.frontend.random import (
    Generator,
    default_generator,
    get_rng_state,
    get_seed,
    initial_seed,
    set_rng_state,
    set_seed,
)
from jitgrad.ir.types import (
    DType,
    bool_,
    complex64,
    complex128,
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
from jitgrad.ops.interop import from_dlpack
from jitgrad.runtime.stats import empty_cache, memory_stats
from jitgrad.runtime.threads import get_num_threads, set_num_threads
from jitgrad.tensor import Parameter, ParameterTuple, Tensor

Tensor.__array_function__ = array_function  # type: ignore[attr-defined]

__version__ = "0.1.0"

manual_seed = set_seed
half, single, double = float16, float32, float64
int_, long, float_ = int64, int64, float64

# `ops` is below the derivatives; MindSpore has them under that name too.
checkpoint = recompute
for _function in (
    grad, value_and_grad, get_grad, jvp, vjp, vmap, jacfwd, jacrev, GradOperation, custom_vjp,
    custom_jvp, derivative, hessian, hvp, jet, linearize,
):  # fmt: skip
    setattr(ops, _function.__name__, _function)

# Imported when first used: modules, and names of modules.
_LATER = (
    "nn", "train", "numpy", "mint", "common", "tools", "data", "amp", "experimental", "onnx",
    "testing", "optimize", "cuda",
)  # fmt: skip
_IN = {
    "as_njit": "api.njit", "check_grads": "testing", "compare": "tools.compare",
    "explain": "tools.explain", "export": "onnx", "opaque": "api.opaque", "stop_gradient": "ops",
}  # fmt: skip
_NAMES_OF = ("common.dtype", "common.api", "train", "amp")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "dtype":  # the module, in MindSpore's programs
        return importlib.import_module(f"{__name__}.common.dtype")
    if name in _IN:
        return getattr(importlib.import_module(f"{__name__}.{_IN[name]}"), name)
    if not name.startswith("_"):  # torch.zeros, torch.sin, torch.relu
        for table in (creation.TABLE, vars(importlib.import_module(f"{__name__}.mint")), vars(ops)):
            if callable(table.get(name)):
                return table[name]
        for path in _NAMES_OF:
            module = importlib.import_module(f"{__name__}.{path}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "GRAPH_MODE",
    "PYNATIVE_MODE",
    "DType",
    "Generator",
    "GradOperation",
    "Parameter",
    "ParameterTuple",
    "Tensor",
    "api",
    "autograd",
    "bool_",
    "checkpoint",
    "complex64",
    "complex128",
    "context",
    "custom_jvp",
    "custom_vjp",
    "default_generator",
    "derivative",
    "double",
    "empty_cache",
    "enable_grad",
    "float16",
    "float32",
    "float64",
    "float_",
    "from_dlpack",
    "get_context",
    "get_grad",
    "get_num_threads",
    "get_rng_state",
    "get_seed",
    "grad",
    "half",
    "hessian",
    "hvp",
    "inference_mode",
    "initial_seed",
    "int8",
    "int16",
    "int32",
    "int64",
    "int_",
    "is_grad_enabled",
    "jacfwd",
    "jacrev",
    "jet",
    "jit",
    "jvp",
    "linearize",
    "long",
    "manual_seed",
    "memory_stats",
    "mutable",
    "no_grad",
    "ops",
    "recompute",
    "set_context",
    "set_device",
    "set_grad_enabled",
    "set_num_threads",
    "set_rng_state",
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
