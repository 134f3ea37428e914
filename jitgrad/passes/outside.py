"""Factors outside of sums: what is the same along a sum is multiplied once, after it.

The gradient of a layer multiplies each element by its row's scale, its column's weight and the
mean's ``1 / n``, and what comes from a square is added to itself; then it is summed. Without these
factors what is left to be summed is less work for each element, and often a sum that is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from jitgrad.ir.node import Graph, Node, full, readers_of, splat, topological
from jitgrad.ir.types import float32, float64
from jitgrad.passes.cost import work
from jitgrad.passes.terms import Term, divided, is_same, multiplied, negated, with_totals
from jitgrad.primitives.elementwise import neg
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast

DEEP = 16  # operations between what is summed and a factor, at most


def outside(graph: Graph) -> Graph:
    """Rewrite sums of products some of whose factors are the same along them, where that takes
    away more work than it makes.
    """
    taken = {n: _Factors(n) for n in graph.nodes if n.op is reduce_sum and _is_real(n)}
    found = _worthwhile(graph, {n: f for n, f in taken.items() if f.term.inner is not n.inputs[0]})
    return with_totals(graph, {n: [f.term] for n, f in found.items()})


def _is_real(node: Node) -> bool:
    """Not float16, which a sum without its factors may exceed."""
    return node.dtype in (float32, float64)


class _Factors:
    """What is summed, as one term; `products` are the values in which its factors are."""

    def __init__(self, total: Node):
        (x,) = total.inputs
        self.axes = set(total.attrs["axes"])
        self.known: dict[Node, Term] = {}
        self.term = self.of(x, 0)
        if self.term.inner is None:  # another rule's
            self.term = Term(x)
        changed = {n for n, term in self.known.items() if term.inner not in (n, None)}
        self.products = changed if self.term.inner is not x else set()

    def of(self, node: Node, depth: int) -> Term:
        """A value as a term."""
        if node not in self.known:
            self.known[node] = self.find(node, depth)
        return self.known[node]

    def find(self, node: Node, depth: int) -> Term:
        if is_same(node, self.axes) or splat(node) is not None:
            return Term(None, (node,))
        if node.op is broadcast and node.inputs[0].op is neg:  # has other axes, but this sign
            (negative,) = node.inputs
            (positive,) = negative.inputs
            self.known[negative] = Term(positive, minus=True)
            return Term(broadcast(positive, **node.attrs), minus=True)
        rule = RULES.get(node.op.name) if depth < DEEP else None
        terms = rule(node, [[self.of(i, depth + 1)] for i in node.inputs]) if rule else None
        return terms[0] if terms else Term(node)


def _doubled(node: Node, parts: list[list[Term]]) -> list[Term] | None:
    """x + x is 2 x."""
    a, b = node.inputs
    return multiplied((parts[0], [Term(None, (full(2, node.type),))])) if a is b else None


RULES: dict[str, Callable[[Node, list[list[Term]]], list[Term] | None]] = {
    "add": _doubled,
    "neg": lambda node, parts: negated(parts[0]),
    "mul": lambda node, parts: multiplied(parts),
    "div": lambda node, parts: divided(parts),
}


def _worthwhile(graph: Graph, found: dict[Node, _Factors]) -> dict[Node, _Factors]:
    """Those of some sums which take away more work than they make: products that nobody else
    reads, and the sum. What several make is shared between them, so each depends on the others.
    """
    new = _made(graph, found)
    while True:
        gone = _gone(graph, found)
        makers = Counter(n for total in found for n in new[total])
        kept = {
            total: f
            for total, f in found.items()
            if sum(map(_cost, (f.products & gone) | {total}))
            > sum(_cost(n) / makers[n] for n in new[total])
        }
        if len(kept) == len(found):
            return found
        found = kept


def _cost(node: Node) -> int:
    return 0 if node.op.kind == "view" else work(node)


def _made(graph: Graph, found: Mapping[Node, _Factors]) -> dict[Node, list[Node]]:
    """What has to be made for each sum without its factors."""
    there = dict.fromkeys(graph.nodes)
    sums = {n: reduce_sum(f.term.inner, axes=n.attrs["axes"]) for n, f in found.items()}
    return {
        n: [x for x in topological([new], stop=there) if x not in there] for n, new in sums.items()
    }


def _gone(graph: Graph, found: Mapping[Node, _Factors]) -> set[Node]:
    """The products that nobody reads any more."""
    products = set().union(*(f.products for f in found.values())) - set(graph.outputs)
    readers = readers_of(graph)
    gone: set[Node] = set()
    for node in reversed(graph.nodes):
        if node in products and all(r in found or r in gone for r in readers[node]):
            gone.add(node)
    return gone
