"""Batching, graph to graph: one program over a leading axis of examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad.errors import TraceError, fail
from jitgrad.ir.node import Node, project, project_op, topological
from jitgrad.primitives.shape import lead


def batched(outputs: Sequence[Node], sources: dict[Node, Node], size: int) -> list[Node]:
    """The outputs with a leading axis of extent `size`, given the batched form of some nodes."""
    found: dict[Node, Any] = dict(sources)
    varies = set(sources)
    for node in topological(outputs, stop=sources):
        if node in sources:
            continue
        flags = tuple([i in varies for i in node.inputs])
        if not any(flags):
            found[node] = node
            continue
        varies.add(node)
        inputs = tuple([found[i] for i in node.inputs])
        if node.op is project_op:
            whole, index = inputs[0], node.attrs["index"]
            found[node] = whole[index] if isinstance(whole, tuple) else project(whole, index)
        elif node.op.batch is None:
            raise fail(TraceError, f"{node.op.name} has no batching rule")
        else:
            found[node] = node.op.batch(node, inputs, flags, size)
    return [found[o] if o in varies else lead(found[o], size) for o in outputs]
