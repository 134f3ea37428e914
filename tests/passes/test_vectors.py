"""Products with short sums are added up where they are read."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.verify import verify
from jitgrad.passes.orient import PRODUCTS
from jitgrad.passes.vectors import LARGE, ROW, THIN, thin
from jitgrad.primitives.elementwise import sin
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import reshape, slice_
from tests.programs import graph_of

ROWS = 24
WIDE = LARGE // ROWS + 5
SHORT, LONG = f"f64[{ROWS},{THIN}]", f"f64[{THIN},{WIDE}]"


def product(a: Node, b: Node) -> Node:
    return matmul(a, b)


def read(a: Node, b: Node) -> Node:
    return sin(matmul(a, b))


def added_up(a: Node, b: Node) -> Node:
    return reduce_sum(matmul(a, b), axes=(1,))


def of_several(a: Node, b: Node) -> Node:
    """One factor serves several matrices, of which some rows are read."""
    parts = reshape(matmul(a, b), shape=(4, ROWS // 4, WIDE))
    return sin(slice_(parts, starts=(0, 1, 0), stops=(4, 3, WIDE), steps=(1, 1, 1)))


def used_twice(a: Node, b: Node) -> Node:
    y = matmul(a, b)
    return sin(y) * reshape(sin(reshape(y, shape=(2, ROWS // 2, WIDE))), shape=(ROWS, WIDE))


def products(graph: Graph) -> int:
    return sum(node.op.name in PRODUCTS for node in graph.nodes)


@pytest.mark.parametrize("program", [read, added_up, of_several, used_twice])
def test_thin_products_are_sums_where_they_fuse(program) -> None:
    graph = graph_of(program, f"{SHORT} {LONG}")
    found = verify(thin(graph))
    assert products(graph) == 1
    assert products(found) == 0
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(ROWS, THIN)), rng.normal(size=(THIN, WIDE))
    for x, y in zip(interpret(found, [a, b]), interpret(graph, [a, b]), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("program", "types"),
    [
        (product, f"{SHORT} {LONG}"),  # the result itself is asked for
        (read, f"f64[{ROWS},{THIN + 1}] f64[{THIN + 1},{WIDE}]"),
        (read, f"f64[{LARGE},{THIN}] f64[{THIN},{ROW - 1}]"),
        (read, f"f64[4,{THIN}] f64[{THIN},{ROW}]"),
    ],
)
def test_others_stay(program, types: str) -> None:
    graph = graph_of(program, types)
    assert thin(graph) is graph


def test_products_of_many_matrices() -> None:
    graph = graph_of(read, f"f64[5,6,{THIN}] f64[5,{THIN},{WIDE}]")
    found = verify(thin(graph))
    assert products(found) == 0
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(5, 6, THIN)), rng.normal(size=(5, THIN, WIDE))
    (x,), (y,) = interpret(found, [a, b]), interpret(graph, [a, b])
    np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)
