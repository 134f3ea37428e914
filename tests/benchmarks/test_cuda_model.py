"""The model of a GPU's times, and that kernels move no more than they have to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from benchmarks.harness import cuda_model
from jitgrad import ops
from jitgrad.codegen.cuda import emulate
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.runtime.cuda.device import Device
from jitgrad.runtime.cuda.emulated import Emulated
from jitgrad.runtime.cuda.program import DeviceProgram
from jitgrad.tensor import Tensor
from jitgrad.tools.gpu import PEAKS, roof

MOST = 1.1  # times what has to be moved


class Measured(Emulated):
    """Keeps how much each launch moves, and how much it has to."""

    def __init__(self) -> None:
        super().__init__()
        self.moved: list[tuple[int, int]] = []

    def run(self, grid: Grid, memory: list[np.ndarray], blocks: int) -> None:  # type: ignore[override]
        self.moved.append((emulate.run(grid, memory, blocks), grid.bytes))


# Elementwise, with an operand that is repeated and one that is turned; rows, of one and of several
# passes; columns; rows into columns; everything.
KERNELS: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "map": (lambda x: ops.tanh(x) * x + 1.0, (40, 61)),
    "repeated": (lambda x: x * x[0] + x[:, :1], (256, 16)),
    "turned": (lambda x: ops.exp(x.T), (48, 64)),
    "row": (lambda x: x.sum(-1), (24, 300)),
    "softmax": (lambda x: ops.softmax(x, -1), (24, 300)),
    "column": (lambda x: (x * x).sum(0), (300, 40)),
    "layer norm": (lambda x: (x - x.mean(-1, True)) * ops.rsqrt((x * x).mean(-1, True)), (16, 256)),
    "all": (lambda x: (x * x).sum(), (1 << 14,)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_bytes_moved(name: str) -> None:
    function, shape = KERNELS[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    graph = ms.jit(function).lower(Tensor(x)).stages[0][1]
    machine = Measured()
    Device(machine).run(DeviceProgram(graph, {}), x)
    assert machine.moved
    for moved, least in machine.moved:
        assert moved <= MOST * least, (moved, least)


def test_models_of_workloads() -> None:
    small = cuda_model.model("rosenbrock")
    assert len(small.launches) < 10
    assert small.bound == "launches"
    large = cuda_model.model("elementwise_chain")
    assert large.bound == "memory"
    moved = sum(grid.bytes for grid in large.launches)
    for capability, (bandwidth, _, _) in PEAKS.items():
        spent = large.seconds(capability) - cuda_model.LAUNCH * len(large.launches)
        assert spent == pytest.approx(moved / bandwidth)


def test_doubles_have_a_roof_of_their_own() -> None:
    single = Grid("r[i] = f32(1)", (), ("f32",), (), 1, 1, 0, 1 << 20)
    double = Grid("r[i] = f64(1)", (), ("f64",), (), 1, 1, 0, 1 << 20)
    for capability in PEAKS:
        assert roof(double, capability).arithmetic > roof(single, capability).arithmetic
