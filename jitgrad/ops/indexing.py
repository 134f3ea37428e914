"""``x[key]`` and ``x[key] = value`` with NumPy's meaning of a key.

A key of ints, slices, ``...`` and None is *basic* and becomes slices and reshapes. With arrays,
Tensors or masks in it, it is *advanced*: the axes up to the last one that the key changes are
flattened, the key becomes positions along them, and rows are taken or scattered.
"""

from __future__ import annotations

import builtins
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad.errors import BoundsError, ShapeError, TraceError, fail
from jitgrad.frontend.composed import composed
from jitgrad.ir.types import bool_, int32, int64
from jitgrad.ops.keys import NEW, Entry, Place, Span, entries_of, inside
from jitgrad.ops.moving import moving
from jitgrad.ops.promote import (
    apply,
    cast,
    constant,
    copied,
    expand,
    known,
    like,
    scalar,
    splat,
    structure,
)
from jitgrad.ops.shaping import reshaped
from jitgrad.ops.views import shown
from jitgrad.primitives import block
from jitgrad.primitives import index as primitive
from jitgrad.tensor import Tensor
from jitgrad.views import View

INT32_MAX = 2**31 - 1

# --- basic keys ---------------------------------------------------------------------------------


def _as_spans(entries: list[Entry]) -> list[Span]:
    """A basic key's slice of each axis; an int is a slice of one element."""
    return [
        e if isinstance(e, Span) else Span(e.axis, e.value, 1, 1, False)
        for e in entries
        if e is not NEW
    ]


def _basic_shape(entries: list[Entry]) -> tuple[int, ...]:
    """The shape of the result of a basic key."""
    return tuple(1 if e is NEW else e.count for e in entries if e is NEW or isinstance(e, Span))


def _slices(x: Tensor, spans: list[Span]) -> Tensor:
    """x cut by a slice of each axis."""
    if not builtins.all(s.full for s in spans):
        starts = tuple(s.lowest if s.count else 0 for s in spans)
        steps = tuple(abs(s.step) for s in spans)
        stops = tuple(
            low + (s.count - 1) * step + 1 if s.count else low
            for s, low, step in zip(spans, starts, steps)
        )
        x = apply(structure.slice_, x, starts=starts, stops=stops, steps=steps)
    turned = tuple(s.axis for s in spans if s.step < 0)
    return apply(structure.flip, x, axes=turned) if turned else x


def _write_spans(x: Tensor, spans: list[Span], value: Tensor) -> Tensor:
    """x with a value, of the shape of the slices, written into them."""
    turned = tuple(s.axis for s in spans if s.step < 0)
    if turned:
        value = apply(structure.flip, value, axes=turned)
    if value.shape == x.shape:
        return copied(value)
    if builtins.all(abs(s.step) == 1 or s.count <= 1 for s in spans):
        starts = [_constant(np.int32(s.lowest)) for s in spans]
        return apply(block.dynamic_update_slice, x, value, *starts)
    widths = {"low": [], "high": [], "interior": []}
    for s, extent in zip(spans, x.shape):
        step = abs(s.step)
        widths["low"].append(s.lowest)
        widths["high"].append(extent - s.lowest - (s.count - 1) * step - 1)
        widths["interior"].append(step - 1 if s.count > 1 else 0)
    pads = {name: tuple(amounts) for name, amounts in widths.items()}
    inside = apply(structure.pad, splat(True, value._type.with_dtype(bool_)), **pads)
    return apply(scalar.select, inside, apply(structure.pad, value, **pads), x)


def _constant(array: Any) -> Tensor:
    return constant(np.array(array))


# --- advanced keys ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rows:
    """Positions along the first `lead` axes of x flattened, in the layout of the result, whose
    shape is `shape`: the positions' shape, then the rest of x and new axes.
    """

    lead: int
    positions: Tensor
    shape: tuple[int, ...]


def _rows(x: Tensor, entries: list[Entry]) -> Rows:
    last = builtins.max(
        i
        for i, e in enumerate(entries)
        if isinstance(e, Place) or (isinstance(e, Span) and not e.full)
    )
    front, rest = entries[: last + 1], entries[last + 1 :]
    lead = builtins.sum(e is not NEW for e in front)
    positions = _positions(x, front, lead)
    tail = tuple(1 if e is NEW else e.count for e in rest)
    return Rows(lead, positions, (*positions.shape, *tail))


def _positions(x: Tensor, front: list[Entry], lead: int) -> Tensor:
    """Where each element of the result lies along the first axes of x flattened."""
    places = [i for i, e in enumerate(front) if isinstance(e, Place)]
    values = {i: _index_values(x, front[i]) for i in places}
    shared = _common_shape([v.shape for v in values.values()])
    adjacent = places == list(range(places[0], places[-1] + 1))
    at = places[0] if adjacent else 0
    others = [e for e in front if not isinstance(e, Place)]
    before = builtins.sum(not isinstance(e, Place) for e in front[:at])
    widths = [1 if e is NEW else e.count for e in others]
    shape = (*widths[:before], *shared, *widths[before:])
    strides = [math.prod(x.shape[a + 1 : lead]) for a in range(lead)]

    fixed = np.zeros((1,) * len(shape), np.int64)
    for place, e in enumerate(others):
        if isinstance(e, Span):
            axis = place if place < before else place + len(shared)
            step = e.step if e.count > 1 else 0  # of one element or none it can be any int
            line = (e.start + step * np.arange(e.count)) * strides[e.axis]
            fixed = fixed + line.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    traced = []
    for i, value in values.items():
        column = (*value.shape, *(1,) * (len(widths) - before))
        if isinstance(value, np.ndarray):
            fixed = fixed + value.reshape(column) * strides[front[i].axis]
        else:
            traced.append((reshaped("indexing", value, column), front[i].axis))
    total = math.prod(x.shape[:lead])
    small = total <= INT32_MAX
    fixed = fixed.astype(np.int32) if small else fixed
    if not traced:
        return _constant(np.broadcast_to(fixed, shape))
    return _sum_positions(x, fixed, traced, shape, strides, total)


def _index_values(x: Tensor, place: Place) -> Any:
    """An index as an array of values inside the axis, or as a Tensor if it is not known."""
    value, extent = place.value, x.shape[place.axis]
    if isinstance(value, Tensor):
        array = known(value)
        if array is None:
            return value
        value = array
    array = np.asarray(value).astype(np.int64)
    bad = array[(array < -extent) | (array >= extent)]
    if bad.size:
        inside(x, place.axis, int(bad.flat[0]))
    return np.where(array < 0, array + extent, array)


def _common_shape(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(map(str, shapes))
        raise fail(
            BoundsError, f"indices of shapes {listed}", why="they do not broadcast to one shape"
        ) from None


def _sum_positions(x, fixed, traced, shape, strides, total) -> Tensor:
    """Known and traced parts of positions together; outside of an axis is outside of all."""
    dtype = int64 if total > INT32_MAX or _has_int64(traced) else int32
    alone = len(strides) == 1
    where = expand(_constant(fixed.astype(dtype.numpy)), shape) if fixed.any() else None
    valid = None
    for value, axis in traced:
        extent = x.shape[axis]
        value = expand(cast(value, dtype), shape)
        negative = apply(scalar.less, value, splat(0, value._type))
        shifted = apply(scalar.add, value, splat(extent, value._type))
        value = apply(scalar.select, negative, shifted, value)
        if not alone:
            inside = apply(
                scalar.logical_and,
                apply(scalar.less_equal, splat(0, value._type), value),
                apply(scalar.less, value, splat(extent, value._type)),
            )
            valid = inside if valid is None else apply(scalar.logical_and, valid, inside)
        if strides[axis] != 1:
            value = apply(scalar.mul, value, splat(strides[axis], value._type))
        where = value if where is None else apply(scalar.add, where, value)
    return where if valid is None else apply(scalar.select, valid, where, splat(-1, where._type))


def _has_int64(traced: list[tuple[Tensor, int]]) -> bool:
    return builtins.any(value.dtype.size == 8 or value.dtype.code == "u32" for value, _ in traced)


# --- the two operations -------------------------------------------------------------------------


def getitem(x: Tensor, key: Any) -> Tensor:
    """``x[key]``: a view of x if the key is basic and gives an array; an element, and what arrays
    pick, are Tensors of their own. So it is in NumPy.

    Raises BoundsError (an IndexError) outside of an axis, TraceError for a traced mask.
    """
    out = _plain_item(x, key)
    if out._type.shape and (key.__class__ in BASIC or _is_basic(key)):
        return shown(out, View(x, _item, _written, (key,)))
    return copied(out) if out is x else out


def _written(view: Tensor, base: Tensor, key: Any) -> Tensor:
    return updated(base, key, view)


def along(axis: int, index: Any) -> tuple:
    """The key that has an index on one axis, and everything of those before it."""
    return (*(slice(None),) * axis, index)


def _is_basic(key: Any) -> bool:
    """Whether each part of a key is one index, a slice, ``...`` or None."""
    for part in key if key.__class__ is tuple else (key,):
        if part.__class__ in BASIC or isinstance(part, np.integer):
            continue
        if not (isinstance(part, Tensor) and part.ndim == 0 and part.dtype.is_int):
            return False
    return True


BASIC = frozenset((int, slice, type(None), type(...)))


def _item(x: Tensor, key: Any) -> Tensor:
    moved = moving(x, key)
    if moved is not None:
        where, rest = moved
        return _item(_item(x, where), rest)
    entries = entries_of(x, key)
    if builtins.all(e is NEW or isinstance(e, Span) or isinstance(e.value, int) for e in entries):
        return reshaped("indexing", _slices(x, _as_spans(entries)), _basic_shape(entries))
    rows = _rows(x, entries)
    flat = reshaped("indexing", x, _flattened(x, rows.lead))
    return reshaped("indexing", apply(primitive.take, flat, rows.positions), rows.shape)


def _flattened(x: Tensor, lead: int) -> tuple[int, ...]:
    return (math.prod(x.shape[:lead]), *x.shape[lead:])


_plain_item = composed(_item, operands=1)  # Tensors in keys are read each time


def updated(x: Tensor, key: Any, value: Any) -> Tensor:
    """What x is after ``x[key] = value``, as a new Tensor."""
    mask = _traced_mask(x, key)
    if mask is not None:
        return _masked(x, mask, value)
    moved = moving(x, key)
    if moved is not None:
        where, rest = moved
        return updated(x, where, updated(_item(x, where), rest, value))
    entries = entries_of(x, key)
    if builtins.all(e is NEW or isinstance(e, Span) or isinstance(e.value, int) for e in entries):
        spans = _as_spans(entries)
        value = _fitted(x, value, _basic_shape(entries))
        if value._type.size == 0:
            return x
        return _write_spans(x, spans, reshaped("setitem", value, tuple(s.count for s in spans)))
    return _scattered(x, _rows(x, entries), value, "set")


def scattered(x: Tensor, key: Any, value: Any, mode: str) -> Tensor:
    """x with a value combined into ``x[key]``, repeated places included; the key is advanced.

    mode is "set" (the last wins), "add", "mul", "max" or "min".
    """
    return _scattered(x, _rows(x, entries_of(x, key)), value, mode)


def _scattered(x: Tensor, rows: Rows, value: Any, mode: str) -> Tensor:
    value = _fitted(x, value, rows.shape)
    flat = reshaped("setitem", x, _flattened(x, rows.lead))
    value = reshaped("setitem", value, (*rows.positions.shape, *x.shape[rows.lead :]))
    out = apply(primitive.scatter, flat, rows.positions, value, mode=mode)
    return reshaped("setitem", out, x.shape)


def _traced_mask(x: Tensor, key: Any) -> Tensor | None:
    """The mask of ``x[mask] = value`` if its values are not known."""
    if isinstance(key, tuple) and len(key) == 1:
        (key,) = key
    is_mask = isinstance(key, Tensor) and key.dtype is bool_ and known(key) is None
    return key if is_mask and key.ndim and key.shape == x.shape[: key.ndim] else None


def _masked(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``x[mask] = value`` for a value that is the same at every place of the mask."""
    value = like("setitem", value, x)
    if value.ndim > x.ndim - mask.ndim:
        raise fail(
            TraceError,
            f"{value._type} was written at a traced mask",
            why="how many places it picks is not known while the function is compiled",
            instead="ops.where(mask, value, x), with a value for every element of x",
        )
    spread = reshaped("setitem", mask, mask.shape + (1,) * (x.ndim - mask.ndim))
    return apply(scalar.select, expand(spread, x.shape), expand(value, x.shape), x)


def _fitted(x: Tensor, value: Any, shape: tuple[int, ...]) -> Tensor:
    """A value in the dtype of x, broadcast to the shape of what is written."""
    value = like("setitem", value, x)
    old = value.shape
    while len(old) > len(shape) and old[0] == 1:
        old = old[1:]
    value = reshaped("setitem", value, old)
    lead = len(shape) - len(old)
    if lead < 0 or not builtins.all(n in (1, shape[lead + a]) for a, n in enumerate(old)):
        raise fail(
            ShapeError,
            f"{value._type} was written into an indexed part of shape {shape} of {x._type}",
            why="the value does not broadcast to that shape",
        )
    return expand(value, shape)


__all__ = ["along", "entries_of", "getitem", "scattered", "updated"]
