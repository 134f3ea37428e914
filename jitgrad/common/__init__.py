"""MindSpore's `common`: dtypes, Tensors, Parameters, initializers, jit."""

from __future__ import annotations

from jitgrad.common import api, dtype, initializer, parameter, tensor
from jitgrad.common.parameter import Parameter, ParameterTuple
from jitgrad.common.tensor import Tensor
from jitgrad.frontend.random import Generator, get_seed, set_seed

__all__ = [
    "Generator", "Parameter", "ParameterTuple", "Tensor", "api", "dtype", "get_seed",
    "initializer", "parameter", "set_seed", "tensor",
]  # fmt: skip
