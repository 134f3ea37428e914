"""Which steps are cut along which of their loops, and which of them go together as strips."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jitgrad.ir.node import Graph, Node, project_op, readers_of
from jitgrad.ir.types import TupleType
from jitgrad.passes.cost import work
from jitgrad.passes.interchange import carried_bytes
from jitgrad.passes.placing import HOLDERS
from jitgrad.passes.schedule import schedule
from jitgrad.passes.tiles import (
    MOST_CHUNKS,
    SUMMED,
    SUMS,
    Classes,
    Loop,
    Tiling,
    ends_sums,
    results,
    stored_axis,
    tilings,
)

SHORTEST = 32  # indices of an axis that is cut
FEWEST, LARGE = 2, 1 << 16  # indices, where each has so many bytes of some value
DEEP = 512  # rounds of the loops around one that is cut, from which another is better
WORTH = 1 << 17  # bytes that would else go through memory
STREAM = 1 << 21  # bytes that are read or written once: more than the cache has
AGAIN = 8  # additions that a value may take to be made again instead of stored
AROUND = 1 << 20  # bytes of matrices that every tile reads or adds to: beside a tile, in the cache


Axis = tuple[Node, int]


@dataclass(slots=True, eq=False)
class Group:
    """Steps of one strip."""

    steps: list[Node] = field(default_factory=list)
    saved: int = 0  # bytes that come from the cache instead of from memory


def _is_step(node: Node) -> bool:
    return node.op.kind in ("region", "call")


def is_deep(step: Node, tiling: Tiling) -> bool:
    """Whether a loop has much around it: then tiles are many short pieces of memory."""
    domain = step.attrs.get("domain", ())
    return math.prod(domain[: tiling.loop]) > DEEP


def producer(value: Node) -> Node:
    """The step that makes a value, or the leaf or view that it is."""
    return value.inputs[0] if value.op is project_op else value


def swapped(value: Node) -> Node:
    """What a product reads through a transpose that costs nothing."""
    return value.inputs[0] if value.op.kind == "view" and "perm" in value.attrs else value


def _extent(value: Node, axis: int) -> int:
    return value.shape[axis] if axis >= 0 else 0


class Cutter:
    """Which steps are cut along which of their loops, and which of them go together."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.steps = [n for n in graph.nodes if _is_step(n)]
        self.outputs = set(graph.outputs) | {swapped(o) for o in graph.outputs}
        self.results: dict[Node, dict[int, Node]] = {s: {} for s in self.steps}
        self.readers = readers_of(graph)
        for node in graph.nodes:
            if node.op is project_op:
                self.results[node.inputs[0]][node.attrs["index"]] = node
        for step in self.steps:
            if not isinstance(step.type, TupleType):
                self.results[step][0] = step
        self.options = {s: tilings(s) for s in self.steps}
        self.options |= {s: [] for s in self.steps if self.is_for_others(s)}
        self.cut()

    def is_for_others(self, step: Node) -> bool:
        """Whether a join or a padding is read by what cannot read slices of it: then its parts are
        stored in their places, and nothing is copied.
        """
        return step.op.name in HOLDERS and not all(
            reader in self.options and self.may_cut(reader, value)
            for value, reader in self.all_readers(step)
        )

    def may_cut(self, reader: Node, value: Node) -> bool:
        """Whether a step can read slices of a value."""
        places = [i for i, x in enumerate(reader.inputs) if x is value]
        return any(t.operands[i] == 0 for t in self.options[reader] for i in places)

    def cut(self) -> None:
        """Choose a loop for each step."""
        self.classes = self.find_classes()
        self.chosen = self.choose()
        self.stage = self.find_stages()
        self.repeated = {s for s in self.chosen if self.is_better_repeated(s)}

    def axes(self, step: Node, tiling: Tiling) -> Iterable[Axis]:
        """Axes of operands and results that a loop of a step cuts."""
        for value, axis in zip(step.inputs, tiling.operands, strict=True):
            if axis >= 0:
                yield value, axis
        for index, axis in enumerate(tiling.results):
            if axis >= 0 and index in self.results[step]:
                yield self.results[step][index], axis

    def find_classes(self) -> Classes:
        """Loops that cut the same axis of a value go together, the largest values first; but never
        two loops of one step.
        """
        touching: dict[Axis, list[Loop]] = {}
        for step in self.steps:
            for tiling in self.options[step]:
                for value, axis in self.axes(step, tiling):
                    place = swapped(value), stored_axis(value)(axis)
                    touching.setdefault(place, []).append((step, tiling.loop))
        classes = Classes()
        for _, loops in sorted(touching.items(), key=lambda t: -t[0][0].type.nbytes):
            for loop in loops[1:]:
                classes.join(loops[0], loop)
        return classes

    def choose(self) -> dict[Node, tuple[Loop, Tiling]]:
        """For every step the class of axes, and its loop, by which most data stays together."""
        scores: Counter[Loop] = Counter()
        share: Counter[Loop] = Counter()  # bytes of one index, of the largest value
        for step in self.steps:
            for name, tiling in self.named(step):
                weight = 1 if SUMMED in tiling.results or is_deep(step, tiling) else 2
                for value, axis in self.axes(step, tiling):
                    scores[name] += weight * value.type.nbytes
                    each = value.type.nbytes // max(value.shape[axis], 1)
                    share[name] = max(share[name], each)
        chosen: dict[Node, tuple[Loop, Tiling]] = {}
        for step in self.steps:
            fitting = []
            for name, tiling in self.named(step):
                small = share[name] < LARGE  # of what is not, the cache holds little of one index
                if self.length(step, tiling) >= (SHORTEST if small else FEWEST):
                    fitting.append((scores[name] * (1 + small), name, tiling))
            if fitting:
                chosen[step] = max(fitting, key=lambda f: f[0])[1:]
        return chosen

    def named(self, step: Node) -> Iterator[tuple[Loop, Tiling]]:
        """The ways to cut a step, each with the class of its loop."""
        for tiling in self.options[step]:
            yield self.classes.find((step, tiling.loop)), tiling

    def length(self, step: Node, tiling: Tiling) -> int:
        return max((_extent(v, a) for v, a in self.axes(step, tiling)), default=0)

    # --- stages ---

    def linked(self, value: Node, step: Node) -> bool:
        """Whether a step reads, tile by tile, what another step of its class has just made."""
        maker = producer(swapped(value))
        if maker not in self.chosen or step not in self.chosen:
            return False
        (name, made), (mine, reads) = self.chosen[maker], self.chosen[step]
        value = swapped(value)
        index = value.attrs["index"] if value.op is project_op else 0
        axes = {
            stored_axis(v)(a) if a >= 0 else a
            for v, a in zip(step.inputs, reads.operands, strict=True)
            if swapped(v) is value
        }
        same = name == mine and axes == {made.results[index]} and SUMMED not in axes
        return same and (step.op.kind == "region" or axes == {0})

    def find_stages(self) -> dict[Node, int]:
        """Steps of a stage can run together: what leads from one to another is linked."""
        stage: dict[Node, int] = {}
        ready: dict[Node, int] = {}  # when a value can be read by a step that is not linked
        for node in self.graph.nodes:
            if not _is_step(node):
                ready[node] = max((ready[i] for i in node.inputs), default=0)
                continue
            stage[node] = max(
                (
                    stage[producer(swapped(i))] if self.linked(i, node) else ready[i]
                    for i in node.inputs
                ),
                default=0,
            )
            ready[node] = stage[node] + 1
        for step in reversed(self.steps):
            readers = self.all_readers(step)
            later = {-1 if r is None else stage.get(r, -1) for _, r in readers}
            linked = all(r is not None and self.linked(v, r) for v, r in readers)
            if len(later) == 1 and linked and not self.shrinks(step, stage):
                stage[step] = later.pop()  # what only one later stage reads can wait for it
        return stage

    def shrinks(self, step: Node, stage: Mapping[Node, int]) -> bool:
        """Whether a step reads more of what its stage has just made than it makes of it: sums of
        rows, which are better taken while these are in the cache.
        """
        read = {
            i
            for i in step.inputs
            if self.linked(i, step) and stage[producer(swapped(i))] == stage[step]
        }
        made = sum(value.type.nbytes for value in self.results[step].values())
        return sum(value.type.nbytes for value in read) > made

    def all_readers(self, step: Node) -> list[tuple[Node, Node | None]]:
        """(value, reader) of all uses of a step's results; None reads the graph's outputs."""
        found: list[tuple[Node, Node | None]] = []
        for value in self.results[step].values():
            for reader in self.readers.get(value, ()):
                if reader.op is project_op:
                    continue
                through = self.readers.get(reader, []) if swapped(reader) is value else [reader]
                found += [(value, r) for r in through] or [(value, reader)]
            if value in self.outputs:
                found.append((value, None))
        return found

    def together(self) -> list[Group]:
        """The steps of one stage with the same loop."""
        found: dict[tuple[Loop, int], Group] = {}
        for step in self.steps:
            if step in self.chosen:
                for stage in self.stages_of(step):
                    key = (self.chosen[step][0], stage)
                    found.setdefault(key, Group()).steps.append(step)
        return list(found.values())

    def stages_of(self, step: Node) -> set[int]:
        """When a step runs: before its readers, or with each of them."""
        if step not in self.repeated:
            return {self.stage[step]}
        return {self.stage[reader] for _, reader in self.all_readers(step) if reader is not None}

    def is_better_repeated(self, step: Node) -> bool:
        """Whether each strip that reads what a step makes had better make it again, of much less:
        differences of all pairs, say.
        """
        if step.attrs.get("axes", True) or any(self.linked(i, step) for i in step.inputs):
            return False
        if not all(r is not None and self.linked(v, r) for v, r in self.all_readers(step)):
            return False
        read = sum(x.type.nbytes for x in set(step.inputs))
        made = sum(value.type.nbytes for value in self.results[step].values())
        return 4 * read <= made and sum(map(work, step.attrs["body"].nodes)) <= AGAIN

    def groups(self) -> list[Group]:
        """The strips: at least two steps, and enough data between them. Products of large matrices
        take no part: these would come from memory for each tile.
        """
        found = self.together()
        while heavy := [s for group in found for s in self.heavy(group)]:
            self.options |= {step: [] for step in heavy}
            self.cut()
            found = self.together()
        for group in found:
            members = set(group.steps)
            for step in group.steps:
                uses = [(v, r) for v, r in self.all_readers(step) if r is not None]
                inside = {v for v, r in uses if r in members and self.linked(v, r)}
                group.saved += sum(v.type.nbytes for v in inside)
            group.saved += self.shared(group) + sum(map(carried_bytes, group.steps))
        made = [g for g in found if self.pays(g)]
        taken = {step for group in made for step in group.steps}
        return made + [Group([s]) for s in self.steps if s not in taken and self.is_stream(s)]

    def heavy(self, group: Group) -> list[Node]:
        """The products of a group, if the matrices around its tiles are too much for the cache."""
        calls = [s for s in group.steps if s.op.kind == "call"]
        around: dict[Node, None] = {}
        for step in calls:
            tiling = self.chosen[step][1]
            around |= {v: None for v, a in zip(step.inputs, tiling.operands, strict=True) if a < 0}
            around |= {r: None for r, a in zip(results(step), tiling.results, strict=True) if a < 0}
        return calls if sum(v.type.nbytes for v in around) > AROUND else []

    def is_stream(self, step: Node) -> bool:
        """Whether a step by itself is cut, along what it sums: the columns of a large array. Slices
        of rows are in one piece; a part of the columns is many short pieces of memory.
        """
        domain = step.attrs.get("domain", ())
        cut = [t for t in self.options[step] if t.loop == 0 and SUMMED in t.results]
        if not cut or schedule(domain, step.attrs["axes"]) != "column" or domain[0] < SHORTEST:
            return False
        moved = sum(value.type.nbytes for value, _ in self.axes(step, cut[0]))
        pairs = zip(results(step), cut[0].results, strict=True)
        total = sum(r.type.nbytes for r, axis in pairs if axis == SUMMED)
        if moved < STREAM or MOST_CHUNKS * total > SUMS:
            return False
        self.chosen[step] = ((step, 0), cut[0])
        return True

    @staticmethod
    def pays(group: Group) -> bool:
        """Whether a strip keeps enough in the cache: what its steps hand on, or a loop carries."""
        many = len(group.steps) > 1 or carried_bytes(group.steps[0]) > 0
        return many and group.saved >= WORTH

    def shared(self, group: Group) -> int:
        """Bytes of slices that several steps of a group read, and only the first has to fetch."""
        readers = Counter(
            value
            for step in group.steps
            for value, axis in set(zip(step.inputs, self.chosen[step][1].operands, strict=True))
            if axis >= 0 and producer(value) not in group.steps
        )
        return sum((count - 1) * value.type.nbytes for value, count in readers.items())

    def late(self, groups: list[Group]) -> set[Node]:
        """Steps that go on computing with sums that are complete after the last tile only: those of
        strips, and those that what they compute then keeps from being in one.
        """
        members = {s for g in groups for s in g.steps}
        summed = [s for s in self.chosen if SUMMED in self.chosen[s][1].results]
        near = [
            s
            for s in summed
            if s in members
            or any(self.linked(i, s) and producer(swapped(i)) in members for i in s.inputs)
        ]
        return {s for s in near if ends_sums(s)}
