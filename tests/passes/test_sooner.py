"""Sums of late values become sums of early ones where a later pass waits for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.verify import verify
from jitgrad.passes.outside import outside
from jitgrad.passes.sooner import DEEP, sooner
from jitgrad.primitives.elementwise import exp
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast
from tests.programs import along, graph_of, row_sum, softmax
from tests.strategies import graphs, real_arrays, values_of

ROWS, LENGTH = 6, 40
TYPE = f"f32[{ROWS},{LENGTH}]"


def columns(x: Node) -> Node:
    return reduce_sum(x, axes=(0,))


def down(row: Node, x: Node) -> Node:
    return broadcast(row, shape=x.shape, dims=(1,))


def projected(x: Node, y: Node) -> Node:
    """What of x + c y, for a sum c, is left without its mean: as in a normalization's gradient."""
    z = x + along(row_sum(x * y), x) * y
    return z - along(row_sum(z) / LENGTH, x)


def projected_columns(x: Node, y: Node) -> Node:
    z = x - down(columns(x * y), x) * y
    return z - down(columns(z) / ROWS, x)


def attention(x: Node, y: Node) -> Node:
    return along(row_sum(softmax(x) * y), x) + x


def negative(x: Node, y: Node) -> Node:
    return along(row_sum(-(y * along(row_sum(x), x))), x) * x


EARLIER = {
    f.__name__: (f, count)
    for f, count in ((projected, 2), (projected_columns, 2), (attention, 1), (negative, 1))
}


def variance(x: Node, y: Node) -> Node:
    """Squares of differences are no sum of early values."""
    centred = x - along(row_sum(x) / LENGTH, x)
    return along(row_sum(centred * centred), x) * y


def covariance(x: Node, y: Node) -> Node:
    """The difference of two large sums would be noise."""
    return along(row_sum((x - along(row_sum(x) / LENGTH, x)) * y), x) * x


def at_the_end(x: Node, y: Node) -> Node:
    """Nobody waits for this sum."""
    return row_sum(x + along(row_sum(x * y), x) * y)


def of_a_function(x: Node, y: Node) -> Node:
    return along(row_sum(exp(x - along(row_sum(y), x))), x) * y


def too_deep(x: Node, y: Node) -> Node:
    late = along(row_sum(x), x) * y
    for _ in range(DEEP + 1):
        late = -(late * y)
    return along(row_sum(late), x) * x


LATE = {f.__name__: f for f in (variance, covariance, at_the_end, of_a_function, too_deep)}


def depth(graph: Graph) -> int:
    """How many sums follow each other."""
    found: dict[Node, int] = {}
    for node in graph.nodes:
        found[node] = max((found[i] for i in node.inputs), default=0) + (node.op is reduce_sum)
    return max(found.values())


@pytest.mark.parametrize(("program", "sums"), EARLIER.values(), ids=EARLIER)
def test_sums_that_need_not_wait(program, sums: int) -> None:
    graph = graph_of(program, f"{TYPE} {TYPE}")
    made = sooner(graph)
    verify(made)
    assert depth(made) == depth(graph) - 1
    total = [sum(n.op is reduce_sum for n in g.nodes) for g in (graph, made)]
    assert total[1] == total[0] + sums - 1
    arrays = [np.random.default_rng(k).integers(-3, 4, (ROWS, LENGTH)) for k in (0, 1)]
    arrays = [a.astype(np.float32) for a in arrays]
    (expected,), (got,) = interpret(graph, arrays), interpret(made, arrays)
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("program", LATE.values(), ids=LATE)
def test_sums_that_have_to_wait(program) -> None:
    graph = graph_of(program, f"{TYPE} {TYPE}")
    assert sooner(graph) is graph


@pytest.mark.parametrize("rewrite", [sooner, outside])
@given(graph=graphs(), seed=st.integers(0, 2**32 - 1))
def test_random_programs(rewrite, graph: Graph, seed: int) -> None:
    made = rewrite(graph)
    verify(made)
    if made is graph:
        return
    arrays = real_arrays(graph, seed)
    before, after = values_of(graph, arrays), values_of(made, arrays)
    for a, b in zip(graph.outputs, made.outputs, strict=True):
        largest = max(np.abs(v).max() for v in before.values() if v.size and v.dtype.kind == "f")
        np.testing.assert_allclose(after[b], before[a], rtol=1e-4, atol=1e-5 * largest)
