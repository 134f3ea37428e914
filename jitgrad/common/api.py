"""jit and the executor's barrier, under MindSpore's module path."""

from __future__ import annotations

from jitgrad.api.jit import jit

ms_function = jit


class _Executor:
    """Nothing runs in the background here, so there is nothing to wait for."""

    def sync(self) -> None:
        """Return at once."""


_pynative_executor = _Executor()

__all__ = ["jit", "ms_function"]
