"""A grid run thread by thread as plain Python, with every access of memory watched.

A kernel's text becomes a generator that yields at each barrier; the threads of a block go on from
barrier to barrier in turn. What two threads may not both touch is therefore found, whatever order
they really run in: an element that one writes and another reads or writes, in one block between two
barriers, or in two blocks at all. An index out of range is an error too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from jitgrad.codegen.compile import function
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.cuda.names import namespace_python
from jitgrad.codegen.launch import Status
from jitgrad.codegen.vecmath.table import NUMPY_NAMES
from jitgrad.errors import IRError

BARRIER = "cuda.syncthreads()"
IN_MEMORY = {"bool": "uint8", "f16": "uint16"}


class Race(IRError):
    """Two threads touch one element, and nothing says which comes first."""


class Outside(IRError):
    """An access out of range."""


@dataclass(slots=True)
class Log:
    """Who touched which bytes, as (block, phase, thread), by the address of an element."""

    writer: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    readers: dict[int, set[tuple[int, int, int]]] = field(default_factory=dict)
    fetched: set[tuple[int, int]] = field(default_factory=set)  # by block, not written there before
    moved: int = 0  # bytes that blocks fetched, each element once, and that were written


class Watched:
    """An array whose elements know who touched them, under whatever name and type."""

    __slots__ = ("array", "crew", "log", "name", "open", "size", "start", "views")

    def __init__(self, name: str, array: np.ndarray, crew: Crew, log: Log, open: bool = False):
        """`open`: any thread may write, and none minds which was the last."""
        self.name, self.array, self.crew, self.log, self.open = name, array, crew, log, open
        self.start, self.size = array.__array_interface__["data"][0], array.itemsize
        self.views: dict[Any, Watched] = {}

    def at(self, index: Any) -> int:
        at = int(index)
        if not 0 <= at < self.array.size:
            raise Outside(f"{self.name}[{at}] of {self.array.size} elements, {self.crew.who()}")
        return at

    def __getitem__(self, index: Any) -> Any:
        at, me, log = self.at(index), self.crew.me, self.log
        place = self.start + at * self.size
        written = log.writer.get(place)
        if written is not None and self.clash(written, me):
            raise Race(f"{self.name}[{at}] is read and was written, {self.crew.who()}")
        log.readers.setdefault(place, set()).add(me)
        if written is None and (place, me[0]) not in log.fetched:
            log.fetched.add((place, me[0]))
            log.moved += self.size
        return self.array[at]

    def __setitem__(self, index: Any, value: Any) -> None:
        at, me, log = self.at(index), self.crew.me, self.log
        place = self.start + at * self.size
        written = log.writer.get(place)
        others = log.readers.get(place, ())
        if (written is not None and self.clash(written, me)) or any(
            self.clash(reader, me) for reader in others
        ):
            raise Race(f"{self.name}[{at}] is written and was touched, {self.crew.who()}")
        if written is None:
            log.moved += self.size
        log.writer[place] = me
        self.array[at] = value

    def clash(self, one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
        """Whether two accesses have no order."""
        if self.open:
            return False
        if one[0] != other[0]:
            return True  # two blocks
        return one[1] == other[1] and one[2] != other[2]

    def view(self, dtype: Any) -> Watched:
        """The same memory as another type."""
        if dtype not in self.views:
            size = self.array.size // dtype.itemsize * dtype.itemsize
            typed = self.array[:size].view(dtype)
            self.views[dtype] = Watched(self.name, typed, self.crew, self.log, self.open)
        return self.views[dtype]


class Crew:
    """The threads of a grid, of which one runs: what `cuda` is to the text of a kernel."""

    def __init__(self, blocks: int, threads: int):
        self.gridDim, self.blockDim = SimpleNamespace(x=blocks), SimpleNamespace(x=threads)
        self.blockIdx, self.threadIdx = SimpleNamespace(x=0), SimpleNamespace(x=0)
        self.me = (0, 0, 0)
        self.shared = SimpleNamespace(array=self.shared_array)
        self.arrays: list[Watched] = []
        self.asked = 0

    def grid(self, dimensions: int) -> int:
        return self.blockIdx.x * self.blockDim.x + self.threadIdx.x

    def gridsize(self, dimensions: int) -> int:
        return self.gridDim.x * self.blockDim.x

    def shared_array(self, size: int, dtype: Any) -> Watched:
        """The block's next shared array; its first contents are what nobody should read."""
        if self.asked == len(self.arrays):
            fill = np.nan if np.dtype(dtype).kind == "f" else 77
            array = np.full(size, fill, dtype)
            self.arrays.append(Watched(f"shared array {self.asked}", array, self, Log()))
        self.asked += 1
        return self.arrays[self.asked - 1]

    def who(self) -> str:
        block, phase, thread = self.me
        return f"by thread {thread} of block {block} after {phase} barriers"

    def run(self, kernel: Callable[..., Any], args: Sequence[Any]) -> None:
        """All blocks, one after the other."""
        for block in range(self.gridDim.x):
            self.blockIdx.x, self.arrays = block, []
            self.run_block(block, kernel, args)

    def run_block(self, block: int, kernel: Callable[..., Any], args: Sequence[Any]) -> None:
        running: dict[int, Iterator[None]] = {}
        phase = 0
        for thread in range(self.blockDim.x):
            self.asked = 0
            self.move(block, phase, thread)
            started = kernel(*args)
            if started is not None:
                running[thread] = started
                if self.is_over(started):
                    del running[thread]
        if running and len(running) != self.blockDim.x:
            raise Race("not all threads of a block come to a barrier")
        while running:
            phase += 1
            over = [t for t, started in running.items() if self.goes_on(block, phase, t, started)]
            if over and len(over) != len(running):
                raise Race("not all threads of a block come to a barrier")
            for thread in over:
                del running[thread]

    def goes_on(self, block: int, phase: int, thread: int, started: Iterator[None]) -> bool:
        self.move(block, phase, thread)
        return self.is_over(started)

    def is_over(self, started: Iterator[None]) -> bool:
        """Run a thread to its next barrier; whether it has ended instead."""
        return next(started, self) is self

    def move(self, block: int, phase: int, thread: int) -> None:
        self.threadIdx.x, self.me = thread, (block, phase, thread)


@functools.lru_cache(maxsize=1024)
def _kernel(text: str) -> Callable[..., Any]:
    typed = {
        f"{code}_ptr": functools.partial(_typed, np.dtype(IN_MEMORY.get(code, name)))
        for code, name in (*NUMPY_NAMES.items(), ("f16", "float16"))
    }
    return function(text.replace(BARRIER, "yield"), {**namespace_python(), **typed})


def _typed(dtype: np.dtype, ptrs: Sequence[Watched], k: int) -> Watched:
    return ptrs[k].view(dtype)


def run(grid: Grid, memory: Sequence[np.ndarray], blocks: int) -> int:
    """Run a launch over the memory of its pointers, arrays of bytes, in place, in a number of
    blocks; returns the bytes that it moved. Race and Outside are raised as they occur.
    """
    crew, log = Crew(blocks, grid.threads), Log()
    kernel = _kernel(grid.source)
    kernel.__globals__["cuda"] = crew
    names = [f"pointer {i}" for i in range(len(memory))]
    opens = [isinstance(p, Status) for p in grid.pointers] or [False] * len(names)
    arrays = [Watched(n, m, crew, log, o) for n, m, o in zip(names, memory, opens, strict=True)]
    with np.errstate(all="ignore"):
        if grid.codes:
            dtypes = [np.dtype(IN_MEMORY.get(c) or NUMPY_NAMES[c]) for c in grid.codes]
            typed = [a.view(d) for a, d in zip(arrays, dtypes, strict=True)]
            crew.run(kernel, [*typed, *grid.dims])
        else:
            count = grid.dims[0]
            crew.run(kernel, [arrays, list(grid.dims[1 : 1 + count]), *grid.dims[1 + count :]])
    return log.moved
