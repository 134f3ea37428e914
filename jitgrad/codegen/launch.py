"""What a plan's step becomes: kernel calls over memory, still without addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jitgrad.codegen import cpu
from jitgrad.codegen.loops import Kernel
from jitgrad.codegen.lower import lower
from jitgrad.ir.node import Graph, input_node
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType
from jitgrad.passes.plan import Buffer


@dataclass(frozen=True, slots=True)
class Library:
    """A routine of a library, by name: resolved to its address when the plan is loaded."""

    name: str


@dataclass(frozen=True, slots=True)
class Callback:
    """A function of the user's, by its number: called with a table of pointers."""

    number: int


@dataclass(frozen=True, slots=True)
class Entry:
    """The address of another kernel, by its source."""

    source: str


@dataclass(frozen=True, slots=True)
class Status:
    """The words into which a kernel writes that an index does not exist."""


@dataclass(frozen=True, slots=True)
class Part:
    """A buffer from an offset in bytes on."""

    buffer: Buffer
    offset: int


@dataclass(frozen=True, slots=True)
class Moving:
    """A pointer in a strip: moves by `tile` bytes a tile and by `chunk` bytes a chunk."""

    pointer: Buffer | Part
    tile: int = 0
    chunk: int = 0


Pointer = Buffer | Part | Library | Callback | Entry | Status | Moving


def ahead(pointer: Pointer, nbytes: int) -> Pointer:
    """A pointer so many bytes further on."""
    if not nbytes:
        return pointer
    if isinstance(pointer, Moving):
        return replace(pointer, pointer=ahead(pointer.pointer, nbytes))
    if isinstance(pointer, Part):
        return replace(pointer, offset=pointer.offset + nbytes)
    assert isinstance(pointer, Buffer)
    return Part(pointer, nbytes)


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel call: its source, the memory it gets, its integers, and its range [0, extent).

    `work` is about how many elementary operations it makes; `kernel` the kernel IR of a region.
    Parts of the range may run at once; `grain` is the smallest part that pays. `faults` is what a
    region's kernel can report. `once`: from operands it makes working memory that the step's other
    launches only read; a loop does that once if these stay the same.
    """

    source: str
    pointers: tuple[Pointer, ...]
    dims: tuple[int, ...]
    extent: int
    work: int
    kernel: Kernel | None = None
    grain: int = 1
    faults: tuple[Any, ...] = ()
    once: bool = False


@dataclass(frozen=True, slots=True)
class Strip:
    """Launches over one tile of a long axis after the other: what they hand on stays in the cache.

    Consecutive tiles form chunks: chunk c is tiles [c * tiles // chunks, (c + 1) * tiles // chunks)
    in order, after the `start` launches (they clear what the chunk accumulates). Chunks are
    independent, and their number does not depend on the number of threads: nor do the results.
    `tail` is `body` for a last tile that is shorter: the same sources and pointers, other dims and
    extents; empty if all tiles are alike. `local` is the bytes that every thread needs for buffers
    whose home is "local".
    """

    start: tuple[Launch, ...]
    body: tuple[Launch, ...]
    tail: tuple[Launch, ...]
    tiles: int
    chunks: int
    local: int
    note: str = ""  # what was decided, and why


BYTES = """def kernel(ptrs, dims, lo, hi):
    a0 = u8_ptr(ptrs, 0)
    r0 = u8_ptr(ptrs, 1)
    for i0 in range(lo, hi):
        r0[i0] = a0[i0]
"""
ZERO = """def kernel(ptrs, dims, lo, hi):
    r0 = u8_ptr(ptrs, 0)
    for i0 in range(lo, hi):
        r0[i0] = u8(0)
"""


def of_kernel(kernel: Kernel, pointers: Sequence[Pointer]) -> Launch:
    """The launch of a region's kernel over its arrays, in the CPU frame."""
    text = cpu.source(kernel)
    return Launch(text, tuple(pointers), tuple(kernel.values), kernel.extent, kernel.work, kernel)


def copy(source: Buffer, target: Buffer) -> Launch:
    """The bytes of one buffer to another."""
    return Launch(BYTES, (source, target), (), source.nbytes, source.nbytes)


def zero(target: Pointer, nbytes: int) -> Launch:
    """All bytes of a buffer to 0."""
    return Launch(ZERO, (target,), (), nbytes, nbytes)


def add_up(reduction: Op, source: Pointer, target: Pointer, type: TensorType, count: int) -> Launch:
    """One result from `count` of them, one after the other in memory."""
    shape = (count, *type.shape)
    parts = input_node("a0", TensorType(type.dtype, shape))
    body = Graph("body", (parts,), (reduction(parts, axes=(0,)),))
    kernel = lower(body, shape, (0,), kind="row" if not type.shape else "")
    return of_kernel(kernel, [source, target])
