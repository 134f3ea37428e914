"""A filter of 32 taps over 500 signals of 2,000 float32 samples, fitted to a target."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

SIGNALS, SAMPLES, TAPS = 500, 2_000, 32
WORKLOAD = Workload("FIR filter, 32 taps over 500 × 2,000", "float32", roundings=100)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    shapes = ((TAPS,), (SIGNALS, SAMPLES + TAPS - 1), (SIGNALS, SAMPLES))
    return [rng.standard_normal(s).astype(np.float32) for s in shapes]


def loss(taps, x, target):
    """Written with what all frameworks have."""
    y = 0.0
    for k in range(TAPS):
        y = y + taps[k] * x[:, k : k + SAMPLES]
    e = y - target
    return (e * e).mean()


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f32, f32, njit

    @njit
    def row(taps, x, target, gtaps, gx, e, factor):
        total = f32(0)
        for t in range(0, e.size, 250):
            part, goal = e[t : t + 250], target[t : t + 250]
            for i in range(part.size):
                part[i] = -goal[i]
            for k in range(TAPS):
                weight, moved = taps[k], x[t + k : t + k + 250]
                for i in range(part.size):
                    part[i] += weight * moved[i]
            for i in range(part.size):
                total = add_f32(total, part[i] * part[i])
                part[i] *= factor
            for k in range(TAPS):
                weight, moved = taps[k], x[t + k : t + k + 250]
                out, s = gx[t + k : t + k + 250], f32(0)
                for i in range(part.size):
                    s = add_f32(s, part[i] * moved[i])
                    out[i] += part[i] * weight
                gtaps[k] += s
        return total

    @njit
    def kernel(taps, x, target, gtaps, gx, e):
        gtaps[:] = f32(0)
        gx[:] = f32(0)
        total = 0.0
        for r in range(x.shape[0]):
            total += row(taps, x[r], target[r], gtaps, gx[r], e, f32(2) / f32(target.size))
        return total / target.size

    taps, x, target = arrays
    gradients = [np.empty_like(taps), np.empty_like(x)]
    e = np.empty(SAMPLES, np.float32)
    return lambda: (kernel(taps, x, target, *gradients, e), gradients)


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(loss, (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(loss, (0, 1), arrays)
