"""Logistic regression over 1,000 rows of 4,096 float32 features: loss and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

ROWS, FEATURES = 1_000, 4_096
WORKLOAD = Workload("logistic regression, 1,000 × 4,096", "float32", roundings=100)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, FEATURES)).astype(np.float32)
    w = (rng.standard_normal(FEATURES) / np.sqrt(FEATURES)).astype(np.float32)
    y = (rng.random(ROWS) < 0.5).astype(np.float32)
    return [w, np.array(0.1, np.float32), x, y]


def program(ms: Any, arrays: Arrays) -> Run:
    ops = ms.ops

    def loss(w, b, x, y):
        z = ops.matmul(x, w) + b
        return (ops.log(1 + ops.exp(z)) - y * z).mean() + 0.01 * (w * w).sum()

    return peers.program_gradient(ms, loss, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f32, f32, njit

    @njit
    def kernel(w, b, x, y, gw):
        rows = x.shape[0]
        total, gb, norm = 0.0, f32(0), f32(0)
        for j in range(w.size):
            gw[j] = f32(0.02) * w[j]
            norm = add_f32(norm, w[j] * w[j])
        for r in range(rows):  # the row is in the cache when its gradient wants it
            row = x[r]
            z = f32(0)
            for j in range(row.size):
                z = add_f32(z, row[j] * w[j])
            z += b
            e = np.exp(-abs(z))
            total += max(z, f32(0)) + np.log1p(e) - y[r] * z
            p = f32(1) / (f32(1) + e)
            p = p if z >= f32(0) else f32(1) - p
            g = (p - y[r]) / f32(rows)
            gb += g
            for j in range(row.size):
                gw[j] += g * row[j]
        return f32(total / rows) + f32(0.01) * norm, gb

    w, b, x, y = arrays
    gw = np.empty_like(w)

    def run() -> Any:
        value, gb = kernel(w, np.float32(b), x, y, gw)
        return value, gw, gb

    return run


def jax(arrays: Arrays) -> Run:
    import jax.numpy as jnp

    def loss(w, b, x, y):
        z = x @ w + b
        return jnp.mean(jnp.logaddexp(0, z) - y * z) + 0.01 * jnp.sum(w * w)

    return peers.jax_gradient(loss, (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    def loss(w, b, x, y):
        z = x @ w + b
        return (torch.nn.functional.softplus(z) - y * z).mean() + 0.01 * (w * w).sum()

    return peers.torch_gradient(loss, (0, 1), arrays)
