"""Bundle adjustment, 100,000 observations in float64: residuals' Jacobians by vmap and jacfwd."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import bundle_gradient
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

    @njit
    def block(cam, pnt, obs, out):
        for i in range(cam.shape[1]):
            _, _, kept = forward(
                cam[0, i], cam[1, i], cam[2, i], cam[3, i], cam[4, i], cam[5, i], cam[6, i],
                cam[7, i], cam[8, i], cam[9, i], cam[10, i], pnt[0, i], pnt[1, i], pnt[2, i],
                obs[0, i], obs[1, i],
            )  # fmt: skip
            first = backward(1.0, 0.0, cam[6, i], cam[9, i], cam[10, i], *kept)
            second = backward(0.0, 1.0, cam[6, i], cam[9, i], cam[10, i], *kept)
            for k in range(14):
                out[k, i] = first[k]
                out[14 + k, i] = second[k]

    @njit
    def kernel(cameras, points, seen, of_cameras, of_points):
        step = 64
        cam, pnt, obs = np.empty((11, step)), np.empty((3, step)), np.empty((2, step))
        out = np.empty((28, step))
        for start in range(0, cameras.shape[0], step):
            n = min(step, cameras.shape[0] - start)
            for i in range(n):  # one observation a column: SIMD across observations
                for k in range(11):
                    cam[k, i] = cameras[start + i, k]
                for k in range(3):
                    pnt[k, i] = points[start + i, k]
                for k in range(2):
                    obs[k, i] = seen[start + i, k]
            block(cam[:, :n], pnt[:, :n], obs[:, :n], out[:, :n])
            for i in range(n):
                for j in range(2):
                    for k in range(11):
                        of_cameras[start + i, j, k] = out[14 * j + k, i]
                    for k in range(3):
                        of_points[start + i, j, k] = out[14 * j + 11 + k, i]

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
