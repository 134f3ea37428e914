"""Rules of picked elements: one of each row, found by comparing in the loop that makes the rows.

``x[arange(n), label]`` takes one element of each row of x, at positions ``row * width + label`` in
x flattened. As a call of its own that needs x in memory, and its gradient a scattered array; as a
comparison of each place with the label both are part of the loops around them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jitgrad.ir.node import Node, constant_op, full, splat
from jitgrad.ir.pattern import EXACT, EXACT_BUT_SIGNED_ZERO, rewrite
from jitgrad.ir.types import int32
from jitgrad.primitives.elementwise import add, equal, less, less_equal, logical_and, mul, select
from jitgrad.primitives.index import scatter, take
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast, iota_of, reshape

INT32_MAX = 2**31 - 1
COMBINED = {"add": add, "set": lambda base, update: update}


@dataclass(frozen=True, slots=True)
class Pick:
    """One element of each line along an axis of an array of `shape`: the one at its label."""

    shape: tuple[int, ...]
    axis: int
    label: Node

    @property
    def lines(self) -> tuple[int, ...]:
        return (*self.shape[: self.axis], *self.shape[self.axis + 1 :])

    def chosen(self) -> Node:
        """Whether each element is picked. A label outside of the axis raises BoundsError."""
        places = iota_of(self.shape[self.axis : self.axis + 1], 0, int32)
        at = self.spread(take(places, self.label))
        return equal(at, iota_of(self.shape, self.axis, int32))

    def spread(self, values: Node) -> Node:
        """The value of each line, repeated along it."""
        dims = tuple(a for a in range(len(self.shape)) if a != self.axis)
        return broadcast(reshape(values, shape=self.lines), shape=self.shape, dims=dims)


def _picked(index: Node, size: int) -> Pick | None:
    """What positions in a flattened array of `size` elements pick, if it is one of each line."""
    inside = outside = None
    if index.op is select and splat(index.inputs[2]) == -1:  # for what is outside of its axis
        inside, index, outside = index.inputs
    if index.op is not add or size % index.type.size:
        return None
    for label, starts in (index.inputs, index.inputs[::-1]):
        found = _of_lines(label, starts, size) if starts.op is constant_op else None
        if found is not None and inside is not None and not _is_bound(inside, found):
            return Pick(found.shape, found.axis, select(inside, found.label, outside))
        if found is not None:
            return found
    return None


def _is_bound(test: Node, pick: Pick) -> bool:
    """Whether a condition is just that the label is inside of its axis, which `take` sees."""
    label, end = pick.label, full(pick.shape[pick.axis], pick.label.type)
    bounds = {less_equal(full(0, label.type), label), less(label, end)}
    return test.op is logical_and and set(test.inputs) == bounds


def _of_lines(label: Node, starts: Node, size: int) -> Pick | None:
    """The pick at ``label * step + starts``, if there are the starts of an array's lines."""
    step = 1
    if label.op is mul and splat(label.inputs[1]) is not None:
        label, step = label.inputs[0], int(splat(label.inputs[1]))
    width, lines = size // starts.type.size, starts.attrs["value"].array
    for axis in range(starts.ndim + 1):
        rest = starts.shape[axis + (starts.shape[axis : axis + 1] == (1,)) :]
        if math.prod(rest) == step and width <= INT32_MAX:
            shape = (*starts.shape[:axis], width, *rest)
            found = np.arange(size).reshape(shape).take(0, axis)
            if np.array_equal(found.reshape(-1), np.broadcast_to(lines, starts.shape).reshape(-1)):
                return Pick(shape, axis, label)
    return None


@rewrite(lambda x, index: take(reshape(x), index), EXACT_BUT_SIGNED_ZERO)
def one_of_each_line(x, index, node):
    """From what is computed, by comparing; in memory it is better read there."""
    if x.op.kind != "elementwise" or x.dtype.kind == "b" or node.shape != index.shape:
        return None
    pick = _picked(index, x.type.size)
    if pick is None:
        return None
    x = reshape(x, shape=pick.shape)
    total = reduce_sum(select(pick.chosen(), x, full(0, x.type)), axes=(pick.axis,))
    return reshape(total, shape=node.shape)


@rewrite(lambda base, index, update: scatter(base, index, update), EXACT)
def into_one_of_each_line(base, index, update, node):
    """Into one number repeated, or what is computed: by comparing, too."""
    combined = COMBINED.get(node.attrs["mode"])
    below = base.inputs[0] if base.op is reshape else base
    made = splat(base) is not None or below.op.kind == "elementwise"
    pick = _picked(index, base.type.size) if made and update.shape == index.shape else None
    if combined is None or pick is None:
        return None
    base = reshape(base, shape=pick.shape)
    here = combined(base, pick.spread(update))
    return reshape(select(pick.chosen(), here, base), shape=node.shape)


PICKS = (one_of_each_line, into_one_of_each_line)
