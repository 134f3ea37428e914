"""Reverse mode, graph to graph: cotangents flow from the outputs to the inputs.

Every op's VJP is written in ops, so what comes out is a graph like any other, and can be
differentiated, batched and optimized again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from jitgrad.ir.node import Graph, Node, builder, full, project_op, topological
from jitgrad.ir.op import title
from jitgrad.ir.types import TapeType, TupleType
from jitgrad.locate import Location
from jitgrad.primitives.complex import conjugated, is_complex
from jitgrad.primitives.declare import not_differentiable, zeros
from jitgrad.primitives.flow import plus


def cotangents(
    outputs: Sequence[Node],
    seeds: Sequence[Node | None],
    wrt: Sequence[Node],
    locs: dict[Node, Location] | None = None,
) -> list[Node | None]:
    """The cotangent of each node in `wrt`, given those of the outputs; None where it is zero.

    Nodes that are made on the way enter `locs` with the location of the node they come from.
    """
    order = topological(outputs)
    active = _depends_on(order, set(wrt))
    found: dict[Node, Any] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        if seed is not None and output in active:
            found[output] = _add(found.get(output), seed)
    for node in reversed(order):
        cotangent = found.get(node)
        if cotangent is None or node not in active or not node.inputs:
            continue
        with _located(node, locs):
            for operand, contribution in zip(node.inputs, pull(node, cotangent), strict=True):
                if contribution is not None and operand in active:
                    found[operand] = _add(found.get(operand), contribution)
    return [found.get(node) for node in wrt]


def _located(node: Node, locs: dict[Node, Location] | None) -> AbstractContextManager[None]:
    here = locs.get(node) if locs is not None else None
    if locs is None or here is None:
        return nullcontext()

    def note(made: Node) -> None:
        locs.setdefault(made, here)

    return builder.recording(note)


def pull(node: Node, cotangent: Any) -> Sequence[Any]:
    """The cotangents of a node's inputs. Cotangents of a tuple are a dict by position.

    A gradient g of complex numbers is that of PyTorch: a step t changes the output by the real part
    of conj(g) * t. Rules of ops say how g * t goes on, which holds for real numbers as well.
    """
    if node.op is project_op:
        return ({node.attrs["index"]: cotangent},)
    if node.op.vjp is None:
        raise not_differentiable(title(node.op, node.attrs))
    if isinstance(node.type, TupleType):
        parts = [cotangent.get(i, zeros(t)) for i, t in enumerate(node.type.items)]
        return node.op.vjp(node, tuple(parts))
    if node.op.kind != "region" and (is_complex(node) or any(map(is_complex, node.inputs))):
        found = node.op.vjp(node, conjugated(cotangent))
        return tuple([None if x is None else conjugated(x) for x in found])
    return node.op.vjp(node, cotangent)


def _add(known: Any, more: Any) -> Any:
    if known is None:
        return more
    if isinstance(known, dict):
        merged = dict(known)
        for index, cotangent in more.items():
            merged[index] = _add(known.get(index), cotangent)
        return merged
    if isinstance(known.type, TapeType):
        from jitgrad.autodiff.region import add_tapes

        return add_tapes(known, more)
    return plus(known, more)


def _depends_on(order: Sequence[Node], sources: set[Node]) -> set[Node]:
    """The nodes through which a change of the sources can reach an output."""
    active: set[Node] = set()
    for node in order:
        if node in sources or any(i in active for i in node.inputs):
            active.add(node)
    return active


def reverse(graph: Graph, wrt: Sequence[int], seeds: Sequence[Node | None] | None = None) -> Graph:
    """A graph of the same inputs: the outputs, then the gradient of each input in `wrt`.

    The seeds default to ones for every output: what is differentiated is their sum.
    """
    if seeds is None:
        seeds = [full(1, o.type) if o.dtype.kind != "b" else None for o in graph.outputs]
    locs = dict(graph.locs)
    inputs = [graph.inputs[i] for i in wrt]
    with builder.recording(None):
        found = cotangents(graph.outputs, seeds, inputs, locs)
    gradients = [zeros(x.type) if g is None else g for x, g in zip(inputs, found, strict=True)]
    return Graph(f"{graph.name}_grad", graph.inputs, (*graph.outputs, *gradients), locs)
