"""Quotients as products with reciprocals: the same specials, one rounding more."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.verify import verify
from jitgrad.passes.reciprocals import reciprocals
from jitgrad.primitives.elementwise import div, exp, rsqrt, sqrt
from jitgrad.primitives.shape import broadcast
from tests.programs import along, graph_of


def of_rows(x: Node, y: Node) -> list[Node]:
    """A root for each of y's rows."""
    return [y / along(sqrt(x), y)]


def beside_its_reciprocal(x: Node, y: Node) -> list[Node]:
    many = broadcast(x, shape=y.shape, dims=(0,))
    return [y / sqrt(many), rsqrt(many)]


def by_powers(x: Node, y: Node) -> list[Node]:
    """A power of e for each of y's rows."""
    return [y / along(exp(x), y)]


def alone(x: Node, y: Node) -> list[Node]:
    """One division for each root as it is."""
    return [y / sqrt(broadcast(x, shape=y.shape, dims=(0,)))]


def by_others(x: Node, y: Node) -> list[Node]:
    """The reciprocal of a tiny number is infinite, its quotients need not be."""
    return [y / along(x, y)]


def divisions(graph: Graph) -> int:
    return sum(n.op is div for n in graph.nodes)


@pytest.mark.parametrize("program", [of_rows, beside_its_reciprocal])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_specials_stay_and_results_are_close(program, dtype) -> None:
    limits = np.finfo(dtype)
    numbers = [0.0, -0.0, -1.0, np.inf, np.nan, limits.smallest_subnormal, limits.tiny, limits.max]
    x = np.array([*numbers, *np.random.default_rng(0).lognormal(0, 9, 100)], dtype)
    y = np.broadcast_to(np.concatenate([x, -x]), (x.size, 2 * x.size))
    code = "f32" if dtype is np.float32 else "f64"
    graph = graph_of(program, f"{code}[{x.size}] {code}[{x.size},{2 * x.size}]")
    made = reciprocals(graph)
    verify(made)
    assert divisions(graph) == 1
    assert divisions(made) == 0
    with np.errstate(all="ignore"):
        expected, got = interpret(graph, [x, y])[0], interpret(made, [x, y])[0]
    # Half an ulp for the root, the reciprocal and the product, and for the root and the quotient.
    atol = 3 * float(limits.smallest_subnormal)
    np.testing.assert_allclose(got, expected, rtol=2.5 * float(limits.eps), atol=atol)
    assert np.array_equal(np.signbit(got)[got == 0], np.signbit(expected)[got == 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers(dtype) -> None:
    limits = np.finfo(dtype)
    lowest = np.log(limits.tiny)  # down to where powers are normal numbers
    x = np.array([0.0, np.inf, -np.inf, np.nan, 0.99 * lowest, -0.99 * lowest, 1.25], dtype)
    numbers = [0.0, 1.0, np.inf, np.nan, limits.smallest_subnormal, limits.max, 1e-20]
    y = np.broadcast_to(np.array([*numbers, *[-v for v in numbers]], dtype), (x.size, 14))
    code = "f32" if dtype is np.float32 else "f64"
    graph = graph_of(by_powers, f"{code}[{x.size}] {code}[{x.size},14]")
    made = reciprocals(graph)
    verify(made)
    assert divisions(made) == 0
    with np.errstate(all="ignore"):
        expected, got = interpret(graph, [x, y])[0], interpret(made, [x, y])[0]
    # NumPy's exponential is within 2 ulp; each rounding adds a half.
    atol = 3 * float(limits.smallest_subnormal)
    np.testing.assert_allclose(got, expected, rtol=5 * float(limits.eps), atol=atol)


@pytest.mark.parametrize("program", [alone, by_others])
def test_what_stays(program) -> None:
    graph = graph_of(program, "f32[6] f32[6,40]")
    assert reciprocals(graph) is graph


def test_half_precision_stays() -> None:
    graph = graph_of(of_rows, "f16[6] f16[6,40]")
    assert reciprocals(graph) is graph
