"""Quotients by roots as products with reciprocal roots, where these are there or are few.

``1 / sqrt(x)`` is a normal number for every positive number x, and zero or infinite exactly where
the root is infinite or zero. So a product with it has the quotient's specials, and overflows with
it; it only rounds once more. Other reciprocals overflow where the quotient does not.
"""

from __future__ import annotations

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs
from jitgrad.ir.types import float32, float64
from jitgrad.primitives.elementwise import div, rsqrt, sqrt
from jitgrad.primitives.shape import broadcast


def roots(graph: Graph) -> Graph:
    """Rewrite quotients by what is a root for many elements, or whose reciprocal is needed anyway,
    as in the derivatives of a norm.
    """
    needed = {n.inputs[0] for n in graph.nodes if n.op is rsqrt}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is not div or node.dtype not in (float32, float64):
            return with_inputs(node, inputs)
        old, (y, divisor) = node.inputs[1], inputs
        if old.op is sqrt and old.inputs[0] in needed:
            return y * rsqrt(*divisor.inputs)
        if old.op is broadcast and old.inputs[0].op is sqrt:
            (root,) = divisor.inputs
            return y * broadcast(rsqrt(*root.inputs), **divisor.attrs)
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)
