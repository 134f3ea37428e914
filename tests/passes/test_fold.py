from __future__ import annotations

import numpy as np
import pytest

from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, Node, builder, constant, constant_op, full, input_node, splat
from jitgrad.ir.op import OPS, Op
from jitgrad.ir.types import TensorType, bool_, float32, float64, int32
from jitgrad.passes.fold import OPERANDS, RESULT, fold
from jitgrad.primitives.elementwise import div, exp, log, pow_, select
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import (
    broadcast,
    cast,
    concat,
    flip,
    iota_of,
    pad,
    reshape,
    slice_,
    transpose,
)

F = TensorType(float32, (2, 3))
BIG = TensorType(float32, (1000, 1000))


def folded(node: Node) -> Node:
    (result,) = fold(Graph("f", [], [node])).outputs
    assert result.type is node.type
    return result


def test_elementwise_of_numbers_is_a_number() -> None:
    assert folded(full(2, BIG) * 3 + 1) is full(7, BIG)
    assert folded(cast(full(2.7, BIG), dtype=int32)) is full(2, BIG.with_dtype(int32))
    assert folded(full(2, BIG) < 3) is full(True, BIG.with_dtype(bool_))
    chosen = select(full(True, BIG.with_dtype(bool_)), full(1, BIG), full(2, BIG))
    assert folded(chosen) is full(1, BIG)


def test_floats_keep_their_width() -> None:
    third = div(full(1, F), full(3, F))
    assert folded(third) is full(np.float32(1) / np.float32(3), F)
    assert splat(folded(exp(full(100, F)))) == np.inf


def test_views_of_numbers_are_numbers() -> None:
    x = full(2, F)
    views = [
        broadcast(x, shape=(2, 1000, 3), dims=(0, 2)),
        reshape(x, shape=(6,)),
        transpose(x, perm=(1, 0)),
        slice_(x, starts=(0, 1), stops=(2, 2), steps=(1, 1)),
        flip(x, axes=(0,)),
    ]
    for view in views:
        assert folded(view) is full(2, view.type)


def test_small_arrays_are_computed() -> None:
    x = constant(np.arange(6, dtype=np.float32).reshape(2, 3))
    for node in (exp(x), x * 2, reduce_sum(x, axes=(1,)), transpose(x, perm=(1, 0))):
        result = folded(node)
        assert result.op is constant_op
        (wanted,) = interpret(Graph("f", [], [node]), [])
        np.testing.assert_array_equal(result.attrs["value"].array, wanted)


def test_equal_elements_become_a_number() -> None:
    assert folded(constant(np.full((2, 3), 7, np.float32))) is full(7, F)
    assert folded(constant(np.full((2, 3), np.nan, np.float32))) is full(np.nan, F)
    zeros = constant(np.array([0.0, -0.0]))
    assert folded(zeros) is zeros
    ones = constant(np.ones((2, 3), np.float32))
    assert folded(concat(ones, ones, axis=0)) is full(1, F.with_shape((4, 3)))
    empty = constant(np.ones((2, 0)))
    assert folded(empty) is empty


def test_large_arrays_are_left() -> None:
    for size, folds in ((RESULT, True), (RESULT + 1, False)):
        x = constant(np.arange(size, dtype=np.float64))
        assert (folded(exp(x)).op is constant_op) == folds
        spread = pad(full(1, TensorType(float64, (size - 1,))), low=(1,), high=(0,), interior=(0,))
        assert (folded(spread).op is constant_op) == folds
    for size, folds in ((OPERANDS, True), (OPERANDS + 1, False)):
        x = constant(np.arange(size, dtype=np.float64))
        assert (folded(reduce_sum(x, axes=(0,))).op is constant_op) == folds


def test_what_is_computed_at_run_time() -> None:
    x = input_node("x", F)
    graph = Graph("f", [x], [exp(x), iota_of((3,), 0, int32)])
    assert fold(graph) is graph


def test_errors_are_left_to_the_run() -> None:
    node = pow_(full(2, F.with_dtype(int32)), full(-1, F.with_dtype(int32)))
    assert folded(node) is node
    assert np.isnan(splat(folded(log(full(-1, F)))))


def test_loops_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    op = Op("loop_for_fold", "region", lambda t, a: t[0], lambda x: 1 / 0)
    monkeypatch.setitem(OPS, op.name, op)
    node = builder.make(op, (full(1, F),), {})
    assert folded(node) is node
