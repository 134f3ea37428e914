"""Compiled graphs on a device: the plan of a graph, its launches, and where they run.

`Emulated` memory is the host's, and every thread is run as plain Python and watched: slow, for
small programs and for tests. For GPUs see `jitgrad.runtime.driver`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np

from jitgrad import config
from jitgrad.codegen.cuda import emulate
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.cuda.grids import grids, scratch
from jitgrad.codegen.launch import Part, Pointer, Status
from jitgrad.errors import BoundsError, fail
from jitgrad.ir.node import Graph
from jitgrad.passes.kernels import ON_DEVICE, into_kernels
from jitgrad.passes.pipeline import optimize
from jitgrad.passes.plan import Buffer, Plan, plan

STATUS_BYTES = 16  # the words into which a kernel writes that an index does not exist


class DeviceProgram:
    """A graph as launches on a device. `updates` maps an output to the input it overwrites."""

    def __init__(self, graph: Graph, updates: Mapping[int, int]):
        self.graph, self.updates = graph, dict(updates)
        self.optimized = optimize(graph)
        self.fused = into_kernels(self.optimized, passes=ON_DEVICE)
        self.plan: Plan = plan(self.fused, updates, scratch)
        self.grids: list[tuple[int, Grid]] = [
            (position, grid)
            for position, step in enumerate(self.plan.steps)
            for grid in grids(step)
        ]
        outputs = [o for i, o in enumerate(graph.outputs) if i not in updates]
        self.outputs = [(o.shape, o.dtype.numpy) for o in outputs]

    def whole(self, pointer: Pointer) -> tuple[str, int, int, int]:
        """Where a pointer points: home, position in it, and the bytes from `first` to `last`."""
        if isinstance(pointer, Status):
            return "status", 0, 0, STATUS_BYTES
        if isinstance(pointer, Part):
            home, at, first, last = self.whole(pointer.buffer)
            return home, at, first + pointer.offset, last
        assert isinstance(pointer, Buffer)
        if pointer.home == "arena":
            return "arena", 0, pointer.at, pointer.at + pointer.nbytes
        return pointer.home, pointer.at, 0, pointer.nbytes

    def explain(self, status: np.ndarray, position: int) -> None:
        """Raise BoundsError if that is what the words that a step's kernels can write say."""
        node = self.plan.steps[position].node
        if status[0] and node is not None:
            raise fail(
                BoundsError,
                f"{node.op.name}: index {status[1]} is out of bounds for an axis of extent"
                f" {node.inputs[0].shape[0]}",
                instead="run it without jit to see the index and what it indexes",
                where=self.fused.locs.get(node),
            )


class Emulated:
    """Runs programs thread by thread in Python. `blocks`: of each grid at most; 0 for all."""

    def __init__(self, blocks: int = 0):
        self.most_blocks = blocks

    def __call__(self, program: DeviceProgram, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs for contiguous inputs, some of which are overwritten."""
        results = [np.empty(shape, dtype) for shape, dtype in program.outputs]
        arena = np.full(program.plan.arena, 0xFF, np.uint8)  # nan, to be seen
        status = np.zeros(STATUS_BYTES, np.uint8)
        homes = {
            "input": arrays, "output": results, "constant": program.plan.constants,
            "arena": [arena], "status": [status],
        }  # fmt: skip
        flat = {home: [a.reshape(-1).view(np.uint8) for a in held] for home, held in homes.items()}
        for position, grid in program.grids:
            places = [program.whole(p) for p in grid.pointers]
            memory = [flat[home][at][first:last] for home, at, first, last in places]
            blocks = min(grid.blocks, self.most_blocks or grid.blocks)
            emulate.run(grid, memory, blocks)
            program.explain(status.view(np.int64), position)
        return results


@functools.lru_cache(maxsize=256)
def _program(graph: Graph, updates: tuple[tuple[int, int], ...], code: object) -> DeviceProgram:
    return DeviceProgram(graph, dict(updates))


def device_program(graph: Graph, updates: Mapping[int, int]) -> DeviceProgram:
    """The program of a graph, made once."""
    return _program(graph, tuple(sorted(updates.items())), config.code())


def runner() -> Callable[..., list[np.ndarray]]:
    """What runs programs: the GPU, or with JITGRAD_CUDA=emulate Python. DeviceError."""
    if config.get("cuda") == "emulate":
        return Emulated()
    from jitgrad.runtime.driver import driver

    return driver()
