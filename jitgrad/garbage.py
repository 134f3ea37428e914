"""Python's garbage collector, out of the way of those who make many objects and drop few."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """No look for garbage in the block: among the nodes of a large graph, all of which are in use,
    it takes a third of the time of tracing and of passes.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
