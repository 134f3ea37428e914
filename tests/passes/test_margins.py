"""Values padded to several places become views of one array with a margin."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node, full
from jitgrad.ir.verify import verify
from jitgrad.passes.margins import margins
from jitgrad.primitives.elementwise import exp
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast, pad, reshape, slice_
from jitgrad.runtime.executable import Executable
from tests.programs import graph_of

ROWS, LENGTH = 8, 40


def padded(x: Node, *lows: int, by: int) -> Node:
    """x among zeros, `by` more along each of its last axes."""
    low = (*(0,) * (x.ndim - len(lows)), *lows)
    high = tuple(by - at if at or a >= x.ndim - len(lows) else 0 for a, at in enumerate(low))
    return pad(x, low=low, high=high, interior=(0,) * x.ndim)


def pads(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.op is pad]


def box(x: Node) -> Node:
    return padded(x, 0, by=2) + padded(x, 1, by=2) + padded(x, 2, by=2)


def signed(x: Node) -> Node:
    return padded(x * full(0.5, x.type), 0, by=3) - padded(-x, 2, by=3) + padded(x, 3, by=3)


def two(x: Node) -> Node:
    """Two axes, two arrays."""
    y = exp(x)
    first = padded(x + y, 0, 1, by=2) + padded(y - x, 2, 0, by=2)
    return first + padded(x, 1, 1, by=2) + padded(y, 1, 2, by=2)


def weighted(x: Node, w: Node) -> Node:
    """Weights that may be infinite."""
    total = full(0, x.type.with_shape((*x.shape[:-1], x.shape[-1] + 3)))
    for k in range(4):
        weight = reshape(slice_(w, starts=(k,), stops=(k + 1,), steps=(1,)), shape=())
        total = total + padded(x * broadcast(weight, shape=x.shape, dims=()), k, by=3)
    return total


def column_weights(x: Node, w: Node) -> Node:
    """What differs along the padded axis is no weight."""
    spread = broadcast(w, shape=x.shape, dims=(1,))
    return padded(x * spread, 0, by=1) + padded(x * spread, 1, by=1)


def rows_of(x: Node) -> Node:
    return reduce_sum(box(exp(x)), axes=(0,))


ONE = {"box": box, "signed": signed, "two": two, "rows": rows_of}
TYPE = f"f32[{ROWS},{LENGTH}]"


@pytest.mark.parametrize("program", ONE.values(), ids=ONE)
@pytest.mark.parametrize("specials", [False, True])
def test_values(program: Callable, specials: bool) -> None:
    x = np.random.default_rng(0).integers(-4, 5, (ROWS, LENGTH)).astype(np.float32)
    if specials:
        x[0, 0], x[1, -1], x[2, 3] = math.inf, math.nan, -0.0
    check(graph_of(program, TYPE), [x])


def check(graph: Graph, arrays: list[np.ndarray]) -> None:
    """One padding for each array, and the reference's values: compiled as well."""
    made = margins(graph)
    verify(made)
    assert made is not graph
    bases = {p.inputs[0] for p in pads(made)}
    assert len(bases) == len(pads(made)) < len(pads(graph))
    with np.errstate(all="ignore"):
        want = interpret(graph, arrays)
        for got in (interpret(made, arrays), Executable(graph, {})(*arrays)):
            for a, b in zip(got, want, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, strict=True)


@pytest.mark.parametrize("weight", [2.0, 0.0, math.inf, math.nan])
def test_weights_do_not_reach_the_margin(weight: float) -> None:
    """Infinity times what is not there is nothing."""
    w = np.array([1, weight, -1, 0.5], np.float32)
    x = np.random.default_rng(0).integers(1, 5, (ROWS, LENGTH)).astype(np.float32)
    check(graph_of(lambda x, w: weighted(x, w), f"{TYPE} f32[4]"), [x, w])


@pytest.mark.parametrize(
    "program",
    [
        lambda x: padded(x, 0, by=1),
        lambda x: padded(x, 0, by=1) + padded(exp(x), 1, by=1),
        lambda x: padded(x, 0, by=LENGTH * 2) + padded(x, LENGTH * 2, by=LENGTH * 2),
    ],
    ids=["one place", "two values", "far apart"],
)
def test_left_alone(program: Callable) -> None:
    graph = graph_of(program, TYPE)
    assert margins(graph) is graph


def test_weights_along_the_padded_axis() -> None:
    """They are padded with what they weigh."""
    graph = graph_of(lambda x, w: column_weights(x, w), f"{TYPE} f32[{LENGTH}]")
    x, w = np.ones((ROWS, LENGTH), np.float32), np.arange(LENGTH, dtype=np.float32)
    check(graph, [x, w])


@given(
    lows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=4),
    seed=st.integers(0, 99),
)
def test_any_places(lows: list[tuple[int, int]], seed: int) -> None:
    x = np.random.default_rng(seed).integers(-4, 5, (7, 9)).astype(np.float32)

    def program(x: Node) -> Node:
        total = padded(-x, *lows[0], by=3)
        for low in lows[1:]:
            total = total + padded(x * full(3, x.type), *low, by=3)
        return total

    graph = graph_of(program, "f32[7,9]")
    for a, b in zip(interpret(margins(graph), [x]), interpret(graph, [x]), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
