"""What loops need not carry: rows, broadcasts, and sums."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph
from jitgrad.ir.text import parse
from jitgrad.ir.verify import verify
from jitgrad.passes.parts import parts
from jitgrad.passes.unload import unload

LOOP = """carried={carried}, counted=False, length=4, limit=0, mapped={mapped}, recompute=False,
        reverse={reverse}, test=None"""


def check(
    text: str, carried: int, values: list[np.ndarray], reverse: bool = False, mapped: int = 0
) -> Graph:
    """The graph after the pass, which gives the same values."""
    attrs = LOOP.format(carried=carried, reverse=reverse, mapped=mapped)
    graph = parse(text.replace("LOOP", attrs))
    made = verify(unload(graph))
    assert made is not graph
    for a, b in zip(interpret(graph, values), interpret(made, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    return made


def loop_of(graph: Graph) -> dict:
    (loop,) = [n for n in graph.nodes if "carried" in n.attrs]
    return dict(loop.attrs)


@pytest.mark.parametrize("reverse", [False, True])
def test_rows(reverse: bool) -> None:
    """Row k is a slice; rows that are set, or added to zeros, are records."""
    text = """
    graph @f(%x: f64[4,3], %s: f64[3], %y: f64[4,3]) -> (f64[3], f64[4,3], f64[4,3]) {
      %0 = constant(0.0) : f64[4,3]
      %1 = loop(%s, %0, %y, %x) {
        body=graph @body(%k: i64[], %a: f64[3], %b: f64[4,3], %c: f64[4,3], %p: f64[4,3])
            -> (f64[3], f64[4,3], f64[4,3]) {
          %0 = take(%p, %k) : f64[3]
          %1 = mul(%a, %0) : f64[3]
          %2 = scatter(%b, %k, %1) {mode="add"} : f64[4,3]
          %3 = scatter(%c, %k, %a) {mode="set"} : f64[4,3]
          return %1, %2, %3
        },
        LOOP
      } : (f64[3], f64[4,3], f64[4,3])
      %2 = project(%1) {index=0} : f64[3]
      %3 = project(%1) {index=1} : f64[4,3]
      %4 = project(%1) {index=2} : f64[4,3]
      return %2, %3, %4
    }
    """
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(4, 3))]
    attrs = loop_of(check(text, 3, values, reverse))
    assert (attrs["carried"], attrs["mapped"], len(attrs["body"].outputs)) == (1, 1, 3)


def test_rows_of_another_order() -> None:
    """A carry that something else reads stays one, and so does what is read elsewhere."""
    text = """
    graph @f(%x: f64[4,3], %s: f64[3]) -> (f64[3], f64[4,3]) {
      %0 = loop(%s, %x, %x) {
        body=graph @body(%k: i64[], %a: f64[3], %b: f64[4,3], %p: f64[4,3])
            -> (f64[3], f64[4,3]) {
          %0 = constant(0) : i64[]
          %1 = take(%p, %0) : f64[3]
          %2 = take(%b, %k) : f64[3]
          %3 = mul(%1, %2) : f64[3]
          %4 = add(%a, %3) : f64[3]
          %5 = scatter(%b, %k, %4) {mode="set"} : f64[4,3]
          return %4, %5
        },
        LOOP
      } : (f64[3], f64[4,3])
      %1 = project(%0) {index=0} : f64[3]
      %2 = project(%0) {index=1} : f64[4,3]
      return %1, %2
    }
    """
    graph = parse(text.replace("LOOP", LOOP.format(carried=2, reverse=False, mapped=0)))
    assert unload(graph) is graph


def test_sums() -> None:
    """A mean of lanes in each iteration is a mean of sums, and a broadcast is made inside."""
    text = """
    graph @f(%x: f64[200], %s: f64[]) -> (f64[200], f64[]) {
      %0 = broadcast(%s) {dims=(), shape=(200,)} : f64[200]
      %1 = loop(%x, %s, %0) {
        body=graph @body(%k: i64[], %a: f64[200], %t: f64[], %p: f64[200]) -> (f64[200], f64[]) {
          %0 = mul(%a, %p) : f64[200]
          %1 = mul(%0, %0) : f64[200]
          %2 = reduce_sum(%1) {axes=(0,)} : f64[]
          %3 = constant(200.0) : f64[]
          %4 = div(%2, %3) : f64[]
          %5 = add(%t, %4) : f64[]
          return %0, %5
        },
        LOOP
      } : (f64[200], f64[])
      %2 = project(%1) {index=0} : f64[200]
      %3 = project(%1) {index=1} : f64[]
      return %2, %3
    }
    """
    rng = np.random.default_rng(0)
    made = check(text, 2, [rng.normal(size=200), rng.normal(size=())])
    inside = {n.op.name for n in loop_of(made)["body"].nodes}
    assert "reduce_sum" not in inside
    assert "broadcast" in inside


def test_sums_that_are_needed() -> None:
    """A sum that the next iteration reads stays where it is."""
    text = """
    graph @f(%x: f64[200], %s: f64[]) -> (f64[200], f64[]) {
      %0 = loop(%x, %s) {
        body=graph @body(%k: i64[], %a: f64[200], %t: f64[]) -> (f64[200], f64[]) {
          %0 = broadcast(%t) {dims=(), shape=(200,)} : f64[200]
          %1 = mul(%a, %0) : f64[200]
          %2 = reduce_sum(%1) {axes=(0,)} : f64[]
          %3 = add(%t, %2) : f64[]
          return %1, %3
        },
        LOOP
      } : (f64[200], f64[])
      %1 = project(%0) {index=0} : f64[200]
      %2 = project(%0) {index=1} : f64[]
      return %1, %2
    }
    """
    graph = parse(text.replace("LOOP", LOOP.format(carried=2, reverse=False, mapped=0)))
    assert unload(graph) is graph


def test_products() -> None:
    """A sum of products, as the gradient of a weight is, is one product after the loop."""
    text = """
    graph @f(%x: f64[4,5,3], %w: f64[3,3], %g: f64[3,2]) -> (f64[5,3], f64[3,3]) {
      %0 = slice(%x) {starts=(0, 0, 0), steps=(1, 1, 1), stops=(1, 5, 3)} : f64[1,5,3]
      %1 = reshape(%0) {shape=(5, 3)} : f64[5,3]
      %2 = constant(0.0) : f64[3,3]
      %3 = loop(%1, %2, %x, %w) {
        body=graph @body(%k: i64[], %a: f64[5,3], %b: f64[3,3], %x0: f64[5,3], %p: f64[3,3])
            -> (f64[5,3], f64[3,3]) {
          %0 = matmul(%a, %p) : f64[5,3]
          %1 = tanh(%0) : f64[5,3]
          %2 = transpose(%x0) {perm=(1, 0)} : f64[3,5]
          %3 = matmul(%2, %1) : f64[3,3]
          %4 = add(%b, %3) : f64[3,3]
          return %1, %4
        },
        LOOP
      } : (f64[5,3], f64[3,3])
      %4 = project(%3) {index=0} : f64[5,3]
      %5 = project(%3) {index=1} : f64[3,3]
      return %4, %5
    }
    """
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s) for s in ((4, 5, 3), (3, 3), (3, 2))]
    made = check(text, 2, values, mapped=1)
    inside = [n.op.name for n in loop_of(made)["body"].nodes]
    assert inside.count("matmul") == 1


def test_what_is_computed_for_the_loop_alone() -> None:
    """Elementwise results are made inside, row by row."""
    text = """
    graph @f(%x: f64[4,3], %s: f64[3], %b: f64[3]) -> (f64[3]) {
      %0 = broadcast(%b) {dims=(1,), shape=(4, 3)} : f64[4,3]
      %1 = constant(2.0) : f64[4,3]
      %2 = mul(%x, %1) : f64[4,3]
      %3 = add(%2, %0) : f64[4,3]
      %4 = loop(%s, %3) {
        body=graph @body(%k: i64[], %a: f64[3], %x0: f64[3]) -> (f64[3]) {
          %0 = mul(%a, %x0) : f64[3]
          return %0
        },
        LOOP
      } : (f64[3])
      %5 = project(%4) {index=0} : f64[3]
      return %5
    }
    """
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=3)]
    made = check(text, 1, values, mapped=1)
    assert [n.op.name for n in made.nodes if n.op.kind == "elementwise"] == []


GATES = """
graph @f(%x: f64[4,6], %y: f64[4,6]) -> (f64[4,2], f64[4,3]) {
  %0 = tanh(%x) : f64[4,6]
  %1 = constant(2.0) : f64[4,6]
  %2 = mul(%0, %1) : f64[4,6]
  %3 = add(%2, %y) : f64[4,6]
  %4 = slice(%3) {starts=(0, 0), steps=(1, 1), stops=(4, 2)} : f64[4,2]
  %5 = slice(%3) {starts=(0, 3), steps=(1, 1), stops=(4, 6)} : f64[4,3]
  return %4, %5
}
"""


def test_parts() -> None:
    """Slices of a sum are sums of slices, unless more of it is read than there is."""
    graph = parse(GATES)
    made = verify(parts(graph))
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(4, 6)), rng.normal(size=(4, 6))]
    for a, b in zip(interpret(graph, values), interpret(made, values), strict=True):
        np.testing.assert_array_equal(a, b)
    assert {n.shape for n in made.nodes if n.op.kind == "elementwise"} == {(4, 2), (4, 3)}
    overlapping = parse(GATES.replace("(0, 3)", "(0, 0)").replace("f64[4,3]", "f64[4,6]"))
    assert parts(overlapping) is overlapping
