"""`explain`: what became of a function for certain arguments, and why it was traced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jitgrad import journal
from jitgrad.api.entry import Entry
from jitgrad.api.jit import Compiled, jit
from jitgrad.api.points import title
from jitgrad.api.reasons import defined_at
from jitgrad.frontend.control import report
from jitgrad.runtime.lowered import Lowered
from jitgrad.tensor import Parameter
from jitgrad.tools.cache import size

COMMON = 12  # guards that are listed


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a call runs, to be printed.

    events   what this call had to do: traces, compilations, with their milliseconds; empty if it
             was compiled before.
    lowered  graphs, plan and kernels.
    """

    name: str
    where: str
    entry: Entry
    events: tuple[str, ...]
    lowered: Lowered

    @property
    def why(self) -> str:
        """Why it was traced last."""
        return self.entry.why

    def __str__(self) -> str:
        traced, plan = self.entry.traced, self.lowered.plan
        trace, last = self.lowered.stages[0][1], self.lowered.stages[-2][1]
        lines = [
            f"{self.name}{self.where}",
            f"  traced because: {self.why}",
            f"  it took:        {self.entry.cost}",
            f"  this call:      {'; '.join(self.events) or 'nothing to trace or compile'}",
            f"  graph:          {len(trace.nodes)} nodes, {len(last.nodes)} after the passes",
            f"  captured:       {_captured(traced.captures)}",
            f"  watched:        {self._watched()}",
            f"  plan:           {len(plan.steps)} steps, arena of {size(plan.arena)},"
            f" {len(plan.constants)} constants",
            "  control flow:",
            *("    " + line for line in report(traced).split("\n")),
            "  kernels:",
        ]
        for kernel in self.lowered.kernels:
            lines.append(f"    {kernel.name}: {' '.join(kernel.ops)}  {'; '.join(kernel.lines)}")
        return "\n".join(lines)

    def _watched(self) -> str:
        guards = self.entry.guards
        names = [str(c.key) for c in (*guards.always, *guards.rarely) if isinstance(c.key, str)]
        named = sorted(set(names))
        more = f" and {len(named) - COMMON} more" if len(named) > COMMON else ""
        return ", ".join(named[:COMMON]) + more or "nothing"


def _captured(captures: Any) -> str:
    parameters = sum(isinstance(c, Parameter) for c in captures)
    return f"{parameters} Parameters, {len(captures) - parameters} other Tensors"


def explain(function: Callable) -> Callable[..., Explanation]:
    """What `function` becomes for the arguments of a call, and why.

    The result, called with arguments as `function` is, gives a report: what was captured from
    outside, what is watched, the plan and its kernels, what this call had to trace and compile, and
    why it was traced last. The function itself is not run, unless it has to be traced.

    >>> import jitgrad as ms
    >>> @ms.jit
    ... def f(x):
    ...     return (x * x).sum()
    >>> print(ms.explain(f)(ms.Tensor([1.0, 2.0])).why)
    first call
    >>> print(ms.explain(f)(ms.Tensor([1.0, 2.0, 3.0])).why)
    x: f32[2] -> f32[3]

    Raises:
        TypeError: `function` cannot be called.
    """
    compiled: Compiled = jit(function)

    def call(*args: Any, **kwargs: Any) -> Explanation:
        with journal.collected() as events:
            entry, _ = compiled.entry(args, kwargs)
        where = defined_at(compiled._shown)
        return Explanation(
            title(compiled._shown),
            f" ({where})" if where else "",
            entry,
            tuple(events),
            compiled.lower(*args, **kwargs),
        )

    return call
