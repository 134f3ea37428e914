"""Matrix products as blocks of sums in registers, over panels of the right operand.

A library packs both operands of every call anew. Here only the right one is packed, and only where
its rows are not read in order as it is: in panels of as many columns as a block of sums has. The
tiles of a strip share it. The left one is read element by element, whichever way it is stored.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import panels as text
from jitgrad.codegen.launch import Launch, Pointer, ahead
from jitgrad.codegen.sums import Operand, Taps, blocks, cut, rounds
from jitgrad.ir.types import DType

SMALLEST = 1 << 12  # elements of a right operand that pays
ANOTHER = 1 / 8  # of the time that one more kernel has to save, since it is compiled
DEEP = 256  # terms of a sum for which columns of the left operand stay in the cache

Operands = tuple[Pointer, Pointer, Pointer]


@dataclass(frozen=True, slots=True)
class Panels:
    """A matrix [k, n], stored swapped or not, as panels: [n / width, k, width], and of the columns
    that are left one more that is narrower.
    """

    dtype: DType
    k: int
    n: int
    swapped: bool
    block: tuple[int, int]  # vectors and rows of a block of sums
    packed: bool = True  # or read where it is

    @property
    def nbytes(self) -> int:
        return self.k * self.n * self.dtype.size

    def columns(self) -> list[tuple[int, int, int]]:
        """Panels of one width: first column, how many, vectors of each."""
        lanes = registers.lanes(self.dtype.code)
        return [(at * lanes, count, v) for at, count, v in cut(self.n // lanes, self.block[0])]

    def pack(self, matrix: Pointer, panels: Pointer, batch: int = 1) -> list[Launch]:
        """The panels of a batch of matrices."""
        code, (k, n), size = self.dtype.code, (self.k, self.n), self.dtype.size
        made = []
        for first, count, vectors in self.columns():
            width = vectors * registers.lanes(code)
            source = ahead(matrix, first * (k if self.swapped else 1) * size)
            to, work = ahead(panels, first * k * size), batch * k * count * width
            if self.swapped:
                kernel = text.turned(code, registers.lanes(code))
                dims, planes = (k, width), batch * count
            else:
                dims = (k, n, width, count, k * n)
                kernel, planes = text.copied(code), batch * k
            made.append(Launch(kernel, (source, to), dims, planes, work, once=True))
        return made

    def product(
        self, operands: Operands, m: int, swapped: bool, batch: int = 1, adding: bool = False
    ) -> list[Launch]:
        """c[m, n] = a[m, k] times the panels (+ c), for each of a batch; a may be stored swapped.

        Where a block would reach beyond the last row it starts earlier, unless it would add to a
        row twice.
        """
        a, panels, c = operands
        code, size, (k, n), high = self.dtype.code, self.dtype.size, (self.k, self.n), self.block[1]
        left = Operand(m * k, 1, m) if swapped else Operand(m * k, k, 1)
        rows = cut(m, high) if adding else [(0, rounds(m, high), high)]
        made: list[Launch] = []
        for (row, many, high), (column, count, v) in itertools.product(rows, self.columns()):
            width = v * registers.lanes(code)
            right = Operand(k * n, *((k * width, width) if self.packed else (width, n)))
            taps = Taps(
                self.dtype, batch, min(many * high, m), k, right, left,
                (v, high), count * width, ((0, 0),), adds=adding, to=(m * n, n),
            )  # fmt: skip
            panel = ahead(panels, column * (k if self.packed else 1) * size)
            here, to = ahead(a, row * left.row * size), ahead(c, (row * n + column) * size)
            made.append(taps.launch(1, panel, here, to))
        return made


def panels_of(
    dtype: DType,
    rows: tuple[int, int],
    k: int,
    n: int,
    swapped: bool,
    batch: int = 1,
    packed: bool | None = None,
) -> Panels | None:
    """How a matrix [k, n] is read by products with so many rows, the most and the fewest; None if a
    library does as well, or if its rows are no vectors. `packed`: as is best unless said.
    """
    lanes = registers.lanes(dtype.code) if dtype.is_float and dtype.size > 2 else 0
    if not lanes or n % lanes or k * n < SMALLEST or (swapped and k < lanes):
        return None
    wide, (most, fewest) = n // lanes, rows

    def whole_time(block: tuple[int, int]) -> float:
        columns = cut(wide, block[0])
        once = sum(count * _time(v, block[1]) for _, count, v in columns)
        return rounds(most, block[1]) * once * (1 + ANOTHER * (len(columns) - 1))

    fitting = [b for b in blocks(fewest) if b[0] <= wide and (batch == 1 or wide % b[0] == 0)]
    block = min(fitting, key=lambda b: (whole_time(b), -b[1]))
    needed = swapped or wide > block[0]
    return Panels(dtype, k, n, swapped, block, needed if packed is None else packed)


def _time(vectors: int, rows: int) -> int:
    """Half cycles of a round: multiplications, loads of vectors that are in L2, or the time until a
    sum can be added to again; and what a round takes besides.
    """
    return max(vectors * rows, 4 * vectors, 8) + 6
