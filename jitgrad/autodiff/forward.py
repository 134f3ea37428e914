"""Forward mode, graph to graph: tangents flow from the inputs to the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad.errors import TraceError, fail
from jitgrad.ir.node import Node, topological


def tangents(outputs: Sequence[Node], seeds: dict[Node, Node]) -> list[Any]:
    """The tangent of each output, given those of some nodes; None where it is zero."""
    found: dict[Node, Any] = dict(seeds)
    for node in topological(outputs, stop=seeds):
        if node in seeds:
            continue
        incoming = tuple([found.get(i) for i in node.inputs])
        if all(t is None for t in incoming):
            continue
        if node.op.jvp is None:
            raise fail(TraceError, f"{node.op.name} cannot be differentiated")
        found[node] = node.op.jvp(node, incoming)
    return [found.get(o) for o in outputs]
