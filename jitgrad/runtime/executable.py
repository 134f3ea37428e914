"""From a graph to something that runs: fused, planned, compiled, loaded."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from jitgrad import config
from jitgrad.codegen import cuda
from jitgrad.codegen.calls import launches, scratch
from jitgrad.codegen.compile import assembly
from jitgrad.codegen.launch import Entry, Launch, Library, Part, Pointer, Status, Strip
from jitgrad.codegen.structured import fits
from jitgrad.errors import BoundsError, fail
from jitgrad.ir.node import Graph
from jitgrad.passes.fuse import fuse
from jitgrad.passes.gather import gather
from jitgrad.passes.lanes import lanes_last
from jitgrad.passes.orient import orient
from jitgrad.passes.pipeline import dump, optimize
from jitgrad.passes.plan import ALIGNMENT, Buffer, Plan, plan
from jitgrad.passes.strips import strips
from jitgrad.passes.widen import widen
from jitgrad.runtime import blas, executor, faults, loader, plain, tapes
from jitgrad.runtime.table import ABSOLUTE, LOCAL, STATUS, Entries, Table, flattened, work

_empty = np.empty
HEAVY = 1 << 14  # elements of work from which releasing the GIL pays


class Executable:
    """A compiled graph: arrays in, arrays out, some inputs overwritten in place.

    Call it with one contiguous array per input, of the input's dtype and shape.
    """

    def __init__(self, graph: Graph, updates: Mapping[int, int]):
        self.graph = graph
        dump("trace", graph)
        self.optimized = optimize(graph)
        whole = lanes_last(orient(widen(self.optimized)))
        self.fused = strips(fuse(gather(optimize(whole), fits)))
        self.plan: Plan = plan(self.fused, updates, scratch)
        self.launches: list[tuple[int, Launch | Strip]] = [
            (position, entry)
            for position, step in enumerate(self.plan.steps)
            for entry in launches(step)
        ]
        self.flattened = flattened(self.launches)  # by number
        cut = [entry for _, entry in self.launches if isinstance(entry, Strip)]
        self.arena = self.plan.arena + max((strip.local for strip in cut), default=0)
        self._show()
        outputs = [o for i, o in enumerate(graph.outputs) if i not in updates]
        self.outputs = [(o.shape, o.dtype.numpy) for o in outputs]
        self.run = self._run_plain
        if config.get("jit"):
            self.run = executor.native_function(self.table(self.launches))
        self.spare: list[np.ndarray] = []
        self.has_arena, self.constants = self.arena > 0, tuple(self.plan.constants)

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        results = [_empty(shape, dtype) for shape, dtype in self.outputs]
        if self.has_arena:
            try:
                arena = self.spare.pop()
            except IndexError:  # the first call, or other threads have them all
                arena = self._new_arena()
            status = self.run(*arrays, *results, *self.constants, arena)
            self.spare.append(arena)
        else:
            status = self.run(*arrays, *results, *self.constants)
        if status:
            self._report(status)
        return results

    def _show(self) -> None:
        """Write the late stages where JITGRAD_DUMP and JITGRAD_DEBUG want them."""
        dump("fuse", self.fused)
        dump("plan", f"{self.plan}\n", "txt")
        for number, (_, launch) in enumerate(self.flattened):
            dump(f"kernel_{number}", launch.source, "cpu.py")
            if launch.kernel is not None:
                dump(f"kernel_{number}", cuda.source(launch.kernel), "cuda.py")
        level = config.get("debug")
        if level >= 4:
            print(self.plan, file=sys.stderr)
        sources = dict.fromkeys(launch.source for _, launch in self.flattened)
        for source in sources if level >= 5 else ():
            print(source, file=sys.stderr)
            if level >= 6:
                print(assembly(source), file=sys.stderr)

    def _new_arena(self) -> np.ndarray:
        raw = np.empty(self.arena + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        arena = raw[start : start + self.arena]
        if self.plan.tapes:
            tapes.own(arena, self.plan.tapes)
        return arena

    def _report(self, status: bytes) -> None:
        number, value = np.frombuffer(status, np.int64).tolist()
        position, launch = self.flattened[number - 1]
        node = self.plan.steps[position].node
        where = self.fused.locs.get(node) if node is not None else None
        if launch.faults:
            raise faults.error(launch.faults, value, where)
        name = node.op.name if node is not None else "copy"
        # Indices that counted from the end, or are one of several, are no longer what they were.
        index = f"index {value}" if value >= 0 else "an index"
        bound = ""
        if node is not None and node.op.kind == "call" and value >= 0:
            bound = f" for an axis of extent {node.inputs[0].shape[0]}"
        raise fail(
            BoundsError,
            f"{name}: {index} is out of bounds{bound}",
            instead="run it without jit to see the index and what it indexes",
            where=where,
        )

    def _run_plain(self, *arrays: np.ndarray) -> bytes:
        """The plan as plain Python, over the same arrays."""
        return plain.run(self.plan, self.launches, self.memory(arrays))

    def memory(self, arrays: Sequence[np.ndarray]) -> plain.Memory:
        """The bytes from a pointer on, in what `run` is given."""
        flat = [array.reshape(-1).view(np.uint8) for array in arrays]

        def memory(pointer: Pointer) -> np.ndarray:
            base, offset = self.locate(pointer)
            return flat[-1][self.plan.arena + offset :] if base == LOCAL else flat[base][offset:]

        return memory

    # --- the executor's table ---

    def table(self, entries: Entries) -> np.ndarray:
        """The words by which native code runs entries of this plan."""
        made = Table(entries, self.locate, loader.address)
        heavy = sum(work(entry) for _, entry in entries) >= HEAVY
        header = executor.header(made.count, made.most, self.plan.arena, heavy)
        return np.array(made.complete(header), np.int64)

    def locate(self, pointer: Pointer) -> tuple[int, int]:
        """(base, byte offset) of a pointer: bases are inputs, outputs, constants, arena; and
        those that `jitgrad.runtime.table` names.
        """
        inputs, outputs = len(self.plan.inputs), len(self.outputs)
        constants = len(self.plan.constants)
        if isinstance(pointer, Library):
            return ABSOLUTE, blas.address(pointer.name)
        if isinstance(pointer, Entry):
            return ABSOLUTE, loader.address(pointer.source)
        if isinstance(pointer, Status):
            return STATUS, 0
        if isinstance(pointer, Part):
            base, offset = self.locate(pointer.buffer)
            return base, offset + pointer.offset
        assert isinstance(pointer, Buffer)  # Moving pointers are moved first
        start = {"input": 0, "output": inputs, "constant": inputs + outputs}
        if pointer.home in ("arena", "local"):
            base = inputs + outputs + constants if pointer.home == "arena" else LOCAL
            return base, pointer.at
        return start[pointer.home] + pointer.at, 0


@functools.lru_cache(maxsize=256)
def _compiled(graph: Graph, updates: tuple[tuple[int, int], ...], jit: bool) -> Executable:
    return Executable(graph, dict(updates))


def compile_graph(graph: Graph, updates: Mapping[int, int] | None = None) -> Executable:
    """The executable of a graph; `updates` maps an output to the input array it overwrites."""
    return _compiled(graph, tuple(sorted((updates or {}).items())), config.get("jit"))
