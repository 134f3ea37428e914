"""x * x * y of two numbers, and both derivatives: the least that a call can cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

WORKLOAD = Workload("x * x * y, scalars", "float64", roundings=8, label="W8b")


def data() -> Arrays:
    return [np.array(2.0), np.array(3.0)]


def product(x, y):
    """The same text for all."""
    return x * x * y


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, product, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import njit

    @njit
    def kernel(x, y):
        return x * x * y, 2.0 * x * y, x * x

    x, y = (float(a) for a in arrays)
    return lambda: kernel(x, y)


def jax(arrays: Arrays) -> Run:
    return peers.jax_gradient(product, (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(product, (0, 1), arrays)


def autograd(arrays: Arrays) -> Run:
    return peers.autograd_gradient(product, (0, 1), [float(a) for a in arrays])


def pytensor(arrays: Arrays) -> Run:
    return peers.pytensor_gradient(product, (0, 1), arrays)
