"""`cond`: one of two graphs of the same operands, and its derivatives."""

# A declaration reads as in `jitgrad.primitives`: plain functions in a class body.
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportSelfClsParameterName=false

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jitgrad.autodiff.batch import batched as batch_graph
from jitgrad.autodiff.forward import tangents as push
from jitgrad.autodiff.region import is_zero, or_zeros
from jitgrad.autodiff.reverse import cotangents
from jitgrad.ir.node import Graph, Node, builder, inline, project, substitute
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, TensorType
from jitgrad.primitives.declare import structural
from jitgrad.primitives.flow import choose, cond_numpy, cond_type, position


@structural("region")
class cond:
    """`then` of the operands where the condition holds, else `orelse`; only one of them runs.

    cond(pred, operand…) {then, orelse}: both graphs take the operands and give the same types.
    """

    infer = cond_type
    numpy = cond_numpy

    def vjp(node: Node, g: Sequence[Any]):
        operands = node.inputs[1:]
        seeds = [None if is_zero(x) else x for x in g]
        given = [x for x in seeds if x is not None]

        def rule(graph: Graph, xs: list[Node], gs: list[Node]) -> list[Any]:
            rest = iter(gs)
            return cotangents(
                inline(graph, xs), [None if s is None else next(rest) for s in seeds], xs
            )

        found = _both(node, rule, operands, given) if given else {}
        return (None, *(found.get(i) for i in range(len(operands))))

    def jvp(node: Node, tangents):
        _, *operands = node.inputs
        flow = {i: t for i, t in enumerate(tangents[1:]) if not is_zero(t)}
        if not flow:
            return None

        def rule(graph: Graph, xs: list[Node], ts: list[Node]) -> list[Any]:
            return push(inline(graph, xs), {xs[i]: t for i, t in zip(flow, ts, strict=True)})

        found = _both(node, rule, operands, list(flow.values()))
        return tuple([found.get(i) for i in range(len(node.type.items))])

    def batch(node: Node, inputs, batched, size: int):
        pred, *operands = inputs
        flags = batched[1:]
        if batched[0]:
            pairs = []
            for graph in (node.attrs["then"], node.attrs["orelse"]):
                wide = {x: v for x, v, f in zip(graph.inputs, operands, flags) if f}
                same = {x: v for x, v, f in zip(graph.inputs, operands, flags) if not f}
                pairs.append(_wide(graph, wide, same, size))
            return tuple([choose(pred, a, b) for a, b in zip(*pairs, strict=True)])
        made = []
        for graph in (node.attrs["then"], node.attrs["orelse"]):
            xs = [position("c", i, x.type) for i, x in enumerate(operands)]
            wide = {x: v for x, v, f in zip(graph.inputs, xs, flags) if f}
            same = {x: v for x, v, f in zip(graph.inputs, xs, flags) if not f}
            made.append(Graph(graph.name, xs, _wide(graph, wide, same, size)))
        return builder.make(node.op, tuple(inputs), {"then": made[0], "orelse": made[1]})

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.is_float:
            x = position("c", 0, TensorType(dtype, (2,)))
            then, orelse = Graph("then", [x], [x * x]), Graph("orelse", [x], [x + x])
            for value in (True, False):
                yield Sample(
                    (np.array(value), np.array([0.5, 2.0], dtype.numpy)),
                    {"then": then, "orelse": orelse},
                )


def _wide(graph: Graph, wide: dict[Node, Node], same: dict[Node, Node], size: int) -> list[Node]:
    """The outputs of a branch, all with a leading axis."""
    # Two steps: what is not batched is renamed under names that no graph has, then put in.
    hidden = {x: position("b", i, x.type) for i, x in enumerate(graph.inputs)}
    outputs = inline(graph, [hidden[x] for x in graph.inputs])
    given = {hidden[x]: v for x, v in wide.items()}
    back = {hidden[x]: v for x, v in same.items()}
    return substitute(batch_graph(outputs, given, size), back)


def _both(node: Node, rule: Any, operands: Sequence[Node], more: Sequence[Node]) -> dict[int, Node]:
    """A cond over the operands and `more`, whose branches are what a rule makes of those here.

    A rule gives a list of nodes, or None where it has zero; the result has what is not zero in
    both.
    """
    xs = [position("c", i, x.type) for i, x in enumerate((*operands, *more))]
    inside = [
        rule(node.attrs[name], xs[: len(operands)], xs[len(operands) :])
        for name in ("then", "orelse")
    ]
    kept = [i for i, pair in enumerate(zip(*inside, strict=True)) if any(map(_some, pair))]
    if not kept:
        return {}
    like = {i: next(p for p in (inside[0][i], inside[1][i]) if p is not None) for i in kept}
    graphs = [
        Graph(name, xs, [or_zeros(found[i], like[i]) for i in kept])
        for name, found in zip(("then", "orelse"), inside, strict=True)
    ]
    pred = node.inputs[0]
    made = builder.make(node.op, (pred, *operands, *more), {"then": graphs[0], "orelse": graphs[1]})
    return {i: project(made, k) for k, i in enumerate(kept)}


def _some(x: Any) -> bool:
    return not is_zero(x)
