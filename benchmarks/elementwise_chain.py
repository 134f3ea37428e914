"""A fused elementwise chain over 1,000,000 float32: value and three gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

SIZE = 1_000_000
WORKLOAD = Workload("elementwise chain, 1,000,000", "float32", roundings=40, label="W1")


def data() -> Arrays:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(SIZE).astype(np.float32) for _ in range(3)]


def program(ms: Any, arrays: Arrays) -> Run:
    ops = ms.ops

    def loss(x, w, b):
        return (ops.tanh(x * w + b) * ops.sigmoid(x) + 0.1 * x * x).sum()

    return peers.program_gradient(ms, loss, (0, 1, 2), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f32, exp_f32, f32, njit

    @njit
    def kernel(x, w, b, gx, gw, gb):
        block, total = 4096, 0.0
        for start in range(0, x.size, block):
            stop = min(start + block, x.size)
            xs, ws, bs = x[start:stop], w[start:stop], b[start:stop]
            gxs, gws, gbs = gx[start:stop], gw[start:stop], gb[start:stop]
            part = f32(0)
            for i in range(xs.size):
                u = xs[i] * ws[i] + bs[i]
                e = exp_f32(f32(-2) * abs(u))
                t = (f32(1) - e) / (f32(1) + e)
                t = t if u >= f32(0) else -t
                s = f32(1) / (f32(1) + exp_f32(-xs[i]))
                part = add_f32(part, t * s + f32(0.1) * xs[i] * xs[i])
                d = (f32(1) - t * t) * s
                gxs[i] = d * ws[i] + t * s * (f32(1) - s) + f32(0.2) * xs[i]
                gws[i] = d * xs[i]
                gbs[i] = d
            total += part
        return total

    gradients = [np.empty_like(a) for a in arrays]
    return lambda: (kernel(*arrays, *gradients), gradients)


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    def loss(x, w, b):
        return jnp.sum(jnp.tanh(x * w + b) * jax.nn.sigmoid(x) + 0.1 * x * x)

    return peers.jax_gradient(loss, (0, 1, 2), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    def loss(x, w, b):
        return (torch.tanh(x * w + b) * torch.sigmoid(x) + 0.1 * x * x).sum()

    return peers.torch_gradient(loss, (0, 1, 2), arrays)


def autograd(arrays: Arrays) -> Run:
    import autograd.numpy as np

    def loss(x, w, b):
        return np.sum(np.tanh(x * w + b) / (1 + np.exp(-x)) + np.float32(0.1) * x * x)

    return peers.autograd_gradient(loss, (0, 1, 2), arrays)


def pytensor(arrays: Arrays) -> Run:
    from pytensor import tensor as pt

    def loss(x, w, b):
        return (pt.tanh(x * w + b) * pt.sigmoid(x) + 0.1 * x * x).sum()

    return peers.pytensor_gradient(loss, (0, 1, 2), arrays)
