"""Exceptions that depend on data inside of a region: `raise` and `assert` in compiled loops.

Where no path can be followed, a branch that raises becomes a *fault*: a number says which of the
program's exceptions came first, and regions carry it, with what its text shows, like all that
changes in place. The loop ends there. What follows is computed with whatever there is, and thrown
away: when the function has run it raises the exception, and what it writes is as before the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jitgrad.errors import JitgradError
from jitgrad.frontend.aliases import chosen
from jitgrad.frontend.control.attempt import Outcome, Place
from jitgrad.frontend.control.merge import zeros_like
from jitgrad.frontend.control.paths import Blocked, computed
from jitgrad.frontend.control.signals import CODE, END, Mixed, Return
from jitgrad.frontend.control.text import Template
from jitgrad.frontend.control.variables import Unbound
from jitgrad.frontend.dispatch import apply, fill
from jitgrad.ir.node import Node
from jitgrad.locate import PACKAGE
from jitgrad.primitives.elementwise import equal, not_equal
from jitgrad.primitives.flow import largest
from jitgrad.tensor import Tensor

ELSEWHERE = -1  # the number of an exception that has another effect


@dataclass(slots=True, eq=False)
class Site:
    """One `raise` of the program: its exception, and what its text shows where it is raised."""

    error: Exception
    text: Template
    line: tuple[str, int]
    values: list[Tensor]

    def raised(self, values: Sequence[Tensor]) -> Exception:
        """The exception with these values in its text."""
        kind = type(self.error)
        args = self.text.filled(values)
        new = kind.__new__(kind, *args)
        new.args = tuple(args)
        note = getattr(new, "add_note", None)  # from Python 3.11 on
        if note is not None:
            note(f"raised by compiled code, at {self.line[0]}:{self.line[1]}")
        return new


@dataclass(slots=True, eq=False)
class Faults:
    """What a trace knows of exceptions. code: 0, or which site has raised first, from 1 on."""

    trace: Any
    code: Tensor
    sites: dict[tuple, Site] = field(default_factory=dict)

    def site(self, error: Exception) -> tuple[int, Site, list[Tensor]]:
        """The number of the site where an exception was raised, and the traced values it shows."""
        text = Template(error.args)
        line = _line(error)
        key = line, type(error), tuple([t._type for t in text.tensors])
        if key not in self.sites:
            zeros = [fill(0, t._type) for t in text.tensors]
            self.sites[key] = Site(error.with_traceback(None), text, line, zeros)
        return list(self.sites).index(key) + 1, self.sites[key], text.tensors

    def none_yet(self) -> Tensor:
        """Whether nothing has raised."""
        return apply(equal, self.code, fill(END, CODE))

    def keep_what_was(self, changed: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """For each pair of a new value and what it takes the place of: the one that is kept."""
        fine = self.none_yet()
        return [chosen(fine, new, old) for new, old in changed]


def noted(trace: Any, code: Node) -> None:
    """Exceptions that examples of a `vmap` may have raised count as one of the function around it.
    `code`: those of all examples.
    """
    if trace.trials:
        raise Blocked("it raises in a vmap in a loop")
    if trace.faults is None:
        trace.faults = Faults(trace, fill(END, CODE))
    faults: Faults = trace.faults
    raised = apply(not_equal, Tensor._of_node(largest(code)), fill(END, CODE))
    faults.code = chosen(raised, fill(ELSEWHERE, CODE), faults.code)


class FaultPlace(Place):
    """The number of the first fault."""

    __slots__ = ()

    def name(self) -> str:
        return "an exception"

    def content(self) -> Any:
        return self.thing.code

    def put(self, content: Any) -> None:
        self.thing.code = content
        if not self.thing.trace.trials:
            self.thing.trace.effects.append(Raising(self.thing))

    def restore(self, saved: Any) -> None:
        self.thing.code = saved


class SitePlace(Place):
    """What the text of an exception shows."""

    __slots__ = ()

    def name(self) -> str:
        return "the text of an exception"

    def content(self) -> Any:
        return list(self.thing.values)

    def put(self, content: Any) -> None:
        self.thing.values = list(content)


class Raising:
    """After each run: raises what was noted. `given`: the nodes of what it looks at."""

    def __init__(self, faults: Faults, given: Sequence[Any] | None = None):
        self.faults, self.code, self.given = faults, faults.code, given

    @property
    def nodes(self) -> list[Any]:
        if self.given is not None:
            return list(self.given)
        shown = [v for site in self.faults.sites.values() for v in site.values]
        return [self.faults.trace.read(t) for t in (self.code, *shown)]

    def at(self, nodes: Sequence[Any]) -> Raising:
        """The same with other values."""
        return Raising(self.faults, nodes)

    def show_now(self) -> None:
        """Nothing: the trace itself has failed."""

    def show(self, values: Sequence[Tensor]) -> None:
        """Raise the first of the program's exceptions, if there was one."""
        code, left = int(values[0].item()), list(values[1:])
        for number, site in enumerate(self.faults.sites.values(), 1):
            mine, left = left[: len(site.values)], left[len(site.values) :]
            if number == code:
                raise site.raised(mine)


def faulted(trace: Any, pred: Tensor, sides: list[Outcome]) -> list[Outcome]:
    """The sides of a branch, of which one may have raised an exception of the program's, with that
    one as a fault. Blocked where that is impossible.
    """
    errors = [s.error for s in sides]
    if errors == [None, None]:
        return sides
    at = 0 if errors[0] is not None else 1
    error, other = errors[at], sides[1 - at]
    ours = isinstance(error, (JitgradError, Blocked)) or other.error is not None
    ours = ours or trace.catches(type(error))  # regions have no handlers
    if ours or not (trace.trials or trace.mapped) or computed(trace, pred) is not None:
        raise Blocked(error)  # type: ignore[arg-type]
    if trace.faults is None:
        trace.faults = Faults(trace, fill(END, CODE))
    faults: Faults = trace.faults
    number, site, shown = faults.site(error)  # type: ignore[arg-type]
    fine = faults.none_yet()
    places: list[tuple[Place, Any]] = [
        (FaultPlace(faults), chosen(fine, fill(number, CODE), faults.code)),
        (SitePlace(site), [chosen(fine, x, v) for x, v in zip(shown, site.values, strict=True)]),
    ]
    values = tuple(
        [v if isinstance(v, Unbound) else zeros_like(other.opened(v)) for v in other.values]
    )
    out = Outcome(_like(other.signal, other), values, {p.key: (p, c) for p, c in places})
    return [out, other] if at == 0 else [other, out]


def _like(signal: Any, outcome: Outcome) -> Any:
    """A signal, or the value of an expression, to go on with after a fault."""
    if isinstance(signal, Mixed):
        code = END if END in signal.kinds else min(signal.kinds)
        return Mixed(fill(code, CODE), signal.kinds, zeros_like(outcome.opened(signal.value)))
    if isinstance(signal, Return):
        return Return(zeros_like(outcome.opened(signal.value)))
    return zeros_like(outcome.opened(signal))


def _line(error: Exception) -> tuple[str, int]:
    """Where in the user's program an exception was raised."""
    found, trace = ("?", 0), error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(PACKAGE):
            found = code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return found
