"""Linear least squares over 1,000 rows of 4,096 float32 features: loss and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

ROWS, FEATURES = 1_000, 4_096
WORKLOAD = Workload("least squares, 1,000 × 4,096", "float32", roundings=100)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, FEATURES)).astype(np.float32)
    w = (rng.standard_normal(FEATURES) / np.sqrt(FEATURES)).astype(np.float32)
    return [w, x, rng.standard_normal(ROWS).astype(np.float32)]


def loss(w, x, y):
    """Written with what all frameworks have."""
    e = x @ w - y
    return (e * e).mean()


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss, (0,), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f32, f32, njit

    @njit
    def kernel(w, x, y, gw):
        total = 0.0
        gw[:] = f32(0)
        for r in range(x.shape[0]):
            row = x[r]
            z = f32(0)
            for j in range(row.size):
                z = add_f32(z, row[j] * w[j])
            e = z - y[r]
            total += e * e
            g = f32(2) * e / f32(x.shape[0])
            for j in range(row.size):
                gw[j] += g * row[j]
        return total / x.shape[0]

    gw = np.empty_like(arrays[0])
    return lambda: (kernel(*arrays, gw), gw)


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(loss, (0,), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(loss, (0,), arrays)


def autograd(arrays: Arrays) -> Run:
    def plain(w, x, y):
        import autograd.numpy as np

        e = np.dot(x, w) - y
        return np.mean(e * e)

    return peers.autograd_gradient(plain, (0,), arrays)
