"""How fast a program is in both modes, in one line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from jitgrad.api import context
from jitgrad.tools.compare import duration


def speed(function: Callable, *args: Any, repeat: int = 3) -> str:
    """The least time of a call, eager and compiled; `function` is what GRAPH_MODE compiles, such
    as a Cell or a gradient, and what it writes stays written.

    >>> from jitgrad import Tensor, nn
    >>> speed(nn.ReLU(), Tensor([1.0]))
    'eager ..., compiled ...: ... times as fast'
    """
    before = context.get_context("mode")
    times = []
    try:
        for mode in (context.PYNATIVE_MODE, context.GRAPH_MODE):
            context.set_context(mode=mode)
            function(*args)
            times.append(min(_seconds(function, args) for _ in range(repeat)))
    finally:
        context.set_context(mode=before)
    eager, compiled = times
    text = f"eager {duration(eager)}, compiled {duration(compiled)}"
    return f"{text}: {eager / compiled:.3g} times as fast"


def _seconds(function: Callable, args: tuple[Any, ...]) -> float:
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start
