"""100 steps of 10,000 van der Pol oscillators in float64, a loss of the ends, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

STEPS, COUNT, H = 100, 10_000, 0.01
WORKLOAD = Workload("van der Pol, 100 steps × 10,000", "float64", roundings=2000)


def data() -> Arrays:
    """Positions, speeds, and the damping of each."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(COUNT), rng.standard_normal(COUNT), rng.uniform(0.5, 2, COUNT)]


def loss(x, v, mu):
    """Written with what all frameworks have."""
    for _ in range(STEPS):
        v = v + H * (mu * (1.0 - x * x) * v - x)
        x = x + H * v
    return (x * x + v * v).sum()


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss, (0, 1, 2), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import njit

    @njit
    def forward(x, v, mu, next_x, next_v):
        for i in range(x.size):
            w = v[i] + H * (mu[i] * (1.0 - x[i] * x[i]) * v[i] - x[i])
            next_v[i] = w
            next_x[i] = x[i] + H * w

    @njit
    def backward(x, v, mu, gx, gv, gmu):
        for i in range(x.size):
            g = gv[i] + H * gx[i]
            q = 1.0 - x[i] * x[i]
            gmu[i] += g * H * q * v[i]
            gx[i] -= g * H * (2.0 * mu[i] * x[i] * v[i] + 1.0)
            gv[i] = g + g * H * mu[i] * q

    @njit
    def kernel(x, v, mu, gx, gv, gmu):
        block, total = 100, 0.0
        xs, vs = np.empty((STEPS + 1, block)), np.empty((STEPS + 1, block))
        for a in range(0, x.size, block):
            m = mu[a : a + block]
            xs[0] = x[a : a + block]
            vs[0] = v[a : a + block]
            for t in range(STEPS):
                forward(xs[t], vs[t], m, xs[t + 1], vs[t + 1])
            px, pv, pm = gx[a : a + block], gv[a : a + block], gmu[a : a + block]
            for i in range(block):
                total += xs[STEPS, i] ** 2 + vs[STEPS, i] ** 2
                px[i], pv[i], pm[i] = 2.0 * xs[STEPS, i], 2.0 * vs[STEPS, i], 0.0
            for t in range(STEPS - 1, -1, -1):
                backward(xs[t], vs[t], m, px, pv, pm)
        return total

    gradients = [np.empty_like(a) for a in arrays]
    return lambda: (kernel(*arrays, *gradients), gradients)


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(loss, (0, 1, 2), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(loss, (0, 1, 2), arrays)
