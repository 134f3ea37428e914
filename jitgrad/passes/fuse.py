"""Fusion: elementwise chains, into reductions and out of them, with several results.

Every computed node gets a *stage*: it can run as soon as all of lower stages has run. Nodes of one
stage that share a loop nest and touch each other form a group, and become one `fused` region.
An edge that leaves a group always leads to a higher stage, so groups can never form a cycle, and
the whole pass is linear.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from jitgrad.ir.node import Graph, Node
from jitgrad.passes.access import external, stored
from jitgrad.passes.cost import work
from jitgrad.passes.schedule import kept, schedule

MOST_OPERANDS = 24  # arrays that one kernel reads
MOST_RESULTS = 16  # and that it writes
MOST_WORK = 300  # in additions: compile time grows faster than a kernel
MOST_PUT_OFF = 8  # groups that wait for one stage later than they have to


@dataclass(slots=True, eq=False)
class Group:
    """Nodes that will share a kernel: loops over `domain`, reducing `axes` (None: not yet)."""

    stage: int
    domain: tuple[int, ...]
    axes: tuple[int, ...] | None = None
    nodes: list[Node] = field(default_factory=list)
    operands: set[Node] = field(default_factory=set)
    results: int = 0  # nodes that are stored in any case
    work: int = 0  # on the whole domain
    row_work: int = 0  # and on what is left of it
    last_stage: float = math.inf  # in which it can run: before what reads it on its own
    readers: set[Group] = field(default_factory=set)  # groups that read it
    merged_into: Group | None = None

    def root(self) -> Group:
        group = self
        while group.merged_into is not None:
            group = group.merged_into
        if group is not self:
            self.merged_into = group  # so that long chains of merges stay short
        return group

    def is_full(self, node: Node) -> bool:
        """Whether a node is computed for each element of the domain."""
        return node.op.kind == "reduce" or node.shape == self.domain

    def row_shape(self) -> tuple[int, ...] | None:
        if not self.axes:
            return None
        return tuple(self.domain[a] for a in kept(self.domain, self.axes))


FUSABLE = frozenset({"elementwise", "reduce"})


def copies(domain: tuple[int, ...], axes: tuple[int, ...] | None) -> int:
    """How often a kernel's text has what it computes on the whole domain."""
    if not axes or schedule(domain, axes) != "short":
        return 1
    return math.prod(domain[a] for a in axes)


# Views by which a kernel that reduces rows reads its own results again.
ROW_TO_FULL = frozenset({"broadcast"})


def repeats_row(view: Node, group: Group) -> bool:
    """Whether a broadcast repeats a row value of the group over the group's own domain."""
    if not group.axes or view.inputs[0].ndim == len(group.domain):
        return False
    fits = view.shape == group.domain and view.attrs["dims"] == kept(group.domain, group.axes)
    return fits and schedule(group.domain, group.axes) in ("row", "short")


class Fuser:
    """The state of one run of the pass."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.groups: dict[Node, Group] = {}
        self.stages: dict[Node, int] = {}  # of nodes that run on their own
        self.recent: dict[tuple[int, tuple[int, ...]], Group] = {}
        self.results = {stored(o) for o in graph.outputs}
        for node in graph.nodes:
            if node.op.kind not in FUSABLE and node.op.kind != "view":
                self.results.update(stored(i) for i in node.inputs)
        self.wanted = self.find_wanted()
        self.summed = {n.inputs[0] for n in self.results if n.op.kind == "reduce"}

    def find_wanted(self) -> dict[Node, tuple[int, ...]]:
        """The axes over which values are reduced that are needed for nothing else: only a kernel
        that reduces these spares them a place in memory.
        """
        uses: dict[Node, set[tuple[int, ...] | None]] = {o: {None} for o in self.graph.outputs}
        wanted: dict[Node, tuple[int, ...]] = {}
        for node in reversed(self.graph.nodes):
            mine = uses.get(node, set())
            axes = next(iter(mine)) if len(mine) == 1 else None
            if node.op.kind == "elementwise" and axes is not None:
                wanted[node] = axes
            elif node.op.kind == "reduce":
                axes = node.attrs["axes"] or None
            else:
                axes = None
            for i in node.inputs:
                uses.setdefault(i, set()).add(axes)
        return wanted

    # --- stages and groups ---

    def available(self, node: Node) -> int:
        """The first stage in which a stored node can be read."""
        if node in self.groups:
            return self.groups[node].root().stage + 1
        if node in self.stages:
            return self.stages[node] + 1
        if node.op.kind == "view":  # a copy of it
            return self.available(stored(node.inputs[0])) + 1
        return 0

    def place_all(self) -> None:
        for node in self.graph.nodes:
            if node.op.kind == "elementwise":
                self.place_elementwise(node)
            elif node.op.kind == "reduce":
                self.place_reduction(node)
            elif node.op.kind not in ("view", "leaf"):
                operands = [stored(i) for i in node.inputs]
                self.stages[node] = max(map(self.available, operands), default=0)
                for group in self.groups_of(operands):
                    group.last_stage = min(group.last_stage, self.stages[node] - 1)

    def groups_of(self, nodes: Iterable[Node]) -> Iterator[Group]:
        """The groups that make some values, or what these are views of."""
        for node in nodes:
            while node.op.kind == "view":
                node = node.inputs[0]
            if node in self.groups:
                yield self.groups[node].root()

    def put_off(self, links: Iterable[Node], read: Iterable[Node], stage: int) -> None:
        """Let the groups of linked values wait for a stage, if nothing needs them before, or what
        does can wait as well. Other values are read in that stage.
        """
        linked, fixed = list(self.groups_of(links)), set(self.groups_of(read))
        for group in linked:
            later = None
            if group.stage < stage and group not in fixed:
                later = self.later(group, stage, fixed.union(linked) - {group})
            for each, new in (later or {}).items():
                each.stage = new
                self.recent[(new, each.domain)] = each

    def later(self, group: Group, stage: int, fixed: set[Group]) -> dict[Group, int] | None:
        """The stages of a group and of its readers if it waits; None if it cannot."""
        found: dict[Group, int] = {}
        pending = [(group, stage)]
        while pending:
            each, new = pending.pop()
            if each.stage >= new or found.get(each, -1) >= new:
                continue
            if new > each.last_stage or each in fixed or len(found) == MOST_PUT_OFF:
                return None
            found[each] = new
            each.readers = {r.root() for r in each.readers} - {each}
            pending += [(reader, new + 1) for reader in each.readers]
        return found

    def row_link(self, operand: Node) -> Node | None:
        """The row value that `operand` repeats along the reduced axes of its own group."""
        row = operand.inputs[0] if operand.op.name in ROW_TO_FULL else operand
        group = self.groups[row].root() if row in self.groups else None
        if row is operand or group is None:
            return None
        return row if repeats_row(operand, group) else None

    def place_elementwise(self, node: Node) -> None:
        links: list[tuple[Node, bool]] = []  # a fusable operand, and whether it is repeated
        stored_operands: list[Node] = []
        for operand in node.inputs:
            row = self.row_link(operand)
            base = external(operand)
            if row is not None:
                links.append((row, True))
            elif operand in self.groups:
                links.append((operand, False))
            elif base is not None:
                stored_operands.append(base)
        stage = max((self.available(s) for s in stored_operands), default=0)
        stage = max([stage, *(self.groups[n].root().stage for n, _ in links)])
        self.put_off([n for n, _ in links], stored_operands, stage)
        now = [(n, repeated) for n, repeated in links if self.groups[n].root().stage == stage]
        bases = stored_operands + [n for n, _ in links if self.groups[n].root().stage < stage]
        group = self.common_group(node, now, bases)
        if group is None:
            bases += [n for n, _ in now]
            stage = max([stage, *(self.available(n) for n, _ in now)])
            group = self.neighbour(stage, node.shape, bases, self.wanted.get(node))
            group.axes = group.axes or self.wanted.get(node)
        self.join(group, node, bases)

    def common_group(
        self, node: Node, links: list[tuple[Node, bool]], bases: list[Node]
    ) -> Group | None:
        """The one group in which the node can run with all of its producers, if there is one."""
        if not links:
            return None
        roots = list(dict.fromkeys(self.groups[n].root() for n, _ in links))
        main = next((g for g in roots if g.axes), roots[0])
        for other in roots:
            if other is not main and not self.can_merge(main, other):
                return None
        for producer, repeated in links:
            full = producer.ndim == len(main.domain) and producer.shape == main.domain
            row = producer.shape == main.row_shape() and not full
            if repeated:
                fits = row and node.shape == main.domain
            else:
                fits = (full and node.shape == main.domain) or (row and self.rows_can_compute(main))
                fits = fits and node.shape == producer.shape
            if not fits:
                return None
        if self.is_better_apart(node, main, links) or not self.has_room(roots, bases, node):
            return None
        for other in roots:
            if other is not main:
                self.merge(main, other)
        return main

    def is_better_apart(self, node: Node, main: Group, links: list[tuple[Node, bool]]) -> bool:
        """Whether a value that is only needed reduced over other axes than its group's is larger
        than what another kernel would have to read for it.
        """
        wanted = self.wanted.get(node)
        if not wanted or main.axes in (None, wanted) or node.shape != main.domain:
            return False
        return sum(n.type.size for n, _ in links if n not in self.results) < node.type.size

    def has_room(self, groups: list[Group], bases: list[Node], node: Node) -> bool:
        """Whether the groups together with one more node are still one kernel of a sane size."""
        operands = set(bases).union(*(g.operands for g in groups))
        stored = (node in self.results) + (node in self.summed)  # itself, and its sum
        results = sum(g.results for g in groups) + stored
        main = next((g for g in groups if g.axes), groups[0])
        axes = main.axes or self.wanted.get(node)
        if node.op.kind == "reduce":
            axes = node.attrs["axes"]
        full = sum(g.work for g in groups if g.domain == main.domain)
        total = sum(g.work + g.row_work for g in groups) - full
        if main.is_full(node):
            full += work(node)
        else:
            total += work(node)
        total += full * copies(main.domain, axes)
        fits = len(operands) <= MOST_OPERANDS and total <= MOST_WORK
        return fits and results <= MOST_RESULTS

    @staticmethod
    def rows_can_compute(group: Group) -> bool:
        """Whether ops on finished results can follow in the same kernel."""
        return schedule(group.domain, group.axes) in ("row", "column", "short")

    def can_merge(self, main: Group, other: Group) -> bool:
        if main.stage != other.stage:
            return False
        if main.domain == other.domain:
            return other.axes is None or main.axes is None or main.axes == other.axes
        return (
            other.axes is None and other.domain == main.row_shape() and self.rows_can_compute(main)
        )

    @staticmethod
    def merge(main: Group, other: Group) -> None:
        main.nodes += other.nodes
        main.operands |= other.operands
        main.results += other.results
        if main.domain == other.domain:
            main.work += other.work
            main.row_work += other.row_work
        else:
            main.row_work += other.work + other.row_work
        main.last_stage = min(main.last_stage, other.last_stage)
        main.readers |= other.readers
        main.axes = main.axes or (other.axes if main.domain == other.domain else None)
        other.merged_into = main

    def place_reduction(self, node: Node) -> None:
        (operand,) = node.inputs
        axes = node.attrs["axes"]
        group = self.groups[operand].root() if operand in self.groups else None
        if (
            group is not None
            and axes != ()
            and operand.shape == group.domain
            and group.axes in (None, axes)
            and self.has_room([group], [], node)
        ):
            group.axes = axes
            self.join(group, node, [])
            return
        base = external(operand)
        bases = [] if base is None else [base]
        stage = max((self.available(b) for b in bases), default=0)
        group = self.neighbour(stage, operand.shape, bases, axes)
        group.axes = axes or group.axes
        self.join(group, node, bases)

    def neighbour(
        self,
        stage: int,
        domain: tuple[int, ...],
        bases: list[Node],
        axes: tuple[int, ...] | None,
    ) -> Group:
        """A group of this stage and domain that reads one of the same arrays, or a new one."""
        near = self.recent.get((stage, domain))
        near = near.root() if near is not None else None
        if (
            near is not None
            and near.stage == stage
            and near.domain == domain
            and any(b in near.operands for b in bases)
            and (not axes or near.axes in (None, axes))
            and len(near.operands.union(bases)) + len(near.nodes) // 4 < MOST_OPERANDS
            and 2 * near.results <= MOST_RESULTS  # leaves room
        ):
            return near
        group = self.recent[(stage, domain)] = Group(stage, domain)
        return group

    def join(self, group: Group, node: Node, bases: list[Node]) -> None:
        for made in self.groups_of(bases):
            made.readers.add(group)
        group.nodes.append(node)
        group.operands.update(bases)
        group.results += node in self.results
        if group.is_full(node):
            group.work += work(node)
        else:
            group.row_work += work(node)
        self.groups[node] = group


def fuse(graph: Graph) -> Graph:
    """Group the fusable nodes of a graph into `fused` regions."""
    from jitgrad.passes.regions import emit_regions

    fuser = Fuser(graph)
    fuser.place_all()
    return emit_regions(graph, {n: g.root() for n, g in fuser.groups.items()})
