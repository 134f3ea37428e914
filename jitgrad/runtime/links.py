"""A plan's table before it has addresses: plain data, the same in every process.

Where a word needs an address that only a process knows, the table names it by a `Symbol`. So a
finished plan can be kept on disk (`jitgrad.runtime.plans`) and linked where it is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jitgrad.runtime import blas, callbacks, loader

HEADER = 16  # words before the entries; see `jitgrad.runtime.executor`
ENTRY, LAUNCH, POINTER = 11, 5, 4  # words of each before what it contains
# What bases stand for: inputs and outputs from 0 on, and before them
STATUS, ABSOLUTE, LOCAL, ARENA = -4, -3, -2, -1
SPECIAL = 4


@dataclass(frozen=True, slots=True)
class Symbol:
    """What has an address: a "kernel" by the key of its code, a routine of a "library" by its
    name, a "callback" (a function of the user's) and a "constant" of the plan by their numbers.
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pointer points: bytes from a base, and from the address of a symbol if it has one."""

    base: int
    offset: int
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Unlinked:
    """All words of entries and dims, and what the header says of them.

    symbols  with the word to which the address is added.
    count    of the entries.
    most     pointers of a launch, at most.
    room     bytes of arena that it needs once, and for each thread.
    heavy    whether it is worth letting other Python threads run.
    shared   whether there is an entry for several threads.
    """

    words: Sequence[int] = ()
    symbols: Sequence[tuple[int, Symbol]] = ()
    count: int = 0
    most: int = 1
    room: tuple[int, int] = (0, 0)
    heavy: bool = False
    shared: bool = False
    constants: Sequence[np.ndarray] = ()  # bytes

    def same(self, other: Unlinked) -> bool:
        """Whether both do the same."""
        mine, others = (
            (*map(list, (u.words, u.symbols)), u.count, u.most, tuple(u.room), u.heavy, u.shared)
            for u in (self, other)
        )
        return mine == others and [c.tobytes() for c in self.constants] == [
            c.tobytes() for c in other.constants
        ]


def address(symbol: Symbol, constants: Sequence[np.ndarray]) -> int:
    """Where it is in this process; KeyError for a kernel that is nowhere."""
    if symbol.kind == "kernel":
        return loader.kept(symbol.name)
    if symbol.kind == "library":
        return blas.address(symbol.name)
    if symbol.kind == "callback":
        return callbacks.address(int(symbol.name))
    return constants[int(symbol.name)].ctypes.data


def linked(unlinked: Unlinked) -> list[int]:
    """The words with addresses."""
    words = list(unlinked.words)
    for at, symbol in unlinked.symbols:
        words[at] += address(symbol, unlinked.constants)
    return words
