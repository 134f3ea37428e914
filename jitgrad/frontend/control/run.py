"""What converted code calls, under the name `jg__`. On known values each is plain Python."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad import config
from jitgrad.errors import UndefinedError, fail
from jitgrad.frontend.aliases import check_mixed
from jitgrad.frontend.control.arrays import Read, Written
from jitgrad.frontend.control.attempt import AttributePlace, CellPlace, attempt
from jitgrad.frontend.control.branches import either, nothing
from jitgrad.frontend.control.calls import callee, place_of
from jitgrad.frontend.control.caught import REFUSED, Catching
from jitgrad.frontend.control.growing import Items, growing, settled
from jitgrad.frontend.control.loops import for_loop, then, while_loop
from jitgrad.frontend.control.paths import Blocked, decide
from jitgrad.frontend.control.signals import BREAK, CONTINUE, Mixed, Return
from jitgrad.frontend.control.text import message, text
from jitgrad.frontend.control.traced import is_row, is_traced, is_undecided, row_list
from jitgrad.frontend.control.variables import NO_VARIABLES, Binding, Unbound, Variables, bound_in
from jitgrad.frontend.dispatch import apply
from jitgrad.frontend.regions import truth
from jitgrad.ir.types import bool_
from jitgrad.primitives.elementwise import logical_and, logical_not, logical_or
from jitgrad.state import state
from jitgrad.tensor import Parameter, Tensor

Thunk = Callable[[], Any]

# --- statements ---------------------------------------------------------------------------------


def branch(test: Any, then: Thunk, orelse: Thunk | None, variables: Variables | None) -> Any:
    """``if test: then()``, ``else: orelse()``; gives its signal."""
    if is_undecided(test):
        return either(test, then, orelse or nothing, variables or NO_VARIABLES, False)
    if test:
        return then()
    return orelse() if orelse is not None else None


def value(signal: Any) -> Any:
    """What a function returns that ends so."""
    assert not isinstance(signal, Mixed)
    return None if signal is None else signal.value


# --- expressions --------------------------------------------------------------------------------


def choose(test: Any, then: Thunk, orelse: Thunk) -> Any:
    """``then() if test else orelse()``."""
    if is_undecided(test):
        return either(test, then, orelse, bound_in(then, orelse), True)
    return then() if test else orelse()


def every(first: Any, *rest: Thunk) -> Any:
    """``first and rest[0]() and …``."""
    return _connected(first, rest, True)


def some(first: Any, *rest: Thunk) -> Any:
    """``first or rest[0]() or …``."""
    return _connected(first, rest, False)


def _connected(found: Any, rest: tuple[Thunk, ...], going_on: bool) -> Any:
    for i, later in enumerate(rest):
        if is_undecided(found):
            return _undecided(found, rest[i:], going_on)
        if bool(found) is not going_on:
            return found
        found = later()
    return found


def _undecided(first: Any, rest: tuple[Thunk, ...], going_on: bool) -> Any:
    """The connection of a traced value with what follows: flags are simply combined."""

    def others() -> Any:
        return _connected(rest[0](), rest[1:], going_on)

    trace = state.trace
    start = len(trace.made)
    variables = bound_in(*rest)
    tried = attempt(trace, variables, others, start)
    trace.forget(start)
    flags = _is_flag(first) and _is_flag(tried.signal) and not variables.names
    if tried.error is None and not tried.places and flags:
        op = logical_and if going_on else logical_or
        return apply(op, truth(_tensor(first)), truth(_tensor(others())))
    if going_on:
        return either(first, others, lambda: first, variables, True)
    return either(first, lambda: first, others, variables, True)


def _is_flag(found: Any) -> bool:
    return isinstance(found, bool) or (isinstance(found, Tensor) and found.dtype is bool_)


def _tensor(flag: Any) -> Tensor:
    return flag if isinstance(flag, Tensor) else Tensor(flag)


def negate(found: Any) -> Any:
    """``not found``."""
    return apply(logical_not, truth(found)) if is_undecided(found) else not found


def holds(test: Any) -> Any:
    """A condition of a comprehension or generator: where it depends on data, that of this path."""
    if is_undecided(test):
        return decide(state.trace, test, Blocked("how many items there are depends on data"))
    return test


COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "is": operator.is_, "is not": operator.is_not,
    "in": lambda a, b: contains(b, a), "not in": lambda a, b: negate(contains(b, a)),
}  # fmt: skip


def chain(symbols: tuple[str, ...], first: Any, *rest: Thunk) -> Any:
    """``first < rest[0]() < …``: each operand is computed once, and only if it is needed."""
    second = rest[0]()
    found = COMPARE[symbols[0]](first, second)
    if len(symbols) == 1:
        return found
    return every(found, Binding(lambda: chain(symbols[1:], second, *rest[1:]), bound_in(*rest[1:])))


def listed(over: Any, item: Callable[[Any], Any]) -> list[Any]:
    """``[item(x) for x in over]``."""
    over, found = row_list(over), []
    if state.trace is None or not is_row(over) or len(over) <= config.get("unroll"):
        return [item(x) for x in over]
    for_loop(over, lambda x: callee(found.append)(item(x)), None, None, None, "")
    return found


def given(function: Any, over: Any, item: Callable[[Any], Any]) -> Any:
    """``(item(x) for x in over)``, which is given to a function."""
    if function in (sum, list, tuple):
        return listed(over, item)
    return (item(x) for x in settled(over))


def contains(container: Any, item: Any) -> Any:
    """``item in container``; a traced item, or traced items, are compared one by one."""
    if isinstance(container, (list, tuple, set, frozenset, dict, range)):
        items = list(container)
        if is_traced(item) or any(is_traced(x) for x in items):
            tests = [(lambda x=x: item is x or item == x) for x in items]
            return some(False, *tests)
    return item in container


# --- variables and writes -----------------------------------------------------------------------


def bound(getter: Thunk, name: str) -> Any:
    """The value of a variable that may have none: UnboundLocalError then."""
    try:
        found = getter()
    except NameError:
        raise UnboundLocalError(_not_bound(name)) from None
    if isinstance(found, Unbound):
        if found.why:
            raise fail(
                UndefinedError,
                f"'{name}' may be used before it is bound",
                why="only one way through a branch or loop that depends on data binds it",
                instead=f"bind '{name}' before it",
            )
        raise UnboundLocalError(_not_bound(name))
    return found


def _not_bound(name: str) -> str:
    if sys.version_info >= (3, 11):
        return f"cannot access local variable '{name}' where it is not associated with a value"
    return f"local variable '{name}' referenced before assignment"


def augmented(getter: Thunk, name: str) -> None:
    """``name += …`` follows, which may change a list in place."""
    found = bound(getter, name)
    callee(found.extend) if growing(found) is not None else touch(found)


def look(thing: Any) -> Any:
    """The thing itself, which is about to be indexed, perhaps by a traced value."""
    if state.trace is None:
        return thing
    if type(thing) is np.ndarray:
        return Read(thing)
    if type(thing) is list and growing(thing) is not None:
        return Items(thing)
    return Picked(thing) if type(thing) in (list, tuple) else thing


def touch(thing: Any, attribute: str | None = None) -> Any:
    """The thing itself, which is about to be changed in place."""
    trace = state.trace
    if trace is None or (attribute is None and isinstance(thing, Tensor)):
        return thing  # a Tensor's writes announce themselves
    trace.store(thing, attribute)
    settled(thing)
    if trace.mixed:
        check_mixed(trace, thing)
    log = trace.log
    if attribute is None and log is not None:
        place = place_of(thing)
        if place is not None:
            log.touch(place)
    if attribute is None and isinstance(thing, np.ndarray):
        return Written(thing)
    if attribute is None and type(thing) is list:
        return Picked(thing)
    if log is None or attribute is None:
        return thing
    if not isinstance(getattr(thing, attribute, None), Parameter):
        log.touch(AttributePlace(thing, attribute))
    return thing


def rebinds(*getters: Thunk) -> None:
    """The function that begins binds variables of the functions around it."""
    trace = state.trace
    if trace is None:
        return
    for getter in getters:
        (cell,) = getter.__closure__  # type: ignore[attr-defined]
        trace.store(cell, getter.__code__.co_freevars[0])  # type: ignore[attr-defined]
        if trace.log is not None:
            trace.log.touch(CellPlace(cell))


def outward(*names: str) -> None:
    """The function binds globals of these names."""
    if state.trace is not None:
        table = sys._getframe(1).f_globals
        for name in names:
            state.trace.store(table, name)


# --- lists and tuples by traced indices ---------------------------------------------------------


class Picked:
    """A list or tuple with an index behind it, which may be traced: then each item may be meant."""

    __slots__ = ("items",)

    def __init__(self, items: Any):
        self.items = items

    def __getitem__(self, index: Any) -> Any:
        if not is_traced(index):
            return self.items[index]
        *others, found = self.items or (None,)
        place = self.place(index)
        for i in reversed(range(len(others))):
            found = choose(place == i, lambda i=i: others[i], lambda found=found: found)
        return found

    def __setitem__(self, index: Any, value: Any) -> None:
        if not is_traced(index) or type(self.items) is tuple:
            self.items[index] = value
            return
        place = self.place(index)
        for i, item in enumerate(self.items):
            self.items[i] = choose(place == i, lambda: value, lambda item=item: item)

    def __delitem__(self, index: Any) -> None:
        del self.items[index]

    def place(self, index: Any) -> Tensor:
        """The index counted from 0; IndexError where there is no such item."""
        return Tensor(np.arange(len(self.items)))[index]


__all__ = [
    "BREAK",
    "CONTINUE",
    "REFUSED",
    "Binding",
    "Catching",
    "Return",
    "Variables",
    "augmented",
    "bound",
    "branch",
    "callee",
    "chain",
    "choose",
    "contains",
    "every",
    "for_loop",
    "given",
    "holds",
    "listed",
    "look",
    "message",
    "negate",
    "outward",
    "rebinds",
    "settled",
    "some",
    "text",
    "then",
    "touch",
    "value",
    "while_loop",
]  # fmt: skip
