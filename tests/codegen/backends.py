"""Every way to run a compiled graph: machine code, the same text as plain Python, and the plan for
a GPU, its threads emulated by us or simulated by Numba.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from numba import config as numba_config

from jitgrad import config
from jitgrad.codegen.cuda import frame, products, turned
from jitgrad.codegen.launch import Launch
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph
from jitgrad.runtime import plain
from jitgrad.runtime.cuda.device import Device
from jitgrad.runtime.cuda.emulated import Emulated
from jitgrad.runtime.cuda.program import DeviceProgram
from jitgrad.runtime.executable import Executable
from jitgrad.runtime.table import unrolled

Arrays = Sequence[np.ndarray]
Backend = Callable[[Graph, Arrays], list[np.ndarray]]


def compiled(graph: Graph, arrays: Arrays) -> list[np.ndarray]:
    with config.override(jit=True):
        return Executable(graph, {})(*arrays)


def python(graph: Graph, arrays: Arrays) -> list[np.ndarray]:
    """Plain Python; each kernel's range in three parts, the last one first, as threads might."""

    def launch(launch: Launch, memory: plain.Memory) -> None:
        cuts = sorted({0, launch.extent // 3, launch.extent * 2 // 3, launch.extent})
        pointers = [memory(p) for p in launch.pointers]
        for lo, hi in reversed(list(itertools.pairwise(cuts))):
            with np.errstate(all="ignore"):
                plain._kernel(launch.source)(pointers, list(launch.dims), lo, hi)

    return by_launch(graph, arrays, launch)


def emulated(graph: Graph, arrays: Arrays) -> list[np.ndarray]:
    """The plan for a GPU, thread by thread, watched for races and for accesses out of range."""
    device = Device(Emulated())
    return [found.numpy() for found in device.run(DeviceProgram(graph, {}), *arrays)]


@functools.cache
def simulator() -> Device:
    """Numba's simulator; two blocks of each grid, so that loops over grids go round."""
    from jitgrad.runtime.cuda.simulated import Simulated

    return Device(Simulated(blocks=2))


@contextlib.contextmanager
def few_threads() -> Iterator[None]:
    """Blocks as small as can be: the simulator's threads are the system's."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            *((frame, "THREADS", 4), (frame, "WARP", 2), (frame, "LANES", 2)),
            *((products, "SIDE", 4), (products, "THREADS", 16)),
            *(
                (turned, "TILE", 4),
                (turned, "ROWS", 2),
                (turned, "THREADS", 8),
                (turned, "SHORT", 1),
            ),
        ):
            patch.setattr(module, name, value)
        yield


def simulated(graph: Graph, arrays: Arrays) -> list[np.ndarray]:
    """The plan for a GPU in Numba's simulator."""
    with few_threads():
        program = DeviceProgram(graph, {})
    return [found.numpy() for found in simulator().run(program, *arrays)]


def by_launch(
    graph: Graph, arrays: Arrays, region: Callable[[Launch, plain.Memory], None]
) -> list[np.ndarray]:
    """Run a plan, the kernels of regions by `region`, all other launches as plain Python."""
    with config.override(jit=False):
        executable = Executable(graph, {})
    results = [np.empty(shape, dtype) for shape, dtype in executable.outputs]
    arena = np.empty(executable.program.plan.arena + executable.program.local, np.uint8)
    finder = plain.memory_of(executable.program, [*arrays, *results], arena)
    for position, step in enumerate(executable.program.plan.steps):
        entries = [(at, entry) for at, entry in executable.program.launches if at == position]
        if step.node is not None and step.node.op.kind == "region":
            for _, entry in entries:
                for _, launch in unrolled(entry):
                    region(launch, finder)
        else:
            assert not plain.run(executable.program.plan, entries, finder)
    return results


def reference(graph: Graph, arrays: Arrays) -> list[np.ndarray]:
    return [np.asarray(a) for a in interpret(graph, arrays)]


BACKENDS = [
    pytest.param(compiled, id="compiled"),
    pytest.param(python, id="python"),
    pytest.param(emulated, id="emulated"),
]
SIMULATED = pytest.param(
    simulated,
    id="simulated",
    marks=pytest.mark.skipif(
        not numba_config.ENABLE_CUDASIM, reason="Numba's simulator is not switched on"
    ),
)
