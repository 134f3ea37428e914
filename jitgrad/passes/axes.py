"""Which axes of a graph's values are one axis: those that run together in whatever loops come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from jitgrad.ir.node import Graph, Node

Pair = tuple[int, int, int]  # operand, its axis, the result's axis


def _same(node: Node) -> Iterator[Pair]:
    return ((i, a, a) for i in range(len(node.inputs)) for a in range(node.ndim))


def _reduced(node: Node) -> Iterator[Pair]:
    axes = node.attrs["axes"]
    kept = (a for a in range(node.inputs[0].ndim) if a not in axes)
    return ((0, a, position) for position, a in enumerate(kept))


def _broadcast(node: Node) -> Iterator[Pair]:
    return ((0, a, d) for a, d in enumerate(node.attrs["dims"]))


def _transposed(node: Node) -> Iterator[Pair]:
    return ((0, p, a) for a, p in enumerate(node.attrs["perm"]))


def _sliced(node: Node) -> Iterator[Pair]:
    (x,) = node.inputs
    return ((0, a, a) for a in range(node.ndim) if x.shape[a] == node.shape[a])


def _flipped(node: Node) -> Iterator[Pair]:
    return ((0, a, a) for a in range(node.ndim) if a not in node.attrs["axes"])


def _joined(node: Node) -> Iterator[Pair]:
    return (p for p in _same(node) if p[1] != node.attrs["axis"])


def _reshaped(node: Node) -> Iterator[Pair]:
    """Axes before the first, or after the last, that the reshape changes."""
    before, after = node.inputs[0].shape, node.shape
    front = 0
    while front < min(len(before), len(after)) and before[front] == after[front]:
        yield 0, front, front
        front += 1
    back = 1
    while back <= min(len(before), len(after)) - front and before[-back] == after[-back]:
        yield 0, len(before) - back, len(after) - back
        back += 1


PAIRS: dict[str, Callable[[Node], Iterable[Pair]]] = {
    "broadcast": _broadcast,
    "transpose": _transposed,
    "slice": _sliced,
    "pad": _sliced,
    "flip": _flipped,
    "concat": _joined,
    "reshape": _reshaped,
}


def pairs(node: Node) -> Iterable[Pair]:
    """Axes of a node's operands and the axes of its result that they are."""
    if node.op.kind == "elementwise":
        return _same(node)
    if node.op.kind == "reduce":
        return _reduced(node)
    rule = PAIRS.get(node.op.name)
    return rule(node) if rule else ()


Axis = tuple[Node, int]


class Classes:
    """Sets of axes that are one axis, by union and find."""

    def __init__(self, graph: Graph, more: Callable[[Node], Iterable[Pair]] = lambda node: ()):
        self.parent: dict[Axis, Axis] = {}
        for node in graph.nodes:
            for operand, axis, result in (*pairs(node), *more(node)):
                self.join((node.inputs[operand], axis), (node, result))

    def find(self, axis: Axis) -> Axis:
        """The axis that stands for the class of this one."""
        root = axis
        while self.parent.get(root, root) != root:
            root = self.parent[root]
        while self.parent.get(axis, root) != root:
            self.parent[axis], axis = root, self.parent[axis]
        return root

    def join(self, one: Axis, other: Axis) -> None:
        """Two axes are one from now on."""
        a, b = self.find(one), self.find(other)
        if a != b:
            self.parent[a] = b
