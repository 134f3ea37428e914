"""Products with a vector as what they are: reductions, which fuse; and outer products, which are
elementwise.

A product of a matrix and a vector reads the matrix once and is as slow as memory: the library gains
nothing on it, and keeps from it what could be done with each row while it is in the cache.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence, Set

from jitgrad.ir.node import Graph, Node, readers_of, rebuild, with_inputs
from jitgrad.ir.op import op
from jitgrad.passes.orient import PRODUCTS
from jitgrad.primitives.shape import swaps_last

SPLITS = frozenset({"reshape"})
THIN = 4  # terms of a sum that are added where it is read
ROW = 32  # elements of a row of the product, at least
LARGE = 4096  # elements of the product, at least


def vectors(graph: Graph) -> Graph:
    """Rewrite products of floats one of whose extents is 1."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.name not in PRODUCTS or not node.dtype.is_float:
            return with_inputs(node, inputs)
        a, b = inputs
        n = node.ndim
        if a.shape[-1] == 1:
            return _outers(a, b, node.shape)
        if node.shape[-1] == 1:
            return _times_vector(a, n - 1, b, n - 2, node)
        if node.shape[-2] == 1:
            return _times_vector(b, n - 2, a, n - 1, node)
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)


def thin(graph: Graph) -> Graph:
    """Rewrite products with short sums, which are read where they fuse, as sums of outer products.

    To compute such an element again takes less time than to store it and to read it.
    """
    short = [node for node in graph.nodes if _is_thin(node)]
    if not short:
        return graph
    readers, outputs = readers_of(graph), set(graph.outputs)
    chosen = {node for node in short if _fuses(node, readers, outputs)}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        (x, *_) = node.inputs or (node,)
        if node.op.name in SPLITS and x in chosen and x.ndim == 2 and node.shape[-1] == x.shape[-1]:
            a, b = made[x]
            return _outers(a, b, node.shape)  # rows are counted by several axes from now on
        if node not in chosen:
            return with_inputs(node, inputs)
        a, b = made[node] = inputs
        return _outers(a, b, node.shape)

    made: dict[Node, tuple[Node, ...]] = {}
    return rebuild(graph, rewrite)


def _is_thin(node: Node) -> bool:
    return (
        node.op.name in PRODUCTS
        and node.dtype.is_float
        and node.inputs[0].shape[-1] <= THIN
        and node.shape[-1] >= ROW
        and node.type.size >= LARGE
    )


def _fuses(node: Node, readers: Mapping[Node, Sequence[Node]], outputs: Set[Node]) -> bool:
    """Whether a value is read by what fuses alone, itself or through views."""
    pending = [node]
    while pending:
        value = pending.pop()
        if value in outputs:
            return False
        for reader in readers.get(value, ()):
            if reader.op.kind == "view":
                pending.append(reader)
            elif reader.op.kind not in ("elementwise", "reduce"):
                return False
    return True


def _outers(a: Node, b: Node, shape: tuple[int, ...]) -> Node:
    """The product as a sum of outer products; in `shape`, the rows may have more axes."""
    n, last = a.ndim, len(shape) - 1
    spread = op("broadcast")
    rows = op("reshape")(a, shape=(*shape[:-1], a.shape[-1]))
    terms = []
    for k in range(a.shape[-1]):
        left = op("reshape")(_at(rows, last, k), shape=shape[:-1])
        right = op("reshape")(_at(b, n - 2, k), shape=_without(b.shape, n - 2))
        columns = spread(left, shape=shape, dims=tuple(range(last)))
        terms.append(columns * spread(right, shape=shape, dims=(*range(n - 2), last)))
    return functools.reduce(operator.add, terms)


def _at(x: Node, axis: int, place: int) -> Node:
    """The slice of an axis at one place, which stays as an axis of extent 1."""
    starts, stops = [0] * x.ndim, list(x.shape)
    starts[axis], stops[axis] = place, place + 1
    return op("slice")(x, starts=tuple(starts), stops=tuple(stops), steps=(1,) * x.ndim)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _times_vector(matrix: Node, summed: int, vector: Node, axis: int, node: Node) -> Node:
    """The sum over one axis of a matrix, as it is in memory, times a vector along that axis."""
    n = node.ndim
    if swaps_last(matrix):
        matrix, summed = matrix.inputs[0], 2 * n - 3 - summed
    other = 2 * n - 3 - axis
    flat = op("reshape")(vector, shape=_without(vector.shape, other))
    spread = op("broadcast")(flat, shape=matrix.shape, dims=(*range(n - 2), summed))
    total = op("reduce_sum")(matrix * spread, axes=(summed,))
    return op("reshape")(total, shape=node.shape)
