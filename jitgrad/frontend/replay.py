"""Run a graph on Tensors, op by op, so that it is recorded or traced like a user's program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad.frontend.dispatch import apply, constant, splat
from jitgrad.ir.node import Graph, Node, constant_op, input_op, project_op
from jitgrad.ir.node import splat as splat_of
from jitgrad.tensor import Tensor


def replay(graph: Graph, values: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a graph for Tensors of its inputs' types."""
    found: dict[Node, Any] = dict(zip(graph.inputs, values, strict=True))
    for node in graph.nodes:
        if node.op is input_op:
            continue
        if node.op is constant_op:
            found[node] = _constant(node)
        elif node.op is project_op:
            found[node] = found[node.inputs[0]][node.attrs["index"]]
        else:
            found[node] = apply(node.op, *[found[i] for i in node.inputs], **node.attrs)
    return [found[o] for o in graph.outputs]


def _constant(node: Node) -> Tensor:
    number = splat_of(node)
    if number is not None:
        return splat(number, node.type)
    return constant(node.attrs["value"].array.copy())
