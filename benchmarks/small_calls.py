"""Calls with next to no work: Rosenbrock's gradient in ten numbers, x * x * y, 40 kernels."""

from __future__ import annotations

import numpy as np
from _harness import Run, have, side_by_side

POINT = np.linspace(-1, 1, 10) + 0.3


def rosenbrock(x):
    a = x[1:] - x[:-1] * x[:-1]
    b = 1.0 - x[:-1]
    return (100.0 * a * a + b * b).sum()


def make_rosenbrock() -> Run:
    import jitgrad as ms

    gradient = ms.jit(ms.value_and_grad(rosenbrock))
    x = ms.Tensor(POINT)
    return lambda: gradient(x)


def make_rosenbrock_hand() -> Run:
    import numba

    @numba.njit
    def kernel(x):
        g, s = np.zeros(x.size), 0.0
        for i in range(x.size - 1):
            a, b = x[i + 1] - x[i] * x[i], 1 - x[i]
            s += 100 * a * a + b * b
            g[i + 1] += 200 * a
            g[i] += -400 * a * x[i] - 2 * b
        return s, g

    return lambda: kernel(POINT)


def make_rosenbrock_jax() -> Run:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    gradient = jax.jit(jax.value_and_grad(rosenbrock))
    x = jnp.asarray(POINT)
    return lambda: jax.block_until_ready(gradient(x))


def make_rosenbrock_torch() -> Run:
    import torch

    x = torch.from_numpy(POINT.copy()).requires_grad_()

    def run():
        loss = rosenbrock(x)
        return loss, torch.autograd.grad(loss, x)[0]

    return run


def make_forty() -> Run:
    """40 kernels in one call: a sum over alternating axes cannot be fused with the next."""
    import jitgrad as ms

    @ms.jit
    def forty(x):
        for step in range(40):
            x = x * 0.5 + x.sum(axis=step % 2, keepdims=True)
        return x

    x = ms.Tensor(np.ones((8, 8), np.float32))
    forty(x)
    print(f"  forty: {len(forty.lower(x).kernels)} kernels in one call")
    return lambda: forty(x)


def main() -> None:
    makers = {"jitgrad": make_rosenbrock, "hand": make_rosenbrock_hand}
    if have("jax"):
        makers["jax"] = make_rosenbrock_jax
    if have("torch"):
        makers["torch"] = make_rosenbrock_torch
    side_by_side("Rosenbrock, 10 float64, value and gradient", makers)
    side_by_side("40 small kernels", {"jitgrad": make_forty})


if __name__ == "__main__":
    main()
