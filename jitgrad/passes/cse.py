"""Common subexpressions. Interning has merged equal nodes already; left are ``x*y`` and ``y*x``."""

from __future__ import annotations

from jitgrad.ir.node import Graph, Node, constant_op, rebuild, with_inputs


def cse(graph: Graph) -> Graph:
    """Give commutative ops one order of operands: constants last, else the order met first.

    So nothing depends on names or addresses, a second run changes nothing, and text stays as the
    user wrote it where there is no reason to change it.
    """
    first: dict[tuple, Node] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if not node.op.commutative or len(inputs) != 2:
            return with_inputs(node, inputs)
        if inputs[0].op is constant_op and inputs[1].op is not constant_op:
            inputs = inputs[::-1]
        key = (node.op, frozenset(inputs), tuple(node.attrs.items()))
        known = first.get(key)
        if known is None:
            known = first[key] = with_inputs(node, inputs)
        return known

    return rebuild(graph, rewrite)
