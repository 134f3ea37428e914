"""A recursion along 4,000 elements of one array, written in place, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

COUNT = 4000
WORKLOAD = Workload("in-place scan, 4,000 elements", "float64", roundings=20_000)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(COUNT), np.array(0.9)]


def program(ms: Any, arrays: Arrays) -> Run:
    def loss(x, a):
        y = x * 1.0
        for i in range(1, y.shape[0]):
            y[i] = a * y[i - 1] * (1.0 - 0.1 * y[i]) + y[i]
        return (y * y).sum()

    return peers.program_gradient(ms, loss, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import njit

    @njit
    def kernel(x, a, y, g):
        y[0] = x[0]
        total = y[0] * y[0]
        for i in range(1, x.size):
            y[i] = a * y[i - 1] * (1.0 - 0.1 * x[i]) + x[i]
            total += y[i] * y[i]
        carry, ga = 2.0 * y[x.size - 1], 0.0
        for i in range(x.size - 1, 0, -1):
            q = 1.0 - 0.1 * x[i]
            ga += carry * y[i - 1] * q
            g[i] = carry * (1.0 - 0.1 * a * y[i - 1])
            carry = carry * a * q + 2.0 * y[i - 1]
        g[0] = carry
        return total, g, ga

    x, a = arrays
    y, g = np.empty(COUNT), np.empty(COUNT)

    def run() -> Any:
        value, *gradients = kernel(x, float(a), y, g)
        return value, gradients

    return run


def jax(arrays: Arrays) -> Run:
    """In place as JAX has it: each element costs the whole array on the way back."""
    from jax import lax

    def loss(x, a):
        def one(i, y):
            return y.at[i].set(a * y[i - 1] * (1.0 - 0.1 * y[i]) + y[i])

        y = lax.fori_loop(1, COUNT, one, x)
        return (y * y).sum()

    return peers.jax_gradient(loss, (0, 1), arrays)
