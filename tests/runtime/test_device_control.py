"""Programs with loops and branches, with their gradients, on an emulated device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config, tree
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
