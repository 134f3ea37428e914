"""`while` and `for` in converted code: plain Python turns, or one region (`roll`).

A loop whose condition depends on data becomes a region; so does one over a long range. Where that
cannot be, because the body changes a type or a list, a turn is taken by itself and the
rest is tried again; then loops of known length are unrolled, and others follow the path that these
arguments take (`paths`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jitgrad import config
from jitgrad.errors import BranchError, CarryError, JitgradError, LimitError, fail
from jitgrad.frontend.control import paths
from jitgrad.frontend.control.attempt import AttributePlace, attempt, unless
from jitgrad.frontend.control.branches import either
from jitgrad.frontend.control.merge import Disagreement
from jitgrad.frontend.control.paths import Blocked
from jitgrad.frontend.control.report import note
from jitgrad.frontend.control.roll import Roll, Turns
from jitgrad.frontend.control.signals import (
    BROKE,
    END,
    LEFT,
    WENT_ON,
    Mixed,
    alone,
    is_code,
    kinds_of,
    renamed,
)
from jitgrad.frontend.control.traced import (
    Rows,
    TracedRange,
    fixed_in,
    is_row,
    is_undecided,
    item_of,
    row_list,
    truth,
    unknown,
)
from jitgrad.frontend.control.variables import NO_VARIABLES, Variables
from jitgrad.frontend.number import wide
from jitgrad.ir.types import int64
from jitgrad.state import state
from jitgrad.tensor import Tensor

Block = Callable[..., Any]
PEELED = 2  # turns taken by themselves before a loop that depends on data follows its path
NOT_YET = object()  # a loop that is to be gone on with turn by turn


def then(signal: Any, rest: Block, variables: Variables | None) -> Any:
    """What follows a statement that may have jumped."""
    if signal is None:
        return rest()
    if not isinstance(signal, Mixed) or END not in signal.kinds:
        return signal
    others = signal.kinds - {END}
    single = len(others) == 1
    jump = alone(*others, signal.value) if single else Mixed(signal.code, others, signal.value)
    return either(is_code(signal, END), rest, lambda: jump, variables or NO_VARIABLES, False)


def _after(signal: Any, orelse: Block | None, variables: Variables | None) -> Any:
    """The end of a loop: its `else`, unless it was left; a `break` of its own goes no further."""
    if orelse is None:
        return renamed(signal, BROKE, END)
    return renamed(then(renamed(signal, BROKE, LEFT), orelse, variables), LEFT, END)


def while_loop(
    test: Block, body: Block, orelse: Block | None, variables: Variables | None, behind: Any
) -> Any:
    """``while test(): body()`` and its `else`; gives its signal."""
    if state.trace is None:
        while truth(test()):
            signal = body()
            if kinds_of(signal).isdisjoint((END, WENT_ON)):
                return _after(signal, orelse, behind)
        return _after(None, orelse, behind)
    return _after(_While(test, body, variables or NO_VARIABLES).run(), orelse, behind)


class _While:
    """A `while` in a trace."""

    def __init__(self, test: Block, body: Block, variables: Variables):
        self.trace, self.test, self.body, self.variables = state.trace, test, body, variables
        self.turns = self.tried = 0
        self.refused: Any = None  # why it is no region

    def run(self) -> Any:
        """Turn by turn, until the rest is a region or the loop is over."""
        while True:
            asked = attempt(self.trace, self.variables, self.test, len(self.trace.made))
            depends = asked.error is None and is_undecided(asked.signal)
            del asked  # what it refers to has no more names than in the program
            long = self.turns == 2 * config.get("unroll")
            if (depends or long) and self.tried <= PEELED:
                found = self.roll(some=not depends)
                if found is not NOT_YET:
                    return found
            held = self.test()
            if not (self.decided(held) if is_undecided(held) else truth(held)):
                return None
            over, signal = self.turn()
            if over:
                return signal

    def decided(self, pred: Tensor) -> bool:
        self.turns += 1
        held = paths.decide(self.trace, pred, self.refused or Blocked("the loop is no region"))
        error = getattr(self.refused, "error", None)
        if held and isinstance(error, LimitError):  # it is endless, and begins
            raise error
        return held

    def roll(self, some: bool) -> Any:
        """The rest of the loop as a region; NOT_YET if it cannot be one."""
        self.tried += 1
        turns = Turns(test=self.test, some=some, known=some)
        try:
            found = Roll(self.trace, self.variables, turns, self.body).run()
        except (Disagreement, Blocked) as reason:
            self.refused = loop_reason(reason)
            return NOT_YET
        note("loop", "one loop, as long as its condition holds")
        return found

    def turn(self) -> tuple[bool, Any]:
        """One turn: whether the loop is over, and its signal then. Where data decides that, the
        turn and the rest become a region.
        """
        check_turns(self.turns, self.refused)
        self.turns += 1
        again = self.tried <= PEELED
        signal = unless(
            self.trace, self.variables, self.body, lambda s: again and isinstance(s, Mixed)
        )
        if isinstance(signal, Mixed) and again:
            found = self.roll(some=True)
            if found is not NOT_YET:
                return True, found
            signal = self.body()
        return over(settle(self.trace, signal, self.refused))


def over(signal: Any) -> tuple[bool, Any]:
    """Whether a turn that ended so ends the loop, and the signal."""
    return kinds_of(signal).isdisjoint((END, WENT_ON)), signal


def settle(trace: Any, signal: Any, reason: Any) -> Any:
    """A signal that is known: where it depends on data, the one of this path."""
    if not isinstance(signal, Mixed):
        return signal
    kinds = sorted(signal.kinds)
    for kind in kinds[:-1]:
        if paths.decide(trace, is_code(signal, kind), reason or Blocked("the loop is no region")):
            return alone(kind, signal.value)
    return alone(kinds[-1], signal.value)


def check_turns(turns: int, reason: Any) -> None:
    """LimitError where a loop of Python values goes on too long while it is traced."""
    limit = config.get("unroll_limit")
    if turns >= limit:
        because = f", because {paths.text_of(reason)}" if reason is not None else ""
        raise fail(
            LimitError,
            f"a loop was unrolled {limit} times and is not over",
            why=f"it runs while the function is compiled, turn by turn{because}",
            instead="loop over range(n) or on a Tensor condition, or raise JITGRAD_UNROLL_LIMIT",
        )


def loop_reason(reason: Disagreement | Blocked) -> Disagreement | Blocked:
    """Why a loop is no region, as the error it would be."""
    if isinstance(reason, Blocked):
        return paths.kept(reason)
    return paths.kept(Blocked(carry_error(reason)))


def carry_error(reason: Disagreement) -> JitgradError:
    """The error for a value that changes its type from one turn to the next."""
    what = f"'{reason.what}'" if reason.what.isidentifier() else reason.what
    before, after = reason.kinds
    if before == "not bound":
        error = paths.as_error(reason)
        assert isinstance(error, JitgradError)
        return error
    error = fail(
        CarryError,
        f"{what} is {before} before an iteration of a loop and {after} after it",
        why="what a loop carries keeps its type",
        instead="give it that type before the loop, or cast it in the loop",
    )
    assert isinstance(error, BranchError)
    error.name, error.types = reason.what, reason.kinds
    return error


# --- for ----------------------------------------------------------------------------------------


def for_loop(
    over: Iterable[Any],
    body: Block,
    orelse: Block | None,
    variables: Variables | None,
    behind: Any,
    target: str,
) -> Any:
    """``for target in over: body(item)`` and its `else`; gives its signal."""
    if state.trace is None:
        return _after(_plain(over, body), orelse, behind)
    return _after(_For(over, body, variables or NO_VARIABLES).run(), orelse, behind)


def _plain(over: Iterable[Any], body: Block) -> Any:
    for item in over:
        signal = body(item)
        if kinds_of(signal).isdisjoint((END, WENT_ON)):
            return signal
    return None


class _For:
    """A `for` in a trace."""

    def __init__(self, over: Any, body: Block, variables: Variables):
        self.trace, self.over = state.trace, row_list(over)
        self.body, self.variables = body, variables
        self.refused: Any = None
        self.tried = 0

    def run(self) -> Any:
        if isinstance(self.over, TracedRange):
            return self.traced_range(self.over)
        if not is_row(self.over):
            return self.unrolled(iter(self.over), None)
        length, items = len(self.over), self.items()
        if length > config.get("unroll"):
            for first in range(min(length, PEELED)):
                found = self.roll(first)
                if found is not NOT_YET:
                    return found
                ended, signal = self.turn(next(items), None)
                if ended:
                    return signal
                if isinstance(signal, Mixed):
                    return self.rest(signal, items)
            note("unrolled", f"{length} turns: {paths.text_of(self.refused)}")
            return self.unrolled(items, None)
        return self.unrolled(items, range(length))

    def items(self) -> Iterator[Any]:
        """The items one by one; whoever knows the iterator sees that they are taken."""
        for i in range(len(self.over)):
            self.gone(i + 1)
            yield item_of(self.over, i)

    def gone(self, count: int | None) -> None:
        """So many items are taken; None: nobody knows how many."""
        rows, log = self.over, self.trace.log
        if isinstance(rows, Rows):
            if log is not None:
                log.touch(AttributePlace(rows, "begun"))
            rows.begun = unknown() if count is None else rows.rest(count)

    def unrolled(self, items: Iterable[Any], places: range | None) -> Any:
        """Turn by turn. `places`: the rest can become a region, from the place of an item on."""
        left = enumerate(items)
        for count, item in left:
            check_turns(count, self.refused)
            ended, signal = self.turn(item, None if places is None else places[count])
            if ended:
                return signal
            if isinstance(signal, Mixed):
                return self.rest(signal, (item for _, item in left))
        return None

    def rest(self, signal: Mixed, items: Iterable[Any]) -> Any:
        """The turns after one that may have been the last, as one block that may run."""
        limit = config.get("unroll_limit")
        later = list(itertools.islice(items, limit))
        check_turns(len(later), self.refused)
        self.gone(None)
        signal = renamed(signal, WENT_ON, END)
        return then(signal, lambda: self.unrolled(later, None), self.variables)

    def turn(self, item: Any, place: int | None) -> tuple[bool, Any]:
        """One turn; see `_While.turn`."""
        again = place is not None and self.tried <= PEELED
        signal = unless(
            self.trace,
            self.variables,
            lambda: self.body(item),
            lambda s: again and isinstance(s, Mixed),
        )
        if isinstance(signal, Mixed) and again:
            found = self.roll(place)  # type: ignore[arg-type]
            if found is not NOT_YET:
                return True, found
            signal = self.body(item)
        if isinstance(signal, Mixed) and paths.computed(self.trace, signal.code) is None:
            return over(signal)
        return over(settle(self.trace, signal, self.refused))

    def roll(self, first: int) -> Any:
        """The turns from `first` on as a region; NOT_YET if they cannot be one."""
        items, length = self.over, len(self.over) - first
        self.tried += 1
        if isinstance(items, range):
            rest = items[first:]
            turns = Turns(item=lambda k: item_of(rest, k), length=length, some=True, last=items[-1])
        else:
            turns = Turns(item=lambda k: item_of(items, k + first), length=length, some=True)
            turns.fixed = fixed_in(items)
        try:
            found = Roll(self.trace, self.variables, turns, self.body).run()
        except (Disagreement, Blocked) as reason:
            self.refused = loop_reason(reason)
            return NOT_YET
        note("loop", f"one loop of {length} turns")
        self.gone(None if isinstance(found, Mixed) else len(self.over))
        return found

    def traced_range(self, items: TracedRange) -> Any:
        """A range whose bounds only the running program knows."""
        for turn in itertools.count():
            turns = Turns(item=items.item, count=items.count())
            if turn <= PEELED:
                try:
                    found = Roll(self.trace, self.variables, turns, self.body).run()
                    note("loop", "one loop, over a range that depends on data")
                    return found
                except (Disagreement, Blocked) as reason:
                    self.refused = loop_reason(reason)
            if not paths.decide(self.trace, turns.count > 0, self.refused):
                return None
            signal = settle(self.trace, self.body(items.item(wide(0, int64))), self.refused)
            ended, signal = over(signal)
            if ended:
                return signal
            items = items.rest()
        raise AssertionError("a count has no end")
