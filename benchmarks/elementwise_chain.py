"""A fused elementwise chain over 1,000,000 float32, value and three gradients."""

from __future__ import annotations

import numpy as np
from _harness import Run, have, side_by_side

SIZE = 1_000_000


def data() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(SIZE).astype(np.float32) for _ in range(3)]


def make_jitgrad() -> Run:
    import jitgrad as ms
    from jitgrad import ops

    def f(x, w, b):
        return (ops.tanh(x * w + b) * ops.sigmoid(x) + 0.1 * x * x).sum()

    gradient = ms.jit(ms.value_and_grad(f, (0, 1, 2)))
    arrays = [ms.Tensor(a) for a in data()]
    return lambda: gradient(*arrays)


def make_hand() -> Run:
    """One fused loop as a careful person writes it in Numba, with a polynomial exp."""
    import numba

    f4, i4 = np.float32, np.int32

    @numba.extending.intrinsic
    def bits_to_float(typing, bits):
        from llvmlite import ir

        def emit(context, builder, signature, args):
            return builder.bitcast(args[0], ir.FloatType())

        return numba.float32(numba.int32), emit

    flags = {"contract", "nsz", "arcp", "afn", "reassoc"}

    @numba.njit(inline="always", error_model="numpy")
    def exp(x):
        x = min(max(x, f4(-87.0)), f4(88.0))
        n = np.floor(x * f4(1.44269504) + f4(0.5))
        r = x - n * f4(0.693359375)
        r = r - n * f4(-2.12194440e-4)
        p = f4(1.0 / 5040.0)
        for c in (1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0):
            p = p * r + f4(c)
        return p * bits_to_float(i4(i4(i4(n) + i4(127)) << i4(23)))

    @numba.njit(fastmath=flags, error_model="numpy")
    def kernel(x, w, b, gx, gw, gb):
        total = f4(0)
        for i in range(x.size):
            xi, wi = x[i], w[i]
            u = xi * wi + b[i]
            e = exp(f4(-2) * abs(u))
            t = (f4(1) - e) / (f4(1) + e)
            t = t if u >= 0 else -t
            s = f4(1) / (f4(1) + exp(-xi))
            total += t * s + f4(0.1) * xi * xi
            d = (f4(1) - t * t) * s
            gx[i] = d * wi + t * s * (f4(1) - s) + f4(0.2) * xi
            gw[i] = d * xi
            gb[i] = d
        return total

    arrays = data()
    gradients = [np.empty_like(a) for a in arrays]
    return lambda: (kernel(*arrays, *gradients), *gradients)


def make_jax() -> Run:
    import jax
    import jax.numpy as jnp

    def f(x, w, b):
        return jnp.sum(jnp.tanh(x * w + b) * jax.nn.sigmoid(x) + 0.1 * x**2)

    gradient = jax.jit(jax.value_and_grad(f, argnums=(0, 1, 2)))
    arrays = [jnp.asarray(a) for a in data()]
    return lambda: jax.block_until_ready(gradient(*arrays))


def make_torch() -> Run:
    import torch

    torch.set_num_threads(1)
    tensors = [torch.from_numpy(a).requires_grad_() for a in data()]

    def run():
        x, w, b = tensors
        loss = (torch.tanh(x * w + b) * torch.sigmoid(x) + 0.1 * x**2).sum()
        return loss, torch.autograd.grad(loss, tensors)

    return run


def main() -> None:
    makers = {"jitgrad": make_jitgrad, "hand": make_hand}
    if have("jax"):
        makers["jax"] = make_jax
    if have("torch"):
        makers["torch"] = make_torch
    side_by_side("elementwise chain, 1e6 float32, value and gradient", makers)


if __name__ == "__main__":
    main()
