"""Numbers that are parameters of kernels: other learning rates and sizes need no other code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import ops
from jitgrad.ir.types import BY_NUMPY
from jitgrad.runtime.lowered import Lowered
from tests.codegen.backends import BACKENDS, Backend
from tests.programs import graph_of

Program = Callable[[ms.Tensor], ms.Tensor]


def kernels(program: Program, shape: Sequence[int] = (6, 5)) -> list[str]:
    lowered: Lowered = ms.jit(program).lower(ms.Tensor(np.ones(shape, np.float32)))
    return [kernel.source for kernel in lowered.kernels]


def steps(rate: float) -> Program:
    """A loop of scalars in registers."""

    def program(x: ms.Tensor) -> ms.Tensor:
        total = x.sum()
        while total < 100.7 * rate:
            total = total + rate * (1.7 - total)
        return total

    return program


@pytest.mark.parametrize(
    "make",
    [
        lambda rate: lambda x: x - rate * ops.tanh(x),
        lambda rate: lambda x: (x * rate).sum(1) / (rate + 2.3),
        lambda rate: lambda x: ops.select(x > rate, x, -x),
        steps,
    ],
    ids=["map", "rows", "comparison", "loop"],
)
def test_another_number_is_the_same_kernel(make: Callable[[float], Program]) -> None:
    assert kernels(make(0.1)) == kernels(make(0.07))


def test_a_mean_over_more_is_the_same_kernel() -> None:
    assert kernels(lambda x: x.mean(1), (40, 37)) == kernels(lambda x: x.mean(1), (50, 41))


@pytest.mark.parametrize("number", [2.0, -0.75, 1024.0])
def test_numbers_of_few_bits_stay(number: float) -> None:
    assert f"f32({number})" in kernels(lambda x: number - x)[0]


def test_exponents_stay() -> None:
    assert "f32(1.7)" in kernels(lambda x: x**1.7)[0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [0.1, -0.3, 1e-30, -1e-40, 5e-324, 1e30])
def test_every_bit_arrives(backend: Backend, dtype: type, value: float) -> None:
    code = BY_NUMPY[np.dtype(dtype)].code
    with np.errstate(all="ignore"):
        number = dtype(value)
    graph = graph_of(lambda x: x + value, f"{code}[3]")
    (found,) = backend(graph, [np.zeros(3, dtype)])
    assert (found == np.zeros(3, dtype) + number).all()
