"""Batch normalization and ReLU of 8,192 rows of 128 float32: value and three gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

ROWS, WIDTH = 8_192, 128
WORKLOAD = Workload("batch norm + ReLU, 8,192 × 128", "float32", roundings=2000)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    shapes = ((ROWS, WIDTH), (WIDTH,), (WIDTH,), (ROWS, WIDTH))
    return [rng.standard_normal(s).astype(np.float32) for s in shapes]


def loss(relu):
    """Written with what all frameworks have, but for `relu`."""

    def weighted(x, gain, shift, weight):
        centred = x - x.mean(0)
        deviation = ((centred * centred).mean(0) + 1e-5) ** 0.5
        return (relu(centred / deviation * gain + shift) * weight).sum()

    return weighted


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss(ms.ops.relu), (0, 1, 2), arrays)


def hand(arrays: Arrays) -> Run:
    """Two passes for mean and variance, one for all that is summed, one for what is left."""
    from benchmarks.harness.hand import add_f32, f32, njit

    @njit
    def add_row(x, mean):
        for j in range(x.size):
            mean[j] += x[j]

    @njit
    def add_squares(x, mean, variance):
        for j in range(x.size):
            variance[j] += (x[j] - mean[j]) * (x[j] - mean[j])

    @njit
    def sums(x, gain, shift, weight, mean, inverse, ggain, gshift):
        total = f32(0)
        for j in range(x.size):
            normal = (x[j] - mean[j]) * inverse[j]
            y = normal * gain[j] + shift[j]
            g = weight[j] if y > 0 else f32(0)
            total = add_f32(total, y * g)
            gshift[j] += g
            ggain[j] += g * normal
        return total

    @njit
    def rest(x, gain, shift, weight, mean, inverse, ggain, gshift, gx, share):
        for j in range(x.size):
            normal = (x[j] - mean[j]) * inverse[j]
            g = weight[j] if normal * gain[j] + shift[j] > 0 else f32(0)
            g -= share * (gshift[j] + normal * ggain[j])
            gx[j] = g * gain[j] * inverse[j]

    @njit
    def kernel(x, gain, shift, weight, gx, ggain, gshift, mean, inverse):
        rows, share = x.shape[0], f32(1) / f32(x.shape[0])
        mean[:], inverse[:], ggain[:], gshift[:] = f32(0), f32(0), f32(0), f32(0)
        for r in range(rows):
            add_row(x[r], mean)
        for j in range(mean.size):
            mean[j] *= share
        for r in range(rows):
            add_squares(x[r], mean, inverse)
        for j in range(mean.size):
            inverse[j] = f32(1) / np.sqrt(inverse[j] * share + f32(1e-5))
        total = 0.0
        for r in range(rows):
            total += sums(x[r], gain, shift, weight[r], mean, inverse, ggain, gshift)
        for r in range(rows):
            rest(x[r], gain, shift, weight[r], mean, inverse, ggain, gshift, gx[r], share)
        return total

    gradients = [np.empty_like(a) for a in arrays[:3]]
    statistics = [np.empty_like(arrays[1]) for _ in range(2)]
    return lambda: (kernel(*arrays, *gradients, *statistics), gradients)


def jax(arrays: Arrays) -> Run:
    from jax.nn import relu

    return peers.jax_gradient(loss(relu), (0, 1, 2), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    return peers.torch_gradient(loss(torch.relu), (0, 1, 2), arrays)
