"""A scalar recursion of about a thousand steps whose end depends on the data, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

WORKLOAD = Workload("while, 1,000 scalar steps", "float64", roundings=20_000)


def data() -> Arrays:
    """Where it starts, and how fast it goes; it ends after 1,000 steps."""
    return [np.array(1.0), np.array(0.0137)]


def loss(x, a):
    """Written with what all frameworks have, but that JAX has no gradient of it."""
    while x > 1e-3:
        x = x - a * x * (0.5 + x * x) / (1.0 + x * x)
    return x


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import njit

    @njit
    def kernel(x, a, tape):
        k = 0
        while x > 1e-3:
            if k == tape.size:
                tape = np.append(tape, tape)
            tape[k] = x
            k += 1
            x = x - a * x * (0.5 + x * x) / (1.0 + x * x)
        g, ga = 1.0, 0.0
        for i in range(k - 1, -1, -1):
            y = tape[i]
            q = 1.0 / (1.0 + y * y)
            top = y * (0.5 + y * y)
            ga -= g * top * q
            g -= g * a * ((0.5 + 3.0 * y * y) - top * q * 2.0 * y) * q
        return x, g, ga

    tape = np.empty(4096)

    def run() -> Any:
        value, *gradients = kernel(float(arrays[0]), float(arrays[1]), tape)
        return value, gradients

    return run


def torch(arrays: Arrays) -> Run:
    return peers.torch_gradient(loss, (0, 1), arrays)
