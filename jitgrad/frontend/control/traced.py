"""What depends on data: which values do, and ranges that do; what a loop can take by numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jitgrad.errors import TraceError, fail
from jitgrad.frontend import rows
from jitgrad.frontend.control.growing import settled
from jitgrad.frontend.dispatch import apply, fill
from jitgrad.frontend.number import INT, Number, as_dtype
from jitgrad.ir.types import int64
from jitgrad.primitives.elementwise import maximum
from jitgrad.state import state
from jitgrad.tensor import Tensor


def is_traced(value: Any) -> bool:
    """Whether a value is a Tensor that has no value while the function is traced."""
    trace = state.trace
    if trace is None or not isinstance(value, Tensor):
        return False
    if value._node is None:
        return id(value) in trace.values  # written in this trace; others may be looked at
    return value._data is None


def is_undecided(value: Any) -> bool:
    """Whether a condition depends on data; ValueError if it is not one truth value."""
    if not is_traced(value):
        settled(value)
        return False
    if value.size != 1:
        bool(value)  # raises
    return True


def truth(value: Any) -> bool:
    """The truth of a value that is known, as Python finds it."""
    return bool(value)


@dataclass(frozen=True, slots=True)
class TracedRange:
    """``range(start, stop, step)`` with bounds that are traced."""

    start: Tensor
    stop: Tensor
    step: int

    @staticmethod
    def of(*bounds: Any) -> TracedRange:
        """As `range` takes them; the step must be a Python int."""
        first, stop, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
        step = int(step)
        if step == 0:
            raise ValueError("range() arg 3 must not be zero")
        for bound in (first, stop):
            if isinstance(bound, Tensor) and not bound.dtype.is_int:
                raise TypeError(f"'{bound.dtype.name}' object cannot be interpreted as an integer")
        return TracedRange(as_dtype(first, int64), as_dtype(stop, int64), step)

    def __iter__(self) -> Iterator[int]:
        """The items themselves: an error in a trace, where the bounds have no values."""
        return iter(range(int(self.start), int(self.stop), self.step))

    def count(self) -> Tensor:
        """How many items there are."""
        away = self.stop - self.start if self.step > 0 else self.start - self.stop
        size = abs(self.step)
        turns = away if size == 1 else (away + (size - 1)) // size
        return apply(maximum, turns, fill(0, INT))

    def item(self, k: Tensor) -> Number:
        """Item k."""
        return Number.of(as_dtype(self.start + k * self.step, int64))

    def rest(self) -> TracedRange:
        """Without its first item."""
        return TracedRange(self.start + self.step, self.stop, self.step)


# --- ranges and Tensors together ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowList:
    """A list with the rows of a Tensor, all of them and in order."""

    items: list[Any] | tuple[Any, ...]
    whole: Tensor

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, k: Any) -> Any:
        return (self.whole if isinstance(k, Tensor) else self.items)[k]


def row_list(items: Any) -> Any:
    """A list of rows as what a loop can ask for items by their number; others as they are."""
    whole = rows.whole_of(settled(items))
    return items if whole is None else RowList(items, whole)


def fixed_in(part: Any) -> frozenset[int]:
    """The ids of what a loop over it must not change."""
    if isinstance(part, Rows):
        return frozenset().union(*map(fixed_in, part.parts))
    return frozenset({id(part.items), id(part.whole)} if isinstance(part, RowList) else ())


@dataclass(slots=True)
class Rows:
    """What `enumerate`, `zip` and `reversed` give for Tensors and ranges: the iterator that they
    are, whose items a loop can also ask for by their number.

    alone  its items are those of the one part, not tuples.
    """

    parts: tuple[Any, ...]
    alone: bool = False
    begun: Iterator[Any] | None = None

    def __len__(self) -> int:
        return min([len(p) for p in self.parts])

    def item(self, k: Any) -> Any:
        """Item k, an int or a traced one."""
        found = tuple([item_of(p, k) for p in self.parts])
        return found[0] if self.alone else found

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.begun is None:
            self.begun = self.rest(0)
        return next(self.begun)

    def rest(self, first: int) -> Iterator[Any]:
        """The items from one on."""
        return map(self.item, range(first, len(self)))


def unknown() -> Iterator[Any]:
    """An iterator that may be anywhere."""
    raise fail(
        TraceError,
        "an iterator is used again after a loop that data may have ended early",
        why="nobody knows which item comes next",
        instead="make a new one for each loop",
    )
    yield


def item_of(part: Any, k: Any) -> Any:
    """Item k of a range, of a Tensor or of both."""
    if isinstance(part, Rows):
        return part.item(k)
    if isinstance(part, range) and isinstance(k, Tensor):
        start, step = part.start, part.step
        return Number.of(start + k * step) if step != 1 or start else Number.of(k)
    return part[k]


def is_row(part: Any) -> bool:
    """Whether a loop can ask for items by their number."""
    if isinstance(part, Tensor):
        return part.ndim > 0 and not isinstance(part, Number)
    return isinstance(part, (range, RowList)) or (isinstance(part, Rows) and part.begun is None)


def enumerated(items: Any, start: int = 0) -> Any:
    """`enumerate`."""
    items = row_list(items)
    if is_row(items) and isinstance(start, int):
        return Rows((range(start, start + len(items)), items))
    return enumerate(items, start)


def zipped(*parts: Any, strict: bool = False) -> Any:
    """`zip`."""
    parts = tuple([row_list(p) for p in parts])
    iterators = [id(p) for p in parts if isinstance(p, Rows)]
    by_number = parts and all(is_row(p) for p in parts) and len(set(iterators)) == len(iterators)
    if by_number and (not strict or len({len(p) for p in parts}) == 1):
        return Rows(parts)
    return zip(*parts, strict=strict)


def backwards(items: Any) -> Any:
    """`reversed`."""
    settled(items)
    return Rows((items[::-1],), True) if isinstance(items, range) else reversed(items)
