"""Passes over the graphs of loops and branches."""

from __future__ import annotations

from collections.abc import Callable

from jitgrad.ir.node import Graph, Node, builder, rebuild, with_inputs


def through(pass_: Callable[[Graph], Graph], graph: Graph) -> Graph:
    """The pass applied to the graphs that nodes have as attributes, the innermost first."""
    if not any(n.op.kind == "region" for n in graph.nodes):
        return graph

    def inside(value: object) -> object:
        if isinstance(value, Graph):
            return pass_(through(pass_, value))
        return tuple(map(inside, value)) if isinstance(value, tuple) else value

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.kind != "region":
            return with_inputs(node, inputs)
        attrs = {name: inside(value) for name, value in node.attrs.items()}
        return builder.make(node.op, inputs, attrs)

    return rebuild(graph, rewrite)
