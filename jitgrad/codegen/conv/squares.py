"""conv2d and conv2d_input of 3 × 3 elements at stride 1: sixteen products of matrices.

Squares of an image are cut into sixteen parts, the filters likewise; each part of all channels is
multiplied with that of the filters, and the sums are joined to outputs (see `codegen.squares`).
There are 2.25 times fewer multiplications than in sums over packed images (`images`), which takes
many channels to gain: cutting and joining take the same time for any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import squares as text
from jitgrad.codegen.conv.geometry import Geometry, local_buffers
from jitgrad.codegen.launch import Launch, Moving, Pointer, Strip, ahead
from jitgrad.codegen.sums import Block, Operand, Taps, blocks, pieces, rounds, time
from jitgrad.passes.plan import Step
from jitgrad.passes.tiles import MOST_CHUNKS

PARTS = 16  # of a square of 4 × 4
CUT, JOIN, FILTER = 160, 110, 500  # half cycles for a vector of squares, or of filters
ROOM, FAR = 3 << 19, 4  # bytes of the L2 cache for a tile; of a tile beyond it in half a cycle
MOST = 1 << 24  # bytes of a tile

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

    def products(self, parts: Pointer, filters: Pointer, sums: Pointer) -> Iterator[Launch]:
        """The products of a tile, piece by piece of the terms."""
        size = self.at.dtype.size
        for first, terms in pieces(self.terms, self.block):
            w = Operand(self.part_of_w, terms, self.block[1])
            taps = replace(self.taps, channels=terms, w=w, adds=first > 0)
            here = ahead(parts, first * self.line * size)
            yield taps.launch(1, here, ahead(filters, first * self.rows * size), sums)

    def part(self, planes: int) -> int:
        """Elements of a part of so many planes. At multiples of a page, all parts would meet in
        the same lines of a cache.
        """
        return planes * self.line + self.lanes

    @property
    def part_of_w(self) -> int:
        return self.terms * self.rows + self.lanes

    @property
    def time(self) -> float:
        """Half cycles for all images."""
        vectors = self.squares[0] * rounds(self.squares[1], self.lanes) * self.at.images
        moving = vectors * (self.terms * CUT + self.rows * JOIN)
        moving += self.rows * self.terms * FILTER / self.lanes
        again = self.filters if self.filters > ROOM else 0
        again += 2 * max(sum(self.local) - ROOM, 0) / FAR
        bands = rounds(self.squares[0], self.band) * self.tiles
        return bands * (self.taps.time + again) + moving

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
        made: list[Launch | Strip] = [*self.packed(w, filters)]
        if self.tiles == 1:
            made += self.launches((source, w, target), filters, local)
        else:
            room, local = local_buffers(self.local)
            n, tiles = self.images, self.tiles
            x, y = (Moving(b, tile=b.nbytes // self.at.images * n) for b in (source, target))
            rest = replace(self, images=self.at.images - (tiles - 1) * n)
            body, tail = (tuple(t.launches((x, w, y), filters, local)) for t in (self, rest))
            made.append(Strip((), body, tail, tiles, min(tiles, MOST_CHUNKS), room))
        return made

    def packed(self, w: Pointer, parts: Pointer) -> Iterator[Launch]:
        """The filters' parts, piece by piece of the terms."""
        high, size, steps = self.block[1], self.at.dtype.size, self.w[1:]
        together, blocks = self.lanes // high, self.rows // high
        beside = together if steps[0] < steps[1] else 1
        kernel = text.filters(self.at.dtype.code, high, together, beside)
        for first, terms in pieces(self.terms, self.block):
            start = self.w[0] + first * steps[1]
            dims = blocks, terms, start, *steps, self.part_of_w
            to, work = ahead(parts, first * self.rows * size), PARTS * self.rows * terms
            yield Launch(kernel, (w, to), dims, rounds(blocks, beside), work, once=True)

    def launches(
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
            made += self.products(parts, filters, sums)
            dims = self.rows, *self.target, band, columns, top, self.line, self.part(self.rows)
            made.append(Launch(join, (sums, target), dims, planes, self.rows * work))
        dims = self.rows, self.terms, *self.source, *self.target, *self.start, *self.w
        work = planes * self.target[0] * self.target[1]
        return [*made, Launch(text.mend(code), pointers, dims, planes, work)]


def squares(g: Geometry, forward: bool) -> Squares | None:
    """None for what is not of 3 × 3 elements at stride 1, for groups, integers, few terms, and rows
    that are no whole blocks.
    """
    rows, terms = (g.filters, g.channels) if forward else (g.channels, g.filters)
    plain = all((a.kernel, a.stride, a.dilation) == (3, 1, 1) for a in g.axes)
    if not plain or g.groups > 1 or not g.dtype.is_float or not _heights(rows) or terms < 8:
        return None
    size, out = (g.rows.size, g.columns.size), (g.rows.out, g.columns.out)
    before, filter = (g.rows.before, g.columns.before), 9 * g.channels
    if forward:
        start = -before[0], -before[1]
        way = Squares(g, terms, rows, size, out, start, (0, filter, 9, 1))
    else:  # the elements of a filter the other way round
        start = before[0] - 2, before[1] - 2
        way = Squares(g, terms, rows, out, size, start, (8, 9, filter, -1))
    return min(_tiled(way), key=lambda way: way.time, default=None)


def _tiled(way: Squares) -> Iterator[Squares]:
    """The same for tiles of some images, or of bands of one."""
    high = way.squares[0]
    halves = [1 << k for k in range(6)]
    cuts = [(rounds(way.at.images, n), high) for n in halves if n <= way.at.images]
    cuts += [(1, rounds(high, n)) for n in halves[1:] if n <= high]
    for images, band in cuts:
        block = _block(way, images * band * way.squares[1])
        tile = replace(way, images=images, band=band, block=block)
        if sum(tile.local) <= MOST:
            yield tile


def _block(way: Squares, places: int) -> Block:
    """The block with the least time for so many places."""

    def all_sums(block: Block) -> int:
        across = rounds(places, block[0] * way.lanes)
        return across * (way.rows // block[1]) * time(*block)

    return min((b for b in blocks(way.rows) if b[1] in _heights(way.rows)), key=all_sums)


def _heights(rows: int) -> list[int]:
    """Rows of a block: parts of a vector, and of all rows."""
    return [high for high in (4, 8) if rows % high == 0]
