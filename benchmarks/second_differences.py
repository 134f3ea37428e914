"""Whittaker smoothing of 2,000 float32 series of 500 values, by second differences; gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

SERIES, VALUES = 2_000, 500
WORKLOAD = Workload("second differences, 2,000 × 500", "float32", roundings=100)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((SERIES, VALUES)).astype(np.float32) for _ in range(2)]


def loss(x, target):
    """Written with what all frameworks have."""
    d = x[:, 2:] - 2.0 * x[:, 1:-1] + x[:, :-2]
    e = x - target
    return 10.0 * (d * d).sum() + (e * e).sum()


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss, (0,), arrays)


def hand(arrays: Arrays) -> Run:
    """Row by row: its second differences between zeros, then what they add to the gradient."""
    from benchmarks.harness.hand import add_f32, f32, njit

    @njit
    def differences(x, d):
        total = f32(0)
        for j in range(d.size):
            v = x[j + 2] - f32(2) * x[j + 1] + x[j]
            d[j] = v
            total = add_f32(total, v * v)
        return total

    @njit
    def back(x, target, d, gradient):
        total = f32(0)
        for j in range(x.size):
            e = x[j] - target[j]
            total = add_f32(total, e * e)
            gradient[j] = f32(2) * e + f32(20) * (d[j] - f32(2) * d[j + 1] + d[j + 2])
        return total

    @njit
    def kernel(x, target, gradient, d):
        total = 0.0
        for r in range(x.shape[0]):
            total += f32(10) * differences(x[r], d[2:-2])
            total += back(x[r], target[r], d, gradient[r])
        return total

    gradient = np.empty_like(arrays[0])
    d = np.zeros(VALUES + 2, np.float32)
    return lambda: (kernel(*arrays, gradient, d), gradient)


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(loss, (0,), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(loss, (0,), arrays)
