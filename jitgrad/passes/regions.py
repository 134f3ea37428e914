"""Turning groups of nodes into `fused` regions.

What a group must store is found by walking back from the graph's outputs: a node is stored if
something outside of its group reads it, unless it is cheap enough to be computed again there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    input_node,
    project,
    substitute,
    topological,
    with_inputs,
)
from jitgrad.ir.op import op
from jitgrad.locate import Location
from jitgrad.passes.access import external, is_leaf, keeps_order, stored
from jitgrad.passes.cost import is_cheap
from jitgrad.passes.fuse import ROW_TO_FULL, Group, repeats_row
from jitgrad.passes.schedule import schedule
from jitgrad.primitives.shape import swaps_last

# Recomputed rather than stored and loaded again: with so many ops, from so many arrays; those that
# are much smaller than the value stay in the cache.
CHEAP_OPS, CHEAP_LOADS, SMALLER = 4, 2, 8
# Ops whose kernel reads an operand with its last two axes swapped as it is (a flag of the call).
READS_TRANSPOSED = frozenset({"matmul"})


def accumulates_in_memory(group: Group) -> bool:
    """Whether the group's reductions need an array to accumulate in."""
    return schedule(group.domain, group.axes) in ("column", "blocked")


class Regions:
    """Emission of the new graph; `new` maps a stored node to its value there."""

    def __init__(self, graph: Graph, groups: Mapping[Node, Group]):
        self.graph = graph
        self.groups = groups
        self.needed = self.find_needed()
        self.stored: set[Node] = set()
        self.recomputed: dict[Node, tuple[int, frozenset[Node]]] = {}
        self.new: dict[Node, Node] = {}
        self.locs: dict[Node, Location] = {}

    # --- what has to be in memory ---

    def find_cheap(self) -> None:
        """Ops and loads of computing a node again in another kernel, where that is better than
        to store it.
        """
        for node in self.graph.nodes:
            cost = self.cost(node) if node in self.groups and is_cheap(node) else None
            if cost is not None:
                self.recomputed[node] = cost
        # What it is computed from has to be stored instead: once for several, or as less bytes.
        made = {n: x for n, (_, loads) in self.recomputed.items() for x in self.made(loads)}
        group = self.groups.get
        outside = {i for n in self.groups for i in n.inputs if group(i) is not group(n)}
        shared = Counter(x for n, x in made.items() if n in outside)
        for node, x in made.items():
            if shared[x] < 2 and 2 * x.type.nbytes > node.type.nbytes:
                del self.recomputed[node]

    def made(self, loads: Iterable[Node]) -> list[Node]:
        """Those of some values that would not have to be in memory."""
        return [x for x in loads if x in self.groups and x not in self.needed]

    def cost(self, node: Node) -> tuple[int, frozenset[Node]] | None:
        ops, loads = 1, frozenset[Node]()
        for operand in dict.fromkeys(node.inputs):
            base = external(operand)
            if base is None:
                continue
            inner = self.recomputed.get(base) if base is operand else None
            if inner is not None:
                ops, loads = ops + inner[0], loads | inner[1]
            else:
                loads |= {base}
        large = [x for x in loads if SMALLER * x.type.nbytes > node.type.nbytes]
        few = len(large) <= CHEAP_LOADS and len(self.made(loads)) <= 1
        return (ops, loads) if ops <= CHEAP_OPS and few else None

    def edges(self, node: Node, group: Group) -> tuple[list[Node], list[Node]]:
        """Operands computed in the group itself, and stored nodes that it reads."""
        inside: list[Node] = []
        outside: list[Node] = []
        for operand in node.inputs:
            base = external(operand)
            if base is None:
                continue
            repeats = operand.op.name in ROW_TO_FULL and self.groups.get(base) is group
            if self.groups.get(operand) is group or self._is_again(operand, base):
                inside.append(operand)
            elif repeats and base is operand.inputs[0] and repeats_row(operand, group):
                inside.append(base)
            else:
                outside.append(base)
        return inside, outside

    def _is_again(self, operand: Node, base: Node) -> bool:
        """Whether a value of another group is computed again, rather than loaded: it is cheap, and
        nothing else needs it in memory.
        """
        return operand is base and base in self.recomputed and base not in self.needed

    def find_needed(self) -> set[Node]:
        """What has to be in memory whatever fusion does: results, and operands of calls."""
        needed = {stored(output) for output in self.graph.outputs}
        for node in self.graph.nodes:
            if node not in self.groups and node.op.kind not in ("leaf", "view"):
                needed.update(stored(i) for i in node.inputs)
        return needed

    def find_stored(self) -> None:
        computed: set[Node] = set()
        self.stored |= self.needed
        for node in reversed(self.graph.nodes):
            if node in self.groups:
                if node not in self.stored and node not in computed:
                    continue
                if node.op.kind == "reduce" and accumulates_in_memory(self.groups[node]):
                    self.stored.add(node)
                self.find_read(node, computed)
            elif node.op.kind == "view":
                base = external(node) if node in self.stored else None
                if base is not None:  # a view that is copied reads what it views
                    self.stored.add(base)
            elif node.op.kind != "leaf":
                self.stored.add(node)

    def find_read(self, node: Node, computed: set[Node]) -> None:
        """What a node reads, itself or through nodes computed again, is stored; its operands in
        its own group are computed there.
        """
        pending, group = [node], self.groups[node]
        while pending:
            inside, outside = self.edges(pending.pop(), group)
            self.stored.update(outside)
            for inner in inside:
                if self.groups[inner] is group:
                    computed.add(inner)
                else:
                    pending.append(inner)  # at most CHEAP_OPS of them

    # --- the new graph ---

    def emit(self) -> Graph:
        self.find_cheap()
        self.find_stored()
        outputs: dict[Group, list[Node]] = {}
        units: list[tuple[int, int, Node]] = []
        depth: dict[Node, int] = {}
        for position, node in enumerate(self.graph.nodes):
            if node in self.groups:
                if node in self.stored:
                    outputs.setdefault(self.groups[node], []).append(node)
                    units.append((self.groups[node].stage, position, node))
                depth[node] = self.groups[node].stage + 1
            elif node.op.kind in ("leaf", "view"):
                depth[node] = max((depth[i] for i in node.inputs), default=0)
                if not is_leaf(node) and node.op.kind == "leaf":
                    self.new[node] = node
            else:
                stage = max((depth[i] for i in node.inputs), default=0)
                depth[node] = stage + 1
                units.append((stage, position, node))
        for _, _, node in sorted(units, key=lambda unit: unit[:2]):
            if node in self.new:
                continue
            if node in self.groups:
                self.emit_group(outputs[self.groups[node]], self.groups[node])
            else:
                self.note(
                    node, with_inputs(node, tuple(self.in_memory(i, node) for i in node.inputs))
                )
        results = [self.in_memory(o) for o in self.graph.outputs]
        return self.graph.replace(results, self.locs)

    def note(self, node: Node, new: Node) -> None:
        self.new[node] = new
        if node in self.graph.locs:
            self.locs.setdefault(new, self.graph.locs[node])

    def emit_group(self, outputs: list[Node], group: Group) -> None:
        reads: dict[Node, None] = {}
        pending, seen = list(outputs), set(outputs)
        while pending:
            inside, outside = self.edges(pending.pop(), group)
            reads.update(dict.fromkeys(outside))
            for inner in inside:
                if inner not in seen:
                    seen.add(inner)
                    pending.append(inner)
        region = self.region(outputs, list(reads), group.domain, group.axes or ())
        for index, output in enumerate(outputs):
            self.note(output, project(region, index) if len(outputs) > 1 else region)
        if outputs[0] in self.graph.locs:
            self.locs.setdefault(region, self.graph.locs[outputs[0]])

    def region(
        self, outputs: list[Node], reads: list[Node], domain: tuple[int, ...], axes: tuple[int, ...]
    ) -> Node:
        stand_ins = {r: input_node(f"a{i}", r.type) for i, r in enumerate(reads)}
        inside = substitute(outputs, stand_ins)
        # What is in memory and could be computed too is read: then its operands are not.
        used = set(topological(inside))
        if all(n.shape == domain for n in used if n.op.kind in ("elementwise", "reduce")):
            axes = ()  # it is reduced elsewhere
        operands = [self.in_memory(r) for r in reads if stand_ins[r] in used]
        body = Graph("body", [x for x in stand_ins.values() if x in used], inside)
        return builder.make(
            op("fused"), tuple(operands), {"body": body, "domain": domain, "axes": axes}
        )

    def in_memory(self, node: Node, reader: Node | None = None) -> Node:
        """The value of a node as a stored array, copied there if it is a mere view."""
        swapped = reader is not None and reader.op.name in READS_TRANSPOSED and swaps_last(node)
        if swapped and node not in self.new:
            return with_inputs(node, (self.in_memory(node.inputs[0]),))
        pending = [node]
        while pending:
            top = pending[-1]
            missing = [n for n in self.below(top) if n not in self.new]
            pending += missing
            if not missing:
                pending.pop()
                if top not in self.new:
                    self.copy(top)
        return self.new[node]

    def below(self, node: Node) -> list[Node]:
        """What must be in memory for `copy` to store a leaf or view."""
        if node in self.new or is_leaf(node):
            return []
        assert node.op.kind == "view", "regions come before what reads them"
        base = node.inputs[0] if keeps_order(node) else external(node)
        return [] if base is None else [base]

    def copy(self, node: Node) -> None:
        """Store a leaf or a view."""
        if keeps_order(node):
            self.note(node, with_inputs(node, (self.new[node.inputs[0]],)))
        else:
            self.note(node, self.region([node], self.below(node), node.shape, ()))


def emit_regions(graph: Graph, groups: Mapping[Node, Group]) -> Graph:
    """The graph with each group as a region, or as several nodes' worth of one."""
    return Regions(graph, groups).emit()
