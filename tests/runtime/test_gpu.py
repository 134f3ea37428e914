"""What only a GPU can show: kernels on it, its driver, and memory shared with other libraries."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config, cuda, nn, ops
from jitgrad.errors import BoundsError, DeviceMemoryError
from jitgrad.ir.interp import interpret
from jitgrad.runtime.cuda.device import device
from jitgrad.tensor import Tensor
from jitgrad.tools import gpu

pytestmark = pytest.mark.gpu
RNG = np.random.default_rng(4)


def normal(*shape: int) -> Tensor:
    return Tensor(RNG.standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_every_op(dtype: str) -> None:
    for op, _, program, arrays in gpu.programs(set(), {dtype}):
        got = [found.numpy() for found in device().run(program, *arrays)]
        for a, b in zip(got, interpret(program.graph, arrays), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=op.name)


def network() -> nn.Cell:
    ms.set_seed(3)
    return nn.SequentialCell(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Flatten(), nn.Dense(4 * 16, 10)
    )


def losses(place: str, steps: int = 6) -> list[float]:
    net = network().to(place)
    optimizer, loss = nn.Adam(net.trainable_params(), 0.01), nn.CrossEntropyLoss()
    gradient = ms.value_and_grad(lambda x, y: loss(net(x), y), None, optimizer.parameters)

    @ms.jit
    def step(x, y):
        value, slopes = gradient(x, y)
        optimizer(slopes)
        return value

    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((16, 1, 8, 8)).astype(np.float32)).to(place)
    y = Tensor(rng.integers(0, 10, 16).astype(np.int32)).to(place)
    return [step(x, y).item() for _ in range(steps)]


def test_training_as_on_the_cpu() -> None:
    np.testing.assert_allclose(losses("GPU"), losses("CPU"), rtol=1e-3)


def test_many_systems_at_once() -> None:
    def pendulum(angle):
        speed = angle * 0.0
        for _ in range(100):
            speed = speed - 0.01 * ops.sin(angle)
            angle = angle + 0.01 * speed
        return angle

    function = ms.jit(ms.value_and_grad(lambda x: ms.vmap(pendulum)(x).sum()))
    x = normal(10_000)
    for a, b in zip(function(x.cuda()), function(x), strict=True):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-4, atol=1e-5)


def test_errors_and_what_follows() -> None:
    x = normal(3).cuda()
    out = ms.jit(lambda x, i: x[i])(x, Tensor([7]).cuda())
    with pytest.raises(BoundsError, match="index 7"):
        out.asnumpy()
    free = cuda.mem_get_info()[0]
    with pytest.raises(DeviceMemoryError, match="the program can go on"):
        device().empty((2 * free,), np.dtype(np.uint8), "too much")
    assert (x + 1.0).asnumpy().shape == (3,)


@pytest.mark.parametrize("library", ["torch", "cupy"])
def test_shared_memory(library: str) -> None:
    other = pytest.importorskip(library)
    if library == "torch" and not other.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    x = normal(1000).cuda()
    theirs = other.from_dlpack(x)
    theirs *= 2.0
    back = ms.from_dlpack(theirs)
    assert back._data.address == x._data.address  # type: ignore[union-attr]
    np.testing.assert_array_equal(back.asnumpy(), x.asnumpy())


def test_a_launch_that_fails_is_named() -> None:
    """In a process of its own: after an illegal address nothing works on the device."""
    script = """
import numpy as np
import jitgrad as ms
from jitgrad.runtime.cuda.array import DeviceArray
from jitgrad.runtime.cuda.pool import Block

x = ms.Tensor(np.ones(1000, np.float32)).cuda()
x._data = DeviceArray(x._data.device, Block(64, 4096, None), (1000,), np.float32)
try:
    ms.jit(lambda x: ms.ops.exp(x))(x)
except ms.errors.DeviceError as error:
    print(error)
"""
    env = {**os.environ, "JITGRAD_CUDA_SYNC": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )
    assert "exp, failed: CUDA_ERROR" in done.stdout


def test_it_is_the_gpu_that_runs() -> None:
    assert config.get("cuda") == "driver"
    assert cuda.is_available()
    assert cuda.get_device_capability() >= (7, 5)
