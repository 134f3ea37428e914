"""A program that runs: compiled and loaded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jitgrad import config
from jitgrad.codegen.launch import Part, Pointer
from jitgrad.errors import IRError
from jitgrad.ir.node import Graph
from jitgrad.passes.plan import Buffer
from jitgrad.runtime import executor, memory, plain
from jitgrad.runtime.program import Program
from jitgrad.runtime.table import Entries, Table


class Executable(Program):
    """A compiled graph: arrays in, arrays out, some inputs overwritten in place.

    Call it with one contiguous array per input, of the input's dtype and shape.
    """

    def __init__(self, graph: Graph, updates: Mapping[int, int]):
        super().__init__(graph, updates)
        self.large = any(buffer.nbytes >= memory.LARGE for buffer in self.plan.outputs)
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

    def explain(self, outcome: Any) -> None:
        """Raise BoundsError if that is what the outcome of a run means."""
        if isinstance(outcome, bytes):
            raise self.error(*np.frombuffer(outcome, np.int64).tolist())

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


@functools.lru_cache(maxsize=256)
def _compiled(
    graph: Graph, updates: tuple[tuple[int, int], ...], code: tuple[bool, str]
) -> Executable:
    return Executable(graph, dict(updates))


def compile_graph(graph: Graph, updates: Mapping[int, int] | None = None) -> Executable:
    """The executable of a graph; `updates` maps an output to the input array it overwrites."""
    return _compiled(graph, tuple(sorted((updates or {}).items())), config.code())
