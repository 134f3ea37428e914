"""Products with a vector as what they are: reductions, which fuse; and outer products, which are
elementwise.

A product of a matrix and a vector reads the matrix once and is as slow as memory: the library gains
nothing on it, and keeps from it what could be done with each row while it is in the cache.
"""

from __future__ import annotations

from jitgrad.ir.node import Graph, Node, rebuild, with_inputs
from jitgrad.ir.op import op
from jitgrad.passes.orient import PRODUCTS
from jitgrad.primitives.shape import swaps_last


def vectors(graph: Graph) -> Graph:
    """Rewrite products of floats one of whose extents is 1."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.name not in PRODUCTS or not node.dtype.is_float:
            return with_inputs(node, inputs)
        a, b = inputs
        n = node.ndim
        if a.shape[-1] == 1:
            return _outer(a, b, node)
        if node.shape[-1] == 1:
            return _times_vector(a, n - 1, b, n - 2, node)
        if node.shape[-2] == 1:
            return _times_vector(b, n - 2, a, n - 1, node)
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _outer(a: Node, b: Node, node: Node) -> Node:
    """a[.., m, 1] b[.., 1, n]: both repeated."""
    n = node.ndim
    left = op("reshape")(a, shape=_without(a.shape, n - 1))
    right = op("reshape")(b, shape=_without(b.shape, n - 2))
    batch = tuple(range(n - 2))
    spread = op("broadcast")
    rows = spread(left, shape=node.shape, dims=(*batch, n - 2))
    return rows * spread(right, shape=node.shape, dims=(*batch, n - 1))


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
