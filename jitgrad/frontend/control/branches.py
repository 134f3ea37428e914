"""A choice that depends on a traced value: both blocks are traced, and become one region.

Where their results cannot be one value (other shapes, other types, a list that grows in one of
them, an exception) the trace follows one path instead, if it can: see `paths`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import tree
from jitgrad.frontend.control import paths, region
from jitgrad.frontend.control.attempt import (
    Outcome,
    Place,
    Unbound,
    Variables,
    attempt,
    is_aliased,
    load,
)
from jitgrad.frontend.control.merge import Disagreement, Join, Pair, Same, described, filled
from jitgrad.frontend.control.report import note
from jitgrad.frontend.control.signals import RETURNED, Mixed, Return, alone, code_of, kinds_of
from jitgrad.frontend.dispatch import fill
from jitgrad.frontend.number import Number, as_dtype
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
    start = len(trace.made)
    sides = []
    for block in (then, orelse):
        sides.append(attempt(trace, variables, block, start))
        trace.forget(start)
    try:
        for side in sides:
            if side.error is not None:
                raise paths.Blocked(side.error)
        found = Merged(sides[0], sides[1], variables, is_value)
        results = region.choice(trace, pred, found.join.left, found.join.right, start)
    except (Disagreement, paths.Blocked, region.TooLarge) as error:
        reason = paths.Blocked(str(error)) if isinstance(error, region.TooLarge) else error
        block = then if paths.decide(trace, pred, reason) else orelse
        return block()
    note("branch", f"both branches are compiled, {results_of(len(found.join.left))}")
    return found.apply(results, variables)


def results_of(count: int) -> str:
    """A number of results, in words."""
    return f"{count} result{'' if count == 1 else 's'}"


class Merged:
    """Two outcomes as one: the signal, the variables and the places, with pairs to choose from."""

    def __init__(self, then: Outcome, orelse: Outcome, variables: Variables, is_value: bool):
        self.join = Join((then.written_to(), orelse.written_to()))
        if is_value:
            self.signal: Any = self.join.values(then.signal, orelse.signal, "the value")
        else:
            self.signal = self.signals(then.signal, orelse.signal)
        self.is_value = is_value
        both_values = (then.signal, orelse.signal)
        self.aliased_signals = [
            v
            for i, v in enumerate(both_values)
            if is_value and isinstance(v, Tensor) and is_aliased(state.trace, [both_values], i, 2)
        ]
        held = [then.values, orelse.values]
        sides = ((then, held), (orelse, held[::-1]))
        self.aliases = [
            [side.values[i] for side, held in sides if may_alias(side, held, variables, i)]
            for i in range(len(variables.names))
        ]
        both = zip(variables.names, variables.live, then.values, orelse.values)
        gone = [not is_value and kinds_of(s.signal) == {RETURNED} for s in (then, orelse)]
        self.origins = list(zip(then.values, orelse.values))
        self.values = [self.variable(n, live, a, b, gone) for n, live, a, b in both]
        self.places: list[tuple[Place, Any]] = []
        for key in dict.fromkeys([*then.places, *orelse.places]):
            place = (then.places.get(key) or orelse.places[key])[0]
            contents = [
                s.places[key][1] if key in s.places else place.content() for s in (then, orelse)
            ]
            self.places.append((place, self.join.values(*contents, place.name())))

    def variable(self, name: str, live: bool, a: Any, b: Any, gone: list[bool]) -> Any:
        if not live:
            return a if a is b else Unbound("dead")
        if gone[0] or gone[1]:  # nobody sees the variables of a block that returned
            a, b = (zeros_like(b), b) if gone[0] else (a, zeros_like(a))
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

    def apply(self, results: list[Tensor], variables: Variables) -> Any:
        """Bind and write everything; the signal."""
        values = one_for_each([filled(v, results) for v in self.values], self.origins)
        for value, pending, aliased in zip(values, self.values, self.aliases, strict=True):
            if aliased and isinstance(pending, (Pair, Same)):
                share(value, *aliased)
        variables.put(tuple(values))
        write_places(self.places, results)
        if not self.is_value:
            return settled(self.signal, results)
        found = filled(self.signal, results)
        if isinstance(self.signal, (Pair, Same)) and self.aliased_signals:
            share(found, *self.aliased_signals)
        return found


def share(*tensors: Tensor) -> None:
    """Note Tensors that may be names of one another, as the program runs: none is written to."""
    for tensor in tensors:
        state.trace.shared[id(tensor)] = tensor


def may_alias(side: Outcome, held: list[tuple], variables: Variables, position: int) -> bool:
    """Whether a branch leaves a Tensor in a variable that something else refers to as well."""
    value = side.values[position]
    if not isinstance(value, Tensor) or isinstance(value, Number):
        return False
    own = 1 + (load(variables.getters[position]) is value)  # `value`, and the variable
    return is_aliased(state.trace, held, position, own)


def one_for_each(values: list[Any], origins: Sequence[Any]) -> list[Any]:
    """Variables that were names of one Tensor are so again, though it is another Tensor now."""
    found: dict[Any, Any] = {}
    for i, (value, origin) in enumerate(zip(values, origins, strict=True)):
        parts = origin if isinstance(origin, tuple) else (origin,)
        if isinstance(value, Tensor) and all(isinstance(p, Tensor) for p in parts):
            values[i] = found.setdefault(tuple([id(p) for p in parts]), value)
    return values


def write_places(places: list[tuple[Place, Any]], results: list[Tensor]) -> None:
    """Make lists, attributes and Tensors what they are after a region."""
    log = state.trace.log
    for place, content in places:
        if log is not None:
            log.touch(place)
        place.put(filled(content, results))


def settled(signal: Any, results: list[Tensor]) -> Any:
    """A signal with the results it waits for."""
    if isinstance(signal, Mixed):
        return Mixed(filled(signal.code, results), signal.kinds, filled(signal.value, results))
    return Return(filled(signal.value, results)) if isinstance(signal, Return) else signal


def zeros_like(value: Any) -> Any:
    """Zeros of a value's types, where the value is never looked at."""
    if isinstance(value, Unbound):
        return value
    leaves, structure = tree.flatten(value)
    return tree.unflatten(structure, [_zero(x) for x in leaves])


def _zero(x: Any) -> Any:
    if isinstance(x, Number):
        return Number.of(as_dtype(0, x.dtype))
    return fill(0, x._type) if isinstance(x, Tensor) else x


__all__ = ["either", "nothing", "write_places", "zeros_like"]
