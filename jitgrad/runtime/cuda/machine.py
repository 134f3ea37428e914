"""What the rest needs of a driver: memory by address, kernels, and one queue of work.

All work is in order. Nothing waits but `download` and `synchronize`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jitgrad.codegen.cuda.grid import Grid


class OutOfMemory(Exception):
    """The machine has no memory of that size left."""


class Failure(Exception):
    """The machine reports that something went wrong, perhaps long before."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What a device is; sizes in bytes."""

    name: str
    major: int  # compute capability
    minor: int
    total_memory: int
    multi_processor_count: int
    max_threads_per_multi_processor: int = 0
    shared_memory_per_multiprocessor: int = 0
    regs_per_multiprocessor: int = 0


class Machine(Protocol):
    """A device. `address` is a number; 0 is nowhere."""

    def properties(self) -> Properties: ...

    def enter(self) -> None:
        """Make the device that of this thread, ahead of launches."""
        ...

    def memory(self) -> tuple[int, int]:
        """Bytes that are free, and all bytes."""
        ...

    def allocate(self, nbytes: int) -> int:
        """Memory at a multiple of 256; OutOfMemory."""
        ...

    def release(self, address: int) -> None: ...

    def upload(self, array: np.ndarray, address: int) -> None:
        """Copy a contiguous array, which may change as soon as this returns."""
        ...

    def download(self, address: int, array: np.ndarray) -> None:
        """Wait for all work, and copy into a contiguous array. Failure."""
        ...

    def duplicate(self, source: int, target: int, nbytes: int) -> None: ...

    def kernel(self, grid: Grid) -> Any:
        """The compiled kernel of a launch, for `call`."""
        ...

    def call(
        self, kernel: Any, grid: Grid, words: np.ndarray, extents: Sequence[int]
    ) -> Callable[[], None]:
        """A launch with all of its arguments, 64-bit words. `extents` is how many bytes the kernel
        may touch from each pointer on: the emulator watches that.
        """
        ...

    def record(self, launches: Callable[[], None]) -> Callable[[], None] | None:
        """One call that does what these launches do, or None where there is no such thing."""
        ...

    def wait(self, stream: int) -> None:
        """Wait for what others launched on a stream of theirs."""
        ...

    def synchronize(self) -> None:
        """Wait for all work. Failure."""
        ...
