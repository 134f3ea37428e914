"""k-means: 20,000 points of 8 float32 coordinates, 32 centres: objective and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

POINTS, CENTRES, DIMENSIONS = 20_000, 32, 8
WORKLOAD = Workload("k-means, 20,000 × 8, 32 centres", "float32", roundings=200)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    shapes = ((CENTRES, DIMENSIONS), (POINTS, DIMENSIONS))
    return [rng.standard_normal(s).astype(np.float32) for s in shapes]


def program(ms: Any, arrays: Arrays) -> Run:
    def objective(centres, points):
        d = points[:, None, :] - centres[None, :, :]
        return ms.ops.amin((d * d).sum(-1), -1).sum()

    return peers.program_gradient(ms, objective, (0,), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import f32, njit

    @njit
    def kernel(centres, points, turned, gradient):
        gradient[:] = f32(0)
        for k in range(centres.shape[1]):
            for c in range(centres.shape[0]):
                turned[k, c] = centres[c, k]
        squares = np.empty(centres.shape[0], np.float32)
        total = 0.0
        for r in range(points.shape[0]):
            point = points[r]
            squares[:] = f32(0)
            for k in range(point.size):
                line, a = turned[k], point[k]
                for c in range(squares.size):
                    d = a - line[c]
                    squares[c] += d * d
            best, where = squares[0], 0
            for c in range(1, squares.size):
                if squares[c] < best:
                    best, where = squares[c], c
            total += best
            for k in range(point.size):
                gradient[where, k] += f32(2) * (centres[where, k] - point[k])
        return total

    centres, points = arrays
    bufs = np.empty_like(centres.T.copy()), np.empty_like(centres)
    return lambda: (kernel(centres, points, *bufs), bufs[1])


def jax(arrays: Arrays) -> Run:
    import jax.numpy as jnp

    def objective(centres, points):
        d = points[:, None, :] - centres[None, :, :]
        return jnp.sum(jnp.min(jnp.sum(d * d, -1), -1))

    return peers.jax_gradient(objective, (0,), arrays)


def torch(arrays: Arrays) -> Run:
    def objective(centres, points):
        d = points[:, None, :] - centres[None, :, :]
        return (d * d).sum(-1).min(-1).values.sum()

    return peers.torch_gradient(objective, (0,), arrays)
