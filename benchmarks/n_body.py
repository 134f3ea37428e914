"""The potential of 800 bodies in float64, and the forces on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

BODIES = 800
WORKLOAD = Workload("n-body potential, 800", "float64", roundings=2000)


def data() -> Arrays:
    """Places (BODIES, 3) and masses."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((BODIES, 3)), rng.random(BODIES)]


def potential(x, mass):
    """Written with what all frameworks have; distances are softened."""
    d = x[:, None, :] - x[None, :, :]
    distance = ((d * d).sum(-1) + 0.01) ** 0.5
    return -0.5 * (mass[:, None] * mass[None, :] / distance).sum()


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, potential, (0,), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f64, njit

    @njit
    def pulls(x, y, z, xs, ys, zs, mass):
        energy = gx = gy = gz = 0.0
        for j in range(mass.size):
            u, v, w = x - xs[j], y - ys[j], z - zs[j]
            inverse = 1.0 / np.sqrt(u * u + v * v + w * w + 0.01)
            pull = mass[j] * inverse
            energy = add_f64(energy, pull)
            pull *= inverse * inverse
            gx = add_f64(gx, pull * u)
            gy = add_f64(gy, pull * v)
            gz = add_f64(gz, pull * w)
        return energy, gx, gy, gz

    @njit
    def kernel(x, mass, gradient, turned):
        turned[:] = x.T
        total = 0.0
        for i in range(mass.size):
            energy, gx, gy, gz = pulls(x[i, 0], x[i, 1], x[i, 2], turned[0], turned[1], turned[2],
                                       mass)  # fmt: skip
            total += mass[i] * energy
            gradient[i, 0], gradient[i, 1], gradient[i, 2] = (
                mass[i] * gx,
                mass[i] * gy,
                mass[i] * gz,
            )
        return -0.5 * total

    gradient, turned = np.empty_like(arrays[0]), np.empty((3, BODIES))
    return lambda: (kernel(*arrays, gradient, turned), gradient)


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(potential, (0,), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(potential, (0,), arrays)
