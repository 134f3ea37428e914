"""Gauss-Seidel sweeps over a 50 × 50 grid, element by element in place, and the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

SIZE, SWEEPS = 50, 8
WORKLOAD = Workload("seidel_2d, 50 × 50, 8 sweeps", "float64", roundings=5000)


def data() -> Arrays:
    return [np.random.default_rng(0).standard_normal((SIZE, SIZE))]


def program(ms: Any, arrays: Arrays) -> Run:
    def loss(x):
        a = x * 1.0
        for _ in range(SWEEPS):
            for i in range(1, SIZE - 1):
                for j in range(1, SIZE - 1):
                    above = a[i - 1, j - 1] + a[i - 1, j] + a[i - 1, j + 1]
                    beside = a[i, j - 1] + a[i, j] + a[i, j + 1]
                    below = a[i + 1, j - 1] + a[i + 1, j] + a[i + 1, j + 1]
                    a[i, j] = (above + beside + below) / 9.0
        return (a * a).sum()

    return peers.program_gradient(ms, loss, (0,), arrays)


def hand(arrays: Arrays) -> Run:
    """The sweeps are linear: nothing has to be recorded, and the way back is as long as there."""
    from benchmarks.harness.hand import njit

    @njit
    def kernel(x, a, g):
        a[:] = x
        for _ in range(SWEEPS):
            for i in range(1, SIZE - 1):
                for j in range(1, SIZE - 1):
                    above = a[i - 1, j - 1] + a[i - 1, j] + a[i - 1, j + 1]
                    beside = a[i, j - 1] + a[i, j] + a[i, j + 1]
                    below = a[i + 1, j - 1] + a[i + 1, j] + a[i + 1, j + 1]
                    a[i, j] = (above + beside + below) / 9.0
        total = 0.0
        for i in range(SIZE):
            for j in range(SIZE):
                total += a[i, j] * a[i, j]
                g[i, j] = 2.0 * a[i, j]
        for _ in range(SWEEPS):
            for i in range(SIZE - 2, 0, -1):
                for j in range(SIZE - 2, 0, -1):
                    part = g[i, j] / 9.0
                    g[i, j] = 0.0
                    for di in range(-1, 2):
                        for dj in range(-1, 2):
                            g[i + di, j + dj] += part
        return total, g

    a, g = np.empty((SIZE, SIZE)), np.empty((SIZE, SIZE))
    return lambda: kernel(*arrays, a, g)


def jax(arrays: Arrays) -> Run:
    from jax import lax

    inner = SIZE - 2

    def one(a, k):
        i, j = 1 + k % (inner * inner) // inner, 1 + k % inner
        around = lax.dynamic_slice(a, (i - 1, j - 1), (3, 3))
        return a.at[i, j].set(around.sum() / 9.0), None

    def loss(x):
        from jax import numpy

        a, _ = lax.scan(one, x, numpy.arange(SWEEPS * inner * inner))
        return (a * a).sum()

    return peers.jax_gradient(loss, (0,), arrays)
