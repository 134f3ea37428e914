"""The laws hold in both modes, and leave none behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import jitgrad as ms

MODES = {"pynative": ms.PYNATIVE_MODE, "graph": ms.GRAPH_MODE}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test in both modes."""
    before = ms.get_context("mode")
    ms.set_context(mode=MODES[request.param])
    yield request.param
    ms.set_context(mode=before)
