from __future__ import annotations

import numpy as np

from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph, builder, input_node, project
from jitgrad.ir.types import TensorType, float32
from jitgrad.ir.verify import verify
from jitgrad.passes.dce import dce, prune_inputs
from jitgrad.primitives.control import fused
from jitgrad.primitives.elementwise import exp, neg, tanh

F = TensorType(float32, (2, 3))
X, Y, Z = (input_node(n, F) for n in "xyz")


def region(*outputs):
    body = Graph("body", [X, Y, Z], outputs)
    inputs = (tanh(X), exp(Y), Z)
    return builder.make(fused, inputs, {"body": body, "domain": (2, 3), "axes": ()})


def test_results_that_nothing_reads() -> None:
    node = region(X + Y, exp(X), neg(Z))
    graph = Graph("f", [X, Y, Z], [project(node, 2) + project(node, 1)])
    result = verify(dce(graph))
    (narrow,) = [n for n in result.nodes if n.op is fused]
    assert narrow.attrs["body"].outputs == (exp(X), neg(Z))
    assert narrow.inputs == (tanh(X), Z)
    assert exp(Y) not in result.nodes
    assert result.inputs == graph.inputs
    arrays = [np.ones((2, 3), np.float32) * i for i in range(3)]
    np.testing.assert_array_equal(*interpret(graph, arrays), *interpret(result, arrays))
    assert dce(result) is result


def test_one_result_left_is_no_tuple() -> None:
    node = region(X + Y, exp(X))
    result = verify(dce(Graph("f", [X, Y, Z], [project(node, 1)])))
    assert result.outputs[0].op is fused


def test_nothing_dead() -> None:
    node = region(X + Y, exp(Z))
    graph = Graph("f", [X, Y, Z], [project(node, 0), project(node, 1)])
    assert dce(graph) is graph


def test_prune_inputs() -> None:
    graph = Graph("f", [X, Y, Z], [Z - X])
    pruned, kept = prune_inputs(graph)
    assert kept == (0, 2)
    assert pruned is Graph("f", [X, Z], [Z - X])
    assert prune_inputs(pruned) == (pruned, (0, 1))
