"""Sums of padded parts as joins of the parts.

The gradient of `x[0]`, `x[1]`, … is a sum of arrays of x's size, each zero but for one part. Where
the parts do not overlap, what is meant is their concatenation. A few rows beside a term that has
all of them are added to these rows alone.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

import numpy as np

from jitgrad.ir.node import Graph, Node, constant, full, rebuild, with_inputs
from jitgrad.ir.op import op

SUMS, PADS = frozenset({"add"}), frozenset({"pad"})
FEW = 8  # times as many rows are worth that most are left alone


@dataclass(frozen=True, slots=True)
class Part:
    """A value that fills [start, stop) along one axis of a sum."""

    value: Node
    axis: int
    start: int
    stop: int


def _part(node: Node) -> Part | None:
    """A pad that only surrounds its operand, along one axis."""
    if node.op.name not in PADS or any(node.attrs["interior"]):
        return None
    (x,), low = node.inputs, node.attrs["low"]
    axes = [a for a in range(node.ndim) if x.shape[a] != node.shape[a]]
    if len(axes) != 1:
        return None
    axis = axes[0]
    return Part(x, axis, low[axis], low[axis] + x.shape[axis])


def _joined(parts: list[Part], whole: Node) -> Node:
    """Parts in order along an axis, zeros between them."""
    axis, at, pieces = parts[0].axis, 0, []
    for part in [*parts, None]:
        start = part.start if part is not None else whole.shape[axis]
        if start > at:
            gap = (*whole.shape[:axis], start - at, *whole.shape[axis + 1 :])
            pieces.append(full(0, whole.type.with_shape(gap)))
        if part is not None:
            pieces.append(part.value)
            at = part.stop
    return op("concat")(*pieces, axis=axis) if len(pieces) > 1 else pieces[0]


def _layers(parts: list[Part]) -> list[list[Part]]:
    """Parts in as many layers as they overlap: each layer's parts are disjoint and in order."""
    layers: list[list[Part]] = []
    for part in sorted(parts, key=lambda p: (p.axis, p.start)):
        for layer in layers:
            if layer[-1].axis == part.axis and layer[-1].stop <= part.start:
                layer.append(part)
                break
        else:
            layers.append([part])
    return layers


def joins(graph: Graph) -> Graph:
    """Rewrite sums of paddings that do not overlap, or of one of a few rows."""
    uses = Counter(i for node in graph.nodes for i in node.inputs)
    uses.update(graph.outputs)
    inner = {
        i
        for node in graph.nodes
        if node.op.name in SUMS
        for i in node.inputs
        if i.op.name in SUMS and uses[i] == 1
    }
    mapped: dict[Node, Node] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        mapped[node] = with_inputs(node, inputs)
        if node.op.name in SUMS and node not in inner:
            mapped[node] = _sum(node, inner, mapped)
        return mapped[node]

    return rebuild(graph, rewrite)


def _sum(root: Node, inner: set[Node], mapped: dict[Node, Node]) -> Node:
    terms: list[Node] = []
    pending = [root]
    while pending:
        node = pending.pop()
        if node is root or node in inner:
            pending += reversed(node.inputs)
        else:
            terms.append(mapped.get(node, node))
    count = Counter(terms)
    found = ((term, _part(term)) for term in terms if count[term] == 1)
    parts = {term: part for term, part in found if part is not None}
    layers = [layer for layer in _layers(list(parts.values())) if len(layer) > 1]
    gone = {id(part) for layer in layers for part in layer}
    few = [p for p in parts.values() if id(p) not in gone and _is_few_rows(p, root)]
    whole = [t for t in terms if t not in parts or not (id(parts[t]) in gone or parts[t] in few)]
    total = [*whole, *(_joined(layer, root) for layer in layers)]
    if not (layers or few) or not total:
        return mapped[root]
    made = functools.reduce(root.op, total)
    return functools.reduce(_with_rows, few, made)


def _is_few_rows(part: Part, whole: Node) -> bool:
    return part.axis == 0 and FEW * part.value.type.size <= whole.type.size


def _with_rows(total: Node, part: Part) -> Node:
    """A total to whose rows a part is added."""
    rows = constant(np.arange(part.start, part.stop, dtype=np.int32))
    return op("scatter")(total, rows, part.value, mode="add")
