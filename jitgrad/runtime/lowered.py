"""Everything a compiled function went through, to be read: graphs, plan, kernels, times."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jitgrad.codegen.launch import Launch, Moving, Part, Strip
from jitgrad.ir.node import Graph, Node
from jitgrad.passes.pipeline import optimize
from jitgrad.passes.plan import Buffer
from jitgrad.runtime.executable import Executable, compile_graph
from jitgrad.runtime.table import parts


@dataclass(frozen=True, slots=True)
class KernelReport:
    """One launch of a plan: what it computes and what it moves. `cuda` is the step's kernel
    for a GPU, empty where it has none.
    """

    name: str
    ops: tuple[str, ...]
    lines: tuple[str, ...]  # of the user's program
    operands: tuple[str, ...]
    source: str
    cuda: str
    nbytes: int  # read and written, each buffer once
    elements: int
    notes: tuple[str, ...] = ()  # what was decided about it, and why

    @property
    def text(self) -> str:
        """The source under a header that says where it comes from."""
        head = [f"# {self.name}: {' '.join(self.ops)}"]
        if self.lines:
            head.append(f"# from {', '.join(self.lines)}")
        head.append(f"# {', '.join(self.operands)}; {self.elements} elements, {self.nbytes} bytes")
        head += [f"# {note}" for note in self.notes]
        return "\n".join([*head, self.source])


def _buffers(launch: Launch) -> set[Buffer]:
    """The memory that a launch touches."""
    still = [p.pointer if isinstance(p, Moving) else p for p in launch.pointers]
    whole = [p.buffer if isinstance(p, Part) else p for p in still]
    return {p for p in whole if isinstance(p, Buffer) and p.home != "local"}


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
        program = self.program = self.executable.program
        self.stages.append(("fuse", program.fused))
        self.plan = program.plan
        of_strips = [
            (entry.note,) if isinstance(entry, Strip) else ()
            for _, entry in program.launches
            for _ in parts(entry)
        ]
        beside = zip(of_strips, program.on_device(), strict=True)
        self.kernels = [
            self._report(number, position, launch, notes, on_device)
            for number, ((position, launch), (notes, on_device)) in enumerate(
                zip(program.flattened, beside, strict=True)
            )
        ]

    def _watch(self, name: str, graph: Graph) -> None:
        if graph is not self.stages[-1][1]:
            self.stages.append((name, graph))

    def _report(
        self,
        number: int,
        position: int,
        launch: Launch,
        notes: tuple[str, ...],
        on_device: str,
    ) -> KernelReport:
        node = self.plan.steps[position].node
        fused = self.program.fused
        body = node.attrs["body"].nodes if node is not None and "body" in node.attrs else ()
        named = [n for n in body if n.op.kind not in ("leaf", "view")]
        ops = tuple(n.op.name for n in named) or (node.op.name if node is not None else "copy",)
        kernel = launch.kernel
        line = fused.locs.get(node) if node is not None else None
        return KernelReport(
            f"kernel_{number}",
            kernel.ops or ("copy",) if kernel is not None else ops,
            (str(line),) if line else (),
            self._operands(node),
            launch.source,
            on_device,
            sum(b.nbytes for b in _buffers(launch)),
            launch.work,
            (*notes, *(kernel.notes if kernel is not None else ())),
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
        """Seconds of each launch, the least of `repeat` runs, on copies of the inputs; those of a
        strip over all of its tiles.

        `arrays` are the inputs; by default those that it was lowered for.
        """
        executable = self.executable
        given = [np.array(a) for a in arrays or self.arrays]
        if executable.large:
            given += [np.empty(shape, dtype) for shape, dtype in executable.outputs]
        times: list[float] = []
        for position, entry in self.program.launches:
            for part in parts(entry):
                run = executable.function([(position, part)])
                best = float("inf")
                for _ in range(repeat):
                    start = time.perf_counter()
                    run(*given)
                    best = min(best, time.perf_counter() - start)
                times.append(best)
        return times
