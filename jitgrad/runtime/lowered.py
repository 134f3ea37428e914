"""Everything a compiled function went through, to be read: graphs, plan, kernels, times."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jitgrad.codegen import cuda
from jitgrad.codegen.launch import Launch, Part, Pointer
from jitgrad.ir.node import Graph, Node
from jitgrad.passes.pipeline import optimize
from jitgrad.passes.plan import Buffer
from jitgrad.runtime import loader
from jitgrad.runtime.executable import Executable, compile_graph

KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


@dataclass(frozen=True, slots=True)
class KernelReport:
    """One launch of a plan: what it computes and what it moves. `cuda` is empty for calls."""

    name: str
    ops: tuple[str, ...]
    lines: tuple[str, ...]  # of the user's program
    operands: tuple[str, ...]
    source: str
    cuda: str
    nbytes: int  # read and written, each buffer once
    elements: int

    @property
    def text(self) -> str:
        """The source under a header that says where it comes from."""
        head = [f"# {self.name}: {' '.join(self.ops)}"]
        if self.lines:
            head.append(f"# from {', '.join(self.lines)}")
        head.append(f"# {', '.join(self.operands)}; {self.elements} elements, {self.nbytes} bytes")
        return "\n".join([*head, self.source])


def _buffers(launch: Launch) -> set[Buffer]:
    """The memory that a launch touches."""
    parts = (p.buffer if isinstance(p, Part) else p for p in launch.pointers)
    return {p for p in parts if isinstance(p, Buffer)}


class Lowered:
    """The stages of one traced function. Printing it prints them all.

    stages   (name, graph) after the trace and after each pass that changed something.
    plan     steps over buffers; `str(plan)` is a table.
    kernels  one report for each launch, in order.
    """

    def __init__(self, graph: Graph, updates: Mapping[int, int], arrays: Sequence[np.ndarray] = ()):
        self.arrays = list(arrays)
        start = time.perf_counter()
        self.stages: list[tuple[str, Graph]] = [("trace", graph)]
        optimize(graph, watch=self._watch)
        self.executable: Executable = compile_graph(graph, updates)
        self.compile_seconds = time.perf_counter() - start
        self.stages.append(("fuse", self.executable.fused))
        self.plan = self.executable.plan
        self.kernels = [
            self._report(number, position, launch)
            for number, (position, launch) in enumerate(self.executable.launches)
        ]

    def _watch(self, name: str, graph: Graph) -> None:
        if graph is not self.stages[-1][1]:
            self.stages.append((name, graph))

    def _report(self, number: int, position: int, launch: Launch) -> KernelReport:
        node = self.plan.steps[position].node
        fused = self.executable.fused
        body = node.attrs["body"].nodes if node is not None and "body" in node.attrs else ()
        named = [n for n in body if n.op.kind not in ("leaf", "view")]
        ops = tuple(n.op.name for n in named) or (node.op.name if node is not None else "copy",)
        line = fused.locs.get(node) if node is not None else None
        return KernelReport(
            f"kernel_{number}",
            ops,
            (str(line),) if line else (),
            self._operands(node),
            launch.source,
            cuda.source(launch.kernel) if launch.kernel is not None else "",
            sum(b.nbytes for b in _buffers(launch)),
            launch.work,
        )

    def _operands(self, node: Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        return (*(str(i.type) for i in node.inputs), f"-> {node.type}")

    def __str__(self) -> str:
        parts = [f"// {name}\n{graph}" for name, graph in self.stages]
        parts.append(str(self.plan))
        parts += [kernel.text for kernel in self.kernels]
        return "\n\n".join(parts)

    @property
    def bytes_moved(self) -> int:
        """Bytes that one run reads and writes, each buffer of a launch counted once."""
        return sum(kernel.nbytes for kernel in self.kernels)

    def profile(self, arrays: Sequence[np.ndarray] = (), repeat: int = 20) -> list[float]:
        """Seconds of each launch, the least of `repeat` runs, on copies of the inputs.

        `arrays` are the inputs; by default those that it was lowered for.
        """
        executable = self.executable
        bases = [np.array(a) for a in arrays or self.arrays]
        bases += [np.empty(shape, dtype) for shape, dtype in executable.outputs]
        bases += [*self.plan.constants, np.zeros(max(self.plan.arena, 1), np.uint8)]
        if not self.plan.arena:
            bases.pop()
        bases += [np.zeros(2, np.int64)]
        times: list[float] = []
        for _, launch in executable.launches:
            pointers = np.array([self._address(p, bases) for p in launch.pointers], np.int64)
            dims = np.array(launch.dims or (0,), np.int64)
            run = KERNEL(loader.address(launch.source))
            best = float("inf")
            for _ in range(repeat):
                start = time.perf_counter()
                run(pointers.ctypes.data, dims.ctypes.data, 0, launch.extent)
                best = min(best, time.perf_counter() - start)
            times.append(best)
        return times

    def _address(self, pointer: Pointer, bases: Sequence[np.ndarray]) -> int:
        base, offset = self.executable.locate(pointer)
        return offset if base >= len(bases) else bases[base].ctypes.data + offset
