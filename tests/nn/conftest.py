"""Both modes, and the random state, for the tests of networks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import jitgrad as ms

MODES = {"pynative": ms.PYNATIVE_MODE, "graph": ms.GRAPH_MODE}


@pytest.fixture(params=list(MODES))
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test in each mode."""
    before = ms.get_context("mode")
    ms.set_context(mode=MODES[request.param])
    yield request.param
    ms.set_context(mode=before)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test starts from the same random state."""
    ms.set_seed(0)
