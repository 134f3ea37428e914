"""Transforms that need a graph, in both modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad.api.context import is_graph_mode
from jitgrad.api.jit import Compiled
from jitgrad.api.points import in_numpy, to_numpy
from jitgrad.frontend.graphcall import compiled, interpreted
from jitgrad.state import state


class ByGraph:
    """A function that exists as a graph only: compiled in GRAPH_MODE, interpreted otherwise."""

    def __init__(self, function: Callable):
        self.__wrapped__ = function
        self.__name__ = function.__name__
        self._compiled = Compiled(function, compiled, functional=True)
        self._interpreted = Compiled(function, interpreted, functional=True)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.trace is not None:
            return self.__wrapped__(*args, **kwargs)
        run = self._compiled if is_graph_mode() else self._interpreted
        result = run(*args, **kwargs)
        return to_numpy(result) if in_numpy(args, kwargs) else result

    def __reduce__(self) -> tuple:
        """A copy is compiled anew."""
        return type(self), (self.__wrapped__,)
