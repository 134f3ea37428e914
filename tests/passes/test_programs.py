"""Passes keep the values of random programs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jitgrad.ir.node import Graph
from jitgrad.ir.pattern import EXACT
from jitgrad.ir.verify import verify
from jitgrad.passes.cse import cse
from jitgrad.passes.dce import dce
from jitgrad.passes.fold import fold
from jitgrad.passes.pipeline import optimize
from jitgrad.passes.simplify import simplify
from jitgrad.passes.stabilize import stabilize
from tests.strategies import (
    ALL,
    BITWISE,
    INTEGRAL,
    SMOOTH,
    graphs,
    integral_arrays,
    real_arrays,
    run,
    values_of,
)

SEEDS = st.integers(0, 2**32 - 1)
MODERATE = 2**20  # sums of such integers are exact in float32, in any order


def simplify_exactly(graph: Graph) -> Graph:
    return simplify(graph, EXACT)


def compare(graph: Graph, result: Graph, arrays: list[np.ndarray], tolerance: float = 0) -> None:
    verify(result)
    assert result.inputs == graph.inputs
    for a, b in zip(run(graph, arrays), run(result, arrays), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("pass_", [cse, fold, dce, simplify_exactly], ids=lambda p: p.__name__)
@given(graph=graphs(BITWISE), seed=SEEDS)
def test_the_same_bits(pass_: Callable, graph: Graph, seed: int) -> None:
    """Whatever the values: zeros of both signs, infinities, nan."""
    compare(graph, pass_(graph), real_arrays([n.type for n in graph.inputs], seed, specials=True))


@pytest.mark.parametrize("pass_", [simplify, optimize], ids=lambda p: p.__name__)
@given(graph=graphs(INTEGRAL, steps=14), seed=SEEDS)
def test_the_same_integers(pass_: Callable, graph: Graph, seed: int) -> None:
    """Sums in any order, in numbers that all fit."""
    arrays = integral_arrays([n.type for n in graph.inputs], seed)
    values = [v for v in values_of(graph, arrays).values() if v.dtype.kind == "f"]
    assume(all((np.abs(v) < MODERATE).all() for v in values))
    compare(graph, pass_(graph), arrays)


@pytest.mark.parametrize("pass_", [stabilize, optimize], ids=lambda p: p.__name__)
@given(graph=graphs(SMOOTH), seed=SEEDS)
def test_the_same_numbers(pass_: Callable, graph: Graph, seed: int) -> None:
    """Up to rounding, for programs that do not magnify it themselves."""
    arrays = real_arrays([n.type for n in graph.inputs], seed, specials=False)
    values = values_of(graph, arrays)
    moved = values_of(graph, [a * (1 + 1e-9) + 1e-9 for a in arrays])
    for node, value in values.items():
        assume(np.isfinite(value).all() and (np.abs(value) < 1e6).all())
        assume(np.allclose(moved[node], value, rtol=1e-7, atol=1e-7))
    compare(graph, pass_(graph), arrays, tolerance=1e-6)


@pytest.mark.parametrize("pass_", [cse, fold, dce, simplify, stabilize], ids=lambda p: p.__name__)
@given(graph=graphs(ALL, steps=14))
def test_a_second_run_changes_nothing(pass_: Callable, graph: Graph) -> None:
    once = pass_(graph)
    assert pass_(once) is once


@given(graph=graphs(ALL, steps=14))
def test_the_pipeline_is_deterministic_and_settles(graph: Graph) -> None:
    once = verify(optimize(graph))
    assert optimize(graph) is once
    assert optimize(once) is once
