"""Dead code. A graph holds only what its outputs reach; regions may have results not read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from jitgrad.autodiff.branch import cond
from jitgrad.autodiff.loop import loop
from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    project,
    project_op,
    rebuild,
    topological,
    with_inputs,
)
from jitgrad.ir.op import Op
from jitgrad.ir.types import TupleType
from jitgrad.passes.narrow import Results, narrowed_cond, narrowed_loop
from jitgrad.primitives.control import fused, gathered

# Regions whose inputs and results are those of one graph, and the attribute that holds it.
BODIES: dict[Op, str] = {fused: "body", gathered: "body"}
# Other regions, and what makes them with fewer results.
NARROW: dict[Op, Callable[[Node, Sequence[Node], Iterable[int]], Results | None]] = {
    loop: narrowed_loop,
    cond: narrowed_cond,
}


def dce(graph: Graph) -> Graph:
    """Leave out results of regions that nothing reads, and what only they need."""
    read: dict[Node, set[int]] = {}
    for node in graph.nodes:
        if node.op is project_op:
            read.setdefault(node.inputs[0], set()).add(node.attrs["index"])
    kept = {
        node: sorted(indices)
        for node, indices in read.items()
        if node.op in BODIES and len(indices) < len(node.type.items)
    }
    regions = {node for node in read if node.op in NARROW}
    if not kept and not regions:
        return graph
    results: dict[Node, Results] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in regions:
            found = NARROW[node.op](node, inputs, read[node])
            if found is None:
                return with_inputs(node, inputs)
            results[node] = found
            return node  # nobody asks for it: its results are in `results`
        if node.op is project_op and node.inputs[0] in results:
            return results[node.inputs[0]][node.attrs["index"]]
        if node in kept:
            return _narrowed(node, inputs, kept[node])
        if node.op is project_op and node.inputs[0] in kept:
            index = kept[node.inputs[0]].index(node.attrs["index"])
            return project(inputs[0], index) if isinstance(inputs[0].type, TupleType) else inputs[0]
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)


def _narrowed(node: Node, inputs: tuple[Node, ...], results: list[int]) -> Node:
    """A region with some of its results only, and the inputs that these need."""
    name = BODIES[node.op]
    body: Graph = node.attrs[name]
    body, needed = prune_inputs(body.replace([body.outputs[i] for i in results]))
    return builder.make(node.op, tuple([inputs[i] for i in needed]), {**node.attrs, name: body})


def prune_inputs(graph: Graph) -> tuple[Graph, tuple[int, ...]]:
    """The graph of the inputs that the outputs need, and which of the inputs they are.

    This changes the signature, so no pass does it to the graph it is given.
    """
    reached = set(topological(graph.outputs))
    kept = tuple([i for i, node in enumerate(graph.inputs) if node in reached])
    if len(kept) == len(graph.inputs):
        return graph, kept
    inputs = [graph.inputs[i] for i in kept]
    return Graph(graph.name, inputs, graph.outputs, graph.locs), kept
