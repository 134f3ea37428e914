"""One axis for all matrices of a batch: attention on [b, h, n, m] becomes attention on [b·h, n, m].

What is made for one matrix, its scores and their softmax, say, is then one index of one axis, and a
strip can take one matrix after the other. Axes are merged in all that is computed along both of
them; where something else reads that, or is read, a reshape stands between, which is free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from jitgrad.ir.node import Graph, Node, builder, rebuild, splat, with_inputs
from jitgrad.ir.op import op
from jitgrad.passes.axes import Axis, Classes, Pair
from jitgrad.passes.orient import PRODUCTS
from jitgrad.passes.squeeze import reshaped

Two = tuple[Axis, Axis]


def _batch_axes(node: Node) -> Iterable[Pair]:
    """For `Classes`: the axes of a product before its matrices."""
    if node.op.name not in PRODUCTS:
        return ()
    return ((i, a, a) for i in range(2) for a in range(node.ndim - 2))


class Merged:
    """Which neighbouring axes are one."""

    def __init__(self, graph: Graph):
        self.classes = Classes(graph, _batch_axes)
        products = [node for node in graph.nodes if node.op.name in PRODUCTS]
        self.pairs = {self.pair(node, a) for node in products for a in range(node.ndim - 3)}
        if self.pairs:
            self.pairs -= {pair for node in graph.nodes for pair in self.torn(node)}

    def pair(self, node: Node, axis: int) -> Two:
        """An axis and the next one."""
        return self.classes.find((node, axis)), self.classes.find((node, axis + 1))

    def torn(self, node: Node) -> Iterable[Two]:
        """Pairs of which only one is repeated: no stride leads along both."""
        if node.op.name == "broadcast" and splat(node) is None:
            dims = node.attrs["dims"]
            for axis in range(node.ndim - 1):
                if (axis in dims) != (axis + 1 in dims):
                    yield self.pair(node, axis)

    def runs(self, node: Node) -> list[list[int]]:
        """The axes of a value, those together that are one."""
        found: list[list[int]] = []
        for axis in range(node.ndim):
            if axis and self.pair(node, axis - 1) in self.pairs:
                found[-1].append(axis)
            else:
                found.append([axis])
        return found


def _shape(shape: tuple[int, ...], runs: list[list[int]]) -> tuple[int, ...]:
    return tuple([math.prod([shape[a] for a in run]) for run in runs])


def _elementwise(merged: Merged, node: Node, inputs: tuple[Node, ...]) -> Node:
    shape = _shape(node.shape, merged.runs(node))
    return builder.make(node.op, tuple([reshaped(x, shape) for x in inputs]), node.attrs)


def _reduce(merged: Merged, node: Node, inputs: tuple[Node, ...]) -> Node | None:
    runs, axes = merged.runs(node.inputs[0]), set(node.attrs["axes"])
    if any(0 < len(axes.intersection(run)) < len(run) for run in runs):
        return None
    whole = tuple([i for i, run in enumerate(runs) if run[0] in axes])
    return node.op(reshaped(inputs[0], _shape(inputs[0].shape, runs)), axes=whole)


def _broadcast(merged: Merged, node: Node, inputs: tuple[Node, ...]) -> Node:
    runs, dims = merged.runs(node), node.attrs["dims"]
    kept = [i for i, run in enumerate(runs) if run[0] in dims]
    shape = _shape(node.shape, runs)
    own = _shape(inputs[0].shape, [[dims.index(a) for a in runs[i]] for i in kept])
    return node.op(reshaped(inputs[0], own), shape=shape, dims=tuple(kept))


def _transpose(merged: Merged, node: Node, inputs: tuple[Node, ...]) -> Node | None:
    runs, perm = merged.runs(node), node.attrs["perm"]
    below = [[perm[a] for a in run] for run in runs]
    if any(run != list(range(run[0], run[0] + len(run))) for run in below):
        return None
    order = sorted(below)
    x = reshaped(inputs[0], _shape(inputs[0].shape, order))
    return node.op(x, perm=tuple([order.index(run) for run in below]))


def _product(merged: Merged, node: Node, inputs: tuple[Node, ...]) -> Node | None:
    runs, matrix = merged.runs(node), [[node.ndim - 2], [node.ndim - 1]]
    if runs[-2:] != matrix:
        return None  # what are rows here are matrices of a batch elsewhere
    return node.op(*(reshaped(x, _shape(x.shape, runs)) for x in inputs), **node.attrs)


RULES: dict[str, Callable[[Merged, Node, tuple[Node, ...]], Node | None]] = {
    "elementwise": _elementwise,  # the first two are kinds of ops
    "reduce": _reduce,
    "broadcast": _broadcast,
    "transpose": _transpose,
    **dict.fromkeys(PRODUCTS, _product),
}


def batches(graph: Graph) -> Graph:
    """The graph with one axis for all matrices of each batch of products."""
    merged = Merged(graph)
    if not merged.pairs:
        return graph

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        rule = RULES.get(node.op.kind) or RULES.get(node.op.name)
        values = (node, *node.inputs)
        if rule is None or all(len(merged.runs(v)) == v.ndim for v in values):
            return with_inputs(node, inputs)
        made = rule(merged, node, inputs)
        if made is None:
            return with_inputs(node, inputs)
        return made if made.shape == node.shape else op("reshape")(made, shape=node.shape)

    return rebuild(graph, rewrite)
