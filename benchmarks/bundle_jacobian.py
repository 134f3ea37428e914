"""Bundle adjustment, 100,000 observations in float64: residuals' Jacobians by vmap and jacfwd."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import bundle_gradient
from benchmarks.bundle_gradient import LANES
from benchmarks.harness import peers
from benchmarks.harness.workload import Arrays, Run, Workload, compiling

WORKLOAD = Workload("bundle adjustment, 100,000: Jacobian", "float64", roundings=5000)

data = bundle_gradient.data


def program(ms: Any, arrays: Arrays) -> Run:
    def residual(camera, point, seen):
        return ms.ops.stack(bundle_gradient.residual(ms.ops, camera, point, seen))

    compiled = ms.jit(ms.vmap(ms.jacfwd(residual, (0, 1))))
    return peers.program_function(ms, compiled, arrays)


def hand(arrays: Arrays) -> Run:
    from benchmarks.harness.hand import njit

    forward, backward = bundle_gradient.hand_parts()
    load = bundle_gradient.hand_load()

    @njit
    def block(at):
        for i in range(LANES):
            _, _, kept = forward(
                at[i], at[64 + i], at[128 + i], at[192 + i], at[256 + i], at[320 + i],
                at[384 + i], at[448 + i], at[512 + i], at[576 + i], at[640 + i], at[704 + i],
                at[768 + i], at[832 + i], at[896 + i], at[960 + i],
            )  # fmt: skip
            g = backward(1.0, 0.0, at[384 + i], at[576 + i], at[640 + i], kept)
            h = backward(0.0, 1.0, at[384 + i], at[576 + i], at[640 + i], kept)
            at[1024 + i], at[1088 + i], at[1152 + i], at[1216 + i], at[1280 + i] = g[:5]
            at[1344 + i], at[1408 + i], at[1472 + i], at[1536 + i], at[1600 + i] = g[5:10]
            at[1664 + i], at[1728 + i], at[1792 + i], at[1856 + i] = g[10:]
            at[1920 + i], at[1984 + i], at[2048 + i], at[2112 + i], at[2176 + i] = h[:5]
            at[2240 + i], at[2304 + i], at[2368 + i], at[2432 + i], at[2496 + i] = h[5:10]
            at[2560 + i], at[2624 + i], at[2688 + i], at[2752 + i] = h[10:]

    @njit
    def kernel(cameras, points, seen, of_cameras, of_points):
        at = np.ones(44 * LANES)
        for start in range(0, cameras.shape[0], LANES):
            n = min(LANES, cameras.shape[0] - start)
            load(cameras, points, seen, start, n, at)
            block(at)
            for i in range(n):
                for j in range(2):
                    for k in range(11):
                        of_cameras[start + i, j, k] = at[(16 + 14 * j + k) * LANES + i]
                    for k in range(3):
                        of_points[start + i, j, k] = at[(27 + 14 * j + k) * LANES + i]

    n = len(arrays[0])
    jacobians = [np.empty((n, 2, 11)), np.empty((n, 2, 3))]

    def run() -> Any:
        kernel(*arrays, *jacobians)
        return jacobians

    return run


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    def residual(camera, point, seen):
        return jnp.stack(bundle_gradient.residual(jnp, camera, point, seen))

    return peers.jax_function(jax.vmap(jax.jacfwd(residual, (0, 1))), arrays)


def torch(arrays: Arrays) -> Run:
    import torch

    def residual(camera, point, seen):
        return torch.stack(bundle_gradient.residual(torch, camera, point, seen))

    jacobian = torch.func.vmap(torch.func.jacfwd(residual, (0, 1)))
    called = torch.compile(jacobian) if compiling.active else jacobian
    given = [torch.from_numpy(a) for a in arrays]
    return lambda: called(*given)
