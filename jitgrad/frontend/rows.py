"""Tensors that are the rows of one Tensor, as a compiled loop leaves them in a list.

A loop that appends to a list gives one Tensor with all that it appended. The list gets the rows of
that, which cost nothing until somebody reads them; and whatever joins rows takes the whole again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from jitgrad.frontend.dispatch import apply, stopped
from jitgrad.ir.node import Node, builder
from jitgrad.primitives.shape import concat, reshape, slice_
from jitgrad.state import OFF, state
from jitgrad.tensor import Tensor


class Row(Tensor):
    """Row `_at` of `_whole`, a Tensor that nobody writes to. Its node is made when it is read."""

    __slots__ = ("_at", "_made", "_whole")
    _at: int
    _made: Node | None
    _whole: Tensor | None  # None: it was written to, and is no row any more

    @property
    def _node(self) -> Node:
        if self._made is None:
            assert self._whole is not None
            whole = state.trace.read(self._whole)
            part = builder.make(slice_, (whole,), _span(whole.type.shape, self._at, 1))  # type: ignore[union-attr]
            self._made = builder.make(reshape, (part,), {"shape": self._type.shape})
        return self._made

    @_node.setter
    def _node(self, node: Node) -> None:
        if node is not self._made:
            self._made, self._whole = node, None


def row(whole: Tensor, at: int) -> Row:
    """One row of a traced Tensor."""
    new = object.__new__(Row)
    new._whole, new._at, new._made = whole, at, None
    new._data, new._type = None, whole._type.with_shape(whole.shape[1:])
    new._begin()
    new._trace = state.trace
    return new


def rows(whole: Tensor) -> list[Row]:
    """All rows of a traced Tensor."""
    return [row(whole, at) for at in range(whole.shape[0])]


def source(tensor: Tensor) -> Node | None:
    """The node that a traced Tensor is there since: that of the whole for a row."""
    while isinstance(tensor, Row) and tensor._whole is not None:
        tensor = tensor._whole
    return tensor._node


def are_rows(tensors: Sequence[Any]) -> bool:
    """Whether some Tensors of a list are rows."""
    return any(isinstance(x, Row) for x in tensors)


def whole_of(items: Any) -> Tensor | None:
    """The Tensor whose rows, all of them and in order, are the items of a list; None without."""
    if not isinstance(items, (list, tuple)) or len(items) < 2 or not isinstance(items[0], Row):
        return None
    found = gathered(items)
    return found[0] if len(found) == 1 else None


def gathered(tensors: Sequence[Any]) -> list[Tensor]:
    """The Tensors along a new leading axis, in as few parts as there are."""
    found: list[Tensor] = []
    for _, run in itertools.groupby(enumerate(tensors), _place):
        members = [x for _, x in run]
        first, count = members[0], len(members)
        if count == 1:
            found.append(apply(reshape, first, shape=(1, *first.shape)))
        elif count == first._whole.shape[0]:
            found.append(_same(first._whole))
        else:
            found.append(_slice(first._whole, first._at, count))
    return found


def _place(numbered: tuple[int, Any]) -> tuple[int, int]:
    """The same for rows that follow one another."""
    number, x = numbered
    if isinstance(x, Row) and x._whole is not None:
        return id(x._whole), x._at - number
    return 0, number


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of one type along a new leading axis."""
    found = gathered(tensors)
    return apply(concat, *found, axis=0) if len(found) > 1 else found[0]


def _same(whole: Tensor) -> Tensor:
    """Another name of a Tensor that nobody writes to."""
    if isinstance(whole, Row) and whole._whole is not None and state.grad != OFF:
        return row(whole._whole, whole._at)
    return Tensor._of_node(stopped(state.trace.read(whole)))


def _slice(whole: Tensor, first: int, count: int) -> Tensor:
    return apply(slice_, whole, **_span(whole.shape, first, count))


def _span(shape: tuple[int, ...], first: int, count: int) -> dict[str, Any]:
    """The attributes of a slice of `count` rows."""
    rest = shape[1:]
    starts, stops = (first, *(0 for _ in rest)), (first + count, *rest)
    return {"starts": starts, "stops": stops, "steps": (1,) * len(shape)}
