"""All distances between 1,000 points of 64 coordinates, float32: an energy and its gradient."""

from __future__ import annotations

import numpy as np

from benchmarks import distances
from benchmarks.harness.workload import Arrays, Workload

POINTS, DIMENSIONS = 1_000, 64
WORKLOAD = Workload("distances, 1,000 × 1,000 × 64", "float32", roundings=200)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    return [0.2 * rng.standard_normal((POINTS, DIMENSIONS)).astype(np.float32)]


program, hand, jax, torch = distances.program, distances.hand, distances.jax, distances.torch
