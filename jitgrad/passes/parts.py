"""Parts of what is computed: slices of an elementwise result as results of slices.

The gates of a recurrent cell are slices of one sum. Where slices are all that is read of it, each
is computed where it is used, and the sum is never stored.
"""

from __future__ import annotations

from collections.abc import Mapping

from jitgrad.ir.node import Graph, Node, full, readers_of, rebuild, splat, with_inputs

SLICES = frozenset({"slice"})


def parts(graph: Graph) -> Graph:
    """Move slices to the operands of elementwise ops of which only slices are read."""
    moved = _only_sliced(graph)
    if not moved:
        return graph
    place: dict[Node, int] = {}  # of what is moved, in the new graph

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.name in SLICES and inputs[0] in place:
            return _sliced(inputs[0], node, place)
        new = with_inputs(node, inputs)
        if node in moved:
            place[new] = len(place)
        return new

    return rebuild(graph, rewrite)


def _only_sliced(graph: Graph) -> set[Node]:
    """Elementwise results of which slices are read, not more than there is, and what is computed
    for these alone.
    """
    readers = readers_of(graph)
    moved: set[Node] = set()
    for node in reversed(graph.nodes):
        mine = readers.get(node, [])
        if node.op.kind != "elementwise" or node in graph.outputs or not mine:
            continue
        sliced = sum(r.type.size for r in mine if r.op.name in SLICES)  # type: ignore[union-attr]
        alone = len(mine) == 1 and mine[0] in moved
        if alone or (all(r.op.name in SLICES for r in mine) and sliced <= node.type.size):  # type: ignore[union-attr]
            moved.add(node)
    return moved


def _sliced(whole: Node, view: Node, place: Mapping[Node, int]) -> Node:
    """The part of a value that a slice is, computed from parts."""
    inside, pending = {whole}, [whole]
    while pending:
        more = {i for i in pending.pop().inputs if i in place} - inside
        inside |= more
        pending += more
    made: dict[Node, Node] = {}

    def part(node: Node) -> Node:
        number = splat(node)
        if number is not None:
            return full(number, node.type.with_shape(view.shape))  # type: ignore[union-attr]
        return made[node] if node in made else view.op(node, **view.attrs)

    for node in sorted(inside, key=place.__getitem__):
        made[node] = node.op(*map(part, node.inputs), **node.attrs)
    return made[whole]
