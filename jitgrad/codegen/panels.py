"""Products of a few rows at a time with one and the same matrix, which is packed once.

A library packs both operands of every call anew, which for 64 rows takes a third of its time. In
panels of as many columns as a block of sums in registers has, the matrix is read in order.
"""

from __future__ import annotations

from dataclasses import dataclass

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import conv
from jitgrad.codegen.launch import Launch, Pointer
from jitgrad.codegen.sums import Operand, Taps, blocks, time
from jitgrad.ir.types import DType

SMALLEST = 1 << 12  # elements of a matrix that pays to be packed


@dataclass(frozen=True, slots=True)
class Panels:
    """A matrix [k, n], stored swapped or not, in panels [n / width, k, width]."""

    dtype: DType
    k: int
    n: int
    swapped: bool
    block: tuple[int, int]  # vectors and rows of a block of sums

    @property
    def nbytes(self) -> int:
        return self.k * self.n * self.dtype.size

    @property
    def width(self) -> int:
        """Columns of a panel."""
        return self.block[0] * registers.lanes(self.dtype.code)

    def pack(self, matrix: Pointer, panels: Pointer, batch: int = 1) -> Launch:
        """The panels of a batch of matrices."""
        k, n, width = self.k, self.n, self.width
        planes = batch * n // width
        if self.swapped:
            dims = (width * k, k, width, k, 0, k * width, 1, width, planes, 0)
        else:  # a batch has its rows further apart than its panels: one at a time
            assert batch == 1
            dims = (width, n, k, width, 0, k * width, width, 1, planes, 0)
        work = batch * k * n
        return Launch(conv.unpack(self.dtype.code), (matrix, panels), dims, planes, work)

    def product(
        self, operands: tuple[Pointer, Pointer, Pointer], m: int, swapped: bool, batch: int = 1
    ) -> Launch:
        """c[m, n] = a[m, k] times the panels, for each of a batch; a may be stored swapped."""
        a, panels, c = operands
        k, n = self.k, self.n
        in_panels = Operand(k * n, k * self.width, self.width)
        in_a = Operand(m * k, 1, m) if swapped else Operand(m * k, k, 1)
        taps = Taps(self.dtype, batch, m, k, in_panels, in_a, self.block, n, ((0, 0),))
        return taps.launch(1, panels, a, c)


def panels_of(dtype: DType, m: int, k: int, n: int, swapped: bool) -> Panels | None:
    """How a matrix [k, n] is packed for products with m rows at least; None if a library does as
    well, or if its rows are no vectors.
    """
    lanes = registers.lanes(dtype.code) if dtype.is_float and dtype.size > 2 else 0
    if not lanes or n % lanes or k * n < SMALLEST:
        return None
    fitting = [b for b in blocks(m) if n // lanes % b[0] == 0]
    block = min(fitting, key=lambda b: (time(*b) / (b[0] * b[1]), -b[1]))
    return Panels(dtype, k, n, swapped, block)
