"""Matrix products in the orientation in which their result is used.

A product that is only read transposed is made transposed: its operands change places, which costs
nothing, and what follows reads memory in order. Gradients of weights that are stored transposed
(`x @ w.T`) are the case that matters.
"""

from __future__ import annotations

from collections import Counter

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs
from jitgrad.ir.op import op
from jitgrad.primitives.shape import swaps_last, transpose_last

PRODUCTS = frozenset({"matmul"})


def orient(graph: Graph) -> Graph:
    """Turn transpose(a b) into b' a', where nothing else reads a b."""
    uses = Counter(i for node in graph.nodes for i in node.inputs)
    uses.update(graph.outputs)

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if swaps_last(node) and node.inputs[0].op.name in PRODUCTS and uses[node.inputs[0]] == 1:
            a, b = inputs[0].inputs
            return op(inputs[0].op.name)(transpose_last(b), transpose_last(a))
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)
