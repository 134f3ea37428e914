"""Ops on arrays whose elements are variables: each element is a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from jitgrad.codegen.scalar import (
    accumulate,
    convert,
    expression,
    identity,
    literal,
    number,
    of_bits,
)
from jitgrad.codegen.structured.writer import SMALL, Elements, Value, Writer
from jitgrad.ir.node import Node, splat
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType

MOST = 1 << 20  # elements that are looked at to find where those of a small result come from


def constant(array: np.ndarray, type: TensorType) -> Elements:
    """A literal."""
    flat = np.broadcast_to(array, type.shape).reshape(-1)
    return Elements(tuple([literal(x, type.dtype) for x in flat]), type)


def elementwise(w: Writer, node: Node, operands: Sequence[Value]) -> Value:
    """One line an element."""
    columns = [
        (operand(w, node.op, x),) * node.type.size if splat(x) is not None else w.elements(value)
        for x, value in zip(node.inputs, operands, strict=True)
    ]
    texts = []
    for row in zip(*columns, strict=True):
        if not node.op.scalar:  # a cast
            text = convert(row[0], node.inputs[0].dtype, node.dtype)
        else:
            text = expression(node.op, row, node.inputs[-1].dtype, node.dtype)
        texts.append(text if text in row else w.let(text))
    return Elements(tuple(texts), node.type)


def operand(w: Writer, op: Op, node: Node) -> str:
    """The text by which an op uses a constant."""
    value = splat(node)
    assert value is not None
    bits = number(value, op, node.dtype)
    if bits is None:
        return literal(value, node.dtype)
    if node not in w.numbers:
        w.numbers[node] = w.number(bits, "k")
    return of_bits(w.numbers[node], node.dtype)


def is_pick(node: Node) -> bool:
    """Whether a node picks a few elements out of a large array, always the same."""
    if node.op.kind != "view" or node.type.size > SMALL:
        return False
    return SMALL < node.inputs[0].type.size <= MOST


def picked(w: Writer, node: Node, value: Value) -> Value:
    """Elements of an array, through all large views of it: `value` is what these are views of."""
    views, base = [node], node.inputs[0]
    while base.op.kind == "view" and base.type.size > SMALL:
        views.append(base)
        base = base.inputs[0]
    labels = np.arange(base.type.size).reshape(base.shape)
    for view in reversed(views):
        labels = view.op.numpy(labels, **view.attrs)
    found = [int(i) for i in np.asarray(labels).reshape(-1)]
    if isinstance(value, Elements):
        return Elements(tuple([value.texts[i] for i in found]), node.type)
    source = w.in_memory(value)
    return Elements(tuple([w.load(source, w.number(i) if i else "0") for i in found]), node.type)


def moved(w: Writer, node: Node, operands: Sequence[Value]) -> Value:
    """An op whose result's elements are elements of its operands, or zeros: the op applied to
    labels says which.
    """
    texts = ["0"]
    labels = []
    for value, x in zip(operands, node.inputs, strict=True):
        count = len(texts)
        labels.append(np.arange(count, count + x.type.size).reshape(x.shape))
        texts += w.elements(value)
    texts[0] = literal(np.asarray(0), node.dtype)
    found = np.asarray(node.op.numpy(*labels, **node.attrs)).reshape(-1)
    return Elements(tuple([texts[i] for i in found]), node.type)


def reduced(w: Writer, node: Node, operands: Sequence[Value]) -> Value:
    """A reduction, element after element."""
    (x,), axes = node.inputs, node.attrs["axes"]
    texts = w.elements(operands[0])
    places = np.moveaxis(np.arange(x.type.size).reshape(x.shape), axes, range(-len(axes), 0))
    rows = places.reshape(node.type.size, -1) if node.type.size else places.reshape(0, 0)
    results = []
    for row in rows:
        total = identity(node.op, node.dtype) if len(row) == 0 else texts[row[0]]
        for i in row[1:]:
            total = w.let(accumulate(node.op, total, texts[i], node.dtype, in_memory=True))
        results.append(total)
    return Elements(tuple(results), node.type)


def product(w: Writer, node: Node, operands: Sequence[Value]) -> Value:
    """A product of small matrices."""
    a, b = (
        np.array(w.elements(v), object).reshape(x.shape)
        for v, x in zip(operands, node.inputs, strict=True)
    )
    zero = literal(np.asarray(0), node.dtype)
    texts = []
    for *batch, i, j in np.ndindex(node.shape):
        row, column = a[(*batch, i)], b[(*batch, slice(None), j)]
        total = zero
        for x, y in zip(row, column, strict=True):
            term = f"{x} * {y}" if total == zero else f"{total} + {x} * {y}"
            narrow = node.dtype.is_int and node.dtype.size < 8
            total = w.let(f"to_{node.dtype.code}({term})" if narrow else term)
        texts.append(total)
    return Elements(tuple(texts), node.type)


Rule = Callable[[Writer, Node, Sequence[Value]], Value]
# What a call does to elements.
CALLS: dict[str, Rule] = {"pad": moved, "concat": moved, "matmul": product}
KINDS: dict[str, Rule] = {"elementwise": elementwise, "view": moved, "reduce": reduced}


def rule_for(node: Node) -> Rule | None:
    """How a node is computed element by element, if it is small enough."""
    if not isinstance(node.type, TensorType) or node.type.size > SMALL:
        return None
    if any(not isinstance(i.type, TensorType) or i.type.size > SMALL for i in node.inputs):
        return None
    return KINDS.get(node.op.kind) or CALLS.get(node.op.name)
