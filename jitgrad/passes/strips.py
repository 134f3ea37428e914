"""Strips: steps that run together over one tile of a long axis after the other.

Fusion joins what shares its loops; a strip joins what shares only one of them: rows of a batch,
points of a cloud. What its steps hand to each other never leaves the cache, and its tiles are what
threads share. Reductions over the axis are added up tile by tile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    input_node,
    project_op,
    rebuild,
    substitute,
    topological,
    with_inputs,
)
from jitgrad.ir.op import op
from jitgrad.locate import Location
from jitgrad.passes.cutter import Cutter, Group, producer, swapped
from jitgrad.passes.tiles import read_apart, results, split_sums


def strips(graph: Graph) -> Graph:
    """Group the steps of a fused graph into `strip` regions where that keeps data in the cache."""
    cutter = Cutter(graph)
    groups = cutter.groups()
    mixed = {s for s in cutter.steps if "domain" in s.attrs and read_apart(s) is not s}
    if mixed:
        cutter = Cutter(_read_apart(graph, mixed))
        groups = cutter.groups()
    graph = cutter.graph
    while late := cutter.late(groups):
        graph = _split(graph, late)
        cutter = Cutter(graph)
        groups = cutter.groups()
    return _emit(cutter, groups) if groups else graph


def _read_apart(graph: Graph, mixed: set[Node]) -> Graph:
    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        made = with_inputs(node, inputs)
        return read_apart(made) if node in mixed else made

    return rebuild(graph, rewrite)


def _split(graph: Graph, late: set[Node]) -> Graph:
    made: dict[Node, list[Node]] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is project_op and node.inputs[0] in made:
            return made[node.inputs[0]][node.attrs["index"]]
        if node in late:
            made[node] = split_sums(node, inputs)
            return made[node][0]
        return with_inputs(node, inputs)

    return rebuild(graph, rewrite)


def _emit(cutter: Cutter, groups: list[Group]) -> Graph:
    """The graph with each group as one node, in the order of stages. What several groups make for
    themselves is made outside of them only where something else reads it.
    """
    graph = cutter.graph
    once = [s for s in cutter.steps if s not in cutter.repeated]
    group_of = {step: group for group in groups for step in group.steps}
    new: dict[Node, Node] = {x: x for x in graph.inputs}
    locs = dict(graph.locs)
    done: set[Group] = set()
    for step in sorted(once, key=cutter.stage.__getitem__):  # stable within a stage
        group = group_of.get(step)
        if group is None:
            _carry([step], new, graph.locs, locs)
        elif group not in done:
            done.add(group)
            _emit_group(cutter, group, new, locs)
    return graph.replace(_carry(graph.outputs, new, graph.locs, locs), locs)


def _carry(
    nodes: Sequence[Node],
    new: dict[Node, Node],
    old: Mapping[Node, Location],
    locs: dict[Node, Location],
) -> list[Node]:
    """The nodes in the new graph, made from what is there already."""
    for node in topological(nodes, stop=new):
        if node not in new:
            new[node] = with_inputs(node, tuple([new[i] for i in node.inputs]))
            if node in old:
                locs.setdefault(new[node], old[node])
    return [new[n] for n in nodes]


def _emit_group(
    cutter: Cutter, group: Group, new: dict[Node, Node], locs: dict[Node, Location]
) -> None:
    members, old = set(group.steps), cutter.graph.locs
    operands = (swapped(v) if s.op.kind == "call" else v for s in group.steps for v in s.inputs)
    reads = list(dict.fromkeys(v for v in operands if producer(v) not in members))
    inputs = [input_node(f"a{i}", v.type) for i, v in enumerate(reads)]
    names = dict(zip(reads, inputs, strict=True))
    needed = dict.fromkeys(
        value
        for s in group.steps
        if s not in cutter.repeated
        for value, reader in cutter.all_readers(s)
        if reader not in members
    )
    body = Graph("body", inputs, substitute([*needed], names), old)
    inside = substitute(group.steps, names)
    loops = {
        mine: cutter.chosen[step][1].loop for mine, step in zip(inside, group.steps, strict=True)
    }
    attrs = {"body": body, "loops": tuple(loops[n] for n in body.nodes if n in loops)}
    first = group.steps[0]
    attrs["extent"] = cutter.length(first, cutter.chosen[first][1])
    node = builder.make(op("strip"), tuple(_carry(reads, new, old, locs)), attrs)
    new.update(zip(needed, results(node), strict=True))
    if first in old:
        locs[node] = old[first]
