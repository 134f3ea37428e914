"""From a graph to something that runs: fused, planned, compiled, loaded."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad import config
from jitgrad.codegen.calls import launches, scratch
from jitgrad.codegen.compile import assembly
from jitgrad.codegen.cuda import grids
from jitgrad.codegen.launch import Entry, Launch, Library, Part, Pointer, Status, Strip
from jitgrad.codegen.structured import fits, releases
from jitgrad.errors import BoundsError, IRError, fail
from jitgrad.ir.node import Graph
from jitgrad.passes.kernels import into_kernels
from jitgrad.passes.pipeline import dump, optimize
from jitgrad.passes.plan import Buffer, Plan, plan
from jitgrad.runtime import blas, executor, faults, loader, memory, plain
from jitgrad.runtime.table import ABSOLUTE, ARENA, LOCAL, STATUS, Entries, Table, flattened, room


class Executable:
    """A compiled graph: arrays in, arrays out, some inputs overwritten in place.

    Call it with one contiguous array per input, of the input's dtype and shape.
    """

    def __init__(self, graph: Graph, updates: Mapping[int, int]):
        self.graph = graph
        dump("trace", graph)
        self.optimized = optimize(graph)
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
        self.large = any(o.type.nbytes >= memory.LARGE for o in outputs)
        self.native = config.get("jit")
        self.run = self.function(self.launches) if self.native else self._run_plain

    def __call__(self, *arrays: np.ndarray) -> Sequence[np.ndarray]:
        if self.large or not self.native:
            results = self._results()
            outcome = self.run(*arrays, *results)
        else:
            outcome = results = self.run(*arrays)
        if type(outcome) is not tuple:
            return self._again(outcome, arrays)
        return results

    def _results(self) -> list[np.ndarray]:
        sizes = [buffer.nbytes for buffer in self.plan.outputs]
        return [
            memory.result(*output, nbytes) if nbytes >= memory.LARGE else np.empty(*output)
            for output, nbytes in zip(self.outputs, sizes, strict=True)
        ]

    def caller(self, likes: Sequence[Any], array: np.ndarray) -> Callable[..., Any] | None:
        """A function of the inputs' arrays for the shortest call, or None where there is none.

        It returns a tuple of objects like the given ones, whose slot that holds `array` holds a
        result instead; for arrays that do not fit, and for an index out of bounds, anything else.
        """
        if self.large or not self.native:
            return None
        return self.function(self.launches, executor.Around(likes, array) if likes else None)

    def _again(self, outcome: Any, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Raise what the outcome of a call means; or call once more with arrays of the same values
        that are as native code wants them.
        """
        self.explain(outcome)
        mended = []
        for x, array in zip(self.graph.inputs, arrays, strict=True):
            if array.shape != x.shape or array.dtype != x.dtype.numpy:
                got = f"{array.dtype}{list(array.shape)}"
                raise IRError(f"@{self.graph.name} input %{x.attrs['name']} is {x.type}, got {got}")
            if not array.flags.c_contiguous or not array.flags.aligned:
                raise IRError(
                    f"@{self.graph.name} input %{x.attrs['name']} is not contiguous and aligned"
                )
            mended.append(np.ndarray(x.shape, x.dtype.numpy, array))
        return self(*mended)

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
        left = [grids.texts(step) for step in self.plan.steps]
        return [left[position].pop(0) if left[position] else "" for position, _ in self.flattened]

    def explain(self, outcome: Any) -> None:
        """Raise BoundsError if that is what the outcome of a run means."""
        if not isinstance(outcome, bytes):
            return
        number, value = np.frombuffer(outcome, np.int64).tolist()
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

    def _run_plain(self, *arrays: np.ndarray) -> Any:
        """The plan as plain Python, over the arrays of inputs and outputs."""
        arena = np.empty(self.plan.arena + self.local, np.uint8)
        return plain.run(self.plan, self.launches, self.finder(arrays, arena)) or ()

    def finder(self, arrays: Sequence[np.ndarray], arena: np.ndarray) -> plain.Memory:
        """The bytes from a pointer on, in arrays of inputs and outputs and an arena."""
        bases = [*arrays, arena[self.plan.arena :], arena]
        flat = [array.reshape(-1).view(np.uint8) for array in bases]
        constants = [array.flatten().view(np.uint8) for array in self.plan.constants]

        def find(pointer: Pointer) -> np.ndarray:
            whole = pointer.buffer if isinstance(pointer, Part) else pointer
            if isinstance(whole, Buffer) and whole.home == "constant":
                return constants[whole.at][pointer.offset if isinstance(pointer, Part) else 0 :]
            base, offset = self.locate(pointer)
            return flat[base][offset:]

        return find

    # --- the executor's table ---

    def function(self, entries: Entries, around: executor.Around | None = None) -> Any:
        """A native function that runs entries of this plan."""
        inputs = [(x.shape, np.dtype(x.dtype.numpy)) for x in self.graph.inputs]
        outputs = [(shape, np.dtype(dtype)) for shape, dtype in self.outputs]
        if self.large:
            inputs, outputs = inputs + outputs, []
        room = self.plan.arena, self.local
        words = executor.table(Table(entries, self.locate), room, inputs, outputs, around)
        return executor.native_function(words, (self.plan.constants, inputs, outputs, around))

    def locate(self, pointer: Pointer) -> tuple[int, int]:
        """(base, byte offset) of a pointer: bases are inputs, outputs, and those that
        `jitgrad.runtime.table` names.
        """
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
        if pointer.home == "constant":
            return ABSOLUTE, self.plan.constants[pointer.at].ctypes.data
        if pointer.home in ("arena", "local"):
            return ARENA if pointer.home == "arena" else LOCAL, pointer.at
        return pointer.at + (len(self.plan.inputs) if pointer.home == "output" else 0), 0


@functools.lru_cache(maxsize=256)
def _compiled(
    graph: Graph, updates: tuple[tuple[int, int], ...], code: tuple[bool, str]
) -> Executable:
    return Executable(graph, dict(updates))


def compile_graph(graph: Graph, updates: Mapping[int, int] | None = None) -> Executable:
    """The executable of a graph; `updates` maps an output to the input array it overwrites."""
    return _compiled(graph, tuple(sorted((updates or {}).items())), config.code())
