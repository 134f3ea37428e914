"""Slices with traced bounds: ``x[i:i + 3]`` has three elements, wherever it begins.

Its elements are picked one by one, so such a slice has to lie within its axis. Python would cut off
what sticks out, and with it change the shape of the result.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from jitgrad.errors import TraceError, fail
from jitgrad.frontend.sums import affine, difference
from jitgrad.ir.types import int64
from jitgrad.ops.keys import consumes, item_of
from jitgrad.ops.promote import (
    apply,
    cast,
    constant,
    expand,
    known,
    scalar,
    splat,
)
from jitgrad.state import state
from jitgrad.tensor import Tensor

SHORT = 64  # turns of a loop that can be written out
LARGE = 1 << 12  # elements that cost more to pick in each of them


def moving(x: Tensor, key: Any) -> tuple[Any, Any] | None:
    """The first slice of a key with traced bounds as a key of its own, and the key of what it
    picks; None if there is none.
    """
    if state.trace is None:
        return None
    items = list(key) if isinstance(key, tuple) else [key]
    place = next((i for i, item in enumerate(items) if _moves(item)), None)
    if place is None:
        return None
    widths = [consumes(item_of(item)) for item in items]
    axis = builtins.sum(widths[:place])
    if builtins.any(item is Ellipsis for item in items[:place]):
        axis += x.ndim - builtins.sum(widths)
    positions = _positions(x, axis, items[place])
    items[place] = slice(None)
    return (*(slice(None),) * axis, positions), tuple(items)


def _moves(item: Any) -> bool:
    return isinstance(item, slice) and builtins.any(
        isinstance(bound, Tensor) and known(bound) is None
        for bound in (item.start, item.stop, item.step)
    )


def _positions(x: Tensor, axis: int, item: slice) -> Tensor:
    """The indices that a slice picks; outside of the axis where Python would pick fewer."""
    extent = x.shape[axis]
    start, stop = _bound(item.start, 0), _bound(item.stop, extent)
    step = 1 if item.step is None else item.step
    length = difference(state.trace.read(stop), state.trace.read(start))
    if length is None or isinstance(step, Tensor) or step <= 0:
        raise fail(
            TraceError,
            f"a slice of {x._type} has traced bounds, and its length is not known",
            why="shapes are known when a function is compiled",
            instead="x[i:i + n] with an int n, or ops.where with a mask for every element",
        )
    count = len(range(0, length, step))
    if extent and count * x.size // extent >= LARGE and _is_place_of_turn(start):
        raise fail(
            TraceError,
            f"a large slice of {x._type} moves with the turns of a short loop",
            why="at places that are known, slices are views, and nothing is picked",
        )
    steps = constant(step * np.arange(count))
    if not count:
        return steps

    def at(value: int) -> Tensor:
        return splat(value, start._type)

    behind = apply(scalar.less, start, at(0))
    ends = apply(scalar.logical_and, apply(scalar.less, start, at(-length)), behind)
    fits = apply(scalar.logical_and, ends, apply(scalar.less_equal, at(-extent), start))
    from_end = apply(scalar.select, fits, apply(scalar.add, start, at(extent)), at(extent))
    first = apply(scalar.select, behind, from_end, start)
    return apply(scalar.add, expand(first, (count,)), steps)


def _is_place_of_turn(start: Tensor) -> bool:
    """Whether a loop is on trial whose turns can be written out, and then say where this is."""
    trace = state.trace
    turn = trace.turn
    if turn is None or (turn.length or SHORT + 1) > SHORT or trace.trials != turn.trials + 1:
        return False
    place = affine(trace.read(start), trace.read(turn.number))
    return place is not None and place[0] != 0


def _bound(bound: Any, default: int) -> Tensor:
    if isinstance(bound, Tensor):
        return cast(bound, int64)
    return constant(np.array(default if bound is None else bound, np.int64))


__all__ = ["moving"]
