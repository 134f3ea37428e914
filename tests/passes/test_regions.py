"""Passes over loops and branches: what they leave, as text."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.autodiff.cut import minimal_cut
from jitgrad.autodiff.loop import loop, sample_attrs
from jitgrad.autodiff.reverse import reverse
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, builder, input_node, project
from jitgrad.ir.text import parse
from jitgrad.ir.types import TensorType, float64, int64
from jitgrad.ir.verify import verify
from jitgrad.passes.dce import dce
from jitgrad.passes.fold import fold
from jitgrad.passes.gather import gather
from jitgrad.passes.merge import merge
from jitgrad.passes.ranges import ranges
from jitgrad.passes.settle import settle
from jitgrad.primitives.index import take

ONE = TensorType(float64, ())
X = input_node("x", ONE)
P = input_node("p", ONE)
V = input_node("v", TensorType(float64, (3,)))
VALUES = [np.array(1.3), np.array([0.5, 0.2, 0.7]), np.array(0.3)]


def looped() -> Graph:
    node = builder.make(loop, (X, V, P), sample_attrs(float64))
    return Graph("f", (X, V, P), (project(node, 0),))


def loops(graph: Graph) -> list:
    return [n for n in graph.nodes if "carried" in n.attrs]


def test_a_gradient_has_two_loops() -> None:
    """The forward loop is merged with the one that records for the reverse."""
    graph = reverse(looped(), (0, 1, 2))
    merged = verify(merge(graph))
    assert len(loops(merged)) == 2
    assert merge(merged) is merged
    for a, b in zip(interpret(graph, VALUES), interpret(merged, VALUES), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_nobody_reads_is_not_carried() -> None:
    text = """
    graph @f(%x: f64[], %v: f64[3]) -> (f64[]) {
      %0 = loop(%x, %x, %x, %v, %v) {
        body=graph @body(%k: i64[], %a: f64[], %b: f64[], %c: f64[], %u: f64[], %w: f64[])
            -> (f64[], f64[], f64[], f64[], f64[]) {
          %0 = mul(%a, %u) : f64[]
          %1 = mul(%b, %w) : f64[]
          %2 = mul(%0, %c) : f64[]
          return %2, %1, %c, %b, %a
        },
        carried=3, counted=False, length=3, limit=0, mapped=2, recompute=False, reverse=False,
        test=None
      } : (f64[], f64[], f64[], f64[3], f64[3])
      %1 = project(%0) {index=0} : f64[]
      return %1
    }"""
    graph = parse(text)
    found = verify(dce(graph))
    (left,) = loops(found)
    assert left.attrs["carried"] == 1  # %b is dead, and %c does not change
    assert left.attrs["mapped"] == 1
    assert len(left.attrs["body"].outputs) == 1
    arrays = [np.array(1.1), np.array([0.5, 2.0, 3.0])]
    np.testing.assert_allclose(interpret(found, arrays), interpret(graph, arrays))


def test_ranges_decide() -> None:
    text = """
    graph @f(%x: f64[9]) -> (f64[4]) {
      %0 = loop(%x) {
        body=graph @body(%k: i64[], %x: f64[9]) -> (f64[]) {
          %0 = constant(1) : i64[]
          %1 = add(%k, %0) : i64[]
          %2 = constant(0) : i64[]
          %3 = less(%1, %2) : bool[]
          %4 = constant(9) : i64[]
          %5 = add(%1, %4) : i64[]
          %6 = select(%3, %5, %1) : i64[]
          %7 = take(%x, %6) : f64[]
          return %7
        },
        carried=0, counted=False, length=4, limit=0, mapped=0, recompute=False, reverse=False,
        test=None
      } : (f64[4])
      %1 = project(%0) {index=0} : f64[4]
      return %1
    }"""
    found = verify(ranges(parse(text)))
    (left,) = loops(found)
    assert [n.op.name for n in left.attrs["body"].nodes if n.inputs] == ["add", "take"]


@pytest.mark.parametrize(("length", "decided"), [(5, True), (6, False)])
def test_ranges_decide_only_what_is_certain(length: int, decided: bool) -> None:
    text = f"""
    graph @f() -> (bool[{length}]) {{
      %0 = loop() {{
        body=graph @body(%k: i64[]) -> (bool[]) {{
          %0 = constant(5) : i64[]
          %1 = less(%k, %0) : bool[]
          return %1
        }},
        carried=0, counted=False, length={length}, limit=0, mapped=0, recompute=False,
        reverse=False, test=None
      }} : (bool[{length}])
      %1 = project(%0) {{index=0}} : bool[{length}]
      return %1
    }}"""
    (left,) = loops(ranges(parse(text)))
    assert (left.attrs["body"].outputs[0].op.name == "constant") == decided


BRANCH = """
graph @f(%x: f64[], %p: bool[]) -> (f64[]) {
  %0 = constant(2.0) : f64[]
  %1 = constant(True) : bool[]
  %2 = cond(COND, %x, %0) {
    orelse=graph @orelse(%a: f64[], %b: f64[]) -> (f64[]) {
      %0 = add(%a, %b) : f64[]
      return %0
    },
    then=graph @then(%a: f64[], %b: f64[]) -> (f64[]) {
      %0 = mul(%a, %b) : f64[]
      return %0
    }
  } : (f64[])
  %3 = project(%2) {index=0} : f64[]
  return %3
}"""


def test_a_decided_branch_is_taken() -> None:
    found = verify(settle(parse(BRANCH.replace("COND", "%1"))))
    assert [n.op.name for n in found.nodes if n.inputs] == ["mul"]


def test_constants_move_inside() -> None:
    found = verify(fold(settle(parse(BRANCH.replace("COND", "%p")))))
    (left,) = [n for n in found.nodes if n.op.kind == "region"]
    assert len(left.inputs) == 2


def test_a_cut_takes_the_fewest_bytes() -> None:
    """One number that depends on three is recorded rather than the three."""
    a, b, c = (input_node(name, ONE) for name in "abc")
    total = a * b + c
    assert minimal_cut([total * 2.0, total * 3.0], [a, b, c]) == [total]
    assert minimal_cut([a * b, b * 2.0], [a, b, c]) == [a * b, b * 2.0]
    assert minimal_cut([P * 2.0], [a]) == []


def test_a_cut_never_holds_an_array_for_one_of_its_elements() -> None:
    table = input_node("t", TensorType(float64, (100,)))
    at = input_node("i", TensorType(int64, ()))
    element = take(table, at)
    assert minimal_cut([element * element], [table]) == [element * element]
    assert minimal_cut([element * 2.0, element * P], [table]) == [element]


def test_regions_gather_what_is_small_around_them() -> None:
    graph = looped()
    wide = Graph("f", graph.inputs, (graph.outputs[0] * 2.0 + X,))
    found = verify(gather(wide, lambda node: True))
    assert [n.op.name for n in found.nodes if n.op.kind == "region"] == ["gathered"]
    np.testing.assert_allclose(interpret(found, VALUES), interpret(wide, VALUES))


def test_what_lies_between_two_kernels_stays_between_them() -> None:
    """No kernel waits for itself."""
    graph = looped()
    middle = graph.outputs[0] * 3.0  # pretended to be unfit
    node = builder.make(loop, (middle, V, X), sample_attrs(float64))
    wide = Graph("f", graph.inputs, (project(node, 0) + graph.outputs[0],))
    found = verify(gather(wide, lambda n: n is not middle))
    assert [n.op.name for n in found.nodes if n.op.kind == "region"] == ["gathered"] * 2
    np.testing.assert_allclose(interpret(found, VALUES), interpret(wide, VALUES))
