"""Log-likelihood of 20,000 rows of 64 float64 under a diagonal Gaussian: value and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

ROWS, WIDTH = 20_000, 64
WORKLOAD = Workload("Gaussian log-likelihood, 20,000 × 64", "float64", roundings=2000)

HALF_LOG_TAU = 0.9189385332046727


def data() -> Arrays:
    rng = np.random.default_rng(0)
    shapes = ((WIDTH,), (WIDTH,), (ROWS, WIDTH))
    return [0.3 * rng.standard_normal(s) for s in shapes]


def program(ms: Any, arrays: Arrays) -> Run:
    ops = ms.ops

    def likelihood(mean, log_sigma, x):
        z = (x - mean) / ops.exp(log_sigma)
        return (-0.5 * z * z - log_sigma - HALF_LOG_TAU).sum()

    return peers.program_gradient(ms, likelihood, (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import njit

    @njit
    def row(x, mean, inverse, gmean, gsigma):
        for j in range(x.size):
            z = (x[j] - mean[j]) * inverse[j]
            gmean[j] += z
            gsigma[j] += z * z

    @njit
    def kernel(mean, log_sigma, x, gmean, gsigma):
        inverse = np.exp(-log_sigma)
        gmean[:] = 0.0
        gsigma[:] = 0.0
        for r in range(x.shape[0]):
            row(x[r], mean, inverse, gmean, gsigma)
        value = 0.0
        for j in range(mean.size):
            value -= 0.5 * gsigma[j] + x.shape[0] * (log_sigma[j] + HALF_LOG_TAU)
            gmean[j] *= inverse[j]
            gsigma[j] -= x.shape[0]
        return value

    gradients = [np.empty_like(a) for a in arrays[:2]]
    return lambda: (kernel(*arrays, *gradients), gradients)


def jax(arrays: Arrays) -> Run:
    import jax.numpy as jnp

    def likelihood(mean, log_sigma, x):
        z = (x - mean) / jnp.exp(log_sigma)
        return jnp.sum(-0.5 * z * z - log_sigma - HALF_LOG_TAU)

    return peers.jax_gradient(likelihood, (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    def likelihood(mean, log_sigma, x):
        z = (x - mean) / torch.exp(log_sigma)
        return (-0.5 * z * z - log_sigma - HALF_LOG_TAU).sum()

    return peers.torch_gradient(likelihood, (0, 1), arrays)
