"""A user's function to be measured: eager and compiled, with the state that it writes."""

from __future__ import annotations

import gc
import inspect
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jitgrad import tree
from jitgrad.api.grad import value_and_grad
from jitgrad.api.jit import Compiled, jit
from jitgrad.autodiff.custom import erase
from jitgrad.errors import DTypeError, fail
from jitgrad.frontend.guards import is_cell
from jitgrad.frontend.tape import no_grad
from jitgrad.ops import placement
from jitgrad.runtime import executor, loader
from jitgrad.runtime.links import Unlinked
from jitgrad.runtime.lowered import Lowered
from jitgrad.tensor import Parameter, Tensor
from jitgrad.tools.target import as_tensors

if TYPE_CHECKING:
    from jitgrad.api.entry import Entry

SAMPLE = 1e-3  # seconds that one measurement should take at least
LIMIT = 2.0  # seconds after which no further measurement is begun


@dataclass(frozen=True, slots=True)
class Program:
    """What one program costs in both modes. Times in seconds, memory in bytes.

    compile_seconds   of the first call: trace, passes, kernels.
    kernels           launches of one run; `compiled_now` of the sources were not in the cache.
    eager_peak        most memory in arrays during a run, and `compiled_peak` alike.
    """

    name: str
    eager_seconds: float
    compiled_seconds: float
    compile_seconds: float
    kernels: int
    sources: int
    compiled_now: int
    bytes_moved: int
    eager_peak: int
    compiled_peak: int

    @property
    def speedup(self) -> float:
        """How many times faster the compiled program is."""
        return self.eager_seconds / self.compiled_seconds


class Subject:
    """A function of the user's, eager and compiled for certain arguments.

    state    the Tensors that it writes, which the measurements leave as they were.
    tracked  whether it may be recorded on the tape, as a gradient must.
    """

    def __init__(self, name: str, eager: Callable[..., Any], args: tuple[Any, ...], tracked: bool):
        self.name, self.eager, self.args, self.tracked = name, eager, args, tracked
        self.compiled: Compiled = jit(eager)
        executor.native_function(executor.table(Unlinked(), [], []))  # what all programs share
        before, start = loader.compiled, time.perf_counter()
        self.entry: Entry = self.compiled.entry(args, {})[0]
        self.compile_seconds = time.perf_counter() - start
        self.compiled_now = loader.compiled - before
        tensors = [x for x in tree.flatten((args, {}))[0] if isinstance(x, Tensor)]
        self.inputs = [*tensors, *self.entry.traced.captures]
        self.state = [self.inputs[place] for _, place in self.entry.traced.writes]

    def run(self, function: Callable[..., Any]) -> Any:
        if self.tracked:
            return function(*self.args)
        with no_grad():
            return function(*self.args)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What the function writes is put back at the end."""
        saved = [(x, x._held("kept").copy(), x._type) for x in self.state]
        try:
            yield
        finally:
            for x, array, type in saved:
                x._set(array, type)

    def results(self, function: Callable[..., Any]) -> tuple[Any, list[np.ndarray]]:
        """What one run returns and what it leaves in the state."""
        with self.unchanged():
            out = self.run(function)
            return out, [x._array("compared").copy() for x in self.state]

    def results_on(self, place: str) -> tuple[Any, list[np.ndarray]]:
        """The same of the compiled function, with all that it takes and finds in a place."""
        homes = [(x, x._data) for x in self.inputs]

        def there(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return x
            return Tensor._wrap(placement.put(x._held("moved"), place), x._type)

        args = tree.map(there, self.args)
        try:
            with self.unchanged():
                out = self.run(lambda *_: self.compiled(*args))
                return out, [x._array("compared").copy() for x in self.state]
        finally:
            for x, array in homes:
                x._data = array

    def lowered(self) -> Lowered:
        traced = self.entry.traced
        return Lowered(erase(traced.graph), dict(traced.writes))

    def program(self, repeat: int) -> Program:
        lowered = self.lowered()
        with self.unchanged():
            eager, compiled = self.times(repeat)
            self.entry.run(self.compiled.entry(self.args, {})[1])
            peaks = self.peak(self.eager), self.peak(self.compiled)
        arena = lowered.plan.arena
        return Program(
            self.name,
            eager,
            compiled,
            self.compile_seconds,
            len(lowered.kernels),
            len({k.source for k in lowered.kernels}),
            self.compiled_now,
            lowered.bytes_moved,
            peaks[0],
            peaks[1] + arena,
        )

    def times(self, repeat: int) -> tuple[float, float]:
        """Medians of interleaved measurements, each of many calls if they are short."""
        functions = self.eager, self.compiled
        counts = [self.calls(f) for f in functions]
        samples: tuple[list[float], list[float]] = [], []
        begin = time.perf_counter()
        for _ in range(repeat):
            for function, count, found in zip(functions, counts, samples, strict=True):
                start = time.perf_counter()
                for _ in range(count):
                    self.run(function)
                found.append((time.perf_counter() - start) / count)
            if time.perf_counter() - begin > LIMIT:
                break
        return float(np.median(samples[0])), float(np.median(samples[1]))

    def calls(self, function: Callable[..., Any]) -> int:
        """How many calls make a measurement; the first calls are not measured."""
        for _ in range(3):
            start = time.perf_counter()
            self.run(function)
        return max(1, int(SAMPLE / max(time.perf_counter() - start, 1e-7)))

    def peak(self, function: Callable[..., Any]) -> int:
        """The most memory that arrays and Python objects of one run hold at a time."""
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            self.run(function)
            return max(tracemalloc.get_traced_memory()[1] - before, 0)
        finally:
            tracemalloc.stop()


def gradient_of(value: Subject) -> tuple[Subject | None, list[str]]:
    """The function with its gradient, and what it is the gradient of."""
    positions = [i for i, x in enumerate(value.args) if _is_float(x)]
    inside = {id(x) for x in tree.flatten(value.args)[0]}
    weights = [
        x
        for x in value.entry.traced.captures
        if isinstance(x, Parameter) and x.requires_grad and x.dtype.is_float
        if id(x) not in inside
    ]
    outputs = value.entry.types
    if not (positions or weights) or not any(t.dtype.is_float for t in outputs):
        return None, []
    function = value_and_grad(value.eager, tuple(positions) or None, weights or None)
    names = argument_names(value.eager, len(value.args))
    of = [n for i in positions for n in leaf_names(names[i], value.args[i])]
    of += [w.name for w in weights]
    return Subject("value and gradient", function, value.args, tracked=True), of


def _is_float(argument: Any) -> bool:
    leaves = tree.flatten(argument)[0]
    return bool(leaves) and all(isinstance(x, Tensor) and x.dtype.is_float for x in leaves)


def lower(fn: Callable[..., Any], args: Sequence[Any], *, grad: bool = False) -> Lowered:
    """What the compiler makes of a function, or of it with its gradient, for these arguments."""
    args = tuple([as_tensors(x) for x in args])
    value = Subject("value", uncompiled(fn), args, tracked=False)
    if not grad:
        return value.lowered()
    gradient, _ = gradient_of(value)
    if gradient is None:
        raise fail(
            DTypeError,
            f"{title(fn)} has no gradient",
            why="no argument and no trained Parameter is a float, or no result is",
        )
    return gradient.lowered()


# --- names --------------------------------------------------------------------------------------


def uncompiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function that was given to `jit`."""
    return fn.__wrapped__ if isinstance(fn, Compiled) else fn


def title(fn: Any) -> str:
    """What to call a function."""
    name = getattr(fn, "__name__", type(fn).__name__)
    return name if name != "<lambda>" else "lambda"


def argument_names(fn: Callable[..., Any], count: int) -> list[str]:
    """The names of `count` positional arguments."""
    try:
        parameters = inspect.signature(fn.construct if is_cell(fn) else fn).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (names + [f"argument {i}" for i in range(len(names), count)])[:count]


def leaf_names(stem: str, value: Any) -> list[str]:
    """A name for each leaf of a nest."""
    leaves = tree.flatten(value)[0]
    return [stem] if len(leaves) == 1 else [f"{stem} {i}" for i, _ in enumerate(leaves)]


def name_of(tensor: Tensor, index: int) -> str:
    """What to call a Tensor that a function writes."""
    return tensor.name if isinstance(tensor, Parameter) else f"tensor {index}"
