"""Sums of everything as sums of rows, or of columns: where these are reduced anyway, both fuse."""

from __future__ import annotations

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs


def nested(graph: Graph) -> Graph:
    """Split a reduction over more axes than others in the same index space; rows come first."""
    found: dict[tuple[int, ...], dict[tuple[int, ...], None]] = {}
    for node in graph.nodes:
        if node.op.kind == "reduce" and node.attrs["axes"]:
            found.setdefault(node.inputs[0].shape, {})[node.attrs["axes"]] = None

    def inner_axes(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...] | None:
        fitting = [inner for inner in found.get(shape, ()) if set(inner) < set(axes)]
        return min(fitting, key=lambda a: (len(shape) - 1 not in a, len(a)), default=None)

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.kind != "reduce":
            return with_inputs(node, inputs)
        (x,), axes = inputs, node.attrs["axes"]
        inner = inner_axes(x.shape, axes)
        if inner is None:
            return with_inputs(node, inputs)
        kept = [a for a in range(x.ndim) if a not in inner]
        outer = tuple(kept.index(a) for a in axes if a not in inner)
        return node.op(node.op(x, axes=inner), axes=outer)

    return rebuild(graph, rewrite)
