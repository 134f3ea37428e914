"""Interning, walking and rebuilding of graphs."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from jitgrad.errors import IRError
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import (
    Constant,
    Graph,
    Node,
    builder,
    constant,
    fresh_input,
    full,
    inline,
    input_node,
    project,
    rebuild,
    settling,
    splat,
    substitute,
    topological,
    with_inputs,
)
from jitgrad.ir.types import TensorType, TupleType, bool_, float32, int32
from jitgrad.locate import Location
from jitgrad.primitives.elementwise import add, exp, mul, neg, select, tanh
from jitgrad.primitives.reduce import reduce_sum

F = TensorType(float32, (2, 3))
X, Y = input_node("x", F), input_node("y", F)
DEEP = 100_000


def deep() -> Node:
    node = X
    for i in range(DEEP // 2):
        node = tanh(node) + (X if i % 3 else Y)
    return node


# --- interning ----------------------------------------------------------------------------------


def test_equal_nodes_are_one() -> None:
    assert add(X, Y) is add(X, Y)
    assert add(X, Y) is not add(Y, X)
    assert input_node("x", F) is X
    assert input_node("x", TensorType(float32, (3, 2))) is not X
    assert reduce_sum(X, axes=(0,)) is not reduce_sum(X, axes=(1,))
    assert fresh_input("x", F) is not fresh_input("x", F)


def test_constants_are_compared_bit_by_bit() -> None:
    assert full(np.nan, F) is full(np.nan, F)
    assert full(0.0, F) is not full(-0.0, F)
    assert constant(np.ones(3)) is constant(np.ones(3))
    assert constant(np.ones(3)) is not constant(np.ones(3, np.float32))
    assert full(1, TensorType(float32, (3,))) is not constant(np.ones(3, np.float32))


def test_constants_do_not_change_with_their_source() -> None:
    array = np.zeros(3)
    node = constant(array)
    array[:] = 7
    np.testing.assert_array_equal(node.attrs["value"].array, np.zeros(3))
    with pytest.raises(ValueError, match="read-only"):
        node.attrs["value"].array[0] = 1
    strided = np.arange(6).reshape(2, 3).T
    assert constant(strided) is constant(strided.copy())
    assert Constant(strided) != 3
    assert repr(Constant(np.array(2))) == "Constant(array(2))"


def test_numbers_take_the_type_of_the_node() -> None:
    assert X + 1 is add(X, full(1, F))
    assert 1 - X is full(1, F) - X
    condition = input_node("c", TensorType(bool_, (2, 3)))
    assert select(condition, X, 0) is select(condition, X, full(0, F))
    with pytest.raises(IRError, match="add needs at least one node"):
        add(1, 2)


def test_splat() -> None:
    assert splat(full(2.5, F)) == np.float32(2.5)
    assert splat(constant(np.ones(3))) is None
    assert splat(X) is None


def test_a_node_is_neither_true_nor_a_sequence() -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(X)
    with pytest.raises(TypeError, match="cannot be iterated"):
        list(X)
    assert repr(add(X, Y)) == "<add : f32[2,3]>"


def test_project_checks_its_index() -> None:
    with pytest.raises(IRError, match="project"):
        project(X, 0)


def test_nodes_die_with_their_last_user() -> None:
    before = len(builder._table)
    node = deep()
    assert len(builder._table) > before + DEEP // 2
    del node
    gc.collect()
    assert len(builder._table) <= before + 10


def test_threads_make_one_node() -> None:
    made: list[Node] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        node = X
        for _ in range(500):
            node = exp(node) * Y
        made.append(node)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_recording_is_nested_and_of_one_thread() -> None:
    outer: list[Node] = []
    inner: list[Node] = []
    with builder.recording(outer.append):
        exp(X)
        with builder.recording(inner.append):
            thread = threading.Thread(target=lambda: tanh(Y))
            thread.start()
            thread.join()
            neg(X)
        with builder.recording(None):
            neg(Y)
        exp(Y)
    neg(X)
    assert outer == [exp(X), exp(Y)]
    assert inner == [neg(X)]


# --- graphs -------------------------------------------------------------------------------------


def test_equal_graphs_are_one() -> None:
    graph = Graph("f", [X], [exp(X)])
    assert Graph("f", [X], [exp(X)]) is graph
    assert Graph("g", [X], [exp(X)]) is not graph
    assert Graph("f", [X, Y], [exp(X)]) is not graph
    assert Graph("f", [X], [exp(X)], {exp(X): Location("a.py", 1)}) is not graph
    assert repr(graph) == "<graph @f 2 nodes -> (f32[2,3])>"


def test_locations_of_other_nodes_are_dropped() -> None:
    here = Location("a.py", 1)
    graph = Graph("f", [X], [exp(X)], {tanh(X): here, exp(X): here})
    assert dict(graph.locs) == {exp(X): here}


def test_inputs_come_first_and_operands_before_users() -> None:
    graph = Graph("f", [Y, X], [mul(exp(X), neg(Y)), exp(X)])
    assert graph.nodes == (Y, X, exp(X), neg(Y), mul(exp(X), neg(Y)))


def test_topological_stops() -> None:
    middle = exp(X)
    assert topological([neg(middle)], stop={middle: 0}) == [middle, neg(middle)]


def test_substitute_and_inline() -> None:
    total = exp(X) + X * 2
    assert substitute([total, Y], {X: Y}) == [exp(Y) + Y * 2, Y]
    assert substitute([total], {exp(X): Y}) == [Y + X * 2]
    graph = Graph("f", [X, Y], [X - Y, Y])
    assert inline(graph, [Y, exp(X)]) == [Y - exp(X), exp(X)]


def test_with_inputs_keeps_the_node() -> None:
    node = reduce_sum(X, axes=(0,))
    assert with_inputs(node, (X,)) is node
    assert with_inputs(node, (Y,)) is reduce_sum(Y, axes=(0,))


def test_rebuild_carries_locations() -> None:
    here, there = Location("a.py", 1), Location("b.py", 2)
    inner = exp(X)
    graph = Graph("f", [X], [neg(inner)], {inner: here, neg(inner): there})

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        return tanh(inputs[0]) * 2 if node is inner else with_inputs(node, inputs)

    result = rebuild(graph, rewrite)
    assert result.outputs == (neg(tanh(X) * 2),)
    assert result.locs[tanh(X)] is here
    assert result.locs[tanh(X) * 2] is here
    assert result.locs[neg(tanh(X) * 2)] is there
    assert rebuild(graph, with_inputs) is graph


def test_what_is_settled_is_not_rewritten_again() -> None:
    seen: list[Node] = []

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        seen.append(node)
        return tanh(inputs[0]) if node.op is exp else with_inputs(node, inputs)

    mine, other = settling(), settling()
    graph = Graph("f", [X], [neg(exp(X))])
    result = rebuild(graph, rewrite, mine)
    assert result.outputs == (neg(tanh(X)),)
    assert seen == [exp(X), neg(exp(X))]
    larger = Graph("g", [X], [exp(neg(tanh(X)))])
    assert rebuild(larger, rewrite, mine).outputs == (tanh(neg(tanh(X))),)
    assert seen[2:] == [exp(neg(tanh(X)))]
    rebuild(larger, rewrite, other)
    assert len(seen) == 6


def test_interpret_checks_its_arrays() -> None:
    graph = Graph("f", [X], [exp(X)])
    with pytest.raises(IRError, match="@f takes 1 inputs, got 0"):
        interpret(graph, [])
    with pytest.raises(IRError, match=r"@f input %x is f32\[2,3\], got float64\[2, 3\]"):
        interpret(graph, [np.zeros((2, 3))])


# --- size ---------------------------------------------------------------------------------------


def test_a_hundred_thousand_nodes() -> None:
    output = deep()
    order = topological([output])
    assert len(order) == DEEP + 2
    position = {node: i for i, node in enumerate(order)}
    assert all(position[i] < position[n] for n in order for i in n.inputs)
    graph = Graph("deep", [X, Y], [output])
    assert rebuild(graph, with_inputs) is graph
    swapped = substitute([output], {X: Y, Y: X})
    assert substitute(swapped, {X: Y, Y: X}) == [output]
    (value,) = interpret(graph, [np.zeros((2, 3), np.float32)] * 2)
    np.testing.assert_array_equal(value, 0)


# --- types --------------------------------------------------------------------------------------


def test_types_are_interned() -> None:
    assert TensorType(float32, (2, 3)) is F
    assert TupleType((F, F)) is TupleType((F, F))
    assert F.with_shape((6,)).with_dtype(int32) is TensorType(int32, (6,))
    assert (F.ndim, F.size, F.nbytes) == (2, 6, 24)
    assert str(TupleType((F, TensorType(bool_, ())))) == "(f32[2,3], bool[])"
