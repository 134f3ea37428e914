"""Forward mode, graph to graph: tangents flow from the inputs to the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad.ir.node import Node, topological
from jitgrad.ir.op import title
from jitgrad.primitives.declare import not_differentiable

# Op -> the attribute that counts its first operands, through which no derivative goes. What only
# they need has no tangent, and may be without a derivative.
HIDDEN = {"custom": "outs"}


def tangents(outputs: Sequence[Node], seeds: dict[Node, Node]) -> list[Any]:
    """The tangent of each output, given those of some nodes; None where it is zero."""
    found: dict[Node, Any] = dict(seeds)
    wanted = _wanted(outputs, seeds)
    for node in topological(outputs, stop=seeds):
        if node in seeds or node not in wanted:
            continue
        incoming = tuple([found.get(i) for i in node.inputs])
        if all(t is None for t in incoming):
            continue
        if node.op.jvp is None:
            raise not_differentiable(title(node.op, node.attrs))
        found[node] = node.op.jvp(node, incoming)
    return [found.get(o) for o in outputs]


def _wanted(outputs: Sequence[Node], seeds: dict[Node, Node]) -> set[Node]:
    """The nodes whose tangents matter."""
    wanted: set[Node] = set()
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in wanted:
            wanted.add(node)
            if node not in seeds:
                counted = HIDDEN.get(node.op.name)
                stack.extend(node.inputs[node.attrs[counted] :] if counted else node.inputs)
    return wanted
