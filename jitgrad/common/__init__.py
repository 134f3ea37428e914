"""MindSpore's `common`: dtypes, Tensors, Parameters, initializers, jit."""

from __future__ import annotations

from jitgrad.api.mutable import mutable
from jitgrad.api.recompute import recompute
from jitgrad.common import api, dtype, generator, initializer, parameter, seed, tensor
from jitgrad.common.api import *  # noqa: F403
from jitgrad.common.dtype import *  # noqa: F403
from jitgrad.common.generator import *  # noqa: F403
from jitgrad.common.parameter import Parameter, ParameterTuple
from jitgrad.common.seed import *  # noqa: F403
from jitgrad.common.tensor import Tensor

__all__ = [
    "Parameter", "ParameterTuple", "Tensor", "api", "dtype", "generator", "initializer", "mutable",
    "parameter", "recompute", "seed", "tensor",
    *api.__all__,
    *dtype.__all__,
    *generator.__all__,
    *seed.__all__,
]  # fmt: skip
