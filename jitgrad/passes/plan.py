"""Planning: which step writes where. One arena of buffers, reused by liveness; updates in place.

A plan is data. Steps are the graph's regions and calls in order; every value they read or write
has a buffer, and every buffer a home: an input, an output, a constant or a place in the arena.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jitgrad.ir.node import Graph, Node, constant_op, project_op
from jitgrad.ir.types import ALIGNMENT, TapeType, TupleType
from jitgrad.passes.access import Affine
from jitgrad.passes.placing import place_parts
from jitgrad.passes.schedule import schedule


@dataclass(slots=True, eq=False)
class Buffer:
    """Memory of one value. `at` is a position among the inputs, outputs or constants, or an
    offset in the arena, or in the "local" memory that each thread has for one tile of a strip. A
    "part" lies in the buffer `whole`, from where steps along its axes lead as `place` says.
    """

    nbytes: int
    home: str = "arena"
    at: int = -1
    first: int = -1  # the step that writes it
    last: int = -1  # the last step that reads it
    whole: Buffer | None = None
    place: Affine | None = None

    def memory(self) -> Buffer:
        """The buffer in which it is."""
        return self if self.whole is None else self.whole


@dataclass(slots=True, eq=False)
class Step:
    """One region or call (or, without a node, a copy) and its buffers.

    `alias[i] = j`: result i is written over operand j.
    """

    node: Node | None
    reads: tuple[Buffer, ...]
    writes: tuple[Buffer, ...]
    scratch: tuple[Buffer, ...] = ()
    alias: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """Steps over buffers. `outputs` are the buffers of the results that are handed back."""

    graph: Graph
    steps: list[Step]
    inputs: list[Buffer]
    outputs: list[Buffer]
    constants: list[np.ndarray]
    arena: int  # bytes
    tapes: list[Buffer] = field(default_factory=list)  # descriptors of what kernels allocate

    def __str__(self) -> str:
        lines = [f"plan @{self.graph.name}: {len(self.steps)} steps, arena {self.arena} bytes"]
        for position, step in enumerate(self.steps):
            name = step.node.op.name if step.node is not None else "copy"
            reads = ", ".join(_place(b) for b in step.reads)
            writes = ", ".join(_place(b) for b in step.writes)
            line = f"  {position:3d} {name:12s} {reads} -> {writes}"
            lines.append(line + (f"  in place {step.alias}" if step.alias else ""))
        return "\n".join(lines)


def _place(buffer: Buffer) -> str:
    if buffer.whole is not None:
        return f"part of {_place(buffer.whole)}"
    return f"{buffer.home}[{buffer.at}]:{buffer.nbytes}"


class Planner:
    """The state of one run of the pass."""

    def __init__(
        self,
        graph: Graph,
        updates: Mapping[int, int],
        scratch: Callable[[Node], Sequence[int]],
    ):
        self.graph, self.updates, self.scratch = graph, updates, scratch
        self.inputs = [Buffer(x.type.nbytes, "input", i) for i, x in enumerate(graph.inputs)]
        self.values: dict[Node, tuple[Buffer, ...]] = {
            x: (b,) for x, b in zip(graph.inputs, self.inputs, strict=True)
        }
        self.constants: list[np.ndarray] = []
        self.steps: list[Step] = []
        self.tapes: list[Buffer] = []

    # --- buffers and steps ---

    def buffer(self, node: Node) -> Buffer:
        """The memory in which a value lies: views lie in what they view."""
        while node.op.kind == "view":
            node = node.inputs[0]
        if node.op is project_op:
            return self.values[node.inputs[0]][node.attrs["index"]]
        if node.op is constant_op and node not in self.values:
            array = np.ascontiguousarray(np.broadcast_to(node.attrs["value"].array, node.shape))
            self.values[node] = (Buffer(array.nbytes, "constant", len(self.constants)),)
            self.constants.append(array)
        return self.values[node][0]

    def collect(self) -> None:
        for node in self.graph.nodes:
            if node.op.kind not in ("region", "call"):
                continue
            types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
            reads = tuple(self.buffer(i) for i in node.inputs)
            now = len(self.steps)
            writes = tuple(Buffer(t.nbytes, first=now) for t in types)
            scratch = tuple(Buffer(n, first=now, last=now) for n in self.scratch(node))
            self.tapes += [b for b, t in zip(writes, types) if isinstance(t, TapeType)]
            self.values[node] = writes
            for read in reads:
                read.last = len(self.steps)
            self.steps.append(Step(node, reads, writes, scratch))

    # --- results ---

    def settle_outputs(self) -> list[Buffer]:
        """Give results their homes. Results that are inputs, constants or twice the same value
        are copied.
        """
        outputs = [o for i, o in enumerate(self.graph.outputs) if i not in self.updates]
        settled: list[Buffer] = []
        for position, output in enumerate(outputs):
            buffer = self.buffer(output)
            if buffer.home != "arena":
                buffer = self.copy(buffer, Buffer(buffer.nbytes))
            buffer.home, buffer.at, buffer.last = "output", position, len(self.steps)
            settled.append(buffer)
        return settled

    def copy(self, source: Buffer, target: Buffer) -> Buffer:
        target.first = len(self.steps)
        source.last = max(source.last, len(self.steps))
        self.steps.append(Step(None, (source,), (target,)))
        return target

    def settle_updates(self) -> None:
        """Write new values of inputs in place where nobody reads the old one later, else copy
        them at the end.
        """
        pairs = [
            (self.buffer(self.graph.outputs[o]), self.inputs[t]) for o, t in self.updates.items()
        ]
        late = [
            (value, home) for value, home in pairs if value.home == "input" and value is not home
        ]
        for old, _ in late:
            old.last = len(self.steps)  # an old value that moves on is kept until the end
        for value, home in pairs:
            if value.home == "arena" and self.can_overwrite(value, home):
                step = self.steps[value.first]
                if home in step.reads:
                    step.alias[step.writes.index(value)] = step.reads.index(home)
                value.home, value.at = "input", home.at
            elif value is not home and (value, home) not in late:
                late.append((value, home))
        self.copy_late(late)

    def copy_late(self, pairs: list[tuple[Buffer, Buffer]]) -> None:
        """Copy values to their homes, each before its own memory is overwritten; a cycle needs
        one of them twice.
        """
        while pairs:
            sources = {value for value, _ in pairs}
            ready = [pair for pair in pairs if pair[1] not in sources]
            for value, home in ready:
                self.copy(value, home)
            pairs = [pair for pair in pairs if pair not in ready]
            if pairs and not ready:
                old = pairs[0][0]
                kept = self.copy(old, Buffer(old.nbytes))
                pairs = [(kept if value is old else value, home) for value, home in pairs]

    def can_overwrite(self, value: Buffer, home: Buffer) -> bool:
        """Whether the step that makes `value` may write it over `home`."""
        if home.last > value.first or value.nbytes != home.nbytes:
            return False
        step = self.steps[value.first]
        if home not in step.reads or value not in step.writes:
            return home not in step.reads
        return may_alias(step, step.writes.index(value), home)

    # --- the arena ---

    def reuse_in_place(self) -> None:
        """Let a result take over an operand that dies in its step, element by element."""
        for position, step in enumerate(self.steps):
            for index, value in enumerate(step.writes):
                if value.home != "arena" or step.node is None:
                    continue
                for operand, old in enumerate(step.reads):
                    dies = old.home == "arena" and old.last == position and old.first >= 0
                    taken = operand in step.alias.values()
                    fits = dies and not taken and old.nbytes == value.nbytes
                    if fits and may_alias(step, index, old):
                        step.alias[index] = operand
                        break

    def allocate(self) -> int:
        """First fit by liveness; returns the size of the arena."""
        arena = Arena()
        for tape in self.tapes:
            tape.last = len(self.steps)  # when it is freed
        shared: dict[Buffer, Buffer] = {}
        end: dict[int, list[Buffer]] = {}
        for position, step in enumerate(self.steps):
            for index, buffer in enumerate((*step.writes, *step.scratch)):
                if buffer.memory().home == "arena" and buffer.memory().at < 0 and buffer.whole:
                    buffer.whole.at = arena.take(buffer.whole.nbytes)
                if buffer.home != "arena":
                    continue
                if index in step.alias and step.reads[step.alias[index]].home == "arena":
                    old = step.reads[step.alias[index]]
                    buffer.at = old.at
                    shared[old] = buffer  # the place is freed with its last tenant
                elif buffer.at < 0:
                    buffer.at = arena.take(buffer.nbytes)
                end.setdefault(max(buffer.last, position), []).append(buffer)
            for buffer in end.pop(position, ()):
                if buffer not in shared:
                    arena.free(buffer.at, buffer.nbytes)
        return arena.size


def may_alias(step: Step, result: int, old: Buffer) -> bool:
    """Whether a region reads each element of an operand before it writes the same element of the
    result, and never again.
    """
    node = step.node
    if node is None or "domain" not in node.attrs or step.reads.count(old) != 1:
        return False
    body = node.attrs["body"]
    source, target = body.inputs[step.reads.index(old)], body.outputs[result]
    if source.type is not target.type or target.op.kind == "reduce":
        return False  # a reduction grows in its memory from the first element on
    direct = all(
        user.op.kind in ("elementwise", "reduce") for user in body.nodes if source in user.inputs
    )
    kind = schedule(node.attrs["domain"], node.attrs["axes"])
    full = source.ndim == len(node.attrs["domain"])
    passes = sum(n.op.kind == "reduce" for n in body.nodes)
    return (
        direct
        and (kind in ("map", "blocked", "short") or not full or passes <= 1)
        and kind != "row"
    )


class Arena:
    """Free intervals of a growing range of bytes."""

    def __init__(self) -> None:
        self.size = 0
        self.holes: list[tuple[int, int]] = []  # (offset, bytes), by offset

    def take(self, nbytes: int) -> int:
        need = _aligned(nbytes)
        fitting = [h for h in self.holes if h[1] >= need]
        if fitting:
            hole = min(fitting, key=lambda h: h[1])
            self.holes.remove(hole)
            if hole[1] > need:
                self.holes.append((hole[0] + need, hole[1] - need))
                self.holes.sort()
            return hole[0]
        start = self.size
        if self.holes and sum(self.holes[-1]) == self.size:  # grow the hole at the end
            start = self.holes.pop()[0]
        self.size = start + need
        return start

    def free(self, offset: int, nbytes: int) -> None:
        self.holes.append((offset, _aligned(nbytes)))
        self.holes.sort()
        merged: list[tuple[int, int]] = []
        for at, size in self.holes:
            if merged and sum(merged[-1]) == at:
                at, size = merged[-1][0], merged[-1][1] + size
                merged.pop()
            merged.append((at, size))
        self.holes = merged


def _aligned(nbytes: int) -> int:
    return max(-(-nbytes // ALIGNMENT), 1) * ALIGNMENT


def plan(
    graph: Graph,
    updates: Mapping[int, int],
    scratch: Callable[[Node], Sequence[int]] = lambda node: (),
) -> Plan:
    """The plan of a fused graph. `updates` maps outputs to the inputs they overwrite; `scratch`
    gives the bytes of working memory that a node's kernels need.
    """
    planner = Planner(graph, updates, scratch)
    planner.collect()
    place_parts(planner.steps, {planner.buffer(o) for o in graph.outputs})
    outputs = planner.settle_outputs()
    planner.settle_updates()
    planner.reuse_in_place()
    arena = planner.allocate()
    found = planner.steps, planner.inputs, outputs, planner.constants, arena, planner.tapes
    return Plan(graph, *found)
