"""Loops that do the same become one: a loop and the same loop with further records or carries.

Reverse mode makes a second loop that records more than the first, forward mode one that carries
tangents as well. Here the first is found in the second, and its results are taken from there.
"""

from __future__ import annotations

from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    project,
    project_op,
    rebuild,
    topological,
    with_inputs,
)
from jitgrad.primitives.flow import inner, parts

SAME = ("counted", "length", "limit", "recompute", "reverse")


def merge(graph: Graph) -> Graph:
    """Replace loops by larger ones that contain them, one at a time."""
    while True:
        loops = [n for n in graph.nodes if "carried" in n.attrs]
        pair = next(
            (
                (small, large)
                for small in loops
                for large in loops
                if small is not large and _contains(large, small)
            ),
            None,
        )
        if pair is None:
            return graph
        graph = _replace(graph, *pair)


def _operands(node: Node) -> dict[Node, Node]:
    """For each input of the body but the first what it is at the beginning, or all along."""
    own, given = inner(node.attrs, node.attrs["body"].inputs), parts(node.attrs, node.inputs)
    xs = (*own.carry, *own.slices, *own.rest)
    return dict(zip(xs, (*given.carry, *given.slices, *given.rest), strict=True))


def _contains(large: Node, small: Node) -> bool:
    """Whether `small` is a part of `large`, which does not need its results."""
    a, b = small.attrs, large.attrs
    if any(a[name] != b[name] for name in SAME) or a["carried"] > b["carried"]:
        return False
    if a["counted"] and small.inputs[0] is not large.inputs[0]:
        return False
    if (a["test"] is None) != (b["test"] is None):
        return False
    if a["test"] is not None and a["test"].outputs != b["test"].outputs:
        return False
    theirs = _operands(large)
    if any(theirs.get(x) is not operand for x, operand in _operands(small).items()):
        return False
    next_of = _next(large)
    if any(next_of.get(x) is not y for x, y in _next(small).items()):
        return False
    if a["carried"] == b["carried"] and len(a["body"].outputs) > len(b["body"].outputs):
        return False
    return small not in topological([large])


def _next(node: Node) -> dict[Node, Node]:
    """What each carry becomes in one iteration."""
    own = inner(node.attrs, node.attrs["body"].inputs)
    return dict(zip(own.carry, node.attrs["body"].outputs))


def _replace(graph: Graph, small: Node, large: Node) -> Graph:
    """The graph with the results of `small` taken from `large`, which then records them too."""
    body, part = large.attrs["body"], small.attrs["body"]
    carried = large.attrs["carried"]
    outputs = list(body.outputs)
    for record in part.outputs[small.attrs["carried"] :]:
        if record not in outputs[carried:]:
            outputs.append(record)
    own = inner(large.attrs, body.inputs).carry
    mine = inner(small.attrs, part.inputs).carry
    place = {i: own.index(x) for i, x in enumerate(mine)}
    for i, record in enumerate(part.outputs[len(mine) :], len(mine)):
        place[i] = outputs.index(record, carried)
    wide = Graph(body.name, body.inputs, outputs, {**part.locs, **body.locs})
    last, last_wide = len(small.type.items) - 1, len(outputs)
    if small.attrs["test"] is not None:
        place[last] = last_wide
    # `large` may stand behind what reads `small`: its operands are rebuilt when first needed.
    made: list[Node] = []

    def whole(inputs: tuple[Node, ...]) -> Node:
        if not made:
            made.append(builder.make(large.op, inputs, {**large.attrs, "body": wide}))
        return made[0]

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node is large:
            return whole(inputs)
        if node.op is project_op and node.inputs[0] is large:
            index = node.attrs["index"]
            moved = large.attrs["test"] is not None and index == len(large.type.items) - 1
            return project(inputs[0], last_wide if moved else index)
        if node.op is project_op and node.inputs[0] is small:
            return project(whole(large.inputs), place[node.attrs["index"]])
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)
