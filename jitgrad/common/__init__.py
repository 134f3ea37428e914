"""MindSpore's `common`: dtypes, Tensors, Parameters, initializers, jit."""

from __future__ import annotations

from jitgrad.common import api, dtype, initializer, parameter, tensor
from jitgrad.common.parameter import Parameter, ParameterTuple
from jitgrad.common.tensor import Tensor

__all__ = [
    "Parameter", "ParameterTuple", "Tensor", "api", "dtype", "initializer", "parameter", "tensor",
]  # fmt: skip
