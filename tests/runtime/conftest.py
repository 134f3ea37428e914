"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jitgrad import config
from jitgrad.runtime import cache


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty cache for this test, in memory and on disk."""
    path = tmp_path / "cache"
    kept, cache._memory = cache._memory, {}
    warned, cache._warned = cache._warned, set()
    with config.override(cache_dir=str(path), cache=True):
        yield path
    cache._memory, cache._warned = kept, warned
