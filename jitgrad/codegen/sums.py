"""Sums over packed images, block by block of what fits the registers."""

from __future__ import annotations

from dataclasses import dataclass

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import conv
from jitgrad.codegen.launch import Launch, Pointer
from jitgrad.codegen.native import vector_bits
from jitgrad.ir.types import DType

Block = tuple[int, int]  # vectors and rows of a block of sums


@dataclass(frozen=True, slots=True)
class Operand:
    """The steps in memory from one group of the sums to the next, one row (of x: one block of
    places), one channel.
    """

    group: int
    row: int
    channel: int

    def size(self, channels: int) -> int:
        """About how many elements all sums of a group read."""
        return max(self.group, channels * self.channel)


@dataclass(frozen=True, slots=True)
class Taps:
    """Sums over channels and taps, for each row at all places."""

    dtype: DType
    groups: int
    rows: int
    channels: int
    x: Operand
    w: Operand
    block: Block
    row: int  # places, of whole blocks
    shifts: tuple[tuple[int, int], ...]  # of each tap, in x and in w
    turned: bool = False  # whether the rows of a block lie side by side in w
    adds: bool = False  # whether sums are added to what is there
    near: bool = False  # whether a block's places are kept in the L1 cache for all rows
    to: tuple[int, int] = (0, 0)  # steps of groups and of rows there, unless sums lie side by side

    @property
    def time(self) -> int:
        """Half cycles for one image."""
        vectors = self.row // registers.lanes(self.dtype.code) // self.block[0]
        blocks = self.groups * rounds(self.rows, self.block[1]) * vectors
        return blocks * self.channels * len(self.shifts) * time(*self.block)

    def launch(self, images: int, x: Pointer, w: Pointer, sums: Pointer) -> Launch:
        """The sums of some images."""
        (vectors, high), row = self.block, self.row
        step = vectors * registers.lanes(self.dtype.code)
        loops, rows, places = (rounds(self.rows, high), row // step), (high, 0), (0, 1)
        # What the outer loop goes through is read once, the other once for each of its blocks.
        longer = self.x.size(self.channels) > self.w.size(self.channels)
        if images == 1 and (longer or self.near):
            loops, rows, places = loops[::-1], rows[::-1], places[::-1]
        last = self.rows - high
        beside, w_last = (1, high * loops[0] * loops[1]) if self.turned else (self.w.row, last)
        to_group, to_row = self.to if self.to[1] else (self.rows * row, row)
        dims = (
            images, *loops, last, *rows, *places,
            self.groups * self.x.group, self.x.group, self.x.row, self.w.group, self.w.row,
            self.groups * to_group, to_group, to_row, step, w_last,
            self.channels, len(self.shifts), self.x.channel, self.w.channel, beside, to_row,
            int(self.adds), *(s for shift in self.shifts for s in shift),
        )  # fmt: skip
        work = images * self.groups * self.rows * row * self.channels * len(self.shifts)
        text = conv.taps(self.dtype.code, vectors, high)
        return Launch(text, (x, w, sums), dims, self.groups * loops[0], work // PRODUCT)


PRODUCT = 4  # multiplications in registers at the cost of an element that is moved


NEAR = 36 << 10  # bytes of the L1 cache for the places of a block


def pieces(channels: int, block: Block) -> list[tuple[int, int]]:
    """(first, count) of channels whose places for a block of sums stay in the L1 cache."""
    most = max(NEAR // (block[0] * registers.VECTOR), 1)
    most = rounds(channels, rounds(channels, most))
    return [(first, min(most, channels - first)) for first in range(0, channels, most)]


def cut(extent: int, block: int) -> list[tuple[int, int, int]]:
    """(first, count, size) of whole blocks, and of the rest as one of its own."""
    whole, rest = divmod(extent, block)
    parts = [(0, whole, block), (whole * block, 1, rest)]
    return [part for part in parts if part[1] and part[2]]


def rounds(extent: int, block: int) -> int:
    """How many blocks an extent takes."""
    return -(-extent // block)


def _registers() -> int:
    """Registers for vectors of `registers.VECTOR` bytes."""
    return 32 if vector_bits() == 512 else vector_bits() // 32


def blocks(rows: int) -> list[Block]:
    """Blocks (vectors, rows) whose sums stay in registers, beside what is read."""
    free, most = _registers() - 1, min(rows, 8)
    return [(v, r) for r in range(1, most + 1) for v in range(1, 16) if v * r + v <= free]


def block_of(places: int, rows: int, dtype: DType, block: Block | None = None) -> tuple[Block, int]:
    """The block (vectors, rows) with the least time for all sums, unless it is given, and their
    places in such. A little more time is fine for fewer places: sums of none beside the outputs
    need not be moved.
    """
    lanes = registers.lanes(dtype.code)

    def places_in(block: Block) -> int:
        return rounds(places, block[0] * lanes) * block[0] * lanes

    def whole_time(block: Block) -> int:
        return places_in(block) // block[0] * rounds(rows, block[1]) * time(*block)

    if block is None:
        times = {b: whole_time(b) for b in blocks(rows)}
        enough = min(times.values()) * 33 // 32
        block = min((places_in(b), t, b) for b, t in times.items() if t <= enough)[2]
    return block, places_in(block)


def time(vectors: int, rows: int) -> int:
    """Half cycles of a round: multiplications, or loads (vectors lie across cache lines), and at
    least the time until a sum can be added to again.
    """
    return max(vectors * rows, 2 * vectors + rows, 8) + 1
