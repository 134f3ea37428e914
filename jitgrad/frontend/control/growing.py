"""Lists that the body of a loop appends to, while it is on trial.

Such a list begins with an `Earlier`, which stands for the items that are there when a turn begins.
It refuses everything but what Python says with ``append``, ``extend``, ``+``, ``len``, and an index
that counts from the end in each turn alike: such items are carried. See `appended` for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jitgrad.frontend.control.paths import Blocked
from jitgrad.frontend.number import Number
from jitgrad.frontend.sums import affine
from jitgrad.state import state
from jitgrad.tensor import Tensor

REFUSED = """
    add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow matmul rmatmul
    neg pos abs eq ne lt le gt ge bool int float index len iter next getitem setitem contains call
    array repr str format
"""


@dataclass(slots=True)
class Turn:
    """The turn of a loop that is on trial, inside of `trials` other blocks; `length` turns, where
    that is known. guessed: it read an item as if this were the first.
    """

    number: Tensor
    length: int | None
    trials: int
    guessed: bool = False


@dataclass(eq=False)
class Earlier:
    """Stands in a list for its items at the beginning of a turn.

    entry   the items before the loop; count: how many a turn adds.
    wanted  how many of the last ones the body reads; window: what stands for these.
    """

    entry: list[Any]
    count: int = 0
    wanted: int = 0
    window: tuple[Any, ...] = ()

    def item(self, back: int) -> Any:
        """The item so many places before the end."""
        if back > at_least(self.entry):
            raise Blocked("it reads an item of a list before there is one")
        self.wanted = max(self.wanted, back)
        return self.window[-back] if back <= len(self.window) else item_at(self.entry, -back)


def _refuse(*_: Any) -> Any:
    raise Blocked("it looks at all items of a list that grows in it")


for _name in REFUSED.split():
    setattr(Earlier, f"__{_name}__", _refuse)


def growing(thing: Any) -> Earlier | None:
    """What stands for the earlier items of a list that the loop on trial appends to."""
    grows = type(thing) is list and thing and type(thing[0]) is Earlier
    return thing[0] if grows else None  # type: ignore[index]


def settled(thing: Any) -> Any:
    """The thing itself, all of which is about to be looked at; Blocked for a list that grows."""
    if growing(thing) is not None:
        _refuse()
    return thing


def at_least(items: list[Any]) -> int:
    """How many items there are in any turn."""
    mark = growing(items)
    return len(items) if mark is None else at_least(mark.entry) + len(items) - 1


def length(items: Any) -> Any:
    """`len`."""
    mark = growing(items)
    if mark is None:
        return len(items)
    return length(mark.entry) + mark.count * Number.of(state.trace.turn.number) + len(items) - 1


class Items:
    """A list with an index behind it."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any]):
        self.items = items

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self._last(key)
        return item_at(self.items, key)

    def _last(self, key: slice) -> list[Any]:
        """The items of ``x[-n:]``; others are as in Python where the list does not grow."""
        first = key.start
        plain = isinstance(first, int) and key.stop is None and key.step is None
        if growing(self.items) is None:
            return self.items[key]
        if not plain or not -at_least(self.items) <= first < 0:
            _refuse()
        return [item_at(self.items, i) for i in range(first, 0)]


def item_at(items: list[Any], key: Any) -> Any:
    """``items[key]``, where the list may grow and the key may depend on the turn."""
    if isinstance(key, Tensor) and key._data is None and state.trace.turn is not None:
        key = _known_place(items, key, state.trace.turn)
    mark = growing(items)
    if mark is None:
        return items[key]
    new = len(items) - 1
    if key >= 0:
        if key >= at_least(mark.entry):
            _refuse()
        return item_at(mark.entry, key)
    return items[key] if -key <= new else mark.item(-key - new)


def _known_place(items: list[Any], key: Tensor, turn: Turn) -> Any:
    """A key that grows as the list does, as a place from the end."""
    mark = growing(items)
    found = affine(key._node, turn.number._node)
    if found is None:
        return key if mark is None else _refuse()
    slope, first = found
    if mark is None:  # whether it grows is not known yet
        turn.guessed = True
        return first
    if slope != mark.count or first < 0 or growing(mark.entry) is not None:
        _refuse()
    return first - len(mark.entry) - len(items) + 1
