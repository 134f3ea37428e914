"""The NumPy interpreter: the reference semantics of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jitgrad.errors import IRError
from jitgrad.ir.node import Graph, Node, input_op
from jitgrad.ir.types import TensorType
from jitgrad.quiet import Quiet


def evaluate(node: Node, inputs: Sequence[Any]) -> Any:
    """One node on arrays: an array of the node's type, or a tuple of arrays."""
    with Quiet():
        return _value(node, inputs)


def _value(node: Node, inputs: Sequence[Any]) -> Any:
    value = node.op.numpy(*inputs, **node.attrs)
    if not isinstance(node.type, TensorType):
        return value
    return np.asarray(value, node.type.dtype.numpy)


def interpret(graph: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Run a graph; IRError if the arrays are not of the inputs' types."""
    if len(arrays) != len(graph.inputs):
        raise IRError(f"@{graph.name} takes {len(graph.inputs)} inputs, got {len(arrays)}")
    values: dict[Node, Any] = {}
    for node, array in zip(graph.inputs, arrays, strict=True):
        fits = isinstance(node.type, TensorType)
        if fits and (array.shape != node.shape or array.dtype != node.dtype.numpy):
            got = f"{array.dtype}{list(array.shape)}"
            raise IRError(f"@{graph.name} input %{node.attrs['name']} is {node.type}, got {got}")
        values[node] = array
    with Quiet():
        for node in graph.nodes:
            if node.op is not input_op:
                values[node] = _value(node, [values[i] for i in node.inputs])
    return [values[o] for o in graph.outputs]
