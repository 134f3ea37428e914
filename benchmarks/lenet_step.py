"""A train step of LeNet-5: 32 images of 1×32×32, float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import descent
from benchmarks.harness.workload import Arrays, Run, Workload

RATE, BATCH = 0.01, 32
SHAPES = ((6, 1, 5, 5), (16, 6, 5, 5), (400, 120), (120, 84), (84, 10))
WORKLOAD = Workload("LeNet-5, train step", "float32", roundings=400, label="W7a")


def data() -> Arrays:
    """Weight and bias of each layer, images, labels."""
    rng = np.random.default_rng(0)
    found = []
    for shape in SHAPES:
        fan = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
        outputs = shape[0] if len(shape) == 4 else shape[1]
        found += [rng.standard_normal(shape) / np.sqrt(fan), np.zeros(outputs)]
    found += [rng.standard_normal((BATCH, 1, 32, 32))]
    return [*(a.astype(np.float32) for a in found), rng.integers(0, 10, BATCH).astype(np.int32)]


def network(convolve: Any, pool: Any, relu: Any, state: Any, x: Any) -> Any:
    """The logits; convolve(x, w, b) adds the bias."""
    h = pool(relu(convolve(x, state[0], state[1])))
    h = pool(relu(convolve(h, state[2], state[3]))).reshape((BATCH, 400))
    h = relu(h @ state[4] + state[5])
    h = relu(h @ state[6] + state[7])
    return h @ state[8] + state[9]


def program(ms: Any, arrays: Arrays) -> Run:
    ops, nn = ms.ops, ms.nn
    *state, x, y = arrays
    weights = ms.ParameterTuple(
        [ms.Parameter(ms.Tensor(a), name=f"w{i}") for i, a in enumerate(state)]
    )

    def loss(x, y):
        def pool(h):
            return ops.max_pool2d(h, 2, 2)

        return ops.cross_entropy(network(ops.conv2d, pool, ops.relu, weights, x), y)

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
    """Convolutions by columns and BLAS, pooling in a loop, the rest in NumPy."""
    from benchmarks.harness import convolutions as conv

    *state, x, y = arrays
    state = [a.copy() for a in state]
    gradients = [np.empty_like(a) for a in state]
    none = np.empty((0, 0, 0, 0), np.float32)
    made = [np.empty((BATCH, *s), np.float32) for s in ((6, 28, 28), (16, 10, 10))]
    pooled = [np.empty((BATCH, *s), np.float32) for s in ((6, 14, 14), (16, 5, 5))]
    back, back_pooled = [np.empty_like(a) for a in made], [np.empty_like(a) for a in pooled]
    relu = np.float32(0)

    def dense(h: np.ndarray, i: int) -> np.ndarray:
        return h @ state[i] + state[i + 1]

    def dense_back(h: np.ndarray, g: np.ndarray, i: int) -> np.ndarray:
        gradients[i][:], gradients[i + 1][:] = h.T @ g, g.sum(0)
        return g @ state[i].T

    def run() -> Any:
        h = x
        for i in (0, 1):
            conv.forward(h, state[2 * i], state[2 * i + 1], 1, 0, none, made[i])
            conv.pool(made[i], pooled[i])
            h = pooled[i]
        flat = h.reshape(BATCH, 400)
        h1 = np.maximum(dense(flat, 4), relu)
        h2 = np.maximum(dense(h1, 6), relu)
        z = dense(h2, 8)
        logs = z - np.log(np.exp(z - z.max(1)[:, None]).sum(1))[:, None] - z.max(1)[:, None]
        value = -logs[np.arange(BATCH), y].mean()
        g = np.exp(logs)
        g[np.arange(BATCH), y] -= 1
        g = dense_back(h2, g / np.float32(BATCH), 8) * (h2 > 0)
        g = dense_back(h1, g, 6) * (h1 > 0)
        back_pooled[1][:] = dense_back(flat, g, 4).reshape(pooled[1].shape)
        for i in (1, 0):
            conv.pool_back(made[i], pooled[i], back_pooled[i], back[i])
            back_pooled[0].fill(0)
            into, source = (back_pooled[0], pooled[0]) if i else (none, x)
            g = gradients[2 * i : 2 * i + 2]
            conv.backward(source, state[2 * i], made[i], back[i], 1, 0, into, *g)
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

    def convolve(x, w, b):
        names = ("NCHW", "OIHW", "NCHW")
        out = jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=names)
        return out + b[:, None, None]

    def pool(x):
        window = (1, 1, 2, 2)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")

    def loss(state, x, y):
        logs = jax.nn.log_softmax(network(convolve, pool, jax.nn.relu, state, x))
        return -jnp.mean(jnp.take_along_axis(logs, y[:, None], 1))

    return descent.in_jax(loss, state, (x, y), RATE)


def torch(arrays: Arrays) -> Run:
    import torch

    functional = torch.nn.functional
    *state, x, y = [torch.from_numpy(np.array(a)) for a in arrays]
    state = [a.requires_grad_() for a in state]

    def loss(x, y, *state):
        def pool(h):
            return functional.max_pool2d(h, 2)

        logits = network(functional.conv2d, pool, functional.relu, state, x)
        return functional.cross_entropy(logits, y.long())

    return descent.in_torch(loss, state, (x, y), RATE)
