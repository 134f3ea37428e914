"""conv2d_weight: sums over all images."""

from __future__ import annotations

from collections.abc import Sequence

from jitgrad.codegen.canonical import conv
from jitgrad.codegen.conv.geometry import (
    Packed,
    geometry_of,
    image_pitch,
    is_empty,
    local_buffers,
    packed_image,
    places_of,
)
from jitgrad.codegen.launch import Launch, Moving, Pointer, Strip, add_up, zero
from jitgrad.codegen.sums import PRODUCT, blocks, cut, rounds, time
from jitgrad.ir.node import Node
from jitgrad.ir.op import op
from jitgrad.passes.plan import Step

CHUNKS = 8  # of the images: so many threads can share them
SLICES = 40 << 10  # bytes of g's planes that a block reads: most of the L1 cache


class Weight:
    """conv2d_weight: sums over a tile of images, added up over the tiles of a chunk."""

    def __init__(self, node: Node):
        self.node = node
        x, cotangent = node.inputs
        g = self.geometry = geometry_of(node, x.shape, node.shape, cotangent.shape)
        pitch = image_pitch(g)
        self.places = places_of(g, pitch)
        self.x, shifts = packed_image(g, self.places, pitch)
        out = g.rows.out, g.columns.out
        self.g = Packed(out, g.rows.out, pitch, self.places)
        self.shifts = [s for shift in shifts for s in shift]
        self.block = min(blocks(g.filters), key=self.time)
        self.tile = max(1, SLICES // (self.block[1] * self.places * g.dtype.size))
        self.tile = min(self.tile, g.images)
        self.tiles = rounds(g.images, self.tile)
        self.chunks = min(self.tiles, CHUNKS)
        x_plane, g_plane = g.channels * self.x.plane, g.filters * self.places
        self.local = [g.groups * n * self.tile * g.dtype.size for n in (x_plane, g_plane)]

    def time(self, block: tuple[int, int]) -> int:
        """What all sums take with a block of so many columns and rows."""
        g = self.geometry
        return rounds(g.area, block[0]) * rounds(g.filters, block[1]) * time(*block)

    def launches(
        self, x: Pointer, g: Pointer, sums: Pointer, local: Sequence[Pointer], images: int
    ) -> list[Launch]:
        """The sums of some images, added to what is in `sums`."""
        at = self.geometry
        made = [
            self.x.launch(at.dtype, x, local[0], images * at.groups * at.channels),
            self.g.launch(at.dtype, g, local[1], images * at.groups * at.filters),
        ]
        for rows in cut(at.filters, self.block[1]):
            for columns in cut(at.area, self.block[0]):
                made.append(self._pairs((*local, sums), images, rows, columns))
        return made

    def _pairs(
        self,
        pointers: tuple[Pointer, ...],
        images: int,
        rows: tuple[int, int, int],
        columns: tuple[int, int, int],
    ) -> Launch:
        g, (first, blocks, high), (column, column_blocks, wide) = self.geometry, rows, columns
        plane, places, filter = self.x.plane, self.places, g.channels * g.area
        dims = (
            blocks, g.channels, column_blocks,
            first * places, g.filters * places, high * places,
            g.channels * plane, plane,
            first * filter, g.filters * filter, high * filter, g.area,
            images, g.groups * g.channels * plane, g.groups * g.filters * places, places, places,
            filter, *self.shifts[2 * column :],
        )  # fmt: skip
        text = conv.pairs(g.dtype.code, wide, high)
        work = images * places * g.groups * blocks * high * g.channels * column_blocks * wide
        return Launch(text, pointers, dims, g.groups * blocks, work // PRODUCT)

    def entries(self, step: Step) -> list[Launch | Strip]:
        (x, g), out = step.reads, step.writes[0]
        nbytes = self.node.type.nbytes
        if self.tiles == 1:
            return [zero(out, nbytes), *self.launches(x, g, out, step.scratch, self.tile)]
        room, local = local_buffers(self.local)
        parts = step.scratch[0]
        sums = Moving(parts, chunk=nbytes)
        images = self.geometry.images
        x, g = (Moving(b, tile=self.tile * b.nbytes // images) for b in (x, g))
        body, tail = (
            tuple(self.launches(x, g, sums, local, count))
            for count in (self.tile, images - (self.tiles - 1) * self.tile)
        )
        strip = Strip((zero(sums, nbytes),), body, tail, self.tiles, self.chunks, room)
        return [strip, add_up(op("reduce_sum"), parts, out, self.node.type, self.chunks)]

    def scratch(self) -> Sequence[int]:
        """Bytes of the chunks' sums, or for all images where there is only one tile."""
        return self.local if self.tiles == 1 else [self.chunks * self.node.type.nbytes]


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
