"""What a loop carries: variables and places, and the leaves of their values; and how it turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jitgrad import tree
from jitgrad.frontend.control.appended import Growth
from jitgrad.frontend.control.attempt import OutsidePlace, Place, TracedPlace
from jitgrad.frontend.control.growing import Earlier
from jitgrad.frontend.control.merge import of_type
from jitgrad.frontend.control.paths import Blocked
from jitgrad.frontend.number import Number
from jitgrad.ir.types import TensorType
from jitgrad.tensor import Tensor


@dataclass(slots=True)
class Leaf:
    """A value that an iteration may change. `type` is None while it is a constant of the loop."""

    entry: Any
    type: TensorType | None = None
    weak: bool = False

    def start(self) -> Tensor:
        """What the loop begins with."""
        assert self.type is not None
        return of_type(self.entry, self.type)


class Slot:
    """A variable (`place` is None) or a place, and the leaves of its value.

    Until the body gives it another, a variable or an item keeps its Tensor: what is written to that
    in place has to be seen under its other names.
    """

    def __init__(self, name: str, place: Place | None, entry: Any):
        self.name, self.place = name, place
        self.growth: Growth | None = None
        self.last: Slot | None = None  # of a list that grows: the last items that the body reads
        self.set(entry, isinstance(place, (TracedPlace, OutsidePlace)))

    def set(self, entry: Any, carried: bool) -> None:
        """Begin with a value, whose Tensors are carried at once or not."""
        self.entry = entry
        leaves, self.structure = tree.flatten(entry)
        self.leaves = [_leaf(x, carried) for x in leaves]

    def value(self, tensors: Iterator[Any]) -> Any:
        """The nest, with the next of the given Tensors for each leaf that is carried."""
        if not self.carried():
            return self.entry
        found = [x.entry if x.type is None else next(tensors) for x in self.leaves]
        return tree.unflatten(self.structure, found)

    def grows(self, new: Any) -> bool:
        """Whether a turn only added items to a list; from now on it is one that grows."""
        entry = self.entry
        if type(entry) is not list or type(new) is not list or len(new) <= len(entry):
            return False
        if any(a is not b for a, b in zip(entry, new)):
            return False
        self.growth = Growth(Earlier(entry, len(new) - len(entry)))
        self.last = Slot(self.name, None, ())
        self.set([self.growth.mark], False)
        return True

    def renewed(self) -> bool:
        """Carry what is in a list or dict, because the loop writes to it and then has another: only
        the first turn writes to this one. Whether that is new.
        """
        if self.is_whole() or self.growth is not None:
            return False
        for leaf in self.leaves:
            if isinstance(leaf.entry, Tensor):
                leaf.type = leaf.entry._type
        if not self.is_whole():
            raise Blocked(f"it writes to {self.name} and then makes another one")
        return True

    def carried(self) -> list[Leaf]:
        return [x for x in self.leaves if x.type is not None]

    def is_whole(self) -> bool:
        """Whether it is a variable with a list or dict, of which each turn gets another."""
        kind = self.structure.kind
        return self.place is None and kind not in (None, tuple) and bool(self.carried())


def _leaf(x: Any, carried: bool) -> Leaf:
    if isinstance(x, Number):
        return Leaf(x, x._type, True)
    return Leaf(x, x._type) if carried and isinstance(x, Tensor) else Leaf(x)


def as_leaf(leaf: Leaf, tensor: Tensor) -> Tensor:
    """A Tensor, as a Python number where it stands for one."""
    return Number.of(tensor) if leaf.weak else tensor


@dataclass(slots=True)
class Turns:
    """How often a loop goes round, and what each turn gets.

    test    the condition of a `while`; None for a `for`.
    item    the item of a turn, from its number.
    length  the number of turns, where it is known; count: where only the program knows it.
    some    whether there is at least one turn; last: the item of the last one, where it is known.
    known   its Python ints are known, and have to be so after it.
    fixed   the ids of what must not change meanwhile.
    """

    test: Callable[[], Any] | None = None
    item: Callable[[Tensor], Any] | None = None
    length: int | None = None
    count: Tensor | None = None
    some: bool = False
    last: Any = None
    known: bool = False
    fixed: frozenset[int] = frozenset()
