"""A function whose call leaves one node on the tape and no records: the reverse calls it again.

In the second call, Tensors that the first one wrote to (averages, counters of random numbers) hold
what they held then, and afterwards what they held before. So both calls compute the same, and what
is written is written once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jitgrad.frontend import tape
from jitgrad.frontend.backward import Spot, own, walk
from jitgrad.frontend.linear import alias_of, coming_from, end_of, histories
from jitgrad.frontend.random import STREAMS
from jitgrad.ir.types import TensorType
from jitgrad.state import OFF, Leaf, state
from jitgrad.tensor import Tensor

Function = Callable[..., Sequence[Tensor]]
Value = tuple[Tensor, np.ndarray, TensorType]  # a Tensor, and what it held


class Again(tape.TapeNode):
    """A call of `function`. `outside`: where what it used beside its operands comes from."""

    __slots__ = ("function", "histories", "leaves", "mode", "operands", "outside", "written")

    def cotangents(self, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        values = self.values()
        operands, leaves = values[: self.operands], values[self.operands :]
        pairs = zip(self.leaves, leaves, strict=True)
        held = [(t, v._data, v._type) for t, v in pairs if t._data is not v._data]
        create = state.grad != OFF
        before = state.grad, state.recording
        state.grad = state.recording = self.mode
        try:
            ends, stand_ins = _stand_ins(operands)
            wanted: list[Spot | None] = [None if e is None else (e, 0) for e in ends]
            wanted += self.outside
            with _holding([*held, *self.written.values()]), coming_from(self.histories):
                roots = [tape.edge_of(y) for y in self.function(*stand_ins)]
                spots = [spot for spot in wanted if spot is not None]
                found = walk(
                    roots, given, spots, create_graph=create, retain_graph=create, ends=True
                )
        finally:
            state.grad, state.recording = before
        return [None if spot is None else found.get(spot) for spot in wanted]


def call_again(function: Function, operands: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """``function(*operands)``, with one node behind what it returns."""
    if state.grad == OFF:
        return tuple(function(*operands))
    start = next(tape.serials)
    ends, stand_ins = _stand_ins(operands)
    with _noted() as written:
        results = function(*stand_ins)
    roots = [tape.edge_of(y) for y in results]
    if not any(roots):
        return tuple(results)
    outside = _outside(roots, start, {*ends})
    edges = [tape.edge_of(x) for x in operands]
    outputs = [own(y) for y in results]
    node = Again("recompute", [*edges, *outside], [y._type for y in outputs])
    node.function, node.mode, node.written = function, state.grad, written
    node.histories = histories()
    node.operands, node.outside = len(edges), outside
    node.leaves = [t for spot in outside if (t := _tensor(spot)) is not None]
    inputs = [*zip(operands, edges), *((t, (t._grad_fn, 0)) for t in node.leaves)]
    node.saved = tuple([tape.saved(x, edge, x) for x, edge in inputs])
    for index, (out, root) in enumerate(zip(outputs, roots)):
        out._grad_fn, out._index = (None, 0) if root is None else (node, index)
    return tuple(outputs)


def _stand_ins(operands: Sequence[Tensor]) -> tuple[list[Any], list[Tensor]]:
    """Fresh ends of the tape for the operands that are followed, and Tensors that end there."""
    ends = [None if tape.edge_of(x) is None else end_of(x) for x in operands]
    return ends, [x if e is None else alias_of(x, e) for x, e in zip(operands, ends)]


def _outside(roots: Iterable[tape.Edge], start: int, ends: set[Any]) -> list[Spot]:
    """Where the records since `start` come from, but for the ends."""
    found: dict[Spot, None] = {}
    seen: set[Any] = set()
    stack = [spot for spot in roots if spot is not None]
    while stack:
        node, index = stack.pop()
        if node in ends:
            continue
        if type(node) is Leaf or node.serial < start:
            found[node, index] = None
        elif node not in seen:
            seen.add(node)
            stack.extend(edge for edge in node.edges if edge is not None)
    return list(found)


def _tensor(spot: Spot) -> Tensor | None:
    """The Tensor of a leaf."""
    leaf = spot[0]
    return leaf.tensor() if type(leaf) is Leaf and leaf.tensor is not None else None


@contextlib.contextmanager
def _noted() -> Iterator[dict[int, Value]]:
    """What Tensors that are written to inside held before. Compiled code writes where the old
    number was, so the counters of random numbers are noted at once.
    """
    outer, written = state.written, {}
    counters = [(s.counter, s.counter._data.copy(), s.counter._version) for s in STREAMS]
    state.written = written
    try:
        yield written
    finally:
        state.written = outer
        for counter, array, version in counters:
            if counter._version != version:
                written.setdefault(id(counter), (counter, array, counter._type))
        for key, value in written.items() if outer is not None else ():
            outer.setdefault(key, value)


@contextlib.contextmanager
def _holding(values: Iterable[Value]) -> Iterator[None]:
    """Inside, Tensors hold other values than now."""
    now = [(t, t._data, t._type, t._version, array.copy(), type) for t, array, type in values]
    for tensor, _, _, _, array, type in now:
        tensor._data, tensor._type = array, type
    try:
        yield
    finally:
        for tensor, array, type, version, _, _ in reversed(now):
            tensor._data, tensor._type, tensor._version = array, type, version
