"""Black-Scholes prices of 1,000,000 options in float64: the sum and its five Greeks."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload

SIZE = 1_000_000
WORKLOAD = Workload("Black-Scholes, 1,000,000", "float64", roundings=1000, label="W2")

ROOT_HALF = 0.7071067811865476
ROOT_TAU = 2.5066282746310002

# exp(z * z) * erfc(z) for z >= 0 as a polynomial in y = (z - 3) / (z + 3): a Chebyshev fit, then
# in powers; within 1e-15 of the value.
SCALED_ERFC = (
    6.479336130626003e-10,
    -8.020287374634607e-11,
    -7.043949624224203e-09,
    -1.740593836810772e-09,
    4.420252701406327e-08,
    3.242454421487646e-08,
    -2.3215846657388439e-07,
    -2.9732892720752456e-07,
    1.250973730665646e-06,
    2.1218952490487535e-06,
    -7.977513602993768e-06,
    -1.2861186004308609e-05,
    6.405639057095871e-05,
    4.525546137220681e-05,
    -0.0005970619206258382,
    0.0007077464151852026,
    0.004269136330041229,
    -0.02439249931673555,
    0.0716658371981237,
    -0.15011593650085053,
    0.2456038017123279,
    -0.3262335600430364,
    0.17900115118138996,
)


def data() -> Arrays:
    rng = np.random.default_rng(0)
    ranges = ((80, 120), (80, 120), (0.1, 2), (0.01, 0.05), (0.1, 0.5))
    return [rng.uniform(low, high, SIZE) for low, high in ranges]


def program(ms: Any, arrays: Arrays) -> Run:
    ops = ms.ops

    def cdf(x):
        return 0.5 * (1 + ops.erf(x * ROOT_HALF))

    def value(spot, strike, time, rate, sigma):
        root = ops.sqrt(time)
        d1 = (ops.log(spot / strike) + (rate + 0.5 * sigma * sigma) * time) / (sigma * root)
        d2 = d1 - sigma * root
        return (spot * cdf(d1) - strike * ops.exp(-rate * time) * cdf(d2)).sum()

    return peers.program_gradient(ms, value, range(5), arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import add_f64, exp_f64, log_f64, njit, polynomial

    scaled_erfc = polynomial(SCALED_ERFC)

    @njit
    def block(s, k, t, r, v, gs, gk, gt, gr, gv):
        total = 0.0
        for i in range(s.size):
            root = np.sqrt(t[i])
            vr = v[i] * root
            d1 = (log_f64(s[i] / k[i]) + (r[i] + 0.5 * v[i] * v[i]) * t[i]) / vr
            d2 = d1 - vr
            # N(d) and its density share one exponential.
            e1, e2 = exp_f64(-0.5 * d1 * d1), exp_f64(-0.5 * d2 * d2)
            z1, z2 = abs(d1) * ROOT_HALF, abs(d2) * ROOT_HALF
            h1 = 0.5 * e1 * scaled_erfc((z1 - 3.0) / (z1 + 3.0))
            h2 = 0.5 * e2 * scaled_erfc((z2 - 3.0) / (z2 + 3.0))
            n1 = h1 if d1 < 0.0 else 1.0 - h1
            n2 = h2 if d2 < 0.0 else 1.0 - h2
            discount = exp_f64(-r[i] * t[i])
            kd = k[i] * discount
            density = s[i] * e1 * (1.0 / ROOT_TAU)
            total = add_f64(total, s[i] * n1 - kd * n2)
            gs[i] = n1
            gk[i] = -discount * n2
            gr[i] = kd * t[i] * n2
            gv[i] = density * root
            gt[i] = density * v[i] * 0.5 / root + r[i] * kd * n2
        return total

    @njit
    def kernel(s, k, t, r, v, gs, gk, gt, gr, gv):
        total, step = 0.0, 2048
        for a in range(0, s.size, step):
            b = min(a + step, s.size)
            total += block(
                s[a:b], k[a:b], t[a:b], r[a:b], v[a:b],
                gs[a:b], gk[a:b], gt[a:b], gr[a:b], gv[a:b],
            )  # fmt: skip
        return total

    greeks = [np.empty_like(a) for a in arrays]
    return lambda: (kernel(*arrays, *greeks), greeks)


def jax(arrays: Arrays) -> Run:
    import jax.numpy as jnp
    from jax.scipy.stats import norm

    def value(spot, strike, time, rate, sigma):
        root = jnp.sqrt(time)
        d1 = (jnp.log(spot / strike) + (rate + 0.5 * sigma * sigma) * time) / (sigma * root)
        d2 = d1 - sigma * root
        return jnp.sum(spot * norm.cdf(d1) - strike * jnp.exp(-rate * time) * norm.cdf(d2))

    return peers.jax_gradient(value, range(5), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    def cdf(x):
        return 0.5 * (1 + torch.erf(x * ROOT_HALF))

    def value(spot, strike, time, rate, sigma):
        root = torch.sqrt(time)
        d1 = (torch.log(spot / strike) + (rate + 0.5 * sigma * sigma) * time) / (sigma * root)
        d2 = d1 - sigma * root
        return (spot * cdf(d1) - strike * torch.exp(-rate * time) * cdf(d2)).sum()

    return peers.torch_gradient(value, range(5), arrays)


def pytensor(arrays: Arrays) -> Run:
    from pytensor import tensor as pt

    def cdf(x):
        return 0.5 * (1 + pt.erf(x * ROOT_HALF))

    def value(spot, strike, time, rate, sigma):
        root = pt.sqrt(time)
        d1 = (pt.log(spot / strike) + (rate + 0.5 * sigma * sigma) * time) / (sigma * root)
        d2 = d1 - sigma * root
        return (spot * cdf(d1) - strike * pt.exp(-rate * time) * cdf(d2)).sum()

    return peers.pytensor_gradient(value, range(5), arrays)
