"""10,000 Runge-Kutta steps of the Lorenz system in float64, and the gradient in six numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

STEPS, H = 10_000, 2e-4
WORKLOAD = Workload("Lorenz, 10,000 RK4 steps", "float64", roundings=1_000_000, label="W9a")


def data() -> Arrays:
    """The first state, and the system's three parameters."""
    return [np.ones(3), np.array([10.0, 28.0, 8.0 / 3.0])]


def speed(x, y, z, p):
    return p[0] * (y - x), x * (p[1] - z) - y, x * y - p[2] * z


def moved(state, k, h):
    return tuple(a + h * b for a, b in zip(state, k, strict=True))


def step(state, p):
    """Written with what all frameworks have."""
    k1 = speed(*state, p)
    k2 = speed(*moved(state, k1, 0.5 * H), p)
    k3 = speed(*moved(state, k2, 0.5 * H), p)
    k4 = speed(*moved(state, k3, H), p)
    rows = zip(state, k1, k2, k3, k4, strict=True)
    return tuple(s + (H / 6) * (a + 2.0 * b + 2.0 * c + d) for s, a, b, c, d in rows)


def loss(s, p):
    state = s[0], s[1], s[2]
    for _ in range(STEPS):
        state = step(state, p)
    x, y, z = state
    return x * x + y * y + z * z


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    """Records the state of each step, and computes the rest of a step again on the way back."""
    from benchmarks.harness.hand import inlined, njit

    @inlined
    def f(x, y, z, a, b, c):
        return a * (y - x), x * (b - z) - y, x * y - c * z

    @inlined
    def back(x, y, z, a, b, c, u, v, w):
        return b * v - z * v - a * u + y * w, a * u - v + x * w, -x * v - c * w

    @inlined
    def factors(x, y, z, u, v, w):
        return (y - x) * u, x * v, -z * w

    @njit
    def kernel(s, p, tape, gs, gp):
        x, y, z, a, b, c = s[0], s[1], s[2], p[0], p[1], p[2]
        h, m = 0.5 * H, H / 6
        for k in range(STEPS):
            tape[k, 0], tape[k, 1], tape[k, 2] = x, y, z
            x1, y1, z1 = f(x, y, z, a, b, c)
            x2, y2, z2 = f(x + h * x1, y + h * y1, z + h * z1, a, b, c)
            x3, y3, z3 = f(x + h * x2, y + h * y2, z + h * z2, a, b, c)
            x4, y4, z4 = f(x + H * x3, y + H * y3, z + H * z3, a, b, c)
            x += m * (x1 + 2.0 * x2 + 2.0 * x3 + x4)
            y += m * (y1 + 2.0 * y2 + 2.0 * y3 + y4)
            z += m * (z1 + 2.0 * z2 + 2.0 * z3 + z4)
        total = x * x + y * y + z * z
        u, v, w, ga, gb, gc = 2.0 * x, 2.0 * y, 2.0 * z, 0.0, 0.0, 0.0
        for k in range(STEPS - 1, -1, -1):
            x, y, z = tape[k, 0], tape[k, 1], tape[k, 2]
            x1, y1, z1 = f(x, y, z, a, b, c)
            p1, q1, r1 = x + h * x1, y + h * y1, z + h * z1
            x2, y2, z2 = f(p1, q1, r1, a, b, c)
            p2, q2, r2 = x + h * x2, y + h * y2, z + h * z2
            x3, y3, z3 = f(p2, q2, r2, a, b, c)
            p3, q3, r3 = x + H * x3, y + H * y3, z + H * z3
            u4, v4, w4 = m * u, m * v, m * w
            i3, j3, l3 = back(p3, q3, r3, a, b, c, u4, v4, w4)
            u3, v3, w3 = 2.0 * u4 + H * i3, 2.0 * v4 + H * j3, 2.0 * w4 + H * l3
            i2, j2, l2 = back(p2, q2, r2, a, b, c, u3, v3, w3)
            u2, v2, w2 = 2.0 * u4 + h * i2, 2.0 * v4 + h * j2, 2.0 * w4 + h * l2
            i1, j1, l1 = back(p1, q1, r1, a, b, c, u2, v2, w2)
            u1, v1, w1 = u4 + h * i1, v4 + h * j1, w4 + h * l1
            i0, j0, l0 = back(x, y, z, a, b, c, u1, v1, w1)
            a4, b4, c4 = factors(p3, q3, r3, u4, v4, w4)
            a3, b3, c3 = factors(p2, q2, r2, u3, v3, w3)
            a2, b2, c2 = factors(p1, q1, r1, u2, v2, w2)
            a1, b1, c1 = factors(x, y, z, u1, v1, w1)
            ga, gb, gc = ga + a1 + a2 + a3 + a4, gb + b1 + b2 + b3 + b4, gc + c1 + c2 + c3 + c4
            u, v, w = u + i0 + i1 + i2 + i3, v + j0 + j1 + j2 + j3, w + l0 + l1 + l2 + l3
        gs[0], gs[1], gs[2] = u, v, w
        gp[0], gp[1], gp[2] = ga, gb, gc
        return total

    tape, gradients = np.empty((STEPS, 3)), [np.empty(3), np.empty(3)]
    return lambda: (kernel(*arrays, tape, *gradients), gradients)


def jax(arrays: Arrays) -> Run:
    from jax import lax

    def scanned(s, p):
        start = s[0], s[1], s[2]
        (x, y, z), _ = lax.scan(lambda state, _: (step(state, p), None), start, None, length=STEPS)
        return x * x + y * y + z * z

    return peers.jax_gradient(scanned, (0, 1), arrays)
