"""Streams of random numbers, under MindSpore's module path."""

from __future__ import annotations

from jitgrad.frontend.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    set_rng_state,
)
from jitgrad.frontend.random import set_seed as manual_seed

__all__ = [
    "Generator", "default_generator", "get_rng_state", "initial_seed", "manual_seed",
    "set_rng_state",
]  # fmt: skip
