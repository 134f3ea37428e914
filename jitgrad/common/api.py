"""jit, what MindSpore's programs say to its compiler, and the executor's barrier.

Nothing here needs the hints: what a function reads is found when it is traced. They are accepted,
and have no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jitgrad.api.jit import jit

ms_function = jit


@dataclass(frozen=True, slots=True)
class JitConfig:
    """Options of MindSpore's compiler, remembered without effect.

    >>> JitConfig(jit_level="O1").jit_level
    'O1'
    """

    jit_level: str = ""
    exc_mode: str = "auto"
    jit_syntax_level: str = ""
    debug_level: str = "RELEASE"
    infer_boost: str = "off"


def jit_class(cls: type) -> type:
    """The class itself: objects of any class can be used in a compiled function."""
    return cls


def no_inline(fn: Callable) -> Callable:
    """The function itself."""
    return fn


def lazy_inline(fn: Callable | None = None, attrs: Any = None, policy: Any = None) -> Callable:
    """The function itself, also as ``@lazy_inline(attrs=…)``."""
    return no_inline if fn is None else fn


def set_recursion_limit(recursion_limit: int = 1000) -> None:
    """Without effect: graphs are walked without recursion."""


def set_deterministic(deterministic: bool) -> None:
    """Without effect: the same program gives the same bits each time."""


class _Executor:
    """Nothing runs in the background here, so there is nothing to wait for."""

    def sync(self) -> None:
        """Return at once."""


_pynative_executor = _Executor()

__all__ = [
    "JitConfig", "jit", "jit_class", "lazy_inline", "ms_function", "no_inline",
    "set_deterministic", "set_recursion_limit",
]  # fmt: skip
