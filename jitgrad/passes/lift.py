"""Arrays of constants in loops and branches as operands of these: kernels hold single numbers."""

from __future__ import annotations

from collections.abc import Sequence

from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    constant,
    input_node,
    input_op,
    rebuild,
    splat,
    substitute,
    with_inputs,
)
from jitgrad.ir.types import TensorType

SMALL = 16  # elements that may be written out
NAMES = ("body", "test", "then", "orelse")


def lift(graph: Graph) -> Graph:
    """Move large constants out of regions, the innermost first."""
    if not any(n.op.kind == "region" for n in graph.nodes):
        return graph

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        return _lifted(node, inputs) if node.op.kind == "region" else with_inputs(node, inputs)

    return rebuild(graph, rewrite)


def _lifted(node: Node, inputs: tuple[Node, ...]) -> Node:
    attrs = dict(node.attrs)
    graphs = {name: lift(attrs[name]) for name in NAMES if isinstance(attrs.get(name), Graph)}
    arrays = dict.fromkeys(n for g in graphs.values() for n in g.nodes if _is_array(n))
    names = {n: input_node(f"q{i}", n.type) for i, n in enumerate(arrays)}  # type: ignore[arg-type]
    operands = [constant(n.op.numpy(**n.attrs), n.dtype) for n in arrays]
    attrs |= {name: _given(g, list(arrays), names) for name, g in graphs.items()}
    return builder.make(node.op, (*inputs, *operands), attrs)


def _is_array(node: Node) -> bool:
    if node.op.kind != "leaf" or node.op is input_op or not isinstance(node.type, TensorType):
        return False
    return node.type.size > SMALL and splat(node) is None


def _given(graph: Graph, arrays: Sequence[Node], names: dict[Node, Node]) -> Graph:
    """A graph that takes arrays as further inputs."""
    if not arrays:
        return graph
    outputs = substitute(graph.outputs, names)
    locs = {names.get(n, n): where for n, where in graph.locs.items()}
    return Graph(graph.name, (*graph.inputs, *names.values()), outputs, locs)
