"""Exponential smoothing of 8,000 float32 series of 100 values, fitted to targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

STEPS, SERIES = 100, 8_000
WORKLOAD = Workload("exponential smoothing, 100 × 8,000", "float32", roundings=1000)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    series = [rng.standard_normal((STEPS, SERIES)).astype(np.float32) for _ in range(2)]
    return [np.array(0.7, np.float32), *series]


def loss(keep, x, target):
    """Written with what all frameworks have."""
    smooth, total = x[0], 0.0
    for t in range(STEPS):
        smooth = keep * smooth + (1.0 - keep) * x[t]
        error = smooth - target[t]
        total = total + (error * error).sum()
    return total


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    """All steps of some series, forwards and backwards, before the next."""
    from benchmarks.harness.hand import add_f32, f32, njit

    block = 400

    @njit
    def forward(before, after, x, target, error, keep):
        total = f32(0)
        for i in range(x.size):
            s = keep * before[i] + (f32(1) - keep) * x[i]
            e = s - target[i]
            after[i], error[i] = s, e
            total = add_f32(total, e * e)
        return total

    @njit
    def backward(g, error, before, x, gx, keep):
        total = f32(0)
        for i in range(x.size):
            h = g[i] + f32(2) * error[i]
            total = add_f32(total, h * (before[i] - x[i]))
            gx[i] = (f32(1) - keep) * h
            g[i] = keep * h
        return total

    @njit
    def kernel(keep, x, target, gx, smooth, error, g):
        total, gkeep = 0.0, 0.0
        for start in range(0, x.shape[1], block):
            end = min(start + block, x.shape[1])
            n = end - start
            smooth[0, :n] = x[0, start:end]
            for t in range(x.shape[0]):
                total += forward(smooth[t, :n], smooth[t + 1, :n], x[t, start:end],
                                 target[t, start:end], error[t, :n], keep)  # fmt: skip
            g[:] = f32(0)
            for t in range(x.shape[0] - 1, -1, -1):
                gkeep += backward(g[:n], error[t, :n], smooth[t, :n], x[t, start:end],
                                  gx[t, start:end], keep)  # fmt: skip
            gx[0, start:end] += g[:n]
        return total, gkeep

    keep, x, target = arrays
    gx, g = np.empty_like(x), np.empty(block, np.float32)
    smooth = np.empty((STEPS + 1, block), np.float32)
    error = np.empty((STEPS, block), np.float32)

    def run() -> Any:
        total, gkeep = kernel(keep[()], x, target, gx, smooth, error, g)
        return total, [gkeep, gx]

    return run


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(loss, (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(loss, (0, 1), arrays)
