"""conv2d_input from few places: a product of g and w, of which each element is added to its place.

The sums over packed images (`images`) want w turned round. Where there are fewer places
than filters, that may take longer than anything else; here w is read in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jitgrad.codegen.canonical import conv
from jitgrad.codegen.conv.geometry import Geometry
from jitgrad.codegen.conv.packing import Packed, whole
from jitgrad.codegen.launch import Launch, Pointer
from jitgrad.codegen.panels import Panels, panels_of
from jitgrad.codegen.sums import rounds, time
from jitgrad.passes.plan import Step

COPY, ADD = 2, 8  # half cycles to copy an element of w, and to add one of the product


@dataclass(frozen=True, slots=True)
class Spread:
    """g[places, filters] times w[filters, channels and taps], as panels."""

    at: Geometry
    w: Panels

    @property
    def places(self) -> int:
        """Of all images."""
        return self.at.images * self.at.rows.out * self.at.columns.out

    @property
    def packed(self) -> Packed:
        """g, with all images side by side."""
        g = self.at
        out = g.rows.out, g.columns.out
        return Packed(out, (1, 1), ((0, 0),), *out, self.places, g.images)

    @property
    def time(self) -> float:
        """Half cycles for all images."""
        g, (vectors, high), row = self.at, self.w.block, self.w.n
        blocks = rounds(self.places, high) * rounds(row, whole(1, g.dtype) * vectors)
        sums = blocks * g.filters * time(vectors, high)
        packing = g.images * g.filters * self.packed.time + g.filters * row * COPY
        return sums + packing + self.places * row * ADD

    def scratch(self) -> Sequence[int]:
        """Bytes of g, of w and of the product."""
        size = self.at.dtype.size
        return self.places * self.at.filters * size, self.w.nbytes, self.places * self.w.n * size

    def entries(self, step: Step) -> list[Launch]:
        """The launches for all images."""
        (g, w), x = step.reads, step.writes[0]
        packed, panels, product = step.scratch
        return [
            self.packed.launch(self.at.dtype, g, packed, self.at.images, self.at.filters),
            *self.w.pack(w, panels),
            *self.w.product((packed, panels, product), self.places, True),
            self._added(product, x),
        ]

    def _added(self, product: Pointer, x: Pointer) -> Launch:
        g, r, c = self.at, self.at.rows, self.at.columns
        dims = (
            g.channels, r.size, c.size, r.out, c.out, r.stride, c.stride, r.dilation, c.dilation,
            r.before, c.before,
        )  # fmt: skip
        text, work = conv.spread(g.dtype.code, r.kernel, c.kernel), self.places * self.w.n
        return Launch(text, (product, x), dims, g.images * g.channels, work)


def spread(g: Geometry) -> Spread | None:
    """None for groups, for many places, and if the elements of a filter are no vectors."""
    places = g.images * g.rows.out * g.columns.out
    if g.groups > 1 or places > g.filters:
        return None
    row = g.channels * g.area
    w = panels_of(g.dtype, (places, places), g.filters, row, False, packed=True)
    return None if w is None else Spread(g, w)
