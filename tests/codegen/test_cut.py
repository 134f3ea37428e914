"""Lanes, strips and written-out reductions on graphs too small to get them by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitgrad.codegen import strips as cutting
from jitgrad.ir.node import Graph, Node
from jitgrad.passes import cutter, lanes, schedule, strips
from jitgrad.passes.fuse import fuse
from jitgrad.passes.pipeline import optimize
from jitgrad.primitives.elementwise import exp, log, sqrt, tanh
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast, slice_, transpose
from tests import programs
from tests.codegen.backends import Backend, compiled, python, reference
from tests.codegen.test_random import check
from tests.programs import graph_of
from tests.strategies import INTEGRAL, SMOOTH, graphs, real_arrays


@pytest.fixture(params=["strips", "lanes", "both"])
def thresholds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that can be cut is cut, in tiles of two or three; what can move, moves."""
    if request.param != "lanes":
        monkeypatch.setattr(cutter, "WORTH", 1)
        monkeypatch.setattr(cutter, "SHORTEST", 2)
        monkeypatch.setattr(cutting, "TILE", 40)
        monkeypatch.setattr(cutting, "LANES", 2)
        monkeypatch.setattr(cutting, "MOST_CHUNKS", 2)
    if request.param != "strips":
        monkeypatch.setattr(lanes, "LONG", 2)
        monkeypatch.setattr(schedule, "LANES", 2)


SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.usefixtures("thresholds")
@given(graph=graphs(INTEGRAL), seed=st.integers(0, 99))
@SHARED
def test_whole_numbers(graph: Graph, seed: int) -> None:
    check(graph, seed, python)


@pytest.mark.usefixtures("thresholds")
@given(graph=graphs(SMOOTH, steps=16), seed=st.integers(0, 99))
@SHARED
def test_real_numbers(graph: Graph, seed: int) -> None:
    agree(graph, seed, python)


@pytest.mark.usefixtures("thresholds")
@given(graph=graphs(SMOOTH, steps=16), seed=st.integers(0, 99))
@settings(SHARED, max_examples=10)
def test_compiled(graph: Graph, seed: int) -> None:
    agree(graph, seed, compiled)


def agree(graph: Graph, seed: int, backend: Backend) -> None:
    arrays = real_arrays([x.type for x in graph.inputs], seed, specials=False)
    for got, want in zip(backend(graph, arrays), reference(graph, arrays), strict=True):
        scale = np.max(np.abs(want), initial=1, where=np.isfinite(want))
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * scale)


def two_layers(x: Node, w: Node, v: Node, y: Node) -> Node:
    """Products by rows, and products that sum over the rows in the gradient."""
    d = matmul(tanh(matmul(x, w)), v) - y
    return reduce_sum(d * d, axes=(0, 1))


def small_matrices(a: Node, b: Node) -> Node:
    """A product for each element of a batch, and what is computed with its elements."""
    c = tanh(matmul(a, b))
    first = slice_(c, starts=(0, 0, 0), stops=(c.shape[0], 1, c.shape[2]), steps=(1, 1, 1))
    return reduce_sum(c * c, axes=(0, 1, 2)) + reduce_sum(exp(first), axes=(0, 1, 2))


def distances(x: Node, y: Node) -> Node:
    """Between all points of two clouds."""
    shape = (x.shape[0], y.shape[0], x.shape[1])
    d = broadcast(x, shape=shape, dims=(0, 2)) - broadcast(y, shape=shape, dims=(1, 2))
    return reduce_sum(sqrt(reduce_sum(d * d, axes=(2,)) + 1.0), axes=(0, 1))


def mixture(x: Node, mean: Node, scale: Node) -> Node:
    """The log-likelihood of a mixture of normal distributions with full covariances."""
    (n, d), k = x.shape, mean.shape[0]
    spread = broadcast(x, shape=(k, n, d), dims=(1, 2))
    c = spread - broadcast(mean, shape=(k, n, d), dims=(0, 2))
    y = matmul(c, scale)
    logs = transpose(reduce_sum(y * y, axes=(2,)) * -0.5, perm=(1, 0))
    e = reduce_sum(exp(logs), axes=(1,))
    return reduce_sum(log(e + 1.0), axes=(0,))


CUT = [
    (two_layers, "f64[7,3] f64[3,4] f64[4,2] f64[7,2]", (0, 1, 2)),
    (small_matrices, "f64[7,3,2] f64[7,2,3]", (0, 1)),
    (distances, "f64[5,2] f64[7,2]", (0, 1)),
    (mixture, "f64[7,3] f64[2,3] f64[2,3,3]", (0, 1, 2)),
    (programs.layer_norm, "f64[7,5] f64[5] f64[5]", (0, 1, 2)),
    (programs.cross_entropy, "f64[7,5] f64[7,5]", (0,)),
]


@pytest.mark.usefixtures("thresholds")
@pytest.mark.parametrize("backend", [python, compiled])
@pytest.mark.parametrize(("program", "types", "wrt"), CUT)
def test_gradients(program, types: str, wrt, backend: Backend) -> None:
    agree(graph_of(program, types, wrt), 3, backend)


def test_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above test something."""
    monkeypatch.setattr(cutter, "WORTH", 1)
    monkeypatch.setattr(cutter, "SHORTEST", 2)
    for program, types, wrt in CUT:
        fused = strips.strips(fuse(optimize(graph_of(program, types, wrt))))
        assert any(n.op.name == "strip" for n in fused.nodes), program


def test_nothing_is_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that is a step's only one leaves the strip like any other."""
    monkeypatch.setattr(cutter, "WORTH", 1)
    monkeypatch.setattr(cutter, "SHORTEST", 2)
    graph = graph_of(two_layers, "f64[7,3] f64[3,4] f64[4,2] f64[7,2]", (0, 1, 2))
    before = fuse(optimize(graph))
    after = strips.strips(before)
    steps = [n for n in before.nodes if n.op.kind in ("region", "call")]
    found = [n for n in after.nodes if n.op.kind in ("region", "call")]
    for strip in [n for n in found if n.op.name == "strip"]:
        found.remove(strip)
        found += [n for n in strip.attrs["body"].nodes if n.op.kind in ("region", "call")]
    sums = sum(n.op.name == "fused" for n in found) - sum(n.op.name == "fused" for n in steps)
    assert len(found) - len(steps) == sums <= 2  # ends of sums, which follow the strip
