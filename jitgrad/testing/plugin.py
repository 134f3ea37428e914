"""The pytest fixture `check_grads`.

It is loaded by name, so that pytest does not import jitgrad where it is merely installed. In the
`conftest.py` at the root of the tests::

    pytest_plugins = ["jitgrad.testing.plugin"]
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jitgrad.testing import grads


@pytest.fixture
def check_grads() -> Callable[..., list[grads.Comparison]]:
    """``check_grads(fn, *args, order=2, modes=("fwd", "rev"))`` fails the test if a derivative of
    `fn` is not the one that differences give; see `jitgrad.check_grads`.
    """
    return grads.check_grads
