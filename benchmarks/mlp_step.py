"""A train step of an MLP 784-512-256-10, batch 128, with momentum: one plan."""

from __future__ import annotations

import itertools

import numpy as np
from _harness import Run, have, side_by_side

SIZES = (784, 512, 256, 10)
RATE, MOMENTUM = 0.01, 0.9


def data() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    weights = [
        (rng.standard_normal((n, m)) / np.sqrt(n)).astype(np.float32)
        for n, m in itertools.pairwise(SIZES)
    ]
    x = rng.standard_normal((128, 784)).astype(np.float32)
    return weights, x, rng.integers(0, 10, 128).astype(np.int32)


def make_jitgrad() -> Run:
    import jitgrad as ms
    from jitgrad import nn

    weights, x, y = data()
    layers = [nn.Dense(n, m) for n, m in itertools.pairwise(SIZES)]
    net = nn.SequentialCell(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    for layer, weight in zip(layers, weights):
        layer.weight.set_data(ms.Tensor(np.ascontiguousarray(weight.T)))
        layer.bias.set_data(ms.Tensor(np.zeros(weight.shape[1], np.float32)))
    optimizer = nn.Momentum(net.trainable_params(), RATE, MOMENTUM)
    loss = nn.CrossEntropyLoss()
    gradient = ms.value_and_grad(lambda x, y: loss(net(x), y), None, net.trainable_params())

    @ms.jit
    def step(x, y):
        value, gradients = gradient(x, y)
        optimizer(gradients)
        return value

    given = ms.Tensor(x), ms.Tensor(y)
    return lambda: step(*given)


def make_jax() -> Run:
    import jax
    import jax.numpy as jnp

    weights, x, y = data()
    state = [(jnp.asarray(w), jnp.zeros(w.shape[1])) for w in weights]
    speed = jax.tree.map(jnp.zeros_like, state)

    def loss(state, x, y):
        for w, b in state[:-1]:
            x = jax.nn.relu(x @ w + b)
        z = jax.nn.log_softmax(x @ state[-1][0] + state[-1][1])
        return -jnp.mean(jnp.take_along_axis(z, y[:, None], 1))

    def step(state, speed, x, y):
        value, gradient = jax.value_and_grad(loss)(state, x, y)
        speed = jax.tree.map(lambda v, g: MOMENTUM * v + g, speed, gradient)
        return value, jax.tree.map(lambda p, v: p - RATE * v, state, speed), speed

    compiled = jax.jit(step, donate_argnums=(0, 1))
    held = [state, speed]
    given = jnp.asarray(x), jnp.asarray(y)

    def run():
        value, *held[:] = compiled(*held, *given)
        return jax.block_until_ready(value)

    return run


def make_torch() -> Run:
    import torch

    torch.set_num_threads(1)
    weights, x, y = data()
    layers = [torch.nn.Linear(n, m) for n, m in itertools.pairwise(SIZES)]
    with torch.no_grad():
        for layer, weight in zip(layers, weights):
            layer.weight.copy_(torch.from_numpy(weight).T)
            layer.bias.zero_()
    relu = torch.nn.ReLU()
    net = torch.nn.Sequential(layers[0], relu, layers[1], relu, layers[2])
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)
    given = torch.from_numpy(x), torch.from_numpy(y).long()

    def run():
        loss = torch.nn.functional.cross_entropy(net(given[0]), given[1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return run


def main() -> None:
    makers = {"jitgrad": make_jitgrad}
    if have("jax"):
        makers["jax"] = make_jax
    if have("torch"):
        makers["torch"] = make_torch
    side_by_side("MLP train step, 784-512-256-10, batch 128", makers)


if __name__ == "__main__":
    main()
