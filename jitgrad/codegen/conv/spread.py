"""conv2d_input from few places: all products of g with w, and each added up where it belongs.

The sums over packed images (`images`) want w turned round. Where there are fewer places than
filters, that takes longer than anything else; here w is read once, in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import conv
from jitgrad.codegen.conv.geometry import Geometry
from jitgrad.codegen.conv.packing import Packed
from jitgrad.codegen.launch import Launch, Pointer
from jitgrad.codegen.sums import Block, Operand, Taps, blocks, rounds, time
from jitgrad.passes.plan import Step

ADD = 8  # half cycles to add a product


@dataclass(frozen=True, slots=True)
class Spread:
    """The sizes of all products."""

    at: Geometry
    block: Block

    @property
    def places(self) -> int:
        """Of all images."""
        return self.at.images * self.at.rows.out * self.at.columns.out

    @property
    def row(self) -> int:
        """Products of a place, summed over the filters."""
        return self.at.channels * self.at.area

    @property
    def packed(self) -> Packed:
        """g, with all images side by side."""
        g = self.at
        out = g.rows.out, g.columns.out
        return Packed(out, (1, 1), ((0, 0),), *out, self.places, g.images)

    @property
    def time(self) -> float:
        """Half cycles for all images."""
        g, (vectors, high) = self.at, self.block
        sums = rounds(self.places, high) * time(vectors, high) * g.filters
        blocks = self.row // (vectors * registers.lanes(g.dtype.code))
        return (
            sums * blocks + self.places * self.row * ADD + g.images * g.filters * self.packed.time
        )

    def scratch(self) -> Sequence[int]:
        """Bytes of g and of the products."""
        return [self.places * n * self.at.dtype.size for n in (self.at.filters, self.row)]

    def entries(self, step: Step) -> list[Launch]:
        """The launches for all images."""
        (g, w), x = step.reads, step.writes[0]
        packed, products = step.scratch
        return [
            self.packed.launch(self.at.dtype, g, packed, self.at.images, self.at.filters),
            self._products(packed, w, products),
            self._added(products, x),
        ]

    def _products(self, packed: Pointer, w: Pointer, products: Pointer) -> Launch:
        g, step = self.at, self.block[0] * registers.lanes(self.at.dtype.code)
        in_w, in_g = Operand(0, step, self.row), Operand(0, 1, self.places)
        block, row = self.block, self.row
        taps = Taps(g.dtype, 1, self.places, g.filters, in_w, in_g, block, row, ((0, 0),))
        return taps.launch(1, w, packed, products)

    def _added(self, products: Pointer, x: Pointer) -> Launch:
        g, r, c = self.at, self.at.rows, self.at.columns
        dims = (
            g.channels, r.size, c.size, r.out, c.out, r.stride, c.stride, r.dilation, c.dilation,
            r.before, c.before,
        )  # fmt: skip
        text, work = conv.spread(g.dtype.code, r.kernel, c.kernel), self.places * self.row
        return Launch(text, (products, x), dims, g.images * g.channels, work)


def spread(g: Geometry) -> Spread | None:
    """None for groups, if a filter is no whole vectors, or if the products are more than w is."""
    lanes, row = registers.lanes(g.dtype.code), g.channels * g.area
    places = g.images * g.rows.out * g.columns.out
    fitting = [b for b in blocks(places) if row % (b[0] * lanes) == 0]
    if not fitting or g.groups > 1 or places > g.filters:
        return None
    return Spread(g, min(fitting, key=lambda b: rounds(places, b[1]) * time(*b) / b[0]))
