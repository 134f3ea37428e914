"""The law of the two modes: one program, one answer, whichever way it is run and differentiated.

Random programs (`user_programs`) are run eagerly, where derivatives are taken on the tape, and as a
graph, where they are taken by `autodiff`. How much answers may differ is measured for each program.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import jitgrad as ms
from jitgrad import Tensor, config, tree
from tests.laws.user_programs import (
    LARGEST,
    SIZE,
    Program,
    arrays,
    assert_close,
    programs,
    tolerances,
    weighted,
)


def examples(count: int) -> Callable:
    return settings(max_examples=count, suppress_health_check=[HealthCheck.too_slow])


def with_gradients(function: Callable, positions: tuple[int, ...]) -> Callable:
    """The function that returns what a function returns, and the gradients of its weighted sum."""
    gradient = ms.grad(weighted(function), positions)
    return lambda *xs: (function(*xs), gradient(*xs))


def agrees(program: Program, transform: Callable[[Callable], Callable], what: str) -> None:
    """``transform(program)`` gives the same eagerly and compiled."""

    def eager(function: Callable) -> object:
        return transform(function)(*program.tensors())

    limits = list(tolerances(program, eager))
    compiled = ms.jit(transform(program.function()))(*program.tensors())
    assert_close(compiled, eager(program.function()), limits, what, program)


@examples(50)
@given(programs())
def test_values_and_gradients_compiled(program: Program) -> None:
    agrees(program, lambda f: with_gradients(f, program.positions), "eager and compiled")


@examples(150)
@given(programs())
def test_values_and_gradients(program: Program) -> None:
    """The same for more programs: their kernels are run as plain Python."""
    with config.override(jit=False):
        agrees(program, lambda f: with_gradients(f, program.positions), "eager and compiled")


@examples(80)
@given(programs(lines=5))
def test_second_order(program: Program) -> None:
    """The gradient of the gradient's weighted sum."""

    def twice(function: Callable) -> Callable:
        return ms.grad(weighted(ms.grad(weighted(function), program.positions)), program.positions)

    with config.override(jit=False):
        agrees(program, twice, "second order, eager and compiled")


@examples(200)
@given(programs())
def test_gradients_are_differences(program: Program) -> None:
    """Along a random direction, the gradient is what the value changes by."""
    program = program.widened()
    loss = weighted(program.function())
    points = list(program.inputs.values())
    rng = np.random.default_rng(0)
    directions = [
        rng.normal(size=a.shape) if i in program.positions else np.zeros(a.shape, a.dtype)
        for i, a in enumerate(points)
    ]

    def value(step: float) -> float:
        moved = [(a + step * v).astype(a.dtype) for a, v in zip(points, directions)]
        return float(loss(*map(Tensor, moved)))

    found = arrays(ms.grad(loss, program.positions)(*program.tensors()))
    terms = [g * directions[i] for i, g in zip(program.positions, found)]
    slope, size = (float(sum(np.sum(f(t)) for t in terms)) for f in (np.asarray, np.abs))
    h = 5e-5
    coarse, fine = difference(value, 2 * h), difference(value, h)
    # Twice the step is wrong by 16 times as much. Where it is by far more, a tie is near after all.
    rounding = program.coarsest() * SIZE * LARGEST / h
    limit = 2 * abs(coarse - fine) + rounding + 1e-12 * size
    assert abs(slope - fine) <= limit, f"gradient {slope}, difference {fine} in {program}"


def difference(value: Callable[[float], float], h: float) -> float:
    """The derivative at 0, wrong by a multiple of h**4."""
    near, far = value(h) - value(-h), value(2 * h) - value(-2 * h)
    return (8 * near - far) / (12 * h)


@examples(150)
@given(programs())
def test_vmap_is_a_loop(program: Program) -> None:
    """Over some of the inputs; the others are the same for each example."""
    mapped = [i for i in range(len(program.inputs)) if i != 1]
    others = {
        name: np.stack([a, a[::-1] if a.ndim else a]) if i in mapped else a
        for i, (name, a) in enumerate(program.inputs.items())
    }
    axes = tuple([0 if i in mapped else None for i in range(len(program.inputs))])

    def loop(function: Callable) -> object:
        rows = [
            function(*[Tensor(a[k] if i in mapped else a) for i, a in enumerate(others.values())])
            for k in range(2)
        ]
        return tree.map(lambda *ys: ms.ops.stack(ys), *rows)

    limits = list(tolerances(program, loop))
    batched = ms.vmap(program.function(), axes)(*map(Tensor, others.values()))
    assert_close(batched, loop(program.function()), limits, "vmap and loop", program)


@pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE, ms.GRAPH_MODE], ids=["pynative", "graph"])
@examples(50)
@given(program=programs())
def test_forward_and_reverse(program: Program, mode: int) -> None:
    """``<J v, 1>`` in forward mode is ``<v, Jᵀ 1>`` in reverse mode."""
    rng = np.random.default_rng(1)
    given = program.tensors()
    at = [given[i] for i in program.positions]
    along = [Tensor(rng.normal(size=x.shape).astype(x.dtype.numpy)) for x in at]

    def loss(function: Callable) -> Callable:
        def at_floats(*xs: Tensor) -> Tensor:
            full = list(given)
            for i, x in zip(program.positions, xs):
                full[i] = x
            return weighted(function)(*full)

        return at_floats

    def reverse(function: Callable) -> list[Tensor]:
        pulled = ms.vjp(loss(function), *at)[1](Tensor(np.float64(1)))
        return [g.astype(ms.float64) * v for g, v in zip(pulled, along)]

    terms = arrays(reverse(program.function()))
    sizes = [(a.size, float(np.sum(np.abs(a)))) for a in terms]
    ms.set_context(mode=mode)
    try:
        with config.override(jit=False):
            forward = ms.jvp(loss(program.function()), tuple(at), tuple(along))[1].item()
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    # Each gradient is rounded to its input's dtype, whatever it was computed in.
    rounding = (len(program.lines) + 1) * program.coarsest() * sum(size for _, size in sizes)
    limits = zip(tolerances(program, reverse), sizes)
    limit = rounding + sum(limit * count for limit, (count, _) in limits)
    pulled = math.fsum(float(np.sum(a)) for a in terms)
    assert abs(forward - pulled) <= limit, f"forward {forward}, reverse {pulled} in {program}"
