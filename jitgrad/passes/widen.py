"""Accumulate float16 in float32: a float16 is only a way to store a number."""

from __future__ import annotations

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs
from jitgrad.ir.op import op
from jitgrad.ir.types import float16, float32

# Sums of products, besides the reductions.
ACCUMULATES = frozenset({"matmul", "conv2d", "conv2d_input", "conv2d_weight"})


def widen(graph: Graph) -> Graph:
    """Accumulations of float16 become casts, a float32 op, and a cast back."""
    cast = op("cast")

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        accumulates = node.op.kind == "reduce" or node.op.name in ACCUMULATES
        if not accumulates or node.dtype is not float16:
            return with_inputs(node, inputs)
        wide = [cast(x, dtype=float32) for x in inputs]
        return cast(node.op(*wide, **node.attrs), dtype=float16)

    return rebuild(graph, rewrite)
