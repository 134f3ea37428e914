"""Programs with loops and branches, with their gradients, on an emulated device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config, ops, tree
from jitgrad.runtime.cuda import device as devices
from jitgrad.runtime.cuda.device import Device
from jitgrad.runtime.cuda.driven import Driven
from jitgrad.runtime.cuda.emulated import Emulated
from jitgrad.runtime.cuda.program import DeviceProgram
from jitgrad.tensor import Tensor
from tests.frontend import region_programs
from tests.laws.test_control_examples import PROGRAMS, load

LONG = (region_programs.long_while,)  # hundreds of iterations that the host drives
REGIONS = [
    pytest.param(p, args, id=p.__name__) for p, args in region_programs.calls() if p not in LONG
]


def flat(nest: Any) -> list[np.ndarray]:
    return [x.asnumpy() for x in tree.flatten(nest)[0]]


def check(function: Any, arguments: tuple[Tensor, ...]) -> None:
    """The compiled gradient on the device is that on the CPU."""
    gradient = ms.value_and_grad(function, tuple(range(len(arguments))))
    expected = flat(ms.jit(gradient)(*arguments))
    with config.override(cuda="emulate"):
        found = flat(ms.jit(gradient, backend="cuda")(*arguments))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("program", "values"), REGIONS)
def test_regions(program: Any, values: tuple[Any, ...]) -> None:
    check(program, tuple([Tensor(v) for v in values]))


@pytest.mark.parametrize("name", PROGRAMS)
def test_examples(name: str) -> None:
    check(*PROGRAMS[name](load(name)))


def adaptive(x):
    """Heun's method for x' = -x^2, whose steps grow and shrink with Euler's error."""
    t, h = 0.0, 0.5
    while t < 1.0:
        h = ops.minimum(h, 1.0 - t + 1e-6)
        euler = x - h * x * x
        heun = x - 0.5 * h * (x * x + euler * euler)
        if ops.abs(heun - euler) < 1e-2:
            x, t, h = heun, t + h, 1.5 * h
        else:
            h = 0.5 * h
    return x


def nested(x):
    """A loop in a loop, each as long as its example needs."""
    while x > 1.0:
        y = x
        while y > 0.5 * x:
            y = y - 0.1 * x * ops.cos(0.1 * y)
        x = y
    return x


def together(x):
    """All go on as long as one does."""
    while (x > 1.0).any():
        x = 0.7 * x
    return x


def in_turns(x):
    """An example can begin again."""
    n = 0
    while ((x > 1.0) & (n % 3 < 2)).any() or n < 9:
        x = 0.9 * x
        n = n + 1
    return x


@pytest.mark.parametrize(
    ("function", "driven"),
    [
        (ms.vmap(adaptive), False), (ms.vmap(nested), False),
        (together, True), (in_turns, True),
    ],
    ids=["adaptive", "nested", "together", "in turns"],
)  # fmt: skip
def test_loops_that_end_lane_by_lane(function: Any, driven: bool) -> None:
    """Under vmap each is a kernel, in which each thread runs until its example is done."""
    x = Tensor(np.linspace(0.25, 9.0, 70).astype(np.float32))
    program = DeviceProgram(ms.jit(function).lower(x).stages[0][1], {})
    assert [isinstance(launch, Driven) for _, launch in program.launches].count(True) == driven
    with config.override(cuda="emulate"):
        found = ms.jit(function, backend="cuda")(x).asnumpy()
    np.testing.assert_allclose(found, ms.jit(function)(x).asnumpy(), rtol=1e-5)


class Runs(Emulated):
    """Counts kernels."""

    launches = 0

    def run(self, *args: Any) -> None:
        self.launches += 1
        super().run(*args)


def shrunk(x):
    while x > 1.0:
        x = 0.7 * x * ops.cos(0.1 * x)
    return x


@pytest.mark.parametrize("function", [ms.vmap(adaptive), ms.vmap(shrunk), lambda x: adaptive(x[3])])
def test_gradients_of_counted_loops(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kernel counts, one records, one goes back: as many for no iteration as for twenty."""
    launches = []
    for largest in (0.25, 9.0):
        machine = Runs()
        device = Device(machine)
        monkeypatch.setattr(devices, "emulated", lambda device=device: device)
        x = Tensor(np.linspace(0.125, largest, 70).astype(np.float32))
        check(lambda x: function(x).sum(), (x,))
        launches.append(machine.launches)
    assert launches[0] <= launches[1] <= 12
