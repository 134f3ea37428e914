"""From a graph to something that runs: fused, planned, compiled, loaded."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping

import numpy as np

from jitgrad import config
from jitgrad.codegen import cuda
from jitgrad.codegen.calls import launches, scratch
from jitgrad.codegen.compile import assembly
from jitgrad.codegen.launch import Launch, Library, Part, Pointer, Status
from jitgrad.codegen.structured import fits
from jitgrad.errors import BoundsError, fail
from jitgrad.ir.node import Graph
from jitgrad.passes.fuse import fuse
from jitgrad.passes.gather import gather
from jitgrad.passes.orient import orient
from jitgrad.passes.pipeline import dump, optimize
from jitgrad.passes.plan import ALIGNMENT, Plan, plan
from jitgrad.passes.widen import widen
from jitgrad.runtime import blas, executor, faults, loader, plain, tapes

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
        self.fused = fuse(gather(optimize(orient(widen(self.optimized))), fits))
        self.plan: Plan = plan(self.fused, updates, scratch)
        self.launches: list[tuple[int, Launch]] = [
            (position, launch)
            for position, step in enumerate(self.plan.steps)
            for launch in launches(step)
        ]
        self._show()
        outputs = [o for i, o in enumerate(graph.outputs) if i not in updates]
        self.outputs = [(o.shape, o.dtype.numpy) for o in outputs]
        self.run = self._run_plain
        if config.get("jit"):
            self.run = executor.native_function(self._table())
        self.spare: list[np.ndarray] = []
        self.has_arena, self.constants = self.plan.arena > 0, tuple(self.plan.constants)

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
        for number, (_, launch) in enumerate(self.launches):
            dump(f"kernel_{number}", launch.source, "cpu.py")
            if launch.kernel is not None:
                dump(f"kernel_{number}", cuda.source(launch.kernel), "cuda.py")
        level = config.get("debug")
        if level >= 4:
            print(self.plan, file=sys.stderr)
        sources = dict.fromkeys(launch.source for _, launch in self.launches)
        for source in sources if level >= 5 else ():
            print(source, file=sys.stderr)
            if level >= 6:
                print(assembly(source), file=sys.stderr)

    def _new_arena(self) -> np.ndarray:
        raw = np.empty(self.plan.arena + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        arena = raw[start : start + self.plan.arena]
        if self.plan.tapes:
            tapes.own(arena, self.plan.tapes)
        return arena

    def _report(self, status: int) -> None:
        value, step = divmod(status, 65536)
        position, launch = self.launches[step - 1]
        if launch.faults:
            raise faults.error(launch.faults, value)
        node = self.plan.steps[position].node
        where = self.fused.locs.get(node) if node is not None else None
        name = node.op.name if node is not None else "copy"
        extent = node.inputs[0].shape[0] if node is not None else 0
        # Indices that counted from the end, or are one of several, are no longer what they were.
        index = f"index {value}" if value >= 0 else "an index"
        bound = f" for an axis of extent {extent}" if value >= 0 else ""
        raise fail(
            BoundsError,
            f"{name}: {index} is out of bounds{bound}",
            instead="run it without jit to see the index and what it indexes",
            where=where,
        )

    def _run_plain(self, *arrays: np.ndarray) -> int:
        """The plan as plain Python, over the same arrays."""

        def memory(pointer: Pointer) -> np.ndarray:
            base, offset = self.locate(pointer)
            return arrays[base].reshape(-1).view(np.uint8)[offset:]

        return plain.run(self.plan, self.launches, memory)

    # --- the executor's table ---

    def _table(self) -> np.ndarray:
        work = sum(launch.work for _, launch in self.launches)
        most = max((len(launch.pointers) for _, launch in self.launches), default=0)
        words = executor.header(len(self.launches), most, work >= HEAVY)
        start = len(words) + sum(4 + 2 * len(launch.pointers) for _, launch in self.launches)
        dims: list[int] = []
        for _, launch in self.launches:
            entry = loader.address(launch.source)
            words += [entry, len(launch.pointers), start + len(dims), launch.extent]
            for pointer in launch.pointers:
                words += self.locate(pointer)
            dims += launch.dims
        return np.array(words + dims, np.int64)

    def locate(self, pointer: Pointer) -> tuple[int, int]:
        """(base, byte offset) of a pointer: bases are inputs, outputs, constants, arena."""
        inputs, outputs = len(self.plan.inputs), len(self.outputs)
        constants = len(self.plan.constants)
        passed = inputs + outputs + constants + bool(self.plan.arena)
        if isinstance(pointer, Library):
            return passed + 1, blas.address(pointer.name)
        if isinstance(pointer, Status):
            return passed, 0
        if isinstance(pointer, Part):
            base, offset = self.locate(pointer.buffer)
            return base, offset + pointer.offset
        start = {"input": 0, "output": inputs, "constant": inputs + outputs}
        if pointer.home == "arena":
            return inputs + outputs + constants, pointer.at
        return start[pointer.home] + pointer.at, 0


@functools.lru_cache(maxsize=256)
def _compiled(graph: Graph, updates: tuple[tuple[int, int], ...], jit: bool) -> Executable:
    return Executable(graph, dict(updates))


def compile_graph(graph: Graph, updates: Mapping[int, int] | None = None) -> Executable:
    """The executable of a graph; `updates` maps an output to the input array it overwrites."""
    return _compiled(graph, tuple(sorted((updates or {}).items())), config.get("jit"))
