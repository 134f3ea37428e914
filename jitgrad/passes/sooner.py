"""Sums that need not wait for others.

The gradient of a normalization sums ``g + c * x`` over what it normalizes, where `c` comes from a
sum itself: one more pass over the data, only for this sum. But it is the sum of `g` plus `c` times
the sum of `x`, and both can be taken in an earlier pass. So can the sum of ``e / s * v`` for the
total `s` of `e`, in a softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jitgrad.ir.node import Graph, Node
from jitgrad.passes.terms import Term, divided, is_same, multiplied, negated, with_totals
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast

MOST = 3  # sums in the place of one
DEEP = 16  # operations between what is summed and what is early, at most

Terms = list[Term] | None  # None: it has to wait


def sooner(graph: Graph) -> Graph:
    """Rewrite sums of late values that consist of early ones, if a later pass reads the sum."""
    phases = _phases(graph)
    spread = _spread(graph)
    found: dict[Node, list[Term]] = {}
    for node in graph.nodes:
        if node.op is reduce_sum and node.dtype.is_float:
            (x,) = node.inputs
            terms = _Split(phases, node).terms(x) if spread[node] >= x.type.size else None  # type: ignore[union-attr]
            if terms and all(t.inner is not None for t in terms):
                found[node] = terms
    return with_totals(graph, found)


def _phases(graph: Graph) -> dict[Node, int]:
    """How many passes over data come before each value is there."""
    phases: dict[Node, int] = {}
    for node in graph.nodes:
        before = max((phases[i] for i in node.inputs), default=0)
        phases[node] = before + (node.op.kind not in ("elementwise", "view", "leaf"))
    return phases


def _spread(graph: Graph) -> dict[Node, int]:
    """Over how many elements each value is repeated in the end."""
    found = dict.fromkeys(graph.nodes, 0)
    for node in reversed(graph.nodes):
        own = node.type.size if node.op is broadcast else 0  # type: ignore[union-attr]
        for i in node.inputs:
            found[i] = max(found[i], found[node], own)
    return found


class _Split:
    """What is summed, as terms."""

    def __init__(self, phases: dict[Node, int], total: Node):
        self.phases, self.axes = phases, set(total.attrs["axes"])
        self.late = phases[total.inputs[0]]
        self.known: dict[Node, Terms] = {}

    def terms(self, node: Node, depth: int = 0) -> Terms:
        """The terms of a value; None if one of them has to wait, too."""
        if node not in self.known:
            self.known[node] = self.find(node, depth)
        return self.known[node]

    def find(self, node: Node, depth: int) -> Terms:
        """`terms`, so many operations from what is summed."""
        if self.phases[node] < self.late:
            return [Term(node)]
        if is_same(node, self.axes):
            return [Term(None, (node,))]
        rule = RULES.get(node.op.name) if depth < DEEP else None
        parts: list[list[Term]] = []
        for operand in node.inputs if rule is not None else ():
            part = self.terms(operand, depth + 1)
            if part is None:
                return None
            parts.append(part)
        return rule(parts) if rule is not None else None


def _added(parts: Sequence[list[Term]]) -> Terms:
    """No shifts: ``x - mean`` is small where both are large, and the difference of their sums is
    what rounding has left of them.
    """
    found = [t for part in parts for t in part]
    return found if all(t.inner is not None for t in found) and len(found) <= MOST else None


RULES: dict[str, Callable[[Sequence[list[Term]]], Terms]] = {
    "add": _added,
    "sub": lambda parts: _added([parts[0], negated(parts[1])]),
    "neg": lambda parts: negated(parts[0]),
    "mul": multiplied,
    "div": divided,
}
