"""Layer norm, GELU and a residual over 4,096 rows of 768 float32: forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

ROWS, WIDTH = 4_096, 768
WORKLOAD = Workload("layer norm + GELU + residual, 4,096 × 768", "float32", roundings=200)

ROOT_HALF = 0.7071067811865476
ROOT_TAU = 2.5066282746310002


def data() -> Arrays:
    rng = np.random.default_rng(0)
    shapes = ((ROWS, WIDTH), (ROWS, WIDTH), (WIDTH,), (WIDTH,))
    x, residual, gamma, beta = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    return [x, residual, 1 + np.float32(0.1) * gamma, beta]


def program(ms: Any, arrays: Arrays) -> Run:
    ops = ms.ops

    def loss(x, residual, gamma, beta):
        mean = x.mean(-1, keep_dims=True)
        centred = x - mean
        variance = (centred * centred).mean(-1, keep_dims=True)
        normal = centred / ops.sqrt(variance + 1e-5)
        y = ops.gelu(normal * gamma + beta, approximate="none") + residual
        return 0.5 * (y * y).sum()

    return peers.program_gradient(ms, loss, (0, 1, 2, 3), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f32, erf_f32, exp_f32, f32, njit

    @njit
    def row(x, res, gamma, beta, gx, gres, ggamma, gbeta, normal):
        width = f32(x.size)
        s = f32(0)
        for j in range(x.size):
            s = add_f32(s, x[j])
        mean = s / width
        s = f32(0)
        for j in range(x.size):
            d = x[j] - mean
            s = add_f32(s, d * d)
        scale = f32(1) / np.sqrt(s / width + f32(1e-5))
        total, s1, s2 = f32(0), f32(0), f32(0)
        for j in range(x.size):
            n = (x[j] - mean) * scale
            u = n * gamma[j] + beta[j]
            p = f32(0.5) * (f32(1) + erf_f32(u * f32(ROOT_HALF)))
            y = u * p + res[j]
            total = add_f32(total, y * y)
            gres[j] = y
            gu = y * (p + u * exp_f32(f32(-0.5) * u * u) * f32(1 / ROOT_TAU))
            gbeta[j] += gu
            ggamma[j] += gu * n
            gn = gu * gamma[j]
            s1 = add_f32(s1, gn)
            s2 = add_f32(s2, gn * n)
            gx[j] = gn
            normal[j] = n
        s1, s2 = s1 / width, s2 / width
        for j in range(x.size):
            gx[j] = scale * (gx[j] - s1 - normal[j] * s2)
        return total

    @njit
    def kernel(x, res, gamma, beta, gx, gres, ggamma, gbeta, normal):
        ggamma[:] = f32(0)
        gbeta[:] = f32(0)
        total = 0.0
        for r in range(x.shape[0]):
            total += row(x[r], res[r], gamma, beta, gx[r], gres[r], ggamma, gbeta, normal)
        return 0.5 * total

    gradients = [np.empty_like(a) for a in arrays]
    normal = np.empty(WIDTH, np.float32)
    return lambda: (kernel(*arrays, *gradients, normal), gradients)


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    def loss(x, residual, gamma, beta):
        centred = x - jnp.mean(x, -1, keepdims=True)
        variance = jnp.mean(centred * centred, -1, keepdims=True)
        normal = centred / jnp.sqrt(variance + 1e-5)
        y = jax.nn.gelu(normal * gamma + beta, approximate=False) + residual
        return 0.5 * jnp.sum(y * y)

    return peers.jax_gradient(loss, (0, 1, 2, 3), arrays)


def torch(arrays: Arrays) -> Run:
    from torch.nn import functional

    def loss(x, residual, gamma, beta):
        y = functional.gelu(functional.layer_norm(x, (WIDTH,), gamma, beta, 1e-5)) + residual
        return 0.5 * (y * y).sum()

    return peers.torch_gradient(loss, (0, 1, 2, 3), arrays)
