"""Sums that need not wait for others.

The gradient of a normalization sums ``g + c * x`` over what it normalizes, where `c` comes from a
sum itself: one more pass over the data, only for this sum. But it is the sum of `g` plus `c` times
the sum of `x`, and both can be taken in an earlier pass. So can the sum of ``e / s * v`` for the
total `s` of `e`, in a softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast

MOST = 3  # sums in the place of one
DEEP = 16  # operations between what is summed and what is early, at most


@dataclass(frozen=True, slots=True)
class Term:
    """`early`, which can be summed, times and divided by what is the same along the sum."""

    early: Node | None
    times: tuple[Node, ...] = ()
    over: tuple[Node, ...] = ()
    minus: bool = False


Terms = list[Term] | None  # None: it has to wait


def sooner(graph: Graph) -> Graph:
    """Rewrite sums of late values that consist of early ones, if a later pass reads the sum."""
    phases = _phases(graph)
    spread = _spread(graph)
    found: dict[Node, list[Term]] = {}
    for node in graph.nodes:
        if (
            node.op is reduce_sum
            and node.dtype.is_float
            and spread[node] >= node.inputs[0].type.size
        ):  # type: ignore[union-attr]
            terms = _Split(phases, node).terms(node.inputs[0])
            if (
                terms is not None
                and 0 < len(terms) <= MOST
                and all(t.early is not None for t in terms)
            ):
                found[node] = terms
    if not found:
        return graph
    made: dict[Node, Node] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        new = _total(node, found[node], made) if node in found else with_inputs(node, inputs)
        made[node] = new
        return new

    return rebuild(graph, rewrite)


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

    def terms(self, node: Node, depth: int = 0) -> Terms:
        """The terms of a value; None if one of them has to wait, too."""
        if self.phases[node] < self.late:
            return [Term(node)]
        if node.op is broadcast and not self.axes & set(node.attrs["dims"]):
            return [Term(None, (node,))]
        rule = RULES.get(node.op.name) if depth < DEEP else None
        parts = [self.terms(i, depth + 1) for i in node.inputs] if rule is not None else []
        known = [p for p in parts if p is not None]
        return rule(known) if rule is not None and len(known) == len(parts) else None


def _negated(terms: list[Term]) -> list[Term]:
    return [Term(t.early, t.times, t.over, not t.minus) for t in terms]


def _added(parts: Sequence[list[Term]]) -> Terms:
    """No shifts: ``x - mean`` is small where both are large, and the difference of their sums is
    what rounding has left of them.
    """
    found = [t for part in parts for t in part]
    return found if all(t.early is not None for t in found) and len(found) <= MOST else None


def _multiplied(parts: Sequence[list[Term]]) -> Terms:
    several, one = parts if len(parts[1]) == 1 else parts[::-1]
    if len(one) != 1:
        return None
    (b,) = one
    return [
        Term(
            _product(a.early, b.early),
            a.times + b.times,
            a.over + b.over,
            a.minus != b.minus,
        )
        for a in several
    ]


def _product(a: Node | None, b: Node | None) -> Node | None:
    if a is None or b is None:
        return b if a is None else a
    return a * b


def _divided(parts: Sequence[list[Term]]) -> Terms:
    several, divisor = parts
    if len(divisor) != 1 or divisor[0].early is not None or divisor[0].over:
        return None
    (b,) = divisor
    return [Term(a.early, a.times, a.over + b.times, a.minus != b.minus) for a in several]


RULES: dict[str, Callable[[Sequence[list[Term]]], Terms]] = {
    "add": _added,
    "sub": lambda parts: _added([parts[0], _negated(parts[1])]),
    "neg": lambda parts: _negated(parts[0]),
    "mul": _multiplied,
    "div": _divided,
}


def _total(node: Node, terms: Sequence[Term], made: dict[Node, Node]) -> Node:
    """The sum of some terms, of values of the new graph."""
    axes = node.attrs["axes"]

    def here(value: Node) -> Node:
        """A value of the old graph, or made of such, in the new one."""
        if value not in made:
            made[value] = with_inputs(value, tuple([here(i) for i in value.inputs]))
        return made[value]

    def row(value: Node) -> Node:
        """What `value` repeats along the sum's axes, as it is in the sum's result."""
        kept = [a for a in range(value.ndim) if a not in axes]
        dims = tuple(kept.index(d) for d in value.attrs["dims"])
        return broadcast(here(value).inputs[0], shape=node.shape, dims=dims)

    total: Node | None = None
    for term in terms:
        assert term.early is not None
        part = reduce_sum(here(term.early), axes=axes)
        for factor in term.times:
            part = part * row(factor)
        for divisor in term.over:
            part = part / row(divisor)
        if total is None:
            total = -part if term.minus else part
        else:
            total = total - part if term.minus else total + part
    assert total is not None
    return total
