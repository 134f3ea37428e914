"""Whole programs in Numba's simulator: training steps, and loops and branches with gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numba import config as numba_config

import jitgrad as ms
from jitgrad import config, nn, ops
from jitgrad.runtime.cuda import device as devices
from jitgrad.runtime.cuda import program
from jitgrad.tensor import Tensor
from tests.codegen.backends import few_threads, simulator
from tests.laws.test_control_examples import PROGRAMS, load
from tests.runtime.test_device_control import check

pytestmark = pytest.mark.skipif(
    not numba_config.ENABLE_CUDASIM, reason="Numba's simulator is not switched on"
)


@pytest.fixture(autouse=True)
def in_the_simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where JITGRAD_CUDA=emulate leads; programs of other tests have other blocks."""
    monkeypatch.setattr(devices, "emulated", simulator)
    program._program.cache_clear()
    with few_threads():
        yield
    program._program.cache_clear()


def normal(*shape: int) -> Tensor:
    rng = np.random.default_rng(sum(shape))
    return Tensor(rng.standard_normal(shape).astype(np.float32))


def perceptron() -> nn.Cell:
    return nn.SequentialCell(nn.Flatten(), nn.Dense(64, 5), nn.Tanh(), nn.Dense(5, 3))


def lenet() -> nn.Cell:
    return nn.SequentialCell(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Flatten(), nn.Dense(12, 3),
    )  # fmt: skip


def losses(make: Callable[[], nn.Cell], **how: str) -> list[float]:
    ms.set_seed(2)
    net, loss = make(), nn.CrossEntropyLoss()
    optimizer = nn.Momentum(net.trainable_params(), 0.1, 0.9)
    gradient = ms.value_and_grad(lambda x, y: loss(net(x), y), None, optimizer.parameters)

    @ms.jit(**how)
    def step(x, y):
        value, slopes = gradient(x, y)
        optimizer(slopes)
        return value

    x, y = normal(2, 1, 8, 8), Tensor(np.array([0, 2], np.int32))
    return [step(x, y).item() for _ in range(2)]


@pytest.mark.parametrize("make", [perceptron, lenet])
def test_training(make: Callable[[], nn.Cell]) -> None:
    expected = losses(make)
    with config.override(cuda="emulate"):
        np.testing.assert_allclose(losses(make, backend="cuda"), expected, rtol=1e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_loops_and_branches(name: str) -> None:
    check(*PROGRAMS[name](load(name)))


def test_lanes() -> None:
    def cubes(x):
        for _ in range(20):
            x = x - 0.1 * x * ops.sin(x)
        return x

    check(lambda x: ms.vmap(cubes)(x).sum(), (normal(19),))
