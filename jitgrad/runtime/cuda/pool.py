"""A device's memory: blocks that are used again, what is in use, and the error when it is full.

A block that nobody holds is kept for the next of its size. All work on a device is in order, so
memory can be used again before what used it last has run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from jitgrad.errors import DeviceMemoryError, fail
from jitgrad.runtime.cuda.machine import Machine, OutOfMemory

GRAIN, LARGE = 512, 1 << 20  # bytes: sizes are multiples of it, and of LARGE from there on
SHOWN = 3  # buffers that the error names


class Block:
    """Memory by its address. Its owner, the pool or whoever lent it, gets it back in the end."""

    __slots__ = ("address", "nbytes", "owner")

    def __init__(self, address: int, nbytes: int, owner: Any):
        self.address, self.nbytes, self.owner = address, nbytes, owner

    def __del__(self) -> None:
        if type(self.owner) is Pool:
            self.owner.give(self.address)


class Pool:
    """The blocks of one machine."""

    def __init__(self, machine: Machine):
        self.machine = machine
        self.free: dict[int, list[int]] = {}  # by size
        self.live: dict[int, tuple[int, str]] = {}  # by address: size, and what it is
        self.allocated = self.peak = self.reserved = 0
        self.lock = threading.RLock()

    def take(self, nbytes: int, what: str) -> Block:
        """A block; DeviceMemoryError if there is no room, and then nothing has changed."""
        size = rounded(nbytes)
        with self.lock:
            kept = self.free.get(size)
            address = kept.pop() if kept else self.fresh(size, nbytes, what)
            self.live[address] = size, what
            self.allocated += size
            self.peak = max(self.peak, self.allocated)
        return Block(address, size, self)

    def give(self, address: int) -> None:
        """Keep a block's memory for the next who asks."""
        with self.lock:
            size, _ = self.live.pop(address)
            self.allocated -= size
            self.free.setdefault(size, []).append(address)

    def fresh(self, size: int, nbytes: int, what: str) -> int:
        """Memory from the machine, if need be after what is kept has gone back to it."""
        steps: tuple[Callable[[], None], ...] = (lambda: None, self.empty)
        for step in steps:
            step()
            try:
                address = self.machine.allocate(size)
            except OutOfMemory:
                continue
            self.reserved += size
            return address
        raise self.full(nbytes, what)

    def empty(self) -> None:
        """Give back to the machine what nobody uses."""
        with self.lock:
            if any(self.free.values()):
                self.machine.synchronize()
            for size, addresses in self.free.items():
                for address in addresses:
                    self.machine.release(address)
                    self.reserved -= size
            self.free.clear()

    def full(self, nbytes: int, what: str) -> Exception:
        free, total = self.machine.memory()
        largest = sorted(self.live.values(), reverse=True)[:SHOWN]
        held = "; ".join(f"{amount(size)} for {label}" for size, label in largest)
        return fail(
            DeviceMemoryError,
            f"the GPU has no room for {amount(nbytes)}, for {what}",
            why=f"{amount(free)} of its {amount(total)} are free; jitgrad holds"
            f" {amount(self.allocated)}" + (f", the largest of it {held}" if held else ""),
            instead="a smaller batch, or del what is no longer needed; the program can go on",
        )


def rounded(nbytes: int) -> int:
    """The size of the block for so many bytes."""
    grain = LARGE if nbytes >= LARGE else GRAIN
    return max(-(-nbytes // grain), 1) * grain


def amount(nbytes: int) -> str:
    """A number of bytes for people.

    >>> amount(512), amount(3 << 20)
    ('512 B', '3.0 MB')
    """
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if nbytes >= size:
            return f"{nbytes / size:.1f} {unit}"
    return f"{nbytes} B"
