"""Views as affine index maps: which element of a stored array a loop nest reads.

A chain of views over a stored array costs nothing in a kernel: the index of the view's element,
an affine function of the loop indices, is pushed down the chain until it addresses the array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jitgrad.ir.node import Node, constant_op, input_op, splat


@dataclass(frozen=True, slots=True)
class Affine:
    """offset + sum of coefficient * loop index, in elements."""

    offset: int
    coefficients: tuple[int, ...]

    def scaled(self, factor: int) -> Affine:
        return Affine(self.offset * factor, tuple(c * factor for c in self.coefficients))

    def plus(self, other: Affine) -> Affine:
        pairs = zip(self.coefficients, other.coefficients, strict=True)
        return Affine(self.offset + other.offset, tuple(a + b for a, b in pairs))

    def shifted(self, by: int) -> Affine:
        return Affine(self.offset + by, self.coefficients)


Index = list[Affine]


def loop_indices(loops: int) -> Index:
    """Each loop's own index."""
    return [Affine(0, tuple(int(i == j) for j in range(loops))) for i in range(loops)]


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a C-ordered array."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def walk(index: Index, steps: Affine, loops: int) -> Affine:
    """The address of an index where steps along its axes lead to addresses."""
    total = Affine(steps.offset, (0,) * loops)
    for position, stride in zip(index, steps.coefficients, strict=True):
        total = total.plus(position.scaled(stride))
    return total


def linear(index: Index, shape: Sequence[int], loops: int) -> Affine:
    """The address of an index in a C-ordered array."""
    return walk(index, Affine(0, strides(shape)), loops)


def _through_broadcast(view: Node, index: Index) -> Index:
    return [index[d] for d in view.attrs["dims"]]


def _through_transpose(view: Node, index: Index) -> Index:
    below = list(index)
    for position, axis in enumerate(view.attrs["perm"]):
        below[axis] = index[position]
    return below


def _through_slice(view: Node, index: Index) -> Index:
    triples = zip(index, view.attrs["starts"], view.attrs["steps"], strict=True)
    return [i.scaled(step).shifted(start) for i, start, step in triples]


def _through_flip(view: Node, index: Index) -> Index:
    axes = view.attrs["axes"]
    return [
        i.scaled(-1).shifted(n - 1) if a in axes else i
        for a, (i, n) in enumerate(zip(index, view.shape, strict=True))
    ]


def _through_reshape(view: Node, index: Index) -> Index:
    """Only where unit axes come or go; see `stored`."""
    loops = len(index[0].coefficients) if index else 0
    long = iter([i for i, n in zip(index, view.shape, strict=True) if n != 1])
    return [next(long) if n != 1 else Affine(0, (0,) * loops) for n in view.inputs[0].shape]


INDEX_RULES: dict[str, Callable[[Node, Index], Index]] = {
    "broadcast": _through_broadcast,
    "transpose": _through_transpose,
    "slice": _through_slice,
    "flip": _through_flip,
    "reshape": _through_reshape,
}


def keeps_order(view: Node) -> bool:
    """Whether a view is the same elements in the same order under another shape."""
    return view.op.name == "reshape"


def _only_unit_axes(view: Node) -> bool:
    source = view.inputs[0]
    return [n for n in view.shape if n != 1] == [n for n in source.shape if n != 1]


def stored(node: Node) -> Node:
    """The node that must be in memory for `node` to be read through its views.

    A reshape that mixes axes can be read only if what lies below it is in memory as it stands.
    """
    while node.op.kind == "view":
        source = node.inputs[0]
        if keeps_order(node) and not _only_unit_axes(node):
            while keeps_order(source):
                source = source.inputs[0]
            return source
        node = source
    return node


def is_leaf(node: Node) -> bool:
    """Computed from nothing (one number repeated, a running index): made anew where it is used."""
    if node.op.kind != "leaf" or node.op is input_op:
        return False
    return node.op is not constant_op or splat(node) is not None


def external(operand: Node) -> Node | None:
    """What must be in memory for a kernel to read `operand`; None for leaves behind views."""
    base = stored(operand)
    if not is_leaf(base):
        return base
    node = operand
    while node is not base:
        if keeps_order(node) and not _only_unit_axes(node):
            return None if splat(base) is not None else base
        node = node.inputs[0]
    return None


def descend(node: Node, index: Index, loops: int) -> tuple[Node, Index | Affine]:
    """The stored node below a chain of views, and where `index` leads in it: an index, or below a
    reshape that mixes axes an address.
    """
    base = stored(node)
    while node is not base:
        if keeps_order(node) and not _only_unit_axes(node):
            return base, linear(index, node.shape, loops)
        below = node.inputs[0]
        index = INDEX_RULES[node.op.name](node, index) if index else _origin(below, loops)
        node = below
    return base, index


def address(node: Node, index: Index, loops: int) -> tuple[Node, Affine]:
    """The stored node below `node`, and the address of its element at `index`."""
    base, place = descend(node, index, loops)
    return base, place if isinstance(place, Affine) else linear(place, base.shape, loops)


def _origin(node: Node, loops: int) -> Index:
    return [Affine(0, (0,) * loops)] * node.ndim
