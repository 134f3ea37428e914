"""All distances between 1,000 points of 3 coordinates, float32: an energy and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

POINTS, DIMENSIONS = 1_000, 3
WORKLOAD = Workload("distances, 1,000 × 1,000 × 3", "float32", roundings=100)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((POINTS, DIMENSIONS)).astype(np.float32)]


def energy(x):
    """Written with what all frameworks have: sums 1 / (1 + |a - b|^2) over all pairs."""
    d = x[:, None, :] - x[None, :, :]
    return (1.0 / (1.0 + (d * d).sum(-1))).sum()


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, energy, (0,), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f32, f32, njit

    @njit
    def row(p, turned, gradient, squares):
        squares[:] = f32(0)
        for k in range(p.size):
            line, a = turned[k], p[k]
            for j in range(line.size):
                d = a - line[j]
                squares[j] += d * d
        total = f32(0)
        for j in range(squares.size):
            e = f32(1) / (f32(1) + squares[j])
            total = add_f32(total, e)
            squares[j] = e * e
        for k in range(p.size):
            line, a, g = turned[k], p[k], f32(0)
            for j in range(line.size):
                g = add_f32(g, squares[j] * (a - line[j]))
            gradient[k] = f32(-4) * g
        return total

    @njit
    def kernel(x, turned, gradient, squares):
        for k in range(x.shape[1]):
            for i in range(x.shape[0]):
                turned[k, i] = x[i, k]
        total = 0.0
        for i in range(x.shape[0]):
            total += row(x[i], turned, gradient[i], squares)
        return total

    x = arrays[0]
    bufs = np.empty_like(x.T.copy()), np.empty_like(x), np.empty(x.shape[0], np.float32)
    return lambda: (kernel(x, *bufs), bufs[1])


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(energy, (0,), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(energy, (0,), arrays)
