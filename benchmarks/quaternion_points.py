"""200,000 points turned by quaternions that are normalized first, and compared with others."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

POINTS = 200_000
WORKLOAD = Workload("points turned by quaternions, 200,000", "float32", roundings=100)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((POINTS, n)).astype(np.float32) for n in (4, 3, 3)]


def turned(q, p):
    """The coordinates of p + 2 w (v × p) + 2 v × (v × p), for q = (w, v)."""
    w, x, y, z = q[:, 0], q[:, 1], q[:, 2], q[:, 3]
    a, b, c = p[:, 0], p[:, 1], p[:, 2]
    u, v, t = 2.0 * (y * c - z * b), 2.0 * (z * a - x * c), 2.0 * (x * b - y * a)
    return a + w * u + y * t - z * v, b + w * v + z * u - x * t, c + w * t + x * v - y * u


def program(ms: Any, arrays: Arrays) -> Run:
    ops = ms.ops

    def loss(q, p, target):
        q = q / ops.sqrt((q * q).sum(-1, keepdims=True))
        e = ops.stack(turned(q, p), -1) - target
        return (e * e).sum()

    return peers.program_gradient(ms, loss, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    """Columns of 64 points at a time: a loop over these fills vectors."""
    from benchmarks.harness.hand import add_f32, f32, njit

    block = 64

    @njit
    def points(at, to):
        total, two = f32(0), f32(2)
        for i in range(block):
            w, x, y, z = at[i], at[64 + i], at[128 + i], at[192 + i]
            a, b, c = at[256 + i], at[320 + i], at[384 + i]
            r = f32(1) / np.sqrt(w * w + x * x + y * y + z * z)
            w, x, y, z = w * r, x * r, y * r, z * r
            u, v, t = two * (y * c - z * b), two * (z * a - x * c), two * (x * b - y * a)
            e = a + w * u + y * t - z * v - at[448 + i]
            f = b + w * v + z * u - x * t - at[512 + i]
            g = c + w * t + x * v - y * u - at[576 + i]
            total = add_f32(total, e * e + f * f + g * g)
            e, f, g = two * e, two * f, two * g
            gw = e * u + f * v + g * t
            hx = two * (w * e + f * z - g * y)
            hy = two * (w * f + g * x - e * z)
            hz = two * (w * g + e * y - f * x)
            gx = v * g - t * f + b * hz - c * hy
            gy = t * e - u * g + c * hx - a * hz
            gz = u * f - v * e + a * hy - b * hx
            d = w * gw + x * gx + y * gy + z * gz
            to[i], to[64 + i] = r * (gw - w * d), r * (gx - x * d)
            to[128 + i], to[192 + i] = r * (gy - y * d), r * (gz - z * d)
            to[256 + i] = e + hy * z - hz * y
            to[320 + i] = f + hz * x - hx * z
            to[384 + i] = g + hx * y - hy * x
        return total

    @njit
    def kernel(q, p, target, gq, gp, at, to):
        total = 0.0
        for start in range(0, q.shape[0], block):  # POINTS are whole blocks
            for i in range(block):
                for k in range(4):
                    at[k * block + i] = q[start + i, k]
                for k in range(3):
                    at[(4 + k) * block + i] = p[start + i, k]
                    at[(7 + k) * block + i] = target[start + i, k]
            total += points(at, to)
            for i in range(block):
                for k in range(4):
                    gq[start + i, k] = to[k * block + i]
                for k in range(3):
                    gp[start + i, k] = to[(4 + k) * block + i]
        return total

    gradients = [np.empty_like(a) for a in arrays[:2]]
    at, to = np.empty(10 * block, np.float32), np.empty(7 * block, np.float32)
    return lambda: (kernel(*arrays, *gradients, at, to), gradients)


def jax(arrays: Arrays) -> Run:
    import jax.numpy as jnp

    def loss(q, p, target):
        q = q / jnp.sqrt(jnp.sum(q * q, -1, keepdims=True))
        e = jnp.stack(turned(q, p), -1) - target
        return jnp.sum(e * e)

    return peers.jax_gradient(loss, (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    def loss(q, p, target):
        q = q / torch.sqrt((q * q).sum(-1, keepdims=True))
        e = torch.stack(turned(q, p), -1) - target
        return (e * e).sum()

    return peers.torch_gradient(loss, (0, 1), arrays)
