"""Small programs that several tests compile: functions of nodes, and how to make graphs of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import jitgrad.primitives  # noqa: F401  (fills the table of ops)
from jitgrad.autodiff.reverse import reverse
from jitgrad.ir.node import Graph, Node, input_node
from jitgrad.ir.types import BY_CODE, TensorType
from jitgrad.primitives.elementwise import div, exp, log, relu, rsqrt, sin, tanh
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import expand, reduce_max, reduce_sum
from jitgrad.primitives.shape import lead

Program = Callable[..., Node | Sequence[Node]]


def type_of(text: str) -> TensorType:
    """The type of its text: ``f32[8,3]``."""
    code, extents = re.fullmatch(r"(\w+)\[(.*)\]", text).groups()
    return TensorType(BY_CODE[code], tuple(int(n) for n in extents.split(",") if n))


def graph_of(program: Program, types: str, wrt: Sequence[int] = ()) -> Graph:
    """A program's graph on inputs x0, x1, … of the types; with gradients in the inputs `wrt`."""
    inputs = [input_node(f"x{i}", type_of(t)) for i, t in enumerate(types.split())]
    outputs = program(*inputs)
    graph = Graph("program", inputs, [outputs] if isinstance(outputs, Node) else outputs)
    return reverse(graph, wrt) if wrt else graph


def along(row: Node, full: Node) -> Node:
    """A value for each row, repeated along the last axis of `full`."""
    return expand(row, full.shape, (full.ndim - 1,))


def row_sum(x: Node) -> Node:
    return reduce_sum(x, axes=(x.ndim - 1,))


def chain(x: Node) -> Node:
    return tanh(exp(x) * 2 + 1)


def two_inputs(x: Node, y: Node) -> Node:
    """The fused elementwise program that speed is compared on."""
    return tanh(x * y + sin(x)) * exp(-y)


def softmax(x: Node) -> Node:
    e = exp(x - along(reduce_max(x, axes=(x.ndim - 1,)), x))
    return div(e, along(row_sum(e), x))


def log_softmax(x: Node) -> Node:
    shifted = x - along(reduce_max(x, axes=(x.ndim - 1,)), x)
    return shifted - along(log(row_sum(exp(shifted))), x)


def layer_norm(x: Node, scale: Node, shift: Node) -> Node:
    count = x.shape[-1]
    centered = x - along(row_sum(x) / count, x)
    variance = row_sum(centered * centered) / count
    normal = centered * along(rsqrt(variance + 1e-5), x)
    return normal * lead(scale, x.shape[0]) + lead(shift, x.shape[0])


def cross_entropy(x: Node, target: Node) -> Node:
    return -reduce_sum(log_softmax(x) * target, axes=tuple(range(x.ndim)))


def dense(x: Node, weight: Node, bias: Node) -> Node:
    return relu(matmul(x, weight) + lead(bias, x.shape[0]))


def square_loss(x: Node, weight: Node, bias: Node, target: Node) -> Node:
    error = dense(x, weight, bias) - target
    return reduce_sum(error * error, axes=tuple(range(error.ndim)))
