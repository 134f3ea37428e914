"""Group normalization and SiLU of 32 images of 64 channels, 24 × 24: value and three gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

IMAGES, CHANNELS, PLACES, GROUPS = 32, 64, 24 * 24, 8
WORKLOAD = Workload("group norm + SiLU, 32 × 64 × 24 × 24", "float32", roundings=2000)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    images = (IMAGES, CHANNELS, 24, 24)
    shapes = (images, (CHANNELS,), (CHANNELS,), images)
    return [rng.standard_normal(s).astype(np.float32) for s in shapes]


def loss(silu):
    """Written with what all frameworks have, but for `silu`."""

    def weighted(x, gain, shift, weight):
        groups = x.reshape(IMAGES, GROUPS, -1)
        centred = groups - groups.mean(2)[:, :, None]
        deviation = ((centred * centred).mean(2)[:, :, None] + 1e-5) ** 0.5
        normal = (centred / deviation).reshape(x.shape)
        y = normal * gain.reshape(1, CHANNELS, 1, 1) + shift.reshape(1, CHANNELS, 1, 1)
        return (silu(y) * weight).sum()

    return weighted


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss(ms.ops.silu), (0, 1, 2), arrays)


def hand(arrays: Arrays) -> Run:
    """One group after the other, which stays in the cache."""
    from benchmarks.harness.hand import add_f32, exp_f32, f32, njit

    @njit
    def mean_and_inverse(x):
        mean, square, count = f32(0), f32(0), f32(x.size)
        for j in range(x.size):
            mean = add_f32(mean, x[j])
        mean /= count
        for j in range(x.size):
            square = add_f32(square, (x[j] - mean) * (x[j] - mean))
        return mean, f32(1) / np.sqrt(square / count + f32(1e-5))

    @njit
    def channel(x, weight, gx, gain, shift, mean, inverse):
        total, of_gain, of_shift = f32(0), f32(0), f32(0)
        for j in range(x.size):
            normal = (x[j] - mean) * inverse
            y = normal * gain + shift
            s = f32(1) / (f32(1) + exp_f32(-y))
            total = add_f32(total, y * s * weight[j])
            g = weight[j] * s * (f32(1) + y * (f32(1) - s))
            of_shift = add_f32(of_shift, g)
            of_gain = add_f32(of_gain, g * normal)
            gx[j] = g * gain
        return total, of_gain, of_shift

    @njit
    def finish(x, gx, mean, inverse, first, second):
        for j in range(x.size):
            gx[j] = inverse * (gx[j] - first - (x[j] - mean) * inverse * second)

    @njit
    def kernel(x, gain, shift, weight, gx, ggain, gshift):
        ggain[:], gshift[:] = f32(0), f32(0)
        total, many = 0.0, x.shape[1] // GROUPS
        for i in range(x.shape[0]):
            for start in range(0, x.shape[1], many):
                flat, out = x[i, start : start + many], gx[i, start : start + many]
                mean, inverse = mean_and_inverse(flat.reshape(-1))
                first, second, count = f32(0), f32(0), f32(flat.size)
                for k in range(many):
                    c = start + k
                    t, a, b = channel(x[i, c], weight[i, c], gx[i, c], gain[c], shift[c], mean,
                                      inverse)  # fmt: skip
                    total += t
                    ggain[c] += a
                    gshift[c] += b
                    first += b * gain[c] / count
                    second += a * gain[c] / count
                finish(flat.reshape(-1), out.reshape(-1), mean, inverse, first, second)
        return total

    flat = (IMAGES, CHANNELS, PLACES)
    x, gain, shift, weight = arrays
    gradients = [np.empty_like(a) for a in arrays[:3]]
    out = gradients[0].reshape(flat)
    given = x.reshape(flat), gain, shift, weight.reshape(flat)
    return lambda: (kernel(*given, out, *gradients[1:]), gradients)


def jax(arrays: Arrays) -> Run:
    from jax.nn import silu

    return peers.jax_gradient(loss(silu), (0, 1, 2), arrays)


def torch(arrays: Arrays) -> Run:
    from torch.nn.functional import silu

    return peers.torch_gradient(loss(silu), (0, 1, 2), arrays)
