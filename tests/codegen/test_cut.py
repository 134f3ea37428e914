"""Lanes, strips and written-out reductions on graphs too small to get them by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitgrad.codegen import strips as cutting
from jitgrad.ir.node import Graph
from jitgrad.passes import lanes, schedule, strips
from tests.codegen.backends import Backend, compiled, python, reference
from tests.codegen.test_random import check
from tests.strategies import INTEGRAL, SMOOTH, graphs, real_arrays


@pytest.fixture(params=["strips", "lanes", "both"])
def thresholds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that can be cut is cut, in tiles of two or three; what can move, moves."""
    if request.param != "lanes":
        monkeypatch.setattr(strips, "WORTH", 1)
        monkeypatch.setattr(strips, "SHORTEST", 2)
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
