"""A train step of a small residual network (16, 32, 64 channels), 32 images of 3×32×32, float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import descent
from benchmarks.harness.workload import Arrays, Run, Workload

RATE, BATCH = 0.01, 32
# Channels in and out, and the stride, of each convolution. The second and third of every three are
# a residual block; the first but the very first halves the image.
LAYERS = ((3, 16, 1), (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1), (32, 64, 2),
          (64, 64, 1), (64, 64, 1))  # fmt: skip
WORKLOAD = Workload("Residual network, train step", "float32", roundings=600, label="W7b")


def data() -> Arrays:
    """Filters and biases of each convolution, the last layer's weight and bias, images, labels."""
    rng = np.random.default_rng(0)
    found = []
    for n, m, _ in LAYERS:
        found += [rng.standard_normal((m, n, 3, 3)) / np.sqrt(9 * n), np.zeros(m)]
    found += [rng.standard_normal((64, 10)) / 8, np.zeros(10)]
    found += [rng.standard_normal((BATCH, 3, 32, 32))]
    return [*(a.astype(np.float32) for a in found), rng.integers(0, 10, BATCH).astype(np.int32)]


def network(convolve: Any, relu: Any, x: Any) -> Any:
    """The layers before the last: convolve(i, x) is the i-th convolution with its bias."""
    h = relu(convolve(0, x))
    for stage in (0, 3, 6):
        if stage:
            h = relu(convolve(stage, h))
        h = relu(h + convolve(stage + 2, relu(convolve(stage + 1, h))))
    return h


def program(ms: Any, arrays: Arrays) -> Run:
    ops, nn = ms.ops, ms.nn
    *state, x, y = arrays
    weights = ms.ParameterTuple(
        [ms.Parameter(ms.Tensor(a), name=f"w{i}") for i, a in enumerate(state)]
    )

    def loss(x, y):
        def convolve(i, h):
            w, b, stride = weights[2 * i], weights[2 * i + 1], LAYERS[i][2]
            return ops.conv2d(h, w, b, stride=stride, pad_mode="pad", padding=1)

        h = network(convolve, ops.relu, x)
        return ops.cross_entropy(ops.matmul(h.mean((2, 3)), weights[18]) + weights[19], y)

    optimizer = nn.SGD(weights, RATE)
    gradient = ms.value_and_grad(loss, None, weights)

    @ms.jit
    def step(x, y):
        value, gradients = gradient(x, y)
        optimizer(gradients)
        return value, gradients

    given = ms.Tensor(x), ms.Tensor(y)
    return lambda: step(*given)


def hand(arrays: Arrays) -> Run:
    """Each image as columns, and BLAS."""
    from benchmarks.harness import convolutions as conv

    *state, x, y = arrays
    state = [a.copy() for a in state]
    gradients = [np.empty_like(a) for a in state]
    none = np.empty((0, 0, 0, 0), np.float32)
    sizes = [32, 32, 32, 16, 16, 16, 8, 8, 8]
    made = [np.empty((BATCH, m, s, s), np.float32) for (_, m, _), s in zip(LAYERS, sizes)]
    back = [np.empty_like(a) for a in made]

    def forward(i: int, h: np.ndarray, skip: np.ndarray = none) -> np.ndarray:
        conv.forward(h, state[2 * i], state[2 * i + 1], LAYERS[i][2], 1, skip, made[i])
        return made[i]

    def backward(i: int, h: np.ndarray, into: np.ndarray) -> None:
        g, w = gradients[2 * i : 2 * i + 2], state[2 * i]
        conv.backward(h, w, made[i], back[i], LAYERS[i][2], 1, into, *g)

    def run() -> Any:
        h = forward(0, x)
        for s in (0, 3, 6):
            h = forward(s, h) if s else h
            h = forward(s + 2, forward(s + 1, h), h)
        mean = h.mean((2, 3))
        z = mean @ state[18] + state[19]
        logs = z - np.log(np.exp(z - z.max(1)[:, None]).sum(1))[:, None] - z.max(1)[:, None]
        value = -logs[np.arange(BATCH), y].mean()
        g = np.exp(logs)
        g[np.arange(BATCH), y] -= 1
        g /= np.float32(BATCH)
        gradients[18][:], gradients[19][:] = mean.T @ g, g.sum(0)
        back[8][:] = (g @ state[18].T / np.float32(64))[:, :, None, None]
        for s in (6, 3, 0):
            back[s + 1].fill(0)
            backward(s + 2, made[s + 1], back[s + 1])
            np.copyto(back[s], back[s + 2])
            backward(s + 1, made[s], back[s])
            if s:
                back[s - 1].fill(0)
            backward(s, made[s - 1] if s else x, back[s - 1] if s else none)
        for a, b in zip(state, gradients):
            a -= np.float32(RATE) * b
        return value, gradients

    return run


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    if arrays[0].dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
    *state, x, y = [jnp.array(a) for a in arrays]

    def loss(state, x, y):
        def convolve(i, h):
            stride, names = LAYERS[i][2], ("NCHW", "OIHW", "NCHW")
            out = jax.lax.conv_general_dilated(
                h, state[2 * i], (stride, stride), ((1, 1), (1, 1)), dimension_numbers=names
            )
            return out + state[2 * i + 1][:, None, None]

        h = network(convolve, jax.nn.relu, x)
        logs = jax.nn.log_softmax(h.mean((2, 3)) @ state[18] + state[19])
        return -jnp.mean(jnp.take_along_axis(logs, y[:, None], 1))

    return descent.in_jax(loss, state, (x, y), RATE)


def torch(arrays: Arrays) -> Run:
    import torch

    functional = torch.nn.functional
    *state, x, y = [torch.from_numpy(np.array(a)) for a in arrays]
    state = [a.requires_grad_() for a in state]

    def loss(x, y, *state):
        def convolve(i, h):
            w, b, stride = state[2 * i], state[2 * i + 1], LAYERS[i][2]
            return functional.conv2d(h, w, b, stride=stride, padding=1)

        h = network(convolve, functional.relu, x)
        return functional.cross_entropy(h.mean((2, 3)) @ state[18] + state[19], y.long())

    return descent.in_torch(loss, state, (x, y), RATE)
