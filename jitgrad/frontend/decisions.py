"""Where something holds: binary decision diagrams over the conditions of a trace.

They are reduced and ordered (Bryant, "Graph-Based Algorithms for Boolean Function Manipulation",
1986): what holds in the same cases is one object, so what holds nowhere is False itself. The latest
condition is asked first, for a program chooses between things that it has chosen before: such a
choice is one new decision over two diagrams that are there already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from jitgrad.frontend.dispatch import apply
from jitgrad.ir.node import Node
from jitgrad.primitives.elementwise import logical_and, logical_not, logical_or, select
from jitgrad.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What holds where a scalar bool is true and where it is not; `level`: which one it is."""

    level: int
    node: Node
    then: Where
    orelse: Where


Where: TypeAlias = Decision | bool


class Decisions:
    """The diagrams of one trace, each made once."""

    def __init__(self) -> None:
        self.levels: dict[Node, int] = {}
        self.made: dict[tuple[int, int, int], Decision] = {}
        self.chosen: dict[tuple[int, int, int], Where] = {}

    def where(self, node: Node) -> Where:
        """Where a scalar bool is true."""
        return self._decision(self.levels.setdefault(node, len(self.levels)), node, True, False)

    def both(self, one: Where, other: Where) -> Where:
        """Where two things hold."""
        return self.choose(one, other, False)

    def any(self, one: Where, other: Where) -> Where:
        """Where at least one of two things holds."""
        return self.choose(one, True, other)

    def no(self, one: Where) -> Where:
        """Where something does not hold."""
        return self.choose(one, False, True)

    def choose(self, pred: Where, then: Where, orelse: Where) -> Where:
        """Where one thing holds if a third does, and another if it does not."""
        if isinstance(pred, bool):
            return then if pred else orelse
        if then is orelse or (then is True and orelse is False):
            return then if then is orelse else pred
        key = id(pred), id(then), id(orelse)
        if key not in self.chosen:
            three = pred, then, orelse
            top = max((x for x in three if isinstance(x, Decision)), key=lambda x: x.level)
            sides = [self.choose(*[_side(x, top, s) for x in three]) for s in (True, False)]
            self.chosen[key] = self._decision(top.level, top.node, *sides)
        return self.chosen[key]

    def _decision(self, level: int, node: Node, then: Where, orelse: Where) -> Where:
        if then is orelse:
            return then
        key = level, id(then), id(orelse)
        if key not in self.made:
            self.made[key] = Decision(level, node, then, orelse)
        return self.made[key]


def _side(of: Where, top: Decision, held: bool) -> Where:
    """What is left of a diagram once the top of another is decided."""
    if isinstance(of, bool) or of.level != top.level:
        return of
    return of.then if held else of.orelse


def masks(wanted: Iterable[Where]) -> dict[Decision, Tensor]:
    """Diagrams as scalars of bool, and all that they are made of."""
    pending = [x for x in wanted if isinstance(x, Decision)]
    below: dict[Decision, None] = {}
    while pending:
        here = pending.pop()
        if here not in below:
            below[here] = None
            pending += [x for x in (here.then, here.orelse) if isinstance(x, Decision)]
    found: dict[Decision, Tensor] = {}
    for here in sorted(below, key=lambda x: x.level):
        found[here] = _mask(Tensor._of_node(here.node), here.then, here.orelse, found)
    return found


def _mask(pred: Tensor, then: Where, orelse: Where, known: dict[Decision, Tensor]) -> Tensor:
    if isinstance(then, Decision) and isinstance(orelse, Decision):
        return apply(select, pred, known[then], known[orelse])
    if then is False or orelse is True:  # what is left of it is the other side
        pred, then, orelse = apply(logical_not, pred), orelse, then
    if isinstance(then, Decision):
        return apply(logical_and, pred, known[then])
    return apply(logical_or, pred, known[orelse]) if isinstance(orelse, Decision) else pred
