"""Functions that give views: the elements of their operand, and what is written to either."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from jitgrad.frontend.composed import composed
from jitgrad.ops.promote import copied
from jitgrad.tensor import Tensor
from jitgrad.views import View, connect


def viewing(write_back: Callable) -> Callable:
    """Declare that a function of a Tensor gives a view of it. `write_back(view, base, …)`, with the
    function's other arguments, is what the base becomes when the view is written to.
    """

    def mark(function: Callable) -> Callable:
        first = next(iter(inspect.signature(function).parameters))
        quick = composed(function)

        @functools.wraps(function)
        def call(*args, **kwargs):
            if not args:
                args = (kwargs.pop(first),)
            out = quick(*args, **kwargs)
            if not isinstance(args[0], Tensor):
                return out
            return shown(out, View(args[0], function, write_back, args[1:], kwargs))

        return call

    return mark


def shown(out: Tensor, view: View) -> Tensor:
    """What a function computed of a Tensor, as a view of it."""
    if out is view.base:
        out = copied(out)
    connect(out, view)
    return out


__all__ = ["shown", "viewing"]
