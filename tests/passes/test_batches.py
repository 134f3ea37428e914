"""Products of many matrices over one axis: the same numbers, and where axes stay apart."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Node
from jitgrad.passes.batches import batches
from jitgrad.primitives.elementwise import exp, tanh
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import reduce_max, reduce_sum
from jitgrad.primitives.shape import broadcast, reshape, transpose, transpose_last
from tests.programs import Program, graph_of, softmax

HEADS = "f64[2,3,4,5]"


def scores(q: Node, k: Node) -> Node:
    return softmax(matmul(q, transpose_last(k)) * 0.3)


def with_mask(q: Node, k: Node, mask: Node) -> Node:
    s = matmul(q, transpose_last(k))
    return exp(s + broadcast(mask, shape=s.shape, dims=(2, 3)))


def heads_apart(q: Node, k: Node, slope: Node) -> Node:
    s = matmul(q, transpose_last(k))
    return tanh(s * broadcast(slope, shape=s.shape, dims=(1,)))


def one_axis_reduced(q: Node, k: Node) -> Node:
    return reduce_max(tanh(matmul(q, transpose_last(k))), axes=(1,))


def both_axes_reduced(q: Node, k: Node) -> Node:
    return reduce_sum(exp(matmul(q, transpose_last(k))), axes=(0, 1, 3))


def heads_side_by_side(x: Node, w: Node) -> Node:
    """As a layer of attention has them: rows of all heads, and back."""
    q = transpose(reshape(x, shape=(2, 4, 3, 5)), perm=(0, 2, 1, 3))
    mixed = transpose(matmul(scores(q, q), q), perm=(0, 2, 1, 3))
    return matmul(reshape(mixed, shape=(8, 15)), w)


def rows_that_are_matrices(q: Node, k: Node, v: Node) -> Node:
    """What are matrices of the first product are rows of the second."""
    s = reduce_sum(tanh(matmul(q, transpose_last(k))), axes=(3,))
    return matmul(s, v)


# Programs, their inputs, and the axes of the largest product afterwards; and in the gradient, where
# what was reduced over one axis is repeated along it.
PROGRAMS: dict[str, tuple[Program, str, int, int]] = {
    "attention": (scores, f"{HEADS} {HEADS}", 3, 3),
    "a mask of all": (with_mask, f"{HEADS} {HEADS} f64[4,4]", 3, 3),
    "a slope of each head": (heads_apart, f"{HEADS} {HEADS} f64[3]", 4, 4),
    "one axis reduced": (one_axis_reduced, f"{HEADS} {HEADS}", 3, 4),
    "both axes reduced": (both_axes_reduced, f"{HEADS} {HEADS}", 3, 3),
    "heads side by side": (heads_side_by_side, "f64[2,4,15] f64[15,7]", 3, 3),
    "rows that are matrices": (rows_that_are_matrices, f"{HEADS} {HEADS} f64[2,4,6]", 3, 3),
    "three axes": (scores, "f64[2,3,2,4,5] f64[2,3,2,4,5]", 3, 3),
    "nothing to merge": (scores, "f64[3,4,5] f64[3,4,5]", 3, 3),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("gradient", [False, True])
def test_the_same_numbers(name: str, gradient: bool) -> None:
    program, types, *axes = PROGRAMS[name]
    graph = graph_of(program, types)
    if gradient:
        everything = tuple(range(graph.outputs[0].ndim))
        graph = graph_of(lambda *xs: reduce_sum(program(*xs), axes=everything), types, (0, 1))
    made = batches(graph)
    products = [n for n in made.nodes if n.op.name == "matmul"]
    assert max(n.ndim for n in products) == axes[gradient]
    assert batches(made) is made
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(x.shape) for x in graph.inputs]
    for a, b in zip(interpret(graph, arrays), interpret(made, arrays), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-13, atol=1e-13)


def test_graphs_without_batches_stay() -> None:
    graph = graph_of(lambda a, b: tanh(matmul(a, b)), "f32[4,5] f32[5,6]")
    assert batches(graph) is graph
