"""Quotients by roots and powers of e as products with their reciprocals, where these are few.

``1 / sqrt(x)`` is a normal number for every positive number x, and zero or infinite exactly where
the root is infinite or zero. So a product with it has the quotient's specials, and overflows with
it; it only rounds once more. ``exp(-x)`` is to ``exp(x)`` the same, but for powers below the normal
numbers, of which few digits are left: there a product may overflow where the quotient does not.
Other reciprocals do so without such a reason.
"""

from __future__ import annotations

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs
from jitgrad.ir.types import float32, float64
from jitgrad.primitives.elementwise import div, exp, rsqrt, sqrt
from jitgrad.primitives.shape import broadcast


def reciprocals(graph: Graph) -> Graph:
    """Rewrite quotients by what is the root or power for many elements, or a root whose reciprocal
    is needed anyway, as in the derivatives of a norm.
    """
    needed = {n.inputs[0] for n in graph.nodes if n.op is rsqrt}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is not div or node.dtype not in (float32, float64):
            return with_inputs(node, inputs)
        old, (y, divisor) = node.inputs[1], inputs
        if old.op is sqrt and old.inputs[0] in needed:
            return y * rsqrt(*divisor.inputs)
        if old.op is broadcast and old.inputs[0].op in (sqrt, exp):
            (one,) = divisor.inputs
            (x,) = one.inputs
            return y * broadcast(rsqrt(x) if one.op is sqrt else exp(-x), **divisor.attrs)
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)
