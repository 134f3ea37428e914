"""Factors that are the same along a sum are multiplied once, after it."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.verify import verify
from jitgrad.passes.cse import cse
from jitgrad.passes.outside import DEEP, outside
from jitgrad.primitives.elementwise import exp
from jitgrad.primitives.reduce import reduce_sum
from tests.programs import along, graph_of, row_sum

SHAPE = 6, 40
TYPE = "f32[6,40] f32[6,40] f32[6]"


def of_rows(x: Node, y: Node, row: Node) -> list[Node]:
    """A quotient and a product less."""
    return [row_sum(-(along(row, x) * x) / along(exp(row), x))]


def doubled(x: Node, y: Node, row: Node) -> list[Node]:
    z = x * y
    return [row_sum(z + z), reduce_sum(z + z, axes=(0,))]


def through_products(x: Node, y: Node, row: Node) -> list[Node]:
    """Both sums lose the product that they share."""
    scaled = x * along(row, x)
    return [row_sum(scaled), row_sum(-scaled * y)]


def already_summed(x: Node, y: Node, row: Node) -> list[Node]:
    """The product is a result, but the sum without its factor is one, too."""
    scaled = x * along(row, x)
    return [scaled, row_sum(scaled), row_sum(x)]


def shared(x: Node, y: Node, row: Node) -> list[Node]:
    """Neither sum is there without its factor; both together are one."""
    scaled = y * along(row, x)
    return [scaled, row_sum(x * scaled), row_sum(-x * y)]


PROGRAMS = {f.__name__: f for f in (of_rows, doubled, through_products, already_summed, shared)}


def of_columns(x: Node, y: Node, row: Node) -> list[Node]:
    """Different along the sum."""
    return [reduce_sum(x * along(row, x), axes=(0,))]


def read_by_others(x: Node, y: Node, row: Node) -> list[Node]:
    """The product is there, and its sum as cheap as another."""
    scaled = x * along(row, x)
    return [scaled, row_sum(scaled)]


def of_a_function(x: Node, y: Node, row: Node) -> list[Node]:
    return [row_sum(exp(x * along(row, x)))]


def of_other_terms(x: Node, y: Node, row: Node) -> list[Node]:
    return [row_sum(x * along(row, x) + y)]


def too_deep(x: Node, y: Node, row: Node) -> list[Node]:
    deep = x * along(row, x)
    for _ in range(DEEP):
        deep = deep * y
    return [row_sum(deep)]


LEFT = (of_columns, read_by_others, of_a_function, of_other_terms, too_deep)


def elements(graph: Graph) -> int:
    """Operations on all elements, and sums."""
    big = [n for n in graph.nodes if n.op.kind == "elementwise" and n.shape == SHAPE]
    return len(big) + sum(n.op is reduce_sum for n in graph.nodes)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_factors_come_out(program) -> None:
    graph = graph_of(program, TYPE)
    made = outside(graph)
    verify(made)
    assert elements(cse(made)) < elements(graph)
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-2, 2, i.shape).astype(np.float32) for i in graph.inputs]
    for got, expected in zip(interpret(made, arrays), interpret(graph, arrays), strict=True):
        # Each order of a sum of 40 rounds 40 times, each term three times.
        np.testing.assert_allclose(got, expected, rtol=0, atol=86 * 2**-24 * 40 * 8)


@pytest.mark.parametrize("program", LEFT, ids=[f.__name__ for f in LEFT])
def test_what_stays(program) -> None:
    graph = graph_of(program, TYPE)
    assert outside(graph) is graph


def test_what_is_negative_before_it_is_repeated_is_so_after_the_sum() -> None:
    graph = graph_of(lambda x, row: [reduce_sum(along(-row, x) * x, axes=(0,))], "f32[6,40] f32[6]")
    (total,) = outside(graph).outputs
    assert total is -reduce_sum(
        along(graph.inputs[1], graph.inputs[0]) * graph.inputs[0], axes=(0,)
    )


def test_float16_may_not_hold_the_sum_without_its_factor() -> None:
    graph = graph_of(lambda x: [reduce_sum(x * 2.0**-10, axes=(0,))], "f16[40]")
    assert outside(graph) is graph
