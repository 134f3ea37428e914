"""A program that runs: compiled and loaded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jitgrad import config
from jitgrad.errors import IRError, JitgradError, fail
from jitgrad.garbage import uncollected
from jitgrad.ir.node import Graph
from jitgrad.locks import compiling
from jitgrad.runtime import executor, memory, plans
from jitgrad.runtime.links import Unlinked

if TYPE_CHECKING:
    from jitgrad.runtime.program import Program
    from jitgrad.runtime.table import Entries


class Executable:
    """A compiled graph: arrays in, arrays out, some inputs overwritten in place.

    Call it with one contiguous array per input, of the input's dtype and shape. With a `table`
    from the disk the graph is lowered only for those who look at its `program`.
    """

    def __init__(self, graph: Graph, updates: Mapping[int, int], table: Unlinked | None = None):
        self.graph, self.updates = graph, dict(updates)
        self._program: Program | None = None
        outputs = [o for i, o in enumerate(graph.outputs) if i not in updates]
        self.outputs = [(o.shape, np.dtype(o.dtype.numpy)) for o in outputs]
        self.sizes = [o.type.nbytes for o in outputs]
        self.large = any(nbytes >= memory.LARGE for nbytes in self.sizes)
        self.native = config.get("jit")
        if table is None:
            launches = self.program.launches
            table = self.program.unlinked(launches) if self.native else Unlinked()
        self.table = table
        self.run = self._function(table) if self.native else self._run_plain

    @property
    def program(self) -> Program:
        """The graph as launches over planned memory, with all that led to them."""
        if self._program is None:
            with compiling:
                from jitgrad.runtime.program import Program

                self._program = Program(self.graph, self.updates)
        return self._program

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
        return [
            memory.result(*output, nbytes) if nbytes >= memory.LARGE else np.empty(*output)
            for output, nbytes in zip(self.outputs, self.sizes, strict=True)
        ]

    def caller(self, likes: Sequence[Any], array: np.ndarray) -> Callable[..., Any] | None:
        """A function of the inputs' arrays for the shortest call, or None where there is none.

        It returns a tuple of objects like the given ones, whose slot that holds `array` holds a
        result instead; for arrays that do not fit, and for an index out of bounds, anything else.
        """
        if self.large or not self.native:
            return None
        return self._function(self.table, executor.Around(likes, array) if likes else None)

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
        """Raise the error that the outcome of a run means, if it means one."""
        if not isinstance(outcome, bytes):
            return
        number, value = np.frombuffer(outcome, np.int64).tolist()
        launches = self.program.launches
        if self.native and not self.table.same(self.program.unlinked(launches)):
            raise fail(
                JitgradError,
                f"@{self.graph.name} failed while it ran",
                why="its plan is from the disk, and this process, which would make another one,"
                " cannot tell which step it was",
                instead="run it without jit, or clear the cache: jitgrad cache clear",
            )
        raise self.program.error(number, value)

    def _run_plain(self, *arrays: np.ndarray) -> Any:
        """The plan as plain Python, over the arrays of inputs and outputs."""
        from jitgrad.runtime import plain

        return plain.call(self.program, arrays) or ()

    # --- the executor's table ---

    def function(self, entries: Entries) -> Any:
        """A native function that runs entries of this plan."""
        return self._function(self.program.unlinked(entries))

    def _function(self, table: Unlinked, around: executor.Around | None = None) -> Any:
        inputs = [(x.shape, np.dtype(x.dtype.numpy)) for x in self.graph.inputs]
        outputs = self.outputs
        if self.large:
            inputs, outputs = inputs + outputs, []
        words = executor.table(table, inputs, outputs, around)
        return executor.native_function(words, (table.constants, inputs, outputs, around))


@functools.lru_cache(maxsize=256)
def _compiled(graph: Graph, updates: tuple[tuple[int, int], ...], code: object) -> Executable:
    with compiling, uncollected():
        key = plans.key_of(graph, updates)
        found = plans.load(key) if key else None
        made = Executable(graph, dict(updates), found)
        if key and found is None:
            plans.keep(key, made.table)
        return made


def compile_graph(graph: Graph, updates: Mapping[int, int] | None = None) -> Executable:
    """The executable of a graph; `updates` maps an output to the input array it overwrites."""
    return _compiled(graph, tuple(sorted((updates or {}).items())), config.code())
