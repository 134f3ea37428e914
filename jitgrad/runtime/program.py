"""From a graph to launches: fused, planned, written as kernels."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from jitgrad import config
from jitgrad.codegen.calls import launches, scratch
from jitgrad.codegen.compile import assembly
from jitgrad.codegen.launch import (
    Callback,
    Entry,
    Launch,
    Library,
    Part,
    Pointer,
    Status,
    Strip,
)
from jitgrad.codegen.structured import fits, releases
from jitgrad.errors import BoundsError, fail
from jitgrad.ir.node import Graph
from jitgrad.passes.kernels import into_kernels
from jitgrad.passes.pairs import pairs
from jitgrad.passes.pipeline import dump, optimize
from jitgrad.passes.plan import Buffer, Plan, plan
from jitgrad.runtime import faults, loader
from jitgrad.runtime.links import ABSOLUTE, ARENA, LOCAL, STATUS, Place, Symbol, Unlinked
from jitgrad.runtime.table import Entries, flattened, kernel, room, sources, unlinked


class Program:
    """A graph as launches of kernels over planned memory; nothing is compiled yet."""

    def __init__(self, graph: Graph, updates: Mapping[int, int]):
        self.graph = graph
        dump("trace", graph)
        self.optimized = optimize(pairs(graph))
        self.fused = into_kernels(self.optimized, fits)
        self.plan: Plan = plan(self.fused, updates, scratch)
        self.launches: list[tuple[int, Launch | Strip]] = [
            (position, entry)
            for position, step in enumerate(self.plan.steps)
            for entry in launches(step)
        ]
        self.launches += releases(self.plan)
        self.flattened = flattened(self.launches)  # by number
        self.local = max((room(entry) for _, entry in self.launches), default=0)
        self._show()
        outputs = [o for i, o in enumerate(graph.outputs) if i not in updates]
        self.outputs = [(o.shape, o.dtype.numpy) for o in outputs]

    def _show(self) -> None:
        """Write the late stages where JITGRAD_DUMP and JITGRAD_DEBUG want them."""
        dump("plan", f"{self.plan}\n", "txt")
        on_device = self.on_device() if config.get("dump") else []
        for number, text in enumerate(on_device):
            dump(f"kernel_{number}", self.flattened[number][1].source, "cpu.py")
            if text:
                dump(f"kernel_{number}", text, "cuda.py")
        level = config.get("debug")
        if level >= 4:
            print(self.plan, file=sys.stderr)
        sources = dict.fromkeys(launch.source for _, launch in self.flattened)
        for source in sources if level >= 5 else ():
            print(source, file=sys.stderr)
            if level >= 6:
                print(assembly(source), file=sys.stderr)

    def on_device(self) -> list[str]:
        """The text for a GPU beside that of each launch, "" where its step has none left."""
        from jitgrad.codegen.cuda import grids

        left = [grids.texts(step) for step in self.plan.steps]
        return [left[position].pop(0) if left[position] else "" for position, _ in self.flattened]

    def error(self, number: int, value: int) -> Exception:
        """What the launch of a number, counted from 1, means by a value that it reports."""
        position, launch = self.flattened[number - 1]
        node = self.plan.steps[position].node
        where = self.fused.locs.get(node) if node is not None else None
        if launch.faults:
            return faults.error(launch.faults, value, where)
        name = node.op.name if node is not None else "copy"
        # Indices that counted from the end, or are one of several, are no longer what they were.
        index = f"index {value}" if value >= 0 else "an index"
        bound = ""
        if node is not None and node.op.kind == "call" and value >= 0:
            bound = f" for an axis of extent {node.inputs[0].shape[0]}"
        return fail(
            BoundsError,
            f"{name}: {index} is out of bounds{bound}",
            instead="run it without jit to see the index and what it indexes",
            where=where,
        )

    def unlinked(self, entries: Entries) -> Unlinked:
        """The table of some of its entries, whose kernels are compiled."""
        for source in sources(entries):
            loader.address(source)
        constants = [array.reshape(-1).view(np.uint8) for array in self.plan.constants]
        return unlinked(entries, self.locate, (self.plan.arena, self.local), constants)

    def locate(self, pointer: Pointer) -> Place:
        """Where a pointer points: bases are inputs, outputs, and those that
        `jitgrad.runtime.links` names.
        """
        if isinstance(pointer, Library):
            return Place(ABSOLUTE, 0, Symbol("library", pointer.name))
        if isinstance(pointer, Callback):
            return Place(ABSOLUTE, 0, Symbol("callback", str(pointer.number)))
        if isinstance(pointer, Entry):
            return Place(ABSOLUTE, 0, kernel(pointer.source))
        if isinstance(pointer, Status):
            return Place(STATUS, 0)
        if isinstance(pointer, Part):
            whole = self.locate(pointer.buffer)
            return replace(whole, offset=whole.offset + pointer.offset)
        assert isinstance(pointer, Buffer)  # Moving pointers are moved first
        if pointer.home == "constant":
            return Place(ABSOLUTE, 0, Symbol("constant", str(pointer.at)))
        if pointer.home in ("arena", "local"):
            return Place(ARENA if pointer.home == "arena" else LOCAL, pointer.at)
        return Place(pointer.at + (len(self.plan.inputs) if pointer.home == "output" else 0), 0)
