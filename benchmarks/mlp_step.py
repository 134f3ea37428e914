"""A train step of an MLP 784-512-256-10 with momentum, batch 128, float32: loss and new weights."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks.harness.workload import Arrays, Run, Workload

SIZES = (784, 512, 256, 10)
RATE, MOMENTUM, BATCH = 0.01, 0.9, 128
WORKLOAD = Workload("MLP train step, batch 128", "float32", roundings=400, label="W4")


def data() -> Arrays:
    """Weights (in, out) and biases of each layer, a batch, its labels."""
    rng = np.random.default_rng(0)
    found = []
    for n, m in itertools.pairwise(SIZES):
        found += [(rng.standard_normal((n, m)) / np.sqrt(n)).astype(np.float32)]
        found += [np.zeros(m, np.float32)]
    x = rng.standard_normal((BATCH, SIZES[0])).astype(np.float32)
    return [*found, x, rng.integers(0, SIZES[-1], BATCH).astype(np.int32)]


def program(ms: Any, arrays: Arrays) -> Run:
    nn = ms.nn
    *state, x, y = arrays
    layers = [nn.Dense(n, m) for n, m in itertools.pairwise(SIZES)]
    net = nn.SequentialCell(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    for layer, weight, bias in zip(layers, state[::2], state[1::2]):
        layer.weight.set_data(ms.Tensor(np.ascontiguousarray(weight.T)))
        layer.bias.set_data(ms.Tensor(bias))
    weights = net.trainable_params()
    optimizer = nn.Momentum(weights, RATE, MOMENTUM)
    loss = nn.CrossEntropyLoss()
    gradient = ms.value_and_grad(lambda x, y: loss(net(x), y), None, weights)

    @ms.jit
    def step(x, y):
        value, gradients = gradient(x, y)
        optimizer(gradients)
        return value

    given = ms.Tensor(x), ms.Tensor(y)
    turned = [np.transpose if w.ndim == 2 else np.asarray for w in state]

    def run() -> Any:
        value = step(*given)
        return Lazy(lambda: [value, *(t(w.asnumpy()) for t, w in zip(turned, weights))])

    return run


class Lazy(list):
    """Results that are copied when somebody looks at them: no part of the step."""

    def __init__(self, look: Any) -> None:
        super().__init__()
        self.look = look

    def __iter__(self) -> Any:
        return iter(self.look())


def hand(arrays: Arrays) -> Run:
    *state, x, y = arrays
    state = [a.copy() for a in state]
    speed = [np.zeros_like(a) for a in state]
    sizes = [(BATCH, m) for m in SIZES[1:]]
    hidden = [np.empty(s, np.float32) for s in sizes]
    back = [np.empty(s, np.float32) for s in sizes]
    gradients = [np.empty_like(a) for a in state]
    step = hand_step()
    bufs = (*hidden, *back, *gradients)
    return lambda: (step(x, y, *state, *speed, *bufs), state)


def hand_step() -> Any:
    """BLAS for the products; all that stands between two of them in one pass."""
    from benchmarks.harness.hand import add_f32, exp_f32, f32, njit

    rate, momentum = f32(RATE), f32(MOMENTUM)

    @njit
    def bias_relu(h, b):
        for i in range(h.shape[0]):
            row = h[i]
            for j in range(b.size):
                v = row[j] + b[j]
                row[j] = v if v > f32(0) else f32(0)

    @njit
    def mask(g, h, gb):
        gb[:] = f32(0)
        for i in range(h.shape[0]):
            row, active = g[i], h[i]
            for j in range(gb.size):
                v = row[j] if active[j] > f32(0) else f32(0)
                row[j] = v
                gb[j] += v

    @njit
    def update(w, v, g):
        w, v, g = w.reshape(-1), v.reshape(-1), g.reshape(-1)
        for i in range(w.size):
            new = momentum * v[i] + g[i]
            v[i] = new
            w[i] -= rate * new

    @njit
    def cross_entropy(z, b, y, g, gb):
        total = f32(0)
        gb[:] = f32(0)
        for i in range(z.shape[0]):
            row, out = z[i], g[i]
            top = f32(-np.inf)
            for j in range(b.size):
                row[j] += b[j]
                top = max(top, row[j])
            s = f32(0)
            for j in range(b.size):
                out[j] = exp_f32(row[j] - top)
                s = add_f32(s, out[j])
            total += np.log(s) + top - row[y[i]]
            for j in range(b.size):
                out[j] /= s * f32(z.shape[0])
            out[y[i]] -= f32(1) / f32(z.shape[0])
            for j in range(b.size):
                gb[j] += out[j]
        return total / f32(z.shape[0])

    @njit
    def step(
        x, y, w1, b1, w2, b2, w3, b3, v1, c1, v2, c2, v3, c3,
        h1, h2, h3, d1, d2, d3, g1, e1, g2, e2, g3, e3,
    ):  # fmt: skip
        np.dot(x, w1, h1)
        bias_relu(h1, b1)
        np.dot(h1, w2, h2)
        bias_relu(h2, b2)
        np.dot(h2, w3, h3)
        value = cross_entropy(h3, b3, y, d3, e3)
        np.dot(h2.T, d3, g3)
        np.dot(d3, w3.T, d2)
        mask(d2, h2, e2)
        update(w3, v3, g3)
        update(b3, c3, e3)
        np.dot(h1.T, d2, g2)
        np.dot(d2, w2.T, d1)
        mask(d1, h1, e1)
        update(w2, v2, g2)
        update(b2, c2, e2)
        np.dot(x.T, d1, g1)
        update(w1, v1, g1)
        update(b1, c1, e1)
        return value

    return step


def jax(arrays: Arrays) -> Run:
    import jax
    import jax.numpy as jnp

    if arrays[0].dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
    *state, x, y = [jnp.array(a) for a in arrays]
    speed = [jnp.zeros_like(a) for a in state]

    def loss(state, x, y):
        w1, b1, w2, b2, w3, b3 = state
        h = jax.nn.relu(x @ w1 + b1)
        h = jax.nn.relu(h @ w2 + b2)
        logs = jax.nn.log_softmax(h @ w3 + b3)
        return -jnp.mean(jnp.take_along_axis(logs, y[:, None], 1))

    def step(state, speed, x, y):
        value, gradient = jax.value_and_grad(loss)(state, x, y)
        speed = [MOMENTUM * v + g for v, g in zip(speed, gradient)]
        return value, [w - RATE * v for w, v in zip(state, speed)], speed

    compiled = jax.jit(step, donate_argnums=(0, 1))
    held = [state, speed]

    def run() -> Any:
        value, *held[:] = compiled(*held, x, y)
        return jax.block_until_ready((value, held[0]))

    return run


def torch(arrays: Arrays) -> Run:
    import torch

    from benchmarks.harness.workload import compiling

    *state, x, y = arrays
    layers = [torch.nn.Linear(n, m, dtype=getattr(torch, x.dtype.name))
              for n, m in itertools.pairwise(SIZES)]  # fmt: skip
    with torch.no_grad():
        for layer, weight, bias in zip(layers, state[::2], state[1::2]):
            layer.weight.copy_(torch.from_numpy(weight).T)
            layer.bias.copy_(torch.from_numpy(bias))
    relu = torch.nn.ReLU()
    net = torch.nn.Sequential(layers[0], relu, layers[1], relu, layers[2])
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)
    given = torch.from_numpy(x), torch.from_numpy(y).long()

    def loss(x, y):
        return torch.nn.functional.cross_entropy(net(x), y)

    called = torch.compile(loss) if compiling.active else loss

    def run() -> Any:
        value = called(*given)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        return value, [p.T if p.ndim == 2 else p for p in net.parameters()]

    return run
