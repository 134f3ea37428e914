"""Constant folding, by the interpreter. One number repeated stays one number repeated."""

from __future__ import annotations

import numpy as np

from jitgrad.ir.interp import evaluate
from jitgrad.ir.node import (
    Constant,
    Graph,
    Node,
    builder,
    constant,
    constant_op,
    full,
    rebuild,
    settling,
    splat,
    with_inputs,
)
from jitgrad.ir.types import TensorType

RESULT = 64  # elements that a folded array may have: graphs hold parameters, not data
OPERANDS = 4096  # elements that are read for it: folding takes microseconds
SETTLED = settling()


def fold(graph: Graph) -> Graph:
    """Replace what is computed from constants alone, where the result is small or uniform."""
    return rebuild(graph, _fold, SETTLED)


def _fold(node: Node, inputs: tuple[Node, ...]) -> Node:
    node = with_inputs(node, inputs)
    if not inputs:
        return _uniform(node) if node.op is constant_op else node
    for x in inputs:
        if x.op is not constant_op:
            return node
    if not isinstance(node.type, TensorType):
        return node
    numbers = [splat(x) for x in inputs]
    if None not in numbers:
        if node.op.kind == "view":  # every element of a view is an element of its operand
            return full(numbers[0], node.type)
        if node.op.kind == "elementwise":
            value = _value(node, numbers)
            return node if value is None else full(value, node.type)
    return _fold_dense(node)


def _fold_dense(node: Node) -> Node:
    small = node.type.size <= RESULT and sum([x.type.size for x in node.inputs]) <= OPERANDS
    if not small or node.op.kind == "region":  # a loop over constants may run for hours
        return node
    arrays = [np.broadcast_to(x.attrs["value"].array, x.shape) for x in node.inputs]
    value = _value(node, arrays)
    return node if value is None else _uniform(constant(value))


def _value(node: Node, arrays: list) -> np.ndarray | None:
    try:
        return evaluate(node, arrays)
    except (ValueError, ArithmeticError):
        return None  # it fails where it runs, if it runs


def _uniform(node: Node) -> Node:
    """A constant as one number repeated, if its elements are equal bit by bit."""
    array = node.attrs["value"].array
    if array.ndim == 0 or array.size == 0 or array.size > OPERANDS:
        return node
    bits = array.reshape(-1).view(f"V{array.itemsize}")
    if (bits != bits[0]).any():
        return node
    value = Constant(array.reshape(-1)[0])
    return builder.make(constant_op, (), {"value": value, "shape": node.shape})
