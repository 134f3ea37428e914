"""Plans run as plain Python (JITGRAD_JIT=0): the kernels' own text, un-jitted, for debuggers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad.codegen.compile import function, plain_names
from jitgrad.codegen.launch import Callback, Entry, Launch, Library, Pointer, Status
from jitgrad.codegen.vecmath.table import NUMPY_NAMES
from jitgrad.ir.interp import evaluate
from jitgrad.ir.types import TupleType
from jitgrad.passes.plan import Plan, Step
from jitgrad.runtime.program import Program
from jitgrad.runtime.table import Entries, flattened, unrolled

Memory = Callable[[Pointer], np.ndarray]


@functools.cache
def _names() -> dict[str, Any]:
    """The kernels' names over raw memory: a pointer is a view of bytes."""
    typed = {
        f"{code}_ptr": functools.partial(_typed, "uint8" if code == "bool" else name)
        for code, name in NUMPY_NAMES.items()
    }
    half = functools.partial(_typed, "uint16")
    return {**plain_names(), **typed, "f16_ptr": half}


def _typed(dtype: str, ptrs: Sequence[np.ndarray], k: int) -> np.ndarray:
    return ptrs[k].view(dtype)


@functools.lru_cache(maxsize=1024)
def _kernel(source: str) -> Callable[..., None]:
    return function(source, _names())


def call(program: Program, arrays: Sequence[np.ndarray]) -> bytes:
    """A whole program, over the arrays of inputs and outputs."""
    arena = np.empty(program.plan.arena + program.local, np.uint8)
    return run(program.plan, program.launches, memory_of(program, arrays, arena))


def memory_of(program: Program, arrays: Sequence[np.ndarray], arena: np.ndarray) -> Memory:
    """The bytes from a pointer on, in arrays of inputs and outputs and an arena."""
    bases = [*arrays, arena[program.plan.arena :], arena]
    flat = [array.reshape(-1).view(np.uint8) for array in bases]
    constants = [array.flatten().view(np.uint8) for array in program.plan.constants]

    def find(pointer: Pointer) -> np.ndarray:
        place = program.locate(pointer)
        whole = constants[int(place.symbol.name)] if place.symbol else flat[place.base]
        return whole[place.offset :]

    return find


def run(plan: Plan, entries: Entries, memory: Memory) -> bytes:
    """Run a plan's launches over memory given as flat arrays of bytes; what the executor returns,
    but nothing for 0.
    """
    status = np.zeros(2, np.int64)
    libraries = {
        position
        for position, launch in flattened(entries)
        if any(isinstance(p, (Callback, Entry, Library)) for p in launch.pointers)
    }
    first = 0  # number of the entry's first launch
    done: set[int] = set()
    for position, entry in entries:
        if position in libraries:  # all of its launches at once
            if position not in done:
                _by_reference(plan.steps[position], memory)
            done.add(position)
        else:
            for number, launch in unrolled(entry):
                _launch(launch, status, memory)
                if status[0]:
                    return np.array([first + number + 1, status[1]]).tobytes()
        first += len(flattened([(position, entry)]))
    return b""


def _launch(launch: Launch, status: np.ndarray, memory: Memory) -> None:
    ptrs = [status.view(np.uint8) if isinstance(p, Status) else memory(p) for p in launch.pointers]
    with np.errstate(all="ignore"):  # as machine code has it
        _kernel(launch.source)(ptrs, list(launch.dims), 0, launch.extent)


def _by_reference(step: Step, memory: Memory) -> None:
    """A step that calls a library, through the op's NumPy reference."""
    node = step.node
    assert node is not None
    values = []
    for operand, buffer in zip(node.inputs, step.reads, strict=True):
        stored = operand.inputs[0] if operand.op.kind == "view" else operand
        raw = memory(buffer)[: stored.type.nbytes]
        value = raw.view(stored.dtype.numpy).reshape(stored.shape)
        values.append(evaluate(operand, [value]) if stored is not operand else value)
    result = evaluate(node, values)
    parts = result if isinstance(node.type, TupleType) else (result,)
    for part, buffer in zip(parts, step.writes, strict=True):
        raw = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
        memory(buffer)[: raw.size] = raw
