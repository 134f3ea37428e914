"""Gradients carry the lines of the code that they are gradients of."""

from __future__ import annotations

from jitgrad.autodiff.reverse import cotangents, reverse
from jitgrad.ir.node import Graph, Node, builder, full, input_node
from jitgrad.ir.types import TensorType, float32
from jitgrad.locate import Location
from jitgrad.primitives.elementwise import exp, sin, tanh

X = input_node("x", TensorType(float32, (3,)))
A, B, C = exp(X), sin(exp(X)), tanh(sin(exp(X)))
LINES = {node: Location("model.py", line) for line, node in ((1, A), (2, B), (3, C))}


def test_every_node_of_a_gradient_has_the_line_it_comes_from() -> None:
    graph = reverse(Graph("f", [X], [C], LINES), [0])
    for node, line in LINES.items():
        assert graph.locs[node] is line
    made = [n for n in graph.nodes if n.op.kind != "leaf"]
    assert all(n in graph.locs for n in made)
    lines = [graph.locs[n].line for n in made if n not in LINES]
    assert lines == sorted(lines, reverse=True)
    assert set(lines) == {1, 2, 3}


def test_second_derivatives_too() -> None:
    graph = reverse(reverse(Graph("f", [X], [C], LINES), [0]), [0])
    assert all(n.op.kind == "leaf" or n in graph.locs for n in graph.nodes)


def test_cotangents_fill_the_table_they_are_given() -> None:
    locs = dict(LINES)
    (gradient,) = cotangents([C], [full(1, C.type)], [X], locs)
    assert gradient is not None
    assert locs[gradient] is LINES[A]
    assert {n: locs[n] for n in LINES} == LINES


def test_what_has_no_line_leaves_the_recorder_alone() -> None:
    """Without a table, the nodes made are those of the code that asks for the gradient."""
    made: list[Node] = []
    with builder.recording(made.append):
        (gradient,) = cotangents([C], [full(1, C.type)], [X])
    assert gradient in made
