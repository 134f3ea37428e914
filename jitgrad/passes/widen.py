"""Accumulate float16 in float32: a float16 is only a way to store a number."""

from __future__ import annotations

from collections.abc import Callable

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs
from jitgrad.ir.op import op
from jitgrad.ir.types import float16, float32

# Sums of products, besides the reductions.
ACCUMULATES = frozenset({"matmul", "conv2d", "conv2d_input", "conv2d_weight"})


def widen(graph: Graph) -> Graph:
    """Accumulations of float16 become casts, a float32 op, and a cast back."""
    return _widened(graph, lambda node: node.op.name in ACCUMULATES)


def widen_sums(graph: Graph) -> Graph:
    """As `widen`, where products of matrices add up in float32 by themselves."""
    return _widened(graph, lambda node: node.op.name in ACCUMULATES and _is_thin(node))


def _is_thin(product: Node) -> bool:
    """Whether `vectors` makes a reduction or an outer product of it."""
    return 1 in (*product.shape[-2:], product.inputs[0].shape[-1])


def _widened(graph: Graph, accumulates: Callable[[Node], bool]) -> Graph:
    cast = op("cast")

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if (node.op.kind != "reduce" and not accumulates(node)) or node.dtype is not float16:
            return with_inputs(node, inputs)
        wide = [cast(x, dtype=float32) for x in inputs]
        return cast(node.op(*wide, **node.attrs), dtype=float16)

    return rebuild(graph, rewrite)
