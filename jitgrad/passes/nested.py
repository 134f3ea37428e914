"""Sums of everything as sums of rows: where rows are reduced anyway, both reductions fuse."""

from __future__ import annotations

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs


def nested(graph: Graph) -> Graph:
    """Split a reduction over more axes than the rows that are reduced in the same index space."""
    rows: dict[tuple[int, ...], tuple[int, ...]] = {}
    for node in graph.nodes:
        if node.op.kind == "reduce":
            shape, axes = node.inputs[0].shape, node.attrs["axes"]
            if len(shape) - 1 in axes and (shape not in rows or len(axes) < len(rows[shape])):
                rows[shape] = axes

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.kind != "reduce":
            return with_inputs(node, inputs)
        (x,), axes = inputs, node.attrs["axes"]
        inner = rows.get(x.shape, axes)
        if inner == axes or not set(inner) < set(axes):
            return with_inputs(node, inputs)
        kept = [a for a in range(x.ndim) if a not in inner]
        outer = tuple(kept.index(a) for a in axes if a not in inner)
        return node.op(node.op(x, axes=inner), axes=outer)

    return rebuild(graph, rewrite)
