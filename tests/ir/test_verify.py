"""A graph that breaks a rule is refused, by the line that breaks it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from jitgrad.errors import IRError
from jitgrad.ir.node import Graph, Node, builder, input_node, project
from jitgrad.ir.op import OPS, Op
from jitgrad.ir.types import TensorType, TupleType, float32
from jitgrad.ir.verify import verify
from jitgrad.primitives.elementwise import add, tanh
from tests.strategies import graphs

F = TensorType(float32, (2, 3))
X, Y = input_node("x", F), input_node("y", F)


def forged(op: Op, inputs: tuple, attrs: dict, type: object) -> Node:
    """A node that the builder would not make."""
    node = Node.__new__(Node)
    node.op, node.inputs, node.attrs, node.type = op, inputs, attrs, type
    return node


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Op:
    op = Op("pair_for_verify", "call", lambda t, a: TupleType((t[0], t[0])), lambda x: (x, x))
    monkeypatch.setitem(OPS, op.name, op)
    return op


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> Op:
    op = Op("region_for_verify", "region", lambda t, a: t[0], lambda x, **attrs: x)
    monkeypatch.setitem(OPS, op.name, op)
    return op


@given(graphs())
def test_graphs_of_the_builder_pass(graph: Graph) -> None:
    assert verify(graph) is graph


def refused(graph: Graph) -> str:
    with pytest.raises(IRError) as error:
        verify(graph)
    return str(error.value)


def test_an_input_that_is_not_listed() -> None:
    assert refused(Graph("f", [X], [add(X, Y)])) == (
        "@f: %y is used and is not an input of the graph\n"
        '  %0 = input() {name="y", type=f32[2,3]} : f32[2,3]'
    )


def test_an_input_listed_twice() -> None:
    assert refused(Graph("f", [X, X], [X])).startswith("@f lists an input twice\n  graph @f(%x")


def test_an_input_that_is_computed() -> None:
    message = refused(Graph("f", [X, tanh(X)], [X]))
    assert message == "@f: tanh is listed as an input\n  %0 = tanh(%x) : f32[2,3]"


def test_a_wrong_type() -> None:
    node = forged(OPS["tanh"], (X,), {}, TensorType(float32, (3, 2)))
    assert refused(Graph("f", [X], [node])) == (
        "@f: has type f32[3,2]; its inputs give f32[2,3]\n  %0 = tanh(%x) : f32[3,2]"
    )


def test_no_type() -> None:
    node = forged(OPS["add"], (X,), {}, F)
    message = refused(Graph("f", [X], [node]))
    assert message.startswith("@f: has no type: ")
    assert "add takes 2 operands, got 1\n" in message
    assert message.endswith("\n  %0 = add(%x) : f32[2,3]")


def test_a_node_from_elsewhere() -> None:
    known = tanh(X)
    node = forged(OPS["tanh"], (X,), {}, F)
    assert node is not known
    assert "was not made by the builder" in refused(Graph("f", [X], [node]))


def test_an_op_from_elsewhere() -> None:
    node = forged(Op("tanh", "elementwise", lambda t, a: t[0], np.tanh), (X,), {}, F)
    assert "tanh is not the declared op of that name" in refused(Graph("f", [X], [node]))


def test_tuples_are_projected(pair: Op) -> None:
    both = pair(X)
    verify(Graph("f", [X], [project(both, 1)]))
    assert refused(Graph("f", [X], [both])).startswith("@f returns a tuple")
    node = forged(OPS["tanh"], (both,), {}, both.type)
    assert "takes a tuple of results; project one of them" in refused(Graph("f", [X], [node]))


@pytest.mark.parametrize("value", [math.nan, np.float32(1), np.int64(3), 1j, b"", (1, (b"",))])
def test_attributes_without_text(region: Op, value: object) -> None:
    node = builder.make(region, (X,), {"value": value})
    assert "which has no text" in refused(Graph("f", [X], [node]))


def test_regions_are_verified(region: Op) -> None:
    inner = Graph("inner", [X], [add(X, Y)])
    node = builder.make(region, (X,), {"bodies": (Graph("id", [X], [X]), inner)})
    assert refused(Graph("f", [X], [node])).startswith("@inner: %y is used and is not an input")
