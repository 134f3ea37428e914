"""MindSpore's `common`: dtypes, Tensors, Parameters, initializers, jit."""

from __future__ import annotations

from jitgrad.api.mutable import mutable
from jitgrad.api.recompute import recompute
from jitgrad.common import api, dtype, initializer, parameter, tensor
from jitgrad.common.api import *  # noqa: F403
from jitgrad.common.dtype import *  # noqa: F403
from jitgrad.common.parameter import Parameter, ParameterTuple
from jitgrad.common.tensor import Tensor
from jitgrad.frontend.random import (
    Generator,
    default_generator,
    get_rng_state,
    get_seed,
    initial_seed,
    set_rng_state,
    set_seed,
)

__all__ = [
    "Generator", "Parameter", "ParameterTuple", "Tensor", "api", "default_generator", "dtype",
    "get_rng_state", "get_seed", "initial_seed", "initializer", "mutable", "parameter",
    "recompute", "set_rng_state", "set_seed", "tensor",
    *api.__all__,
    *dtype.__all__,
]  # fmt: skip
