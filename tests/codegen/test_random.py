"""Random graphs through every backend."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jitgrad.ir.node import Graph, Node
from jitgrad.primitives.elementwise import tanh
from tests.codegen.backends import Backend, compiled, emulated, python, reference
from tests.programs import graph_of
from tests.strategies import BITWISE, INTEGRAL, SMOOTH, graphs, integral_arrays, real_arrays

# Whole numbers, on which the order of a sum does not matter: the same bits.
INTEGERS = {"graph": graphs(INTEGRAL), "seed": st.integers(0, 99)}


def check(graph: Graph, seed: int, backend: Backend) -> None:
    arrays = integral_arrays([x.type for x in graph.inputs], seed)
    given = [a.copy() for a in arrays]
    for got, want in zip(backend(graph, given), reference(graph, arrays), strict=True):
        np.testing.assert_array_equal(got, want, strict=True)
    for before, after in zip(arrays, given, strict=True):
        np.testing.assert_array_equal(before, after)


@given(**INTEGERS)
def test_python(graph: Graph, seed: int) -> None:
    check(graph, seed, python)


@given(**INTEGERS)
@settings(max_examples=50)
def test_emulated(graph: Graph, seed: int) -> None:
    check(graph, seed, emulated)


@given(**INTEGERS)
@settings(max_examples=15)
def test_compiled(graph: Graph, seed: int) -> None:
    check(graph, seed, compiled)


@given(graph=graphs(SMOOTH), seed=st.integers(0, 99))
@settings(max_examples=50)
def test_real_numbers(graph: Graph, seed: int) -> None:
    arrays = real_arrays([x.type for x in graph.inputs], seed, specials=False)
    for got, want in zip(python(graph, arrays), reference(graph, arrays), strict=True):
        scale = np.max(np.abs(want), initial=1, where=np.isfinite(want))
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * scale)


@given(graph=graphs(BITWISE), seed=st.integers(0, 99))
@settings(max_examples=50)
def test_backends_agree_on_specials(graph: Graph, seed: int) -> None:
    """Both frames run the same text on the same scalars."""
    arrays = real_arrays([x.type for x in graph.inputs], seed, specials=True)
    for a, b in zip(python(graph, arrays), emulated(graph, arrays), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def long_chain(x: Node) -> Node:
    for i in range(2000):
        x = tanh(x) if i % 20 == 0 else x * (1 + i % 20 / 1000)
    return x


@pytest.mark.parametrize("backend", [compiled, python])
def test_two_thousand_ops(backend: Backend) -> None:
    """No kernel grows without bound."""
    graph = graph_of(long_chain, "f64[3]")
    arrays = [np.array([0.1, -0.5, 2.0])]
    (got,), (want,) = backend(graph, arrays), reference(graph, arrays)
    np.testing.assert_allclose(got, want, rtol=1e-6)
