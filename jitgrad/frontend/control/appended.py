"""What the body of a loop appends to lists: records of the region, and afterwards their items.

Python's numbers that do not depend on data stay what Python knows; so they are computed here, turn
by turn. All else is recorded, and the lists get the rows of the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.frontend import rows
from jitgrad.frontend.aliases import is_known, link, reaches, torn
from jitgrad.frontend.control.attempt import Outcome
from jitgrad.frontend.control.growing import Earlier, item_at
from jitgrad.frontend.control.names import Carried, family
from jitgrad.frontend.control.paths import Blocked
from jitgrad.frontend.dispatch import apply
from jitgrad.frontend.number import Number
from jitgrad.ir.node import Node, input_op, topological
from jitgrad.primitives.shape import reshape
from jitgrad.tensor import Tensor
from jitgrad.views import chain, connect

FOLLOWED = 200_000  # operations on Python's numbers that are done to know them in each turn
EXACT = 2**31  # int64 arithmetic on numbers up to this one is Python's
PLAIN = (type(None), bool, int, float, complex, str, bytes)


class Pack:
    """A list or tuple of all rows of a Tensor, as one leaf of a nest."""

    def __init__(self, items: Sequence[Tensor], whole: Tensor):
        self.items, self.whole = items, whole


def packed(value: Any) -> Any:
    """A nest with `Pack`s in it, wherever they can be."""
    found = None if isinstance(value, Tensor) else tree.parts(value)
    if found is None:
        return value
    whole = rows.whole_of(value)
    if whole is not None:
        return Pack(value, whole)
    return tree.assembled(type(value), found[0], [packed(x) for x in found[1]])


@dataclass(slots=True)
class Growth:
    """How a list grows. added: the items of a turn; leaves: of those, as they are recorded.

    joined  items of one type are recorded together.
    """

    mark: Earlier
    added: list[Any] = field(default_factory=list)
    leaves: list[Any] = field(default_factory=list)
    structure: tree.Structure = tree.LEAF
    joined: bool = False

    def tensors(self) -> Iterator[Tensor]:
        """The Tensors that a turn adds."""
        for x in tree.flatten(self.added)[0]:
            if isinstance(x, Tensor) and not isinstance(x, Number):
                yield x

    def turned(self, new: Any) -> bool | None:
        """Note the list after a turn; whether that adds another number of items than before. None:
        it is another list, or its earlier items changed.
        """
        if type(new) is not list or not new or new[0] is not self.mark:
            return None
        self.added, before, self.mark.count = new[1:], self.mark.count, len(new) - 1
        return self.mark.count != before

    def window(self) -> tuple[Any, ...]:
        """The last items after a turn, of which the next one reads so many."""
        items = [*self.mark.window, *self.added]
        return tuple(items[len(items) - len(self.mark.window) :])

    def first(self, count: int) -> tuple[Any, ...]:
        """The last items before the loop."""
        return tuple([item_at(self.mark.entry, i) for i in range(-count, 0)])

    def prepare(self, fixed: Fixed, alone: bool) -> None:
        """Find what to record of a turn; Blocked if an item cannot be a record. `alone`: no item is
        one twice.
        """
        items: list[Any] = list(self.added)
        plain = all(isinstance(x, Tensor) and not isinstance(x, Number) for x in items)
        one_type = plain and len({x._type for x in items}) == 1
        self.joined = one_type and len(items) > 1 and alone
        items = [rows.joined(items)] if self.joined else items
        self.leaves, self.structure = tree.flatten(packed(items))
        for leaf in self.leaves:
            tensor = leaf.whole if isinstance(leaf, Pack) else leaf
            if isinstance(tensor, Tensor):
                fixed.check(tensor)
            elif not isinstance(tensor, PLAIN):
                raise Blocked(f"it appends a {type(tensor).__name__} to a list")

    def content(self, columns: Columns) -> list[Any]:
        """The list after the loop."""
        before = self.mark.entry
        if self.joined:
            return [*before, *columns.joined(self.leaves[0], self.added)]
        found = [columns.of(x) for x in self.leaves]
        turns = zip(*found, strict=True) if found else [()] * columns.turns
        return [*before, *(x for t in turns for x in tree.unflatten(self.structure, t))]


@dataclass(slots=True)
class Fixed:
    """What Python knows in each turn: numbers that follow from the turn's and from one another.

    numbers  the traced numbers, each with what it begins with and what a turn makes of it.
    own      the nodes that differ from turn to turn though they are inputs.
    """

    trace: Any
    number: Node
    turns: int
    start: int
    own: Sequence[Node]
    numbers: dict[Node, tuple[Any, Node]]

    def __post_init__(self) -> None:
        while True:
            data = [n for n, (_, new) in self.numbers.items() if self.depends(new)]
            if not data:
                return
            for n in data:
                del self.numbers[n]

    def depends(self, node: Node) -> bool:
        """Whether it depends on more than Python knows."""
        inputs = [n for n in topological([node]) if n.op is input_op]
        return any(n is not self.number and n not in self.numbers for n in inputs)

    def check(self, tensor: Tensor) -> None:
        """Blocked for a Tensor that is no record: it was there before, or has a value."""
        node = rows.source(tensor)
        if node is None or (node not in self.own and _is_outside(self.trace, node, self.start)):
            raise Blocked("it appends a Tensor from before the loop to a list")
        if not isinstance(tensor, Number) and not self.depends(node):
            raise Blocked("it appends a Tensor that does not depend on data to a list")

    def values(self, node: Node) -> list[Any]:
        """A Python number in each turn; Blocked where arithmetic on arrays is not Python's."""
        order = topological([node, *(new for _, new in self.numbers.values())])
        if self.turns * len(order) > FOLLOWED:
            raise Blocked("it appends a Python number to a list")
        now = {n: np.asarray(first, n.dtype.numpy) for n, (first, _) in self.numbers.items()}
        found = []
        with np.errstate(all="ignore"):
            for k in range(self.turns):
                at = {self.number: np.asarray(k), **now}
                for n in order:
                    if n not in at:
                        at[n] = np.asarray(n.op.numpy(*[at[i] for i in n.inputs], **n.attrs))
                        if at[n].dtype.kind == "i" and abs(at[n]) > EXACT:
                            raise Blocked("it appends a Python int to a list")
                found.append(at[node].item())
                now = {n: at[new] for n, (_, new) in self.numbers.items()}
        return found


def prepared(growths: Sequence[Growth], fixed: Fixed) -> Columns:
    """What the region records for all lists, and what Python knows of their items."""
    items = [id(x) for g in growths for x in g.tensors()]
    alone = len(items) == len(set(items))
    found = Columns(fixed.turns)
    for growth in growths:
        growth.prepare(fixed, alone)
        for x in growth.leaves:
            tensor = x.whole if isinstance(x, Pack) else x
            if not isinstance(tensor, Tensor):
                found.known[id(x)] = [x] * fixed.turns
            elif isinstance(x, Number) and not fixed.depends(x._node):
                found.known[id(x)] = fixed.values(x._node)
            else:
                found.records[id(x)] = tensor
    return found


@dataclass(slots=True)
class Columns:
    """What each leaf of the items is in all turns, by its id: a record, or `known`.

    stacks  the records of all turns, once the region is made.
    """

    turns: int
    records: dict[int, Tensor] = field(default_factory=dict)
    known: dict[int, Sequence[Any]] = field(default_factory=dict)
    stacks: dict[int, Tensor] = field(default_factory=dict)

    def of(self, leaf: Any) -> Sequence[Any]:
        """The leaf in each turn; one that several lists have is the same Tensors in all of them."""
        if id(leaf) not in self.known:
            self.known[id(leaf)] = self._of(leaf, rows.rows(self.stacks[id(leaf)]))
        return self.known[id(leaf)]

    def _of(self, leaf: Any, found: list[Any]) -> list[Any]:
        if isinstance(leaf, Number):
            return [Number.of(x) for x in found]
        if not isinstance(leaf, Pack):
            return found
        packs = [type(leaf.items)(rows.rows(x)) for x in found]  # type: ignore[call-arg]
        self.known.update((id(x), [p[i] for p in packs]) for i, x in enumerate(leaf.items))
        return packs

    def joined(self, leaf: Tensor, items: Sequence[Any]) -> list[Any]:
        """All items of all turns, in one row."""
        stack, count = self.stacks[id(leaf)], len(items)
        shape = (stack.shape[0] * count, *stack.shape[2:])
        found: list[Any] = list(rows.rows(apply(reshape, stack, shape=shape)))
        self.known.update((id(x), found[i::count]) for i, x in enumerate(items))
        return found


def _is_outside(trace: Any, node: Node, start: int) -> bool:
    return node.op is input_op or trace.made.get(node, start) < start


def check(
    trace: Any,
    growths: Sequence[Growth],
    carried: Sequence[Carried],
    outcome: Outcome,
    start: int,
    again: Sequence[Any],
) -> None:
    """Blocked if an item is changed in place under another name, in its own turn or the next one.
    `again`: what variables refer to after the turn.
    """
    items = [x for g in growths for x in g.tensors()]
    ends = [x for c in carried for x in (c.stand_in, c.after)]
    for x in items:
        bases = [view.base for view in chain(x) if not _has(ends, view.base)]
        seen = any(b._node is None or _is_outside(trace, b._node, start) for b in bases)
        written = id(x) in outcome.written or reaches(outcome.written, x)
        if written or seen or any(_has(items, b) for b in bases):
            raise Blocked("it appends a Tensor to a list that changes under another name")
    for c in carried:
        after = family(c.after, outcome.links)
        if id(c.stand_in) in outcome.written and any(_has(items, y) for y in after):
            raise Blocked(f"'{c.name}' is written in place, and is an item of a list")
    for g in growths:
        if _keeps(trace, g.added, 3, again, outcome.values):
            raise Blocked("it appends a list to a list, and keeps it")


def _keeps(
    trace: Any, items: Sequence[Any], own: int, again: Sequence[Any], values: Sequence[Any]
) -> bool:
    """Whether somebody else knows a list or dict in a nest. `own`: how many references to an item
    there are, with the one that goes through the items.
    """
    for item in items:
        if isinstance(item, Tensor) or tree.parts(item) is None:
            continue
        changes = not isinstance(item, (tuple, type(None)))
        if changes and (_has(again, item) or is_known(trace, item, own, values)):
            return True
        if _keeps(trace, [*tree.parts(item)[1]], 3, again, values):  # type: ignore[index]
            return True
    return False


def _has(things: Sequence[Any], thing: Any) -> bool:
    return any(x is thing for x in things)


def bind(
    trace: Any,
    growths: Sequence[Growth],
    carried: Sequence[Carried],
    results: Sequence[Any],
    outcome: Outcome,
    columns: Columns,
) -> None:
    """Link what the loop carried to the items that are the same Tensors, or views of them."""
    known = columns.known
    for x in (x for g in growths for x in g.tensors() if id(x) in known):
        first, last, bases = known[id(x)][0], known[id(x)][-1], [v.base for v in chain(x)]
        for c, result in zip(carried, results, strict=True):
            if x is c.after or _has(family(c.after, outcome.links), x):
                link(trace, result, last, True if x is c.after else None)
            if x is c.stand_in:
                link(trace, c.entry, first, True)
            if _has(bases, c.after):
                connect(last, torn(last, result))
            if _has(bases, c.stand_in):
                connect(first, torn(first, c.entry))
