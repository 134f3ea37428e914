"""conv2d and conv2d_input of 3 × 3 elements at stride 1: sixteen products of matrices.

Squares of an image are cut into sixteen parts, the filters likewise; each part of all channels is
multiplied with that of the filters, and the sums are joined to outputs (see `codegen.squares`).
There are 2.25 times fewer multiplications than in sums over packed images (`images`), which takes
many channels to gain: cutting and joining take the same time for any.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import squares as text
from jitgrad.codegen.conv.geometry import Geometry, local_buffers
from jitgrad.codegen.launch import Launch, Moving, Pointer, Strip, ahead
from jitgrad.codegen.sums import Block, Operand, Taps, blocks, rounds
from jitgrad.passes.plan import Step
from jitgrad.passes.tiles import MOST_CHUNKS

PARTS = 16  # of a square of 4 × 4
CUT, JOIN, FILTER = 160, 110, 500  # half cycles for a vector of squares, or of filters
ROOM, FAR = 3 << 19, 4  # bytes of the L2 cache for a tile; from beyond it in half a cycle
MOST = 1 << 23  # bytes of a tile
NEAR = 36 << 10  # bytes of the L1 cache for a block of parts

Pair = tuple[int, int]
Pointers = tuple[Pointer, Pointer, Pointer]  # what is read, w, what is made
Filter = tuple[int, int, int, int]  # where w begins; from row to row, term to term, along a kernel


@dataclass(frozen=True, slots=True)
class Squares:
    """`rows` planes of sums, each over all `terms` planes of an image: tile by tile of some images,
    or of a band of the rows of one.
    """

    at: Geometry
    terms: int
    rows: int
    source: Pair  # rows and columns of what is read, and of what is made
    target: Pair
    start: Pair  # where the first square begins in the source
    w: Filter
    images: int = 1
    band: int = 0  # rows of squares
    block: Block = (1, 1)

    @property
    def squares(self) -> Pair:
        """Rows and columns of them in an image."""
        return rounds(self.target[0], 2), rounds(self.target[1], 2)

    @property
    def lanes(self) -> int:
        return registers.lanes(self.at.dtype.code)

    @property
    def places(self) -> int:
        """Squares of a tile, in whole blocks."""
        step = self.block[0] * self.lanes
        return rounds(self.images * self.band * self.squares[1], step) * step

    @property
    def line(self) -> int:
        """Elements of a part of a channel: the last vector of squares may end beyond its places."""
        return self.places + self.lanes

    @property
    def tiles(self) -> int:
        return rounds(self.at.images, self.images)

    @property
    def taps(self) -> Taps:
        """The products of a tile, all terms at once."""
        (terms, rows), line, step = (self.terms, self.rows), self.line, self.block[0] * self.lanes
        parts = Operand(self.part(terms), step, line)
        filters = Operand(self.part_of_w, terms, self.block[1])
        return Taps(
            self.at.dtype, PARTS, rows, terms, parts, filters, self.block, self.places,
            ((0, 0),), turned=True, near=True, to=(self.part(rows), line),
        )  # fmt: skip

    def _products(self, parts: Pointer, filters: Pointer, sums: Pointer) -> Iterator[Launch]:
        """The products of as many terms at a time as keep a block's places in the L1 cache."""
        size, (vectors, high) = self.at.dtype.size, self.block
        most = max(NEAR // (vectors * self.lanes * size), 1)
        most = rounds(self.terms, rounds(self.terms, most))
        for first in range(0, self.terms, most):
            taps = replace(self.taps, channels=min(most, self.terms - first), adds=first > 0)
            here = ahead(parts, first * self.line * size), ahead(filters, first * high * size)
            yield taps.launch(1, *here, sums)

    def part(self, planes: int) -> int:
        """Elements of a part of so many planes."""
        return self._apart(planes * self.line)

    @property
    def part_of_w(self) -> int:
        return self._apart(self.terms * rounds(self.rows, self.block[1]) * self.block[1])

    def _apart(self, size: int) -> int:
        """At multiples of a page, all parts would meet in the same lines of a cache."""
        return size + self.lanes

    @property
    def time(self) -> float:
        """Half cycles for all images."""
        vectors = self.squares[0] * rounds(self.squares[1], self.lanes) * self.at.images
        moving = vectors * (self.terms * CUT + self.rows * JOIN)
        moving += self.rows * self.terms * FILTER / self.lanes
        again = max(self.filters - ROOM, 0) + 2 * max(sum(self.local) - ROOM, 0)
        bands = rounds(self.squares[0], self.band) * self.tiles
        return bands * (self.taps.time + again / FAR) + moving

    @property
    def local(self) -> list[int]:
        """Bytes of the parts and of the sums of a tile."""
        return [PARTS * self.part(n) * self.at.dtype.size for n in (self.terms, self.rows)]

    @property
    def filters(self) -> int:
        """Bytes of the filters' parts."""
        return PARTS * self.part_of_w * self.at.dtype.size

    def scratch(self) -> Sequence[int]:
        """Bytes of working memory, of which a strip has some of its own."""
        return [self.filters, *(self.local if self.tiles == 1 else ())]

    def entries(self, step: Step) -> list[Launch | Strip]:
        """The launches for all images."""
        (source, w), target, (filters, *local) = step.reads, step.writes[0], step.scratch
        made: list[Launch | Strip] = [self._filters(w, filters)]
        if self.tiles == 1:
            made += self._launches((source, w, target), filters, local)
        else:
            room, local = local_buffers(self.local)
            n, tiles = self.images, self.tiles
            x, y = (Moving(b, tile=b.nbytes // self.at.images * n) for b in (source, target))
            rest = replace(self, images=self.at.images - (tiles - 1) * n)
            body, tail = (tuple(t._launches((x, w, y), filters, local)) for t in (self, rest))
            made.append(Strip((), body, tail, tiles, min(tiles, MOST_CHUNKS), room))
        return made

    def _filters(self, w: Pointer, parts: Pointer) -> Launch:
        high, by_rows = self.block[1], self.w[1] > self.w[2]
        together = self.lanes // high
        sizes = rounds(self.rows, high), rounds(self.terms, together)
        count, other = sizes if by_rows else sizes[::-1]
        dims = other, self.rows - high, self.terms, *self.w, self.part_of_w
        kernel = text.filters(self.at.dtype.code, high, together, by_rows)
        work = PARTS * self.rows * self.terms
        return Launch(kernel, (w, parts), dims, count, work, once=True)

    def _launches(
        self, pointers: Pointers, filters: Pointer, local: Sequence[Pointer]
    ) -> list[Launch]:
        """A tile, band by band."""
        (source, _, target), (parts, sums) = pointers, local
        code, (rows, columns), made = self.at.dtype.code, self.squares, []
        planes = self.images * self.rows
        for first in range(0, rows, self.band):
            band, top = min(self.band, rows - first), 2 * first
            work = PARTS * self.images * band * columns
            dims = (
                self.images, self.terms, *self.source, band, columns,
                self.start[0] + top, self.start[1], self.line, self.part(self.terms),
            )  # fmt: skip
            cut, join = text.cut(code, self.lanes), text.join(code, self.lanes)
            made.append(Launch(cut, (source, parts), dims, self.terms, self.terms * work))
            made += self._products(parts, filters, sums)
            dims = self.rows, *self.target, band, columns, top, self.line, self.part(self.rows)
            made.append(Launch(join, (sums, target), dims, planes, self.rows * work))
        dims = self.rows, self.terms, *self.source, *self.target, *self.start, *self.w
        work = planes * self.target[0] * self.target[1]
        return [*made, Launch(text.mend(code), pointers, dims, planes, work)]


def squares(g: Geometry, forward: bool) -> Squares | None:
    """None for what is not of 3 × 3 elements at stride 1, groups, integers, and few rows."""
    rows, terms = (g.filters, g.channels) if forward else (g.channels, g.filters)
    plain = all((a.kernel, a.stride, a.dilation) == (3, 1, 1) for a in g.axes)
    if not plain or g.groups > 1 or not g.dtype.is_float or min(rows, terms) < 8:
        return None
    sizes, outs = ((g.rows.size, g.columns.size), (g.rows.out, g.columns.out))
    filter = 9 * g.channels
    if forward:
        start, w = (-g.rows.before, -g.columns.before), (0, filter, 9, 1)
        whole = Squares(g, terms, rows, sizes, outs, start, w)
    else:
        start, w = (g.rows.before - 2, g.columns.before - 2), (8, 9, filter, -1)
        whole = Squares(g, terms, rows, outs, sizes, start, w)
    return min(_tiled(whole), key=lambda way: way.time, default=None)


def _tiled(way: Squares) -> Iterator[Squares]:
    """The same for tiles of some images, or of bands of one."""
    high = way.squares[0]
    halves = [1 << k for k in range(6)]
    cuts = [(rounds(way.at.images, n), high) for n in halves if n <= way.at.images]
    cuts += [(1, rounds(high, n)) for n in halves[1:] if n <= high]
    fitting = [b for b in blocks(way.rows) if b[1] in (4, 8)]
    for (images, band), block in itertools.product(cuts, fitting):
        tile = replace(way, images=images, band=band, block=block)
        if sum(tile.local) <= MOST:
            yield tile
