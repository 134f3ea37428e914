"""Kernels written by hand for the CPU, and bytes that are moved: the threads share the range.

What is written for the CPU takes tables of addresses and integers; so do these launches.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence

from jitgrad.codegen.cuda import frame
from jitgrad.codegen.cuda.grid import Grid, blocks_for, signature
from jitgrad.codegen.launch import BYTES, ZERO, Launch, Pointer
from jitgrad.passes.plan import Buffer

SHARED = """def kernel(ptrs, dims, extent):
    for lo in range(cuda.grid(1), extent, cuda.gridsize(1)):
        hi = lo + 1
"""


def shared(of_cpu: Launch) -> Grid:
    """A CPU kernel's launch, its range shared by the threads of the grid."""
    if of_cpu.source in (BYTES, ZERO):
        return _moved(
            "a[i]" if of_cpu.source == BYTES else "{T}(0)", of_cpu.pointers, of_cpu.extent
        )
    _, _, body = of_cpu.source.partition("\n")
    text = SHARED + textwrap.indent(body, "    ")
    made = launch(text, of_cpu.pointers, of_cpu.dims, of_cpu.extent, (of_cpu.extent,))
    return dataclasses.replace(made, faults=of_cpu.faults, work=of_cpu.work)


def launch(
    text: str,
    pointers: Sequence[Pointer],
    dims: Sequence[int],
    count: int,
    more: tuple[int, ...] = (),
) -> Grid:
    """The launch of a kernel that takes tables of addresses and integers: codes are empty."""
    blocks = blocks_for(count, frame.THREADS)
    packed = (len(dims), *dims, *more)
    moved = sum(p.nbytes for p in pointers if isinstance(p, Buffer))
    return Grid(text, tuple(pointers), (), packed, blocks, frame.THREADS, moved)


def copy(source: Pointer, target: Pointer, nbytes: int) -> Grid:
    """The bytes of one buffer to another."""
    return _moved("a[i]", (source, target), nbytes)


def zero(target: Pointer, nbytes: int) -> Grid:
    """All bytes of a buffer to 0."""
    return _moved("{T}(0)", (target,), nbytes)


def _moved(value: str, pointers: tuple[Pointer, ...], nbytes: int) -> Grid:
    code, size = ("i64", 8) if nbytes % 8 == 0 else ("u8", 1)
    names = ["a", "r"][-len(pointers) :]
    text = "\n".join(
        [
            signature([*names, "count"]),
            "    for i in range(cuda.grid(1), count, cuda.gridsize(1)):",
            f"        r[i] = {value.replace('{T}', code)}",
            "",
        ]
    )
    count = nbytes // size
    blocks = blocks_for(count, frame.THREADS)
    codes = (code,) * len(pointers)
    return Grid(text, pointers, codes, (count,), blocks, frame.THREADS, len(pointers) * nbytes)
