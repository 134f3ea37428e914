"""A choice that depends on a traced value: both blocks are traced, and become one region.

Where their results cannot be one value (other shapes, other types, a list that grows in one of
them, an exception) the trace follows one path instead, if it can: see `paths`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad.frontend.aliases import inherit, link_again, link_choice
from jitgrad.frontend.control import paths, region
from jitgrad.frontend.control.attempt import Outcome, Place, attempt
from jitgrad.frontend.control.faults import faulted
from jitgrad.frontend.control.merge import Disagreement, Join, described, filled, zeros_like
from jitgrad.frontend.control.report import note
from jitgrad.frontend.control.signals import RETURNED, Mixed, Return, alone, code_of, kinds_of
from jitgrad.frontend.control.variables import Unbound, Variables
from jitgrad.state import state
from jitgrad.tensor import Tensor

Block = Callable[[], Any]


def nothing() -> None:
    """An empty block."""


def either(pred: Tensor, then: Block, orelse: Block, variables: Variables, is_value: bool) -> Any:
    """Run one of two blocks, which the program decides when it runs; gives the block's signal.

    is_value  the blocks are expressions: what they give is a value.
    """
    trace = state.trace
    start, decided = len(trace.made), len(trace.decisions)
    sides: list[Outcome] = []
    for block in (then, orelse):
        sides.append(attempt(trace, variables, block, start, *[s.values for s in sides]))
        trace.forget(start)
    try:
        sides = faulted(trace, pred, sides)
        found = Merged(sides[0], sides[1], variables, is_value)
        results = region.choice(trace, pred, found.join.left, found.join.right, start)
    except (Disagreement, paths.Blocked, region.TooLarge) as error:
        del trace.decisions[decided:]
        too_large = isinstance(error, region.TooLarge)
        reason = paths.kept(paths.Blocked(str(error)) if too_large else error)
        block = then if paths.decide(trace, pred, reason) else orelse
        return block()
    note("branch", f"both branches are compiled, {results_of(len(found.join.left))}")
    return found.apply(pred, results, variables)


def results_of(count: int) -> str:
    """A number of results, in words."""
    return f"{count} result{'' if count == 1 else 's'}"


class Merged:
    """Two outcomes as one: the signal, the variables and the places, with pairs to choose from."""

    def __init__(self, then: Outcome, orelse: Outcome, variables: Variables, is_value: bool):
        self.join = Join(then.now, orelse.now)
        self.links = [*then.links, *orelse.links]
        self.is_value = is_value
        if is_value:
            self.signal: Any = self.join.values(then.signal, orelse.signal, "the value")
        else:
            self.signal = self.signals(then.signal, orelse.signal)
        sides = then.values, orelse.values
        self.dead = [x for v in sides for live, x in zip(variables.live, v) if not live]
        self.gone = [not is_value and kinds_of(s.signal) == {RETURNED} for s in (then, orelse)]
        both = zip(variables.names, variables.live, variables.returned, *sides)
        self.values = [self.variable(*each) for each in both]
        self.places: list[tuple[Place, Any]] = []
        for key in dict.fromkeys([*then.places, *orelse.places]):
            place = (then.places.get(key) or orelse.places[key])[0]
            contents = [
                s.places[key][1] if key in s.places else place.content() for s in (then, orelse)
            ]
            self.places.append((place, self.join.values(*contents, place.name())))

    def variable(self, name: str, live: bool, returned: bool, a: Any, b: Any) -> Any:
        if not live:
            return a if a is b else Unbound("dead")
        values = zip(self.gone, (a, b), strict=True)
        unseen = [gone and (not returned or isinstance(x, Unbound)) for gone, x in values]
        if unseen[0] or unseen[1]:  # in a block that returned
            now = self.join.now
            a, b = (zeros_like(now[1](b)), b) if unseen[0] else (a, zeros_like(now[0](a)))
        if isinstance(a, Unbound) or isinstance(b, Unbound):
            if isinstance(a, Unbound) and isinstance(b, Unbound):
                return a if a.why else b
            raise Disagreement(name, (described(a), described(b)))
        return self.join.values(a, b, name)

    def signals(self, a: Any, b: Any) -> Any:
        kinds = kinds_of(a) | kinds_of(b)
        values = [s.value if RETURNED in kinds_of(s) else None for s in (a, b)]
        value: Any = None
        if RETURNED in kinds:
            if RETURNED not in kinds_of(a):
                values[0] = zeros_like(values[1])
            elif RETURNED not in kinds_of(b):
                values[1] = zeros_like(values[0])
            value = self.join.values(*values, "the returned value")
        if len(kinds) == 1:
            return alone(next(iter(kinds)), value)
        code = self.join.pair(code_of(a), code_of(b), False, "how the block ends")
        return Mixed(code, kinds, value)  # type: ignore[arg-type]  a Pair until `apply`

    def apply(self, pred: Tensor, results: list[Tensor], variables: Variables) -> Any:
        """Bind and write everything; the signal."""
        trace = state.trace
        link_again(trace, self.links)
        for result, origins in zip(results, self.join.origins, strict=True):
            link_choice(trace, result, origins, pred)
            inherit(trace, result, origins, pred, self.dead)
        variables.put(tuple([filled(v, results, trace.mixed) for v in self.values]))
        write_places(self.places, results)
        if self.is_value:
            return filled(self.signal, results, trace.mixed)
        return settled(self.signal, results)


def write_places(places: list[tuple[Place, Any]], results: list[Tensor]) -> None:
    """Make lists, attributes and Tensors what they are after a region."""
    log = state.trace.log
    for place, content in places:
        if log is not None:
            log.touch(place)
        place.put(filled(content, results, state.trace.mixed))


def settled(signal: Any, results: list[Tensor]) -> Any:
    """A signal with the results it waits for."""
    if isinstance(signal, Mixed):
        return Mixed(filled(signal.code, results), signal.kinds, filled(signal.value, results))
    return Return(filled(signal.value, results)) if isinstance(signal, Return) else signal


__all__ = ["either", "nothing", "write_places"]
