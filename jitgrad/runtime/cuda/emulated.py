"""A GPU in NumPy: memory of its own, and kernels run thread by thread, every access watched.

Addresses are numbers that lead nowhere in the host's memory. What is at them is found by the
allocation they lie in, so an address that was released, or never was one, is an error.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence

import numpy as np

from jitgrad.codegen.cuda import emulate
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.runtime.cuda.machine import OutOfMemory, Properties

FIRST = 1 << 40  # an address
APART = 256  # bytes: the alignment, and the gap behind each allocation
WORD = 8


class Emulated:
    """A machine with some memory. `blocks`: of each grid at most; 0 for all."""

    def __init__(self, total: int = 1 << 32, blocks: int = 0):
        self.total, self.most_blocks, self.used, self.next = total, blocks, 0, FIRST
        self.starts: list[int] = []
        self.held: dict[int, np.ndarray] = {}

    def properties(self) -> Properties:
        return Properties("emulated in Python", 8, 0, self.total, 1)

    def enter(self) -> None:
        pass

    # --- memory ---

    def memory(self) -> tuple[int, int]:
        return self.total - self.used, self.total

    def allocate(self, nbytes: int) -> int:
        if self.used + nbytes > self.total:
            raise OutOfMemory
        address = self.next
        self.next += (nbytes // APART + 2) * APART
        self.used += nbytes
        self.starts.append(address)
        self.held[address] = np.full(nbytes, 0xFF, np.uint8)  # nan, to be seen
        return address

    def release(self, address: int) -> None:
        self.used -= self.held.pop(address).nbytes
        self.starts.remove(address)

    def at(self, address: int, nbytes: int) -> np.ndarray:
        """The bytes from an address on."""
        number = bisect.bisect_right(self.starts, address) - 1
        if number >= 0:
            start = self.starts[number]
            found = self.held[start][address - start : address - start + nbytes]
            if found.nbytes == nbytes:
                return found
        raise emulate.Outside(f"{nbytes} bytes at {address:#x} are in no allocation")

    def upload(self, array: np.ndarray, address: int) -> None:
        self.at(address, array.nbytes)[:] = array.reshape(-1).view(np.uint8)

    def download(self, address: int, array: np.ndarray) -> None:
        array.reshape(-1).view(np.uint8)[:] = self.at(address, array.nbytes)

    def duplicate(self, source: int, target: int, nbytes: int) -> None:
        self.at(target, nbytes)[:] = self.at(source, nbytes)

    # --- work ---

    def kernel(self, grid: Grid) -> str:
        return grid.source

    def call(
        self, kernel: str, grid: Grid, words: np.ndarray, extents: Sequence[int]
    ) -> Callable[[], None]:
        blocks = min(grid.blocks, self.most_blocks or grid.blocks)

        def launch() -> None:
            addresses = words[: len(extents)]
            if not grid.codes:  # a table of them
                addresses = self.at(int(words[0]), WORD * len(extents)).view(np.int64)
            found = zip(addresses.tolist(), extents, strict=True)
            self.run(grid, [self.at(address, nbytes) for address, nbytes in found], blocks)

        return launch

    def run(self, grid: Grid, memory: Sequence[np.ndarray], blocks: int) -> None:
        emulate.run(grid, memory, blocks)

    def record(self, launches: Callable[[], None]) -> Callable[[], None]:
        return launches

    def wait(self, stream: int) -> None:
        pass

    def synchronize(self) -> None:
        pass
