"""RMS norm over 4,096 rows of 1,024 float32, against a target: forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

ROWS, WIDTH = 4_096, 1_024
WORKLOAD = Workload("RMS norm, 4,096 × 1,024", "float32", roundings=100)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    shapes = ((ROWS, WIDTH), (WIDTH,), (ROWS, WIDTH))
    return [rng.standard_normal(s).astype(np.float32) for s in shapes]


def program(ms: Any, arrays: Arrays) -> Run:
    ops = ms.ops

    def loss(x, gamma, target):
        scale = ops.rsqrt((x * x).mean(-1, keep_dims=True) + 1e-6)
        e = x * scale * gamma - target
        return (e * e).mean()

    return peers.program_gradient(ms, loss, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f32, f32, njit

    @njit
    def row(x, gamma, target, gx, ggamma, factor):
        width = f32(x.size)
        s = f32(0)
        for j in range(x.size):
            s = add_f32(s, x[j] * x[j])
        scale = f32(1) / np.sqrt(s / width + f32(1e-6))
        total, dot = f32(0), f32(0)
        for j in range(x.size):
            n = x[j] * scale
            e = n * gamma[j] - target[j]
            total = add_f32(total, e * e)
            g = factor * e
            ggamma[j] += g * n
            gn = g * gamma[j]
            dot = add_f32(dot, gn * n)
            gx[j] = gn
        dot = dot / width
        for j in range(x.size):
            gx[j] = scale * (gx[j] - x[j] * scale * dot)
        return total

    @njit
    def kernel(x, gamma, target, gx, ggamma):
        ggamma[:] = f32(0)
        total = 0.0
        for r in range(x.shape[0]):
            total += row(x[r], gamma, target[r], gx[r], ggamma, f32(2) / f32(x.size))
        return total / x.size

    gradients = [np.empty_like(a) for a in arrays[:2]]
    return lambda: (kernel(*arrays, *gradients), gradients)


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    def loss(x, gamma, target):
        scale = jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6)
        e = x * scale * gamma - target
        return jnp.mean(e * e)

    return peers.jax_gradient(loss, (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    def loss(x, gamma, target):
        e = torch.nn.functional.rms_norm(x, (WIDTH,), gamma, 1e-6) - target
        return (e * e).mean()

    return peers.torch_gradient(loss, (0, 1), arrays)
