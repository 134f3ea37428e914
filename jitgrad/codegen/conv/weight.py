"""conv2d_weight: sums over all images.

Two ways again. *Pairs*: planes of g and of x, shifted, are multiplied and added up. *Rows*: all
that one place of g meets is a row, and the sums are a product of matrices. Rows take more memory,
and more time to pack; but in pairs, every vector of sums has to be added up in the end, which for
small images takes as long as all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import conv, panels
from jitgrad.codegen.conv.geometry import Geometry, geometry_of, is_empty, local_buffers
from jitgrad.codegen.conv.packing import Packed, Shifts, image_pitch, places_of, shifted
from jitgrad.codegen.launch import Launch, Moving, Pointer, Strip, add_up, ahead, zero
from jitgrad.codegen.panels import DEEP
from jitgrad.codegen.sums import PRODUCT, Block, Operand, Taps, blocks, cut, rounds, time
from jitgrad.ir.node import Node
from jitgrad.ir.op import op
from jitgrad.passes.plan import Buffer, Step

CHUNKS = 8  # of the images: so many threads can share them
LARGE = 1 << 18  # bytes of sums of which not every chunk has its own
MOST_TILES = 32  # that are launches of their own
SLICES = 40 << 10  # bytes of g's planes that a block reads: most of the L1 cache
PLANES = 1 << 20  # bytes of packed planes: half of the L2 cache
ROWS = 1 << 19  # bytes of rows: a part of the L2 cache
TOTAL, ADD = 12, 12  # half cycles: to add up a vector, to add a vector
L1, FAR = 48 << 10, 4  # bytes, and half cycles for a vector from beyond
COPY, TURN = 4, 1  # half cycles to copy an element, and one of a square that is turned in registers


@dataclass(frozen=True, slots=True)
class Pairs:
    """Sums of products of planes; x and g are packed unless they lie like that."""

    at: Geometry
    x: Packed
    g: Packed
    shifts: Shifts
    block: Block  # columns and rows
    together: int  # channels of a block's columns

    @property
    def blocks(self) -> int:
        """Blocks of sums."""
        g, (wide, high) = self.at, self.block
        return g.groups * _columns(g, wide) * rounds(g.filters, high)

    @property
    def tile(self) -> int:
        """Images of which one block of sums is made at once."""
        most = SLICES // (self.block[1] * self.g.size * self.at.dtype.size)
        room = PLANES // max(sum(self.sizes(1)), 1)
        return max(1, min(most, room, self.at.images))

    @property
    def time(self) -> float:
        """Half cycles for an image."""
        g, (wide, high) = self.at, self.block
        packing = 0 if self.x.is_source else g.channels * self.x.time
        packing += 0 if self.g.is_source else g.filters * self.g.time
        vectors = self.g.size // registers.lanes(g.dtype.code)
        far = (wide + high) * self.g.size * g.dtype.size > L1
        each = max(time(wide, high), (wide + high) * FAR if far else 0)
        sums = vectors * each + wide * high * TOTAL / self.tile
        return g.groups * packing + self.blocks * sums

    def sizes(self, images: int) -> list[int]:
        """Bytes of working memory: none for what is read where it is."""
        g = self.at
        planes = g.channels * self.x.plane, g.filters * self.g.size
        needed = not self.x.is_source, not self.g.is_source
        return [images * g.groups * n * g.dtype.size * need for n, need in zip(planes, needed)]

    def launches(
        self, x: Pointer, g: Pointer, sums: Pointer, local: Sequence[Pointer], images: int
    ) -> list[Launch]:
        """The sums of some images, added to what is in `sums`."""
        at, made, found = self.at, [], []
        channels = at.groups * at.channels, at.groups * at.filters
        for source, target, packed, many in zip((x, g), local, (self.x, self.g), channels):
            found.append(source if packed.is_source else target)
            if not packed.is_source:
                made.append(packed.launch(at.dtype, source, target, images, many))
        for rows in cut(at.filters, self.block[1]):
            for together in cut(at.channels, self.together):
                for columns in cut(at.area * together[2], self.block[0]):
                    blocks = rows, together, columns
                    made.append(self._sums((*found, sums), images, *blocks))
        return made

    def _sums(
        self,
        pointers: tuple[Pointer, ...],
        images: int,
        rows: tuple[int, int, int],
        channels: tuple[int, int, int],
        columns: tuple[int, int, int],
    ) -> Launch:
        g, plane, places = self.at, self.x.plane, self.g.size
        (first, blocks, high), (channel, channel_blocks, together) = rows, channels
        column, column_blocks, wide = columns
        filter = g.channels * g.area
        shifts = [
            (c * plane + shift, c * g.area + tap)
            for c in range(channel, channel + together)
            for shift, tap in self.shifts
        ]
        dims = (
            blocks, channel_blocks, column_blocks,
            first * places, g.filters * places, high * places,
            g.channels * plane, together * plane,
            first * filter, g.filters * filter, high * filter, together * g.area,
            images, g.groups * g.channels * plane, g.groups * g.filters * places, places, places,
            filter, *(s for shift in shifts[column:] for s in shift),
        )  # fmt: skip
        text = conv.pairs(g.dtype.code, wide, high)
        work = images * places * g.groups * blocks * high * channel_blocks * column_blocks * wide
        return Launch(text, pointers, dims, g.groups * blocks, work // PRODUCT)

    def mended(self, x: Pointer, g: Pointer, out: Pointer) -> list[Launch]:
        """Between the rows of planes, zeros of g meet elements of x that they have nothing to do
        with. If one is infinite, what becomes nan is computed again.
        """
        at, r, c = self.at, self.at.rows, self.at.columns
        apart = r.out > 1 and self.g.pitch != c.out
        if not apart or not at.dtype.is_float:
            return []
        dims = (
            at.images, at.channels, at.filters, at.groups, r.size, c.size, r.out, c.out, r.kernel,
            c.kernel, r.stride, c.stride, r.dilation, c.dilation, r.before, c.before,
        )  # fmt: skip
        size = at.groups * at.filters * at.channels * at.area
        return [Launch(conv.mend(at.dtype.code), (x, g, out), dims, size, size)]


def _columns(g: Geometry, wide: int) -> int:
    """Blocks of columns of all channels."""
    return rounds(g.area, wide) * rounds(g.channels, max(wide // g.area, 1))


def pairs(g: Geometry) -> Pairs:
    """A block has some elements of the kernel of one channel, or all of some channels."""
    pitch = image_pitch(g)
    places = places_of(g, pitch)
    x, shifts = shifted(g, places, pitch)
    out = g.rows.out, g.columns.out
    y = Packed(out, (1, 1), ((0, 0),), out[0], pitch, places)
    most = g.area * g.channels
    found = [b for b in blocks(g.filters) if b[0] <= g.area or (most >= b[0] and not b[0] % g.area)]

    def whole_time(block: Block) -> int:
        return _columns(g, block[0]) * rounds(g.filters, block[1]) * time(*block)

    block = min(found, key=whole_time)
    return Pairs(g, x, y, shifts, block, max(block[0] // g.area, 1))


@dataclass(frozen=True, slots=True)
class Rows:
    """Sums of rows of x's elements times g's. The rows of some channels are a panel."""

    at: Geometry
    together: int  # channels of a panel
    block: Block

    @property
    def width(self) -> int:
        """Elements of a row of a panel."""
        return self.together * self.at.area

    @property
    def panels(self) -> int:
        return self.at.channels // self.together

    @property
    def places(self) -> int:
        return self.at.rows.out * self.at.columns.out

    @property
    def turned(self) -> bool:
        """Whether rows are a matrix that is turned: each place of g meets the same place of x."""
        g = self.at
        return g.is_points and g.dtype.is_float and self.places >= registers.lanes(g.dtype.code)

    @property
    def tile(self) -> int:
        """Images of which rows are packed at once: as much as there are sums to go through."""
        g = self.at
        if self.turned and self.places >= DEEP // 2:
            return 1
        room = max(ROWS, g.filters * g.channels * g.area * g.dtype.size)
        return max(1, min(room // self.sizes(1)[0], g.images))

    @property
    def time(self) -> float:
        """Half cycles for an image."""
        g, (vectors, high) = self.at, self.block
        count = g.channels * g.area // registers.lanes(g.dtype.code)
        sums = rounds(g.filters, high) * (count // vectors) * time(vectors, high) * self.places
        adding = g.filters * count * ADD * max(self.places / DEEP, 1 / self.tile)
        packing = g.channels * g.area * self.places * (TURN if self.turned else COPY)
        return sums + adding + packing

    def sizes(self, images: int) -> list[int]:
        """Bytes of working memory."""
        g = self.at
        return [images * g.channels * g.area * self.places * g.dtype.size]

    def launches(
        self, x: Pointer, g: Pointer, sums: Pointer, local: Sequence[Pointer], images: int
    ) -> list[Launch]:
        """The sums of some images, added to what is in `sums`."""
        at, (rows,), width, size = self.at, local, self.width, self.at.dtype.size
        step = self.block[0] * registers.lanes(at.dtype.code)
        made, long = [self._packed(x, rows, images)], self.panels * width
        for place, terms, in_rows, in_g, shifts in self._terms(images, step):
            for first, count, high in cut(at.filters, self.block[1]):  # no row is added to twice
                block = self.block[0], high
                taps = Taps(
                    at.dtype, self.panels, count * high, terms, in_rows, in_g, block, width,
                    shifts, adds=True, to=(width, long),
                )  # fmt: skip
                here = ahead(g, (first * self.places + place) * size)
                to = ahead(sums, first * long * size)
                made.append(taps.launch(1, ahead(rows, place * width * size), here, to))
        return made

    def _packed(self, x: Pointer, rows: Pointer, images: int) -> Launch:
        """The rows of each panel and image; if they are turned, of each image and panel."""
        g, r, c = self.at, self.at.rows, self.at.columns
        work = images * self.places * g.channels * g.area
        if self.turned:
            text = panels.turned(g.dtype.code, registers.lanes(g.dtype.code))
            return Launch(text, (x, rows), (self.places, self.width), images * self.panels, work)
        dims = (
            self.panels, self.together, r.size, c.size, r.out, c.out, r.stride, c.stride,
            r.dilation, c.dilation, r.before, c.before, images * r.out,
        )  # fmt: skip
        text = conv.rows(g.dtype.code, r.kernel, c.kernel)
        return Launch(text, (x, rows), dims, images * r.out, work)

    def _terms(self, images: int, step: int) -> Iterator[tuple[int, int, Operand, Operand, Shifts]]:
        """What is added up at once: the first place, how many terms, their steps in rows and in g.
        The places of one image are cut into such as stay in the cache.
        """
        g, plane, width = self.at, self.places * self.width, self.width
        if images == 1:
            most = rounds(self.places, rounds(self.places, DEEP))
            in_rows, in_g = Operand(plane, step, width), Operand(0, self.places, 1)
            for place in range(0, self.places, most):
                yield place, min(most, self.places - place), in_rows, in_g, ((0, 0),)
            return
        group, image = (plane, self.panels * plane) if self.turned else (images * plane, plane)
        shifts = tuple((p * width, p) for p in range(self.places))
        in_g = Operand(0, self.places, g.filters * self.places)
        yield 0, images, Operand(group, step, image), in_g, shifts

    def mended(self, x: Pointer, g: Pointer, out: Pointer) -> list[Launch]:
        """Nothing: sums are made of just what belongs to them."""
        return []


MOST_PLACES = 1 << 10  # of an image whose rows are packed


def rows(g: Geometry) -> Rows | None:
    """None for groups, and if a row has no whole vectors."""
    lanes, places = registers.lanes(g.dtype.code), g.rows.out * g.columns.out
    found = [
        (rounds(g.filters, b[1]) * time(*b) / b[0], n, b)
        for n in range(1, g.channels + 1)
        for b in blocks(g.filters)
        if g.channels % n == 0 and n * g.area % (b[0] * lanes) == 0
    ]
    if not found or g.groups > 1:
        return None
    made = Rows(g, *min(found)[1:])
    return made if made.turned or places <= MOST_PLACES else None


class Weight:
    """conv2d_weight: sums over a tile of images, added up over the tiles."""

    def __init__(self, node: Node):
        self.node = node
        x, cotangent = node.inputs
        g = geometry_of(node, x.shape, node.shape, cotangent.shape)
        ways = [way for way in (pairs(g), rows(g)) if way is not None]
        self.way = min(ways, key=lambda way: way.time)
        self.images, self.tile = g.images, self.way.tile
        self.tiles = rounds(g.images, self.tile)
        self.chunks = min(self.tiles, CHUNKS)
        self.local = self.way.sizes(self.tile)
        large = node.type.nbytes > LARGE and self.tiles <= MOST_TILES
        self.in_place = self.chunks == 1 or large

    def entries(self, step: Step) -> list[Launch | Strip]:
        """The launches for all images."""
        (x, g), out = step.reads, step.writes[0]
        mended = self.way.mended(x, g, out)
        if self.in_place:
            return [*self.one_after_the_other(x, g, out, step.scratch), *mended]
        nbytes = self.node.type.nbytes
        room, local = local_buffers(self.local)
        parts = step.scratch[0]
        sums = Moving(parts, chunk=nbytes)
        x, g = (Moving(b, tile=b.nbytes // self.images * self.tile) for b in (x, g))
        body, tail = (
            tuple(self.way.launches(x, g, sums, local, count))
            for count in (self.tile, self.images - (self.tiles - 1) * self.tile)
        )
        strip = Strip((zero(sums, nbytes),), body, tail, self.tiles, self.chunks, room)
        added = add_up(op("reduce_sum"), parts, out, self.node.type, self.chunks)
        return [strip, added, *mended]

    def one_after_the_other(
        self, x: Buffer, g: Buffer, out: Buffer, local: Sequence[Pointer]
    ) -> list[Launch]:
        """Tiles whose sums are the same memory: what threads share are the launches."""
        made = [zero(out, self.node.type.nbytes)]
        for first in range(0, self.images, self.tile):
            count = min(self.tile, self.images - first)
            images, cotangents = (ahead(b, b.nbytes // self.images * first) for b in (x, g))
            made += self.way.launches(images, cotangents, out, local, count)
        return made

    def scratch(self) -> Sequence[int]:
        """Bytes of the chunks' sums, or for a tile."""
        return self.local if self.in_place else [self.chunks * self.node.type.nbytes]


def conv2d_weight(step: Step) -> list[Launch | Strip]:
    """Sums over all images."""
    node = step.node
    assert node is not None
    if is_empty(node):
        return [zero(step.writes[0], node.type.nbytes)]
    return Weight(node).entries(step)


def weight_scratch(node: Node) -> Sequence[int]:
    """Bytes of working memory."""
    return () if is_empty(node) else Weight(node).scratch()
