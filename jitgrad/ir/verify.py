"""The rules that every graph keeps, checked. Passes run under it with JITGRAD_VERIFY=1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from jitgrad.errors import IRError
from jitgrad.ir.node import Constant, Graph, Node, builder, input_op, project_op
from jitgrad.ir.op import OPS
from jitgrad.ir.text import line_of
from jitgrad.ir.types import DType, TapeType, TensorType, TupleType

ATTRIBUTES = (
    bool,
    int,
    float,
    str,
    type(None),
    DType,
    TensorType,
    TapeType,
    TupleType,
    Constant,
    Graph,
)


def verify(graph: Graph) -> Graph:
    """The graph itself; IRError with the line of the first node that breaks a rule.

    Inputs are distinct input nodes, and no other inputs are used; every type is what the op's
    rule infers; a tuple's results are used through `project` only, and are not returned; every
    node is the interned one; attributes can be printed; all that holds in regions as well.
    """
    if len(set(graph.inputs)) != len(graph.inputs):
        raise IRError(f"@{graph.name} lists an input twice\n  {_header(graph)}")
    declared = set(graph.inputs)
    for node in graph.nodes:
        for complaint in _complaints(node, declared):
            raise IRError(f"@{graph.name}: {complaint}\n  {_line(graph, node)}")
        for value in node.attrs.values():
            for region in _graphs(value):
                verify(region)
    for output in graph.outputs:
        if isinstance(output.type, TupleType):
            raise IRError(f"@{graph.name} returns a tuple\n  {line_of(graph, output)}")
    return graph


def _complaints(node: Node, declared: set[Node]) -> Iterator[str]:
    if node.op is input_op and node not in declared:
        yield f"%{node.attrs['name']} is used and is not an input of the graph"
    if node.op is not input_op and node in declared:
        yield f"{node.op.name} is listed as an input"
    if OPS.get(node.op.name) is not node.op:
        yield f"{node.op.name} is not the declared op of that name"
    if node.op is not project_op and any(isinstance(i.type, TupleType) for i in node.inputs):
        yield "takes a tuple of results; project one of them"
    for name, value in node.attrs.items():
        if not _is_attribute(value):
            yield f"attribute {name} is {value!r}, which has no text"
    yield from _type_complaints(node)
    if builder.make(node.op, node.inputs, node.attrs) is not node:
        yield "was not made by the builder"


def _type_complaints(node: Node) -> Iterator[str]:
    try:
        inferred = node.op.infer(tuple([i.type for i in node.inputs]), node.attrs)
    except Exception as error:  # whatever a type rule says of a node that it would not make
        yield f"has no type: {error}"
        return
    if inferred is not node.type:
        yield f"has type {node.type}; its inputs give {inferred}"


def _is_attribute(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_attribute(v) for v in value)
    if isinstance(value, float) and math.isnan(value):
        return False  # nan is not equal to itself: such a node would never be found again
    return isinstance(value, ATTRIBUTES) and not isinstance(value, np.generic)


def _graphs(value: Any) -> Iterator[Graph]:
    if isinstance(value, Graph):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _graphs(part)


def _line(graph: Graph, node: Node) -> str:
    try:
        return line_of(graph, node)
    except IRError:  # an attribute without text
        return f"{node.op.name} : {node.type}"


def _header(graph: Graph) -> str:
    return str(graph).partition("\n")[0]
