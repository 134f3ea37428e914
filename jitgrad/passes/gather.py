"""Regions and the small arithmetic around them as one kernel each.

A loop's operands are often picked from arrays, its results combined into a number, and the
gradient's loop follows on the loop itself. All that is scalar goes into one kernel. Nodes get
levels, which rise behind everything that cannot be part of such a kernel; connected nodes of one
level are a kernel, so kernels can never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable

from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    input_node,
    input_op,
    project,
    project_op,
    with_inputs,
)
from jitgrad.ir.types import TensorType
from jitgrad.locate import Location
from jitgrad.passes.access import is_leaf
from jitgrad.primitives.control import gathered

Fits = Callable[[Node], bool]


def gather(graph: Graph, fits: Fits) -> Graph:
    """The graph with kernels around its regions. `fits`: whether a node can be part of one."""
    if not any(is_flow(n) for n in graph.nodes):
        return graph
    return _Gather(graph, fits).emit()


def is_flow(node: Node) -> bool:
    """Whether a node is control flow; other regions are kernels already, over their domain."""
    return node.op.kind == "region" and "domain" not in node.attrs


class _Gather:
    def __init__(self, graph: Graph, fits: Fits):
        self.graph = graph
        self.inside: set[Node] = set()
        self.level: dict[Node, int] = {}
        self.parent: dict[Node, Node] = {}
        for node in graph.nodes:
            if is_leaf(node):
                continue
            self.place(node, fits)
        regions = {self.root(n) for n in self.inside if is_flow(n)}
        self.groups: dict[Node, list[Node]] = {r: [] for r in regions}
        for node in graph.nodes:
            if node in self.inside and self.root(node) in regions:
                self.groups[self.root(node)].append(node)
        self.group_of = {n: r for r, nodes in self.groups.items() for n in nodes}

    def place(self, node: Node, fits: Fits) -> None:
        inputs = [i for i in node.inputs if not is_leaf(i)]
        if node.op is project_op:
            joins = node.inputs[0] in self.inside
        else:
            depends = bool(inputs) or is_flow(node)  # a loop may begin with constants
            is_kernel = node.op.kind == "region" and not is_flow(node)
            joins = node.op is not input_op and depends and not is_kernel and fits(node)
        if not joins:
            self.level[node] = max((self.level[i] for i in inputs), default=0)
            return
        self.inside.add(node)
        self.parent[node] = node
        level = max((self.level[i] + (i not in self.inside and i.op is not input_op)
                     for i in inputs), default=0)  # fmt: skip
        self.level[node] = level
        for i in inputs:
            if i in self.inside and self.level[i] == level:
                self.parent[self.root(i)] = self.root(node)

    def root(self, node: Node) -> Node:
        while self.parent[node] is not node:
            self.parent[node] = self.parent[self.parent[node]]
            node = self.parent[node]
        return node

    # --- the new graph ---

    def emit(self) -> Graph:
        self.new: dict[Node, Node] = {}
        self.locs: dict[Node, Location] = {}
        outside = set(self.graph.outputs)
        for node in self.graph.nodes:
            mine = self.group_of.get(node)
            outside.update(i for i in node.inputs if mine is None or self.group_of.get(i) != mine)
        self.outside = outside
        pending = list(reversed(self.graph.outputs))
        while pending:
            node = pending[-1]
            if node in self.new:
                pending.pop()
                continue
            needs = [i for i in self.needs(node) if i not in self.new]
            if needs:
                pending += needs
                continue
            self.make(node)
        return self.graph.replace([self.new[o] for o in self.graph.outputs], self.locs)

    def needs(self, node: Node) -> list[Node]:
        """What has to be there before a node, or before its kernel."""
        if node not in self.group_of:
            return list(node.inputs)
        mine = self.group_of[node]
        members = self.groups[mine]
        found = dict.fromkeys(i for n in members for i in n.inputs)
        return [i for i in found if self.group_of.get(i) is not mine and not is_leaf(i)]

    def make(self, node: Node) -> None:
        if node not in self.group_of:
            made = with_inputs(node, tuple([self.new[i] for i in node.inputs]))
            self.new[node] = made
            if node in self.graph.locs:
                self.locs[made] = self.graph.locs[node]
            return
        members = self.groups[self.group_of[node]]
        operands = self.needs(node)
        mapped = {x: input_node(f"a{i}", x.type) for i, x in enumerate(operands)}
        locs: dict[Node, Location] = {}
        for n in members:
            inputs = tuple([mapped.get(i, i) for i in n.inputs])
            mapped[n] = with_inputs(n, inputs)
            if n in self.graph.locs:
                locs[mapped[n]] = self.graph.locs[n]
        results = [n for n in members if n in self.outside and _is_value(n)]
        body = Graph("body", [mapped[x] for x in operands], [mapped[r] for r in results], locs)
        made = builder.make(gathered, tuple([self.new[x] for x in operands]), {"body": body})
        where = next((self.graph.locs[n] for n in members if n in self.graph.locs), None)
        if where is not None:
            self.locs[made] = where
        for n in members:
            self.new[n] = made
        for i, r in enumerate(results):
            self.new[r] = project(made, i)
            if r in self.graph.locs:
                self.locs[self.new[r]] = self.graph.locs[r]


def _is_value(node: Node) -> bool:
    return isinstance(node.type, TensorType) or node.op is project_op
