"""A recursive filter of second order over 10,000 signals of 64 float64 samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

SAMPLES, SIGNALS = 64, 10_000
WORKLOAD = Workload("biquad filter, 64 samples × 10,000", "float64", roundings=2000)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    return [np.array([0.2, 0.3, 0.1, -0.5, 0.2]), rng.standard_normal((SAMPLES, SIGNALS))]


def loss(c, x):
    """Written with what all frameworks have: the mean square of what comes out."""
    s1 = s2 = 0.0 * x[0]
    total = 0.0
    for t in range(SAMPLES):
        y = c[0] * x[t] + s1
        s1 = c[1] * x[t] - c[3] * y + s2
        s2 = c[2] * x[t] - c[4] * y
        total = total + (y * y).mean()
    return total


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f64, njit

    @njit
    def forward(x, y, s1, s2, c0, c1, c2, c3, c4):
        total = 0.0
        for i in range(x.size):
            v = c0 * x[i] + s1[i]
            s1[i] = c1 * x[i] - c3 * v + s2[i]
            s2[i] = c2 * x[i] - c4 * v
            y[i] = v
            total = add_f64(total, v * v)
        return total

    @njit
    def backward(x, y, g1, g2, gx, factor, c0, c1, c2, c3, c4):
        t0, t1, t2, t3, t4 = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(x.size):
            gy = factor * y[i] - c3 * g1[i] - c4 * g2[i]
            t3 = add_f64(t3, -y[i] * g1[i])
            t4 = add_f64(t4, -y[i] * g2[i])
            t0 = add_f64(t0, x[i] * gy)
            t1 = add_f64(t1, x[i] * g1[i])
            t2 = add_f64(t2, x[i] * g2[i])
            gx[i] = c0 * gy + c1 * g1[i] + c2 * g2[i]
            g2[i] = g1[i]
            g1[i] = gy
        return t0, t1, t2, t3, t4

    @njit
    def kernel(c, x, gc, gx):
        gc[:] = 0.0
        block, n = 100, x.shape[1]
        y = np.empty((x.shape[0], block))
        total = 0.0
        for a in range(0, n, block):
            s1, s2 = np.zeros(block), np.zeros(block)
            for t in range(x.shape[0]):
                total += forward(x[t, a : a + block], y[t], s1, s2, c[0], c[1], c[2], c[3], c[4])
            g1, g2 = np.zeros(block), np.zeros(block)
            for t in range(x.shape[0] - 1, -1, -1):
                part = backward(
                    x[t, a : a + block], y[t], g1, g2, gx[t, a : a + block], 2.0 / n,
                    c[0], c[1], c[2], c[3], c[4],
                )  # fmt: skip
                for k in range(5):
                    gc[k] += part[k]
        return total / n

    gradients = [np.empty_like(a) for a in arrays]
    return lambda: (kernel(*arrays, *gradients), gradients)


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(loss, (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(loss, (0, 1), arrays)
