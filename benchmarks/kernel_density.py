"""Log-density of 500 points under 2,000 Gaussians in the plane, float64: value and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

CENTRES, POINTS = 2_000, 500
WORKLOAD = Workload("kernel density, 500 × 2,000 × 2", "float64", roundings=2000)


def data() -> Arrays:
    """Centres, the logarithm of the width, points."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((CENTRES, 2)), np.array(-1.0), rng.standard_normal((POINTS, 2))]


def loss(exp, logsumexp):
    """Written with what all frameworks have, but for these two."""

    def minus_log_density(centres, width, points):
        d = points[:, None, :] - centres[None, :, :]
        terms = -0.5 * (d * d).sum(-1) * exp(-2.0 * width) - 2.0 * width
        return -logsumexp(terms, -1).mean()

    return minus_log_density


def program(ms: Any, arrays: Arrays) -> Run:
    return peers.program_gradient(ms, loss(ms.ops.exp, ms.ops.logsumexp), (0, 1), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f64, exp_f64, highest, njit

    @njit
    def weights(x, y, xs, ys, row, factor):
        for j in range(row.size):
            u, v = x - xs[j], y - ys[j]
            row[j] = factor * (u * u + v * v)
        top, total = highest(row), 0.0
        for j in range(row.size):
            row[j] = exp_f64(row[j] - top)
            total = add_f64(total, row[j])
        return top, total

    @njit
    def pull(x, y, xs, ys, gx, gy, row, share):
        squares = 0.0
        for j in range(row.size):
            u, v, w = x - xs[j], y - ys[j], row[j] * share
            gx[j] += w * u
            gy[j] += w * v
            squares = add_f64(squares, w * (u * u + v * v))
        return squares

    @njit
    def kernel(centres, width, points, gradient, turned, pulls, row):
        turned[:] = centres.T
        pulls[:] = 0.0
        total, squares, count = 0.0, 0.0, points.shape[0]
        factor = -0.5 * np.exp(-2.0 * width)
        for i in range(count):
            x, y = points[i]
            top, sum_ = weights(x, y, turned[0], turned[1], row, factor)
            total += top + np.log(sum_) - 2.0 * width
            squares += pull(x, y, turned[0], turned[1], pulls[0], pulls[1], row, 1.0 / sum_)
        for j in range(centres.shape[0]):
            for k in range(2):
                gradient[j, k] = 2.0 * factor / count * pulls[k, j]
        return -total / count, 2.0 * factor * squares / count + 2.0

    centres, width, points = arrays
    gradient, row = np.empty_like(centres), np.empty(CENTRES)
    turned, pulls = np.empty((2, CENTRES)), np.empty((2, CENTRES))

    def run() -> Any:
        value, of_width = kernel(centres, width[()], points, gradient, turned, pulls, row)
        return value, [gradient, of_width]

    return run


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    return peers.jax_gradient(loss(jnp.exp, jax.nn.logsumexp), (0, 1), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    return peers.torch_gradient(loss(torch.exp, torch.logsumexp), (0, 1), arrays)
