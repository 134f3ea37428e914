"""Every way to run a compiled graph: machine code, the same text as plain Python, and the CUDA
frame in Numba's simulator.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from jitgrad import config
from jitgrad.codegen import cuda
from jitgrad.codegen.launch import Launch, Part, Pointer
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import Graph
from jitgrad.runtime import plain
from jitgrad.runtime.executable import Executable
from jitgrad.runtime.table import unrolled

Arrays = Sequence[np.ndarray]
Backend = Callable[[Graph, Arrays], list[np.ndarray]]
THREADS = 4  # of a simulated block: every simulated thread costs a thread


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


def simulated(graph: Graph, arrays: Arrays) -> list[np.ndarray]:
    """The simulator; two blocks only, so that the loop over the grid goes round."""

    def launch(launch: Launch, memory: plain.Memory) -> None:
        assert launch.kernel is not None
        flat = [
            memory(p)[: length(p)].view(a.dtype.numpy)
            for p, a in zip(launch.pointers, launch.kernel.arrays, strict=True)
        ]
        cuda.simulate(launch.kernel, flat, threads=THREADS, blocks=2)

    return by_launch(graph, arrays, launch)


def length(pointer: Pointer) -> int:
    if isinstance(pointer, Part):
        return pointer.buffer.nbytes - pointer.offset
    return pointer.nbytes


def by_launch(
    graph: Graph, arrays: Arrays, region: Callable[[Launch, plain.Memory], None]
) -> list[np.ndarray]:
    """Run a plan, the kernels of regions by `region`, all other launches as plain Python."""
    with config.override(jit=False):
        executable = Executable(graph, {})
    results = [np.empty(shape, dtype) for shape, dtype in executable.outputs]
    arena = np.empty(executable.plan.arena + executable.local, np.uint8)
    finder = executable.finder([*arrays, *results], arena)
    for position, step in enumerate(executable.plan.steps):
        entries = [(at, entry) for at, entry in executable.launches if at == position]
        if step.node is not None and step.node.op.kind == "region":
            for _, entry in entries:
                for _, launch in unrolled(entry):
                    region(launch, finder)
        else:
            assert not plain.run(executable.plan, entries, finder)
    return results


def reference(graph: Graph, arrays: Arrays) -> list[np.ndarray]:
    return [np.asarray(a) for a in interpret(graph, arrays)]


simulator = pytest.mark.skipif(
    os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "0",
    reason="there is a GPU: Numba's simulator cannot be had beside it",
)
BACKENDS = [
    pytest.param(compiled, id="compiled"),
    pytest.param(python, id="python"),
    pytest.param(simulated, id="simulated", marks=simulator),
]
