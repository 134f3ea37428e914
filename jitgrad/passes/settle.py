"""Regions with constants for operands: constants move inside, and a branch that is decided is
taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    inline,
    project_op,
    rebuild,
    splat,
    substitute,
    with_inputs,
)
from jitgrad.primitives.flow import parts


def settle(graph: Graph) -> Graph:
    """Replace regions by simpler ones, or by what they compute."""
    if not any(n.op.kind == "region" for n in graph.nodes):
        return graph
    chosen: dict[Node, list[Node]] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is project_op and node.inputs[0] in chosen:
            return chosen[node.inputs[0]][node.attrs["index"]]
        if "orelse" in node.attrs:
            decided = splat(inputs[0])
            if decided is not None:
                side = node.attrs["then" if decided else "orelse"]
                chosen[node] = inline(side, inputs[1:])
                return node
            return _cond(node, inputs)
        if "carried" in node.attrs:
            return _loop(node, inputs)
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)


def _without(graph: Graph, constants: dict[Node, Node]) -> Graph:
    """The graph with some inputs gone, and constants in their place."""
    outputs = substitute(graph.outputs, constants)
    left = [x for x in graph.inputs if x not in constants]
    return Graph(graph.name, left, outputs, graph.locs)


def _constants(inner: Sequence[Node], given: Sequence[Node]) -> dict[Node, Node]:
    return {x: c for x, c in zip(inner, given, strict=True) if splat(c) is not None}


def _cond(node: Node, inputs: tuple[Node, ...]) -> Node:
    operands = inputs[1:]
    left = [x for x in operands if splat(x) is None]
    if len(left) == len(operands):
        return with_inputs(node, inputs)
    sides = {
        name: _without(node.attrs[name], _constants(node.attrs[name].inputs, operands))
        for name in ("then", "orelse")
    }
    return builder.make(node.op, (inputs[0], *left), sides)


def _loop(node: Node, inputs: tuple[Node, ...]) -> Node:
    attrs = dict(node.attrs)
    given = parts(attrs, inputs)
    left = [x for x in given.rest if splat(x) is None]
    if len(left) == len(given.rest):
        return with_inputs(node, inputs)
    count = len(given.rest)
    for name in ("body", "test"):
        graph = attrs[name]
        if graph is not None:
            inner = graph.inputs[len(graph.inputs) - count :]
            attrs[name] = _without(graph, _constants(inner, given.rest))
    return builder.make(node.op, (*inputs[: len(inputs) - count], *left), attrs)
