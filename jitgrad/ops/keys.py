"""Reading the key of ``x[key]``: one entry for each axis, and for each new one."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad.errors import BoundsError, IndexKindError, TraceError, fail
from jitgrad.ir.types import bool_
from jitgrad.ops.joining import stack
from jitgrad.ops.promote import known, tensor
from jitgrad.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Span:
    """A slice of an axis: `count` elements from `start`, `step` apart (which may be negative)."""

    axis: int
    start: int
    step: int
    count: int
    full: bool

    @property
    def lowest(self) -> int:
        return self.start + (self.count - 1) * self.step if self.step < 0 else self.start


@dataclass(frozen=True, slots=True)
class Place:
    """An index along an axis: an int, or an array or Tensor of ints."""

    axis: int
    value: Any


NEW = None  # an entry of the key that makes a new axis
Entry = Span | Place | None

# --- reading keys -------------------------------------------------------------------------------


def entries_of(x: Tensor, key: Any) -> list[Entry]:
    """The key as one entry for each axis of x and each new axis."""
    items = list(key) if isinstance(key, tuple) else [key]
    items = [item_of(item) for item in items]
    taken = builtins.sum(consumes(item) for item in items)
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise fail(BoundsError, "an index has more than one '...'")
    if taken > x.ndim:
        raise fail(
            BoundsError,
            f"too many indices for {x._type}",
            why=f"it has {x.ndim} dimensions, and {taken} were indexed",
        )
    at = dots[0] if dots else len(items)
    items[at : at + 1] = [slice(None)] * (x.ndim - taken)
    found: list[Entry] = []
    axis = 0
    for item in items:
        found.extend(_entries(x, axis, item))
        axis += consumes(item)
    return found


def item_of(item: Any) -> Any:
    """An element of a key: a slice, None, Ellipsis, an int, an integer array or Tensor, a mask."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, (bool, np.bool_)) and item:
        return None  # a mask without axes that takes all there is: a new axis of extent 1
    if isinstance(item, (int, np.integer)) and not isinstance(item, (bool, np.bool_)):
        return int(item)
    if isinstance(item, (list, range, tuple)):
        item = _array_of(item)
    if isinstance(item, np.ndarray):
        item = Tensor(item)
    if not isinstance(item, Tensor) or item.dtype.is_float:
        given = item._type if isinstance(item, Tensor) else f"{type(item).__name__} {item!r}"
        raise fail(
            IndexKindError,
            f"a Tensor was indexed with {given}",
            why="indices are ints, slices, '...', None, and Tensors or lists of ints or bools",
        )
    if item.ndim == 0 and item.dtype.is_int:
        value = known(item)
        return item if value is None else int(value)
    return item


def _array_of(item: Any) -> Any:
    if builtins.any(isinstance(part, Tensor) for part in item):
        return stack([tensor("indexing", part) for part in item])
    array = np.asarray(item)
    return array.astype(np.int64) if array.size == 0 else array


def consumes(item: Any) -> int:
    """How many axes an item of a key stands for."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, Tensor) and item.dtype is bool_ else 1


def _entries(x: Tensor, axis: int, item: Any) -> list[Entry]:
    if item is None:
        return [NEW]
    if isinstance(item, slice):
        return [_span(axis, x.shape[axis], item)]
    if isinstance(item, int):
        return [Place(axis, inside(x, axis, item))]
    if item.dtype is bool_:
        return [Place(axis + i, part) for i, part in enumerate(_mask(x, axis, item))]
    return [Place(axis, item)]


def _span(axis: int, extent: int, item: slice) -> Span:
    try:
        start, stop, step = item.indices(extent)
    except ValueError:
        raise fail(BoundsError, "a slice has step 0") from None
    count = len(range(start, stop, step))
    return Span(axis, start, step, count, count == extent and step == 1)


def inside(x: Tensor, axis: int, value: int) -> int:
    """An int index counted from 0; BoundsError outside of the axis."""
    extent = x.shape[axis]
    if not -extent <= value < extent:
        raise fail(
            BoundsError,
            f"index {value} is out of bounds for axis {axis} of {x._type}",
            why="the axis is empty"
            if extent == 0
            else f"indices there go from {-extent} to {extent - 1}",
        )
    return value % extent


def _mask(x: Tensor, axis: int, mask: Tensor) -> tuple[np.ndarray, ...]:
    """The coordinates where a mask is true."""
    if mask.shape != x.shape[axis : axis + mask.ndim] or mask.ndim == 0:
        raise fail(
            BoundsError,
            f"a mask of shape {mask.shape} does not fit {x._type} from axis {axis}",
            why="its extents must be those of the axes that it masks",
        )
    if mask._data is None:
        raise fail(
            TraceError,
            f"{x._type} was indexed with a traced mask",
            why="how many elements it picks is not known while the function is compiled",
            instead="ops.where(mask, x, 0.0), or x[mask] = number, which keep the shape",
        )
    return np.nonzero(mask._array("used as a mask"))


__all__ = ["NEW", "Entry", "Place", "Span", "entries_of", "inside"]
