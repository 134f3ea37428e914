"""For pytest: the names that examples in docstrings use without importing them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def names_of_examples(request: pytest.FixtureRequest) -> None:
    """`ms`, `np`, and what programs import from jitgrad first."""
    if isinstance(request.node, pytest.DoctestItem):
        import jitgrad as ms
        from jitgrad import Tensor, mint, nn, ops

        known: dict[str, Any] = request.getfixturevalue("doctest_namespace")
        known.update(ms=ms, np=np, Tensor=Tensor, mint=mint, nn=nn, ops=ops)
