"""ADBench's Gaussian mixture: d = 10, K = 25, 10,000 points in float64: objective and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

D, K, N = 10, 25, 10_000
BELOW = D * (D - 1) // 2
WORKLOAD = Workload("Gaussian mixture, 10,000 points", "float64", roundings=2000, label="W10a")

# Where the numbers below the diagonal stand in a parameter row, and which entries are below it.
PLACE = np.zeros((D, D), np.int32)
PLACE[np.tril_indices(D, -1)] = np.arange(BELOW)
MASK = np.tril(np.ones((D, D)), -1)


def data() -> Arrays:
    """Weights (K,), means (K, D), log diagonals and the rest (K, D + BELOW), points (N, D)."""
    rng = np.random.default_rng(0)
    factors = 0.3 * rng.standard_normal((K, D + BELOW))
    return [rng.standard_normal(K), rng.standard_normal((K, D)), factors,
            rng.standard_normal((N, D))]  # fmt: skip


def program(ms: Any, arrays: Arrays) -> Run:
    ops, place, mask = ms.ops, ms.Tensor(PLACE), ms.Tensor(MASK)

    def objective(alphas, means, factors, points):
        logs = factors[:, :D]
        diagonal = ops.exp(logs)
        lower = factors[:, D:][:, place] * mask
        c = points[:, None, :] - means[None]
        y = diagonal[None] * c + ops.einsum("kij,nkj->nki", lower, c)
        inner = -0.5 * (y * y).sum(-1) + (alphas + logs.sum(-1))[None]
        prior = 0.5 * ((diagonal * diagonal).sum() + (lower * lower).sum()) - logs.sum()
        return ops.logsumexp(inner, 1).sum() - N * ops.logsumexp(alphas, 0) + prior

    return peers.program_gradient(ms, objective, (0, 1, 2), arrays)


def hand(arrays: Arrays) -> Run:
    kernel = hand_kernel()
    alphas, means, factors, points = arrays
    turned = np.ascontiguousarray(points.T)
    gradients = [np.empty_like(a) for a in (alphas, means, factors)]
    return lambda: (kernel(alphas, means, factors, turned, *gradients), gradients)


def hand_kernel() -> Any:
    """Blocks of points side by side in vectors; all components of a block before the next."""
    from benchmarks.harness.hand import add_f64, exp_f64, njit

    block = 64

    @njit
    def forward(c, y, points, mean, diagonal, below, inner, offset):
        for j in range(D):
            row, out = points[j], c[j]
            for p in range(block):
                out[p] = row[p] - mean[j]
        for p in range(block):
            inner[p] = offset
        place = 0
        for i in range(D):
            out = y[i]
            for p in range(block):
                out[p] = diagonal[i] * c[i, p]
            for j in range(i):
                weight, row = below[place], c[j]
                for p in range(block):
                    out[p] += weight * row[p]
                place += 1
            for p in range(block):
                inner[p] -= 0.5 * out[p] * out[p]

    @njit
    def backward(c, y, share, gmean, gdiagonal, gbelow, diagonal, below, gc):
        total = 0.0
        for p in range(block):
            total = add_f64(total, share[p])
        for i in range(D):
            row = y[i]
            for p in range(block):
                row[p] *= -share[p]
        gc[:] = 0.0
        place = 0
        for i in range(D):
            row, own, out = y[i], c[i], gc[i]
            s = 0.0
            for p in range(block):
                s = add_f64(s, row[p] * own[p])
                out[p] += row[p] * diagonal[i]
            gdiagonal[i] += s
            for j in range(i):
                weight, other, out = below[place], c[j], gc[j]
                s = 0.0
                for p in range(block):
                    s = add_f64(s, row[p] * other[p])
                    out[p] += row[p] * weight
                gbelow[place] += s
                place += 1
        for j in range(D):
            s, out = 0.0, gc[j]
            for p in range(block):
                s = add_f64(s, out[p])
            gmean[j] -= s
        return total

    @njit
    def kernel(alphas, means, factors, points, galphas, gmeans, gfactors):
        diagonal = np.exp(factors[:, :D])
        galphas[:] = 0.0
        gmeans[:] = 0.0
        gfactors[:] = 0.0
        c, y = np.empty((K, D, block)), np.empty((K, D, block))
        inner, gc = np.empty((K, block)), np.empty((D, block))
        here = np.zeros((D, block))
        offsets = alphas + factors[:, :D].sum(1)
        total = 0.0
        for start in range(0, points.shape[1], block):
            count = min(block, points.shape[1] - start)
            here[:, :count] = points[:, start : start + count]
            for k in range(K):
                forward(c[k], y[k], here, means[k], diagonal[k], factors[k, D:], inner[k],
                        offsets[k])  # fmt: skip
            for p in range(count):
                top = inner[0, p]
                for k in range(1, K):
                    top = max(top, inner[k, p])
                gc[0, p] = top
            sums = gc[1]
            sums[:] = 0.0
            for k in range(K):
                row = inner[k]
                for p in range(block):
                    row[p] = exp_f64(row[p] - gc[0, p]) if p < count else 0.0
                    sums[p] += row[p]
            for p in range(count):
                total += np.log(sums[p]) + gc[0, p]
            for k in range(K):
                row = inner[k]
                for p in range(block):
                    row[p] = row[p] / sums[p] if p < count else 0.0
            for k in range(K):
                galphas[k] += backward(
                    c[k], y[k], inner[k], gmeans[k], gfactors[k, :D], gfactors[k, D:],
                    diagonal[k], factors[k, D:], gc,
                )  # fmt: skip
        return total + finish(alphas, factors, diagonal, galphas, gfactors, points.shape[1])

    @njit
    def finish(alphas, factors, diagonal, galphas, gfactors, n):
        top = alphas.max()
        weights = np.exp(alphas - top)
        norm = weights.sum()
        value = -n * (np.log(norm) + top)
        for k in range(K):
            for i in range(D):
                q = diagonal[k, i]
                value += 0.5 * q * q - factors[k, i]
                gfactors[k, i] = gfactors[k, i] * q + galphas[k] + q * q - 1.0
            for i in range(D, factors.shape[1]):
                value += 0.5 * factors[k, i] * factors[k, i]
                gfactors[k, i] += factors[k, i]
            galphas[k] -= n * weights[k] / norm
        return value

    return kernel


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    def objective(alphas, means, factors, points):
        logs = factors[:, :D]
        diagonal = jnp.exp(logs)
        lower = factors[:, D:][:, PLACE] * MASK
        c = points[:, None, :] - means[None]
        y = diagonal[None] * c + jnp.einsum("kij,nkj->nki", lower, c)
        inner = -0.5 * jnp.sum(y * y, -1) + (alphas + jnp.sum(logs, -1))[None]
        prior = 0.5 * (jnp.sum(diagonal * diagonal) + jnp.sum(lower * lower)) - jnp.sum(logs)
        rows = jnp.sum(jax.nn.logsumexp(inner, axis=1))
        return rows - N * jax.nn.logsumexp(alphas) + prior

    return peers.jax_gradient(objective, (0, 1, 2), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    place, mask = torch.from_numpy(PLACE).long(), torch.from_numpy(MASK)

    def objective(alphas, means, factors, points):
        logs = factors[:, :D]
        diagonal = torch.exp(logs)
        lower = factors[:, D:][:, place] * mask
        c = points[:, None, :] - means[None]
        y = diagonal[None] * c + torch.einsum("kij,nkj->nki", lower, c)
        inner = -0.5 * (y * y).sum(-1) + (alphas + logs.sum(-1))[None]
        prior = 0.5 * ((diagonal * diagonal).sum() + (lower * lower).sum()) - logs.sum()
        return torch.logsumexp(inner, 1).sum() - N * torch.logsumexp(alphas, 0) + prior

    return peers.torch_gradient(objective, (0, 1, 2), arrays)
