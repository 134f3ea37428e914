"""Rosenbrock's function of ten numbers and its gradient: what a call costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

WORKLOAD = Workload("Rosenbrock, 10 numbers", "float64", roundings=60, label="W8a")


def data() -> Arrays:
    return [np.linspace(-1, 1, 10) + 0.3]


def rosenbrock(x):
    """Written with what all frameworks have."""
    a = x[1:] - x[:-1] * x[:-1]
    b = 1.0 - x[:-1]
    return (100.0 * a * a + b * b).sum()


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, rosenbrock, (0,), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import njit

    @njit
    def kernel(x):
        gradient, total = np.zeros(x.size), 0.0
        for i in range(x.size - 1):
            a, b = x[i + 1] - x[i] * x[i], 1.0 - x[i]
            total += 100.0 * a * a + b * b
            gradient[i + 1] += 200.0 * a
            gradient[i] -= 400.0 * a * x[i] + 2.0 * b
        return total, gradient

    return lambda: kernel(*arrays)


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(rosenbrock, (0,), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(rosenbrock, (0,), arrays)


def autograd(arrays: Arrays) -> Run:
    return peers.autograd_gradient(rosenbrock, (0,), arrays)


def pytensor(arrays: Arrays) -> Run:
    return peers.pytensor_gradient(rosenbrock, (0,), arrays)
