"""Attention's softmax over 4,096 rows of 512 scores, with a bias, weighted: and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

ROWS, WIDTH = 4_096, 512
WORKLOAD = Workload("attention rows, 4,096 × 512", "float32", roundings=100)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    shapes = ((ROWS, WIDTH), (WIDTH,), (ROWS, WIDTH))
    scores, bias, values = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    return [8 * scores, bias, values]


def program(ms: Any, arrays: Arrays) -> Run:
    ops = ms.ops

    def loss(scores, bias, values):
        mixed = (ops.softmax(0.125 * scores + bias, -1) * values).sum(-1)
        return (mixed * mixed).sum()

    return peers.program_gradient(ms, loss, (0, 1, 2), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f32, exp_f32, f32, highest, njit

    @njit
    def row(scores, bias, values, gscores, gbias, gvalues):
        for j in range(scores.size):
            gscores[j] = f32(0.125) * scores[j] + bias[j]
        top = highest(gscores)
        s, m = f32(0), f32(0)
        for j in range(scores.size):
            e = exp_f32(gscores[j] - top)
            gscores[j] = e
            s = add_f32(s, e)
            m = add_f32(m, e * values[j])
        inverse = f32(1) / s
        mixed = m * inverse
        g = f32(2) * mixed
        for j in range(scores.size):
            p = gscores[j] * inverse
            gvalues[j] = g * p
            gz = g * p * (values[j] - mixed)
            gbias[j] += gz
            gscores[j] = f32(0.125) * gz
        return mixed * mixed

    @njit
    def kernel(scores, bias, values, gscores, gbias, gvalues):
        gbias[:] = f32(0)
        total = 0.0
        for r in range(scores.shape[0]):
            total += row(scores[r], bias, values[r], gscores[r], gbias, gvalues[r])
        return total

    gradients = [np.empty_like(a) for a in arrays]
    return lambda: (kernel(*arrays, *gradients), gradients)


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    def loss(scores, bias, values):
        mixed = jnp.sum(jax.nn.softmax(0.125 * scores + bias, -1) * values, -1)
        return jnp.sum(mixed * mixed)

    return peers.jax_gradient(loss, (0, 1, 2), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    def loss(scores, bias, values):
        mixed = (torch.softmax(0.125 * scores + bias, -1) * values).sum(-1)
        return (mixed * mixed).sum()

    return peers.torch_gradient(loss, (0, 1, 2), arrays)
