"""Functions with a derivative of their own, as one op.

`custom` passes its first operands through and hides from differentiation how they were made; the
derivative with respect to the further operands is a graph of its own.
"""

# A declaration reads as in `jitgrad.primitives`: plain functions in a class body.
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportSelfClsParameterName=false

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from jitgrad.autodiff.batch import batched as batch_graph
from jitgrad.autodiff.reverse import cotangents
from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    inline,
    input_node,
    project,
    project_op,
    rebuild,
    substitute,
    with_inputs,
)
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, TensorType, TupleType, Type
from jitgrad.primitives.declare import structural, zeros
from jitgrad.primitives.shape import lead


@structural("region")
class custom:
    """The first `outs` operands themselves; `backward` is their derivative.

    Operands: results y, arguments x, further values c. `backward` is a graph from x, y, the
    cotangents of y, and c, to the cotangents of x; and to what its observer, if it has one, is
    shown.
    """

    def infer(types, attrs) -> Type:
        return TupleType(tuple(types[: attrs["outs"]]))

    def numpy(*arrays, outs, backward):
        return tuple(arrays[:outs])

    def vjp(node: Node, g: Sequence[Node]):
        outs, backward = node.attrs["outs"], node.attrs["backward"]
        count = _arguments(backward)
        ys = [project(node, i) for i in range(outs)]
        xs, rest = node.inputs[outs : outs + count], node.inputs[outs + count :]
        found = inline(backward, [*xs, *ys, *g, *rest])
        if backward in observers:
            observers[backward](found[count:])
        return (*(None for _ in ys), *found[:count], *(None for _ in rest))

    def jvp(node: Node, tangents):
        """A VJP is linear in the cotangent; transposed once more, it is the JVP."""
        outs, backward = node.attrs["outs"], node.attrs["backward"]
        count = _arguments(backward)
        given = tangents[outs : outs + count]
        if all(t is None for t in given):
            return None
        ys = [project(node, i) for i in range(outs)]
        xs, rest = node.inputs[outs : outs + count], node.inputs[outs + count :]
        gs = backward.inputs[count + outs : count + 2 * outs]
        found = cotangents(backward.outputs[:count], [_like(t, x) for t, x in zip(given, xs)], gs)
        zero = {g: zeros(g.type) for g in gs}
        values = dict(zip(backward.inputs, [*xs, *ys, *zero.values(), *rest], strict=True))
        results = [zeros(g.type) if f is None else f for f, g in zip(found, gs, strict=True)]
        return dict(enumerate(substitute(results, values)))

    def batch(node: Node, inputs, batched, size: int):
        spread = [x if is_in else lead(x, size) for x, is_in in zip(inputs, batched, strict=True)]
        old = node.attrs["backward"]
        new = {
            x: input_node(x.attrs["name"], TensorType(x.dtype, (size, *x.shape)))
            for x in old.inputs
        }
        outputs = batch_graph(old.outputs, new, size)
        backward = Graph(old.name, list(new.values()), outputs)
        if old in observers:
            observers[backward] = observers[old]
        return custom(*spread, outs=node.attrs["outs"], backward=backward)

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.is_float:
            x = np.array([0.5, 2.0], dtype.numpy)
            yield Sample((x * x, x), {"outs": 1, "backward": _square_backward(dtype)})


# Called with the further results of a derivative when that is taken: a hook that prints, say.
observers: weakref.WeakKeyDictionary[Graph, Callable[[Sequence[Node]], None]]
observers = weakref.WeakKeyDictionary()


def _arguments(backward: Graph) -> int:
    """The number of arguments: their placeholders are named x0, x1, …"""
    return sum(x.attrs["name"].startswith("x") for x in backward.inputs)


def _like(tangent: Node | None, x: Node) -> Node:
    return zeros(x.type) if tangent is None else tangent


def _square_backward(dtype: DType) -> Graph:
    type = TensorType(dtype, (2,))
    x, y, g = (input_node(name, type) for name in ("x0", "y0", "g0"))
    return Graph("backward", [x, y, g], [g * x * 2])


def erase(graph: Graph) -> Graph:
    """The graph without `custom`, for when all differentiation is done."""
    if not any(n.op.kind == "region" for n in graph.nodes):
        return graph

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is project_op and inputs[0].op is custom:
            return inputs[0].inputs[node.attrs["index"]]
        if node.op.kind == "region" and node.op is not custom:
            inside = {k: erase(v) if isinstance(v, Graph) else v for k, v in node.attrs.items()}
            return builder.make(node.op, inputs, inside)
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)
