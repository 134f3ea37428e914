"""What a plan's step becomes on a device: one launch of a grid of blocks of threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jitgrad.codegen.launch import Pointer

NARROW = 1 << 31  # numbers below it are divided as 32-bit integers, which takes a fraction of time
MOST_BLOCKS = 1 << 16  # of a grid: more work than that goes round


@dataclass(frozen=True, slots=True)
class Grid:
    """A launch: the text of its kernel, and what it is called with.

    codes    what each pointer points to, as the kernel's parameter.
    dims     integers, after the pointers.
    blocks   of the grid, and `threads` of each block.
    bytes    that it has to move at least; work: elementary operations.
    faults   what a kernel with loops and branches can report.
    """

    source: str
    pointers: tuple[Pointer, ...]
    codes: tuple[str, ...]
    dims: tuple[int, ...]
    blocks: int
    threads: int
    bytes: int = 0
    work: int = 0
    faults: tuple[Any, ...] = ()


def blocks_for(count: int, each: int) -> int:
    """Blocks that cover `count` items, of which a block takes `each`."""
    return max(1, min(-(-count // each), MOST_BLOCKS))


def signature(names: Sequence[str]) -> str:
    """The first line of a kernel's text."""
    return f"def kernel({', '.join(names)}):"
