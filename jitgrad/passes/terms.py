"""A sum taken apart: sums of terms, each times what is the same along the sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jitgrad.ir.node import Graph, Node, full, rebuild, splat, with_inputs
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast


@dataclass(frozen=True, slots=True)
class Term:
    """`inner`, which is summed, times and divided by what is the same along the sum: values that
    are repeated, and numbers.
    """

    inner: Node | None
    times: tuple[Node, ...] = ()
    over: tuple[Node, ...] = ()
    minus: bool = False


def is_same(node: Node, axes: set[int]) -> bool:
    """Whether a value is repeated along all axes of a sum."""
    return node.op is broadcast and not axes & set(node.attrs["dims"])


def negated(terms: Sequence[Term]) -> list[Term]:
    """The same with the other sign."""
    return [Term(t.inner, t.times, t.over, not t.minus) for t in terms]


def multiplied(parts: Sequence[Sequence[Term]]) -> list[Term] | None:
    """The product of two sums, one of which is a single term."""
    several, one = parts if len(parts[1]) == 1 else parts[::-1]
    if len(one) != 1:
        return None
    (b,) = one
    return [
        Term(_product(a.inner, b.inner), a.times + b.times, a.over + b.over, a.minus != b.minus)
        for a in several
    ]


def _product(a: Node | None, b: Node | None) -> Node | None:
    if a is None or b is None:
        return b if a is None else a
    return a * b


def divided(parts: Sequence[Sequence[Term]]) -> list[Term] | None:
    """The quotient of a sum and what is the same along it."""
    several, divisor = parts
    if len(divisor) != 1 or divisor[0].inner is not None or divisor[0].over:
        return None
    (b,) = divisor
    return [Term(a.inner, a.times, a.over + b.times, a.minus != b.minus) for a in several]


def with_totals(graph: Graph, found: Mapping[Node, Sequence[Term]]) -> Graph:
    """The graph with each of some sums as the sum of its terms' sums."""
    if not found:
        return graph
    made: dict[Node, Node] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        new = _total(node, found[node], made) if node in found else with_inputs(node, inputs)
        made[node] = new
        return new

    return rebuild(graph, rewrite)


def _total(node: Node, terms: Sequence[Term], made: dict[Node, Node]) -> Node:
    """The sum `node` of some terms, of values of the new graph: `made` has those of the old one."""
    axes = node.attrs["axes"]

    def here(value: Node) -> Node:
        """A value of the old graph, or made of such, in the new one."""
        if value not in made:
            made[value] = with_inputs(value, tuple([here(i) for i in value.inputs]))
        return made[value]

    def row(value: Node) -> Node:
        """What `value` repeats along the sum's axes, as it is in the sum's result."""
        number = splat(value)
        if number is not None:
            return full(number, node.type)
        kept = [a for a in range(value.ndim) if a not in axes]
        dims = tuple(kept.index(d) for d in value.attrs["dims"])
        return broadcast(here(value).inputs[0], shape=node.shape, dims=dims)

    result: Node | None = None
    for term in terms:
        assert term.inner is not None
        part = reduce_sum(here(term.inner), axes=axes)
        for factor in term.times:
            part = part * row(factor)
        for divisor in term.over:
            part = part / row(divisor)
        if result is None:
            result = -part if term.minus else part
        else:
            result = result - part if term.minus else result + part
    assert result is not None
    return result
