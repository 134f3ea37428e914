"""`explain`: what compiling makes of a function, told in the user's own lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad.api.jit import Compiled, jit
from jitgrad.frontend.control import report
from jitgrad.ir.text import print_graph


def explain(function: Callable) -> Callable[..., None]:
    """``explain(f)(*args)`` prints the program that ``f(*args)`` is compiled to.

    First what became of control flow: what is a loop or a branch of the program, what was unrolled,
    where the trace followed the path of these arguments, and why. Then the graph as it was traced,
    each line with the user's line that made it. The function is compiled, and not run.

    >>> from jitgrad import Tensor
    >>> def f(x):
    ...     return x if x > 0 else -x
    >>> explain(f)(Tensor(2.0))  # doctest: +ELLIPSIS
    f for (x: f32[])
    ...: branch: both branches are compiled, 1 result
    ...

    Args:
        function: a function, a Cell, or what `jit` or `grad` made of one.
    """

    def show(*args: Any, **kwargs: Any) -> None:
        compiled = function if isinstance(function, Compiled) else jit(function)
        entry, _ = compiled.entry(args, kwargs)
        traced = entry.traced
        count = len(traced.graph.inputs) - len(traced.captures)
        given = ", ".join(f"{n.attrs['name']}: {n.type}" for n in traced.graph.inputs[:count])
        print(f"{compiled.__name__} for ({given})")
        print(report(traced))
        print(print_graph(traced.graph))

    return show
