"""Sums of everything as sums of rows, or of columns: where these are reduced anyway, both fuse."""

from __future__ import annotations

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs


def nested(graph: Graph) -> Graph:
    """Split a reduction over more axes than others in the same index space; rows come first."""
    found: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for node in graph.nodes:
        if node.op.kind == "reduce" and node.attrs["axes"]:
            found.setdefault(node.inputs[0].shape, []).append(node.attrs["axes"])

    def order(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[bool, int]:
        return len(shape) - 1 not in axes, len(axes)

    rows = {
        shape: min(all_axes, key=lambda a: order(shape, a)) for shape, all_axes in found.items()
    }

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
