"""conv2d and conv2d_input: from image to image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import conv
from jitgrad.codegen.conv.geometry import Geometry, geometry_of, is_empty, local_buffers
from jitgrad.codegen.conv.packing import (
    Packed,
    Placed,
    image_pitch,
    patches,
    pitch_of,
    places_of,
    shifted,
    whole,
)
from jitgrad.codegen.conv.spread import Spread
from jitgrad.codegen.conv.spread import spread as spread_of
from jitgrad.codegen.conv.squares import Squares, squares
from jitgrad.codegen.launch import Launch, Moving, Pointer, Strip, zero
from jitgrad.codegen.sums import Block, Operand, Taps, block_of, rounds
from jitgrad.ir.node import Node
from jitgrad.passes.plan import Step
from jitgrad.passes.tiles import MOST_CHUNKS

Pointers = tuple[Pointer, Pointer, Pointer]  # what is read, w, what is made

TILE = 1 << 19  # bytes of a tile's packed images and sums: a part of the L2 cache
TURN = 4  # half cycles for an element of w that is turned round


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sums over packed images, and where they belong."""

    packed: Packed
    taps: Taps
    placed: Placed

    @property
    def sizes(self) -> tuple[int, int]:
        """Elements of packed images and of sums, of as many images as lie side by side."""
        taps = self.taps
        return taps.groups * taps.channels * self.packed.plane, taps.groups * taps.rows * taps.row

    @property
    def is_target(self) -> bool:
        """Whether the sums are made where they belong."""
        return not self.packed.beside and self.placed.is_target(self.taps.row)

    @property
    def time(self) -> int:
        """Half cycles for as many images as lie side by side."""
        taps, many = self.taps, max(self.packed.beside, 1)
        packing = 0 if self.packed.is_source else taps.groups * taps.channels * self.packed.time
        placing = 0 if self.is_target else taps.groups * taps.rows * self.placed.time
        return taps.time + many * (packing + placing)

    def launches(
        self, count: int, pointers: Pointers, local: Sequence[Pointer], already: Packed | None
    ) -> list[Launch]:
        """The launches for some images, of which `already` is packed."""
        (x, w, y), taps, packed, made = pointers, self.taps, self.packed, []
        planes, sums = x if packed.is_source else local[0], y if self.is_target else local[1]
        if not packed.is_source and packed != already:
            channels = taps.groups * taps.channels
            made.append(packed.launch(taps.dtype, x, planes, count, channels))
        made.append(taps.launch(1 if packed.beside else count, planes, w, sums))
        if not self.is_target:
            rows = count, taps.groups * taps.rows
            image = packed.rows * packed.pitch if packed.beside else 0
            made.append(self.placed.launch(taps.dtype, sums, y, rows, taps.row, image))
        return made


def _forward(g: Geometry, beside: int, block: Block | None) -> list[Sweep]:
    """The outputs, from x. `beside`: as patches of so many images, unless 0."""
    out = g.rows.out, g.columns.out
    pitch = image_pitch(g)
    places = beside * out[0] * out[1] or places_of(g, pitch)
    block, row = block_of(places, g.filters, g.dtype, block)
    packed, shifts = patches(g, beside, row) if beside else shifted(g, row, pitch)
    in_x = _places(block, packed, g.channels, g)
    filter = g.channels * g.area
    in_w = Operand(g.filters * filter, filter, g.area)
    taps = Taps(g.dtype, g.groups, g.filters, g.channels, in_x, in_w, block, row, shifts)
    return [Sweep(packed, taps, Placed(*out, packed.pitch, out[0] * out[1], 0, out[1], 1))]


def _places(block: Block, packed: Packed, channels: int, g: Geometry) -> Operand:
    """The steps in packed images."""
    step = block[0] * registers.lanes(g.dtype.code)
    return Operand(channels * packed.plane, step, packed.plane)


def _backward(g: Geometry, beside: int, block: Block | None) -> list[Sweep]:
    """conv2d_input: every phase of the image, from the places of g that meet it."""
    r, c = g.rows, g.columns
    high, wide = ((a.before + a.size - 1) // a.stride - a.first + 1 for a in (r, c))
    rows, columns = (max(len(a.places(i)) for i in range(a.stride)) for a in (r, c))  # of a phase
    before = r.reach - r.first, c.reach - c.first
    pitch = pitch_of(before[1], c.out, wide + c.reach)
    places = beside * rows * columns or whole((rows - 1) * pitch + columns, g.dtype)
    block, row = block_of(places, g.channels, g.dtype, block)
    last = r.reach + high - rows, c.reach + wide - columns
    size = whole(last[0] * pitch + last[1] + row, g.dtype)
    image, origin = (r.out, c.out), (-before[0], -before[1])
    alone = Packed(image, (1, 1), (origin,), high + r.reach, pitch, size)
    filter = g.filters * g.area
    in_w = Operand(rounds(g.channels, block[1]) * block[1] * filter, filter, block[1] * g.area)
    made = []
    for i, k in itertools.product(range(r.stride), range(c.stride)):
        below, right = r.places(i), c.places(k)
        if not below or not right:
            continue
        at = below[0], right[0]
        met = [(at[0] - a, at[1] - b) for _, a in r.met(i) for _, b in c.met(k)]
        w_shifts = [(y * c.kernel + x) * block[1] for y, _ in r.met(i) for x, _ in c.met(k)]
        if beside:
            packed = Packed(image, (1, 1), tuple(met), len(below), len(right), row, beside)
            shifts = [t * row for t in range(len(met))]
        else:
            packed = alone
            shifts = [(y - origin[0]) * pitch + x - origin[1] for y, x in met]
        in_g, both = _places(block, packed, g.filters, g), tuple(zip(shifts, w_shifts))
        taps = Taps(g.dtype, g.groups, g.channels, g.filters, in_g, in_w, block, row, both, True)
        start = (at[0] * r.stride + i - r.before) * c.size + at[1] * c.stride + k - c.before
        steps = r.size * c.size, start, r.stride * c.size, c.stride
        made.append(Sweep(packed, taps, Placed(len(below), len(right), packed.pitch, *steps)))
    return made


MAPS = {"conv2d": _forward, "conv2d_input": _backward}


class Images:
    """conv2d or conv2d_input: a tile of images at a time, for which w is read once."""

    def __init__(self, node: Node):
        source, w = node.inputs
        self.make = MAPS[node.op.name]
        x, y = (source, node) if self.make is _forward else (node, source)
        self.node, self.source, self.count = node, source, source.shape[0]
        self.geometry = geometry_of(node, x.shape, w.shape, y.shape)
        self.block: Block | None = None
        of_image, self.tile, self.beside = self.way()
        self.block = self.sweeps(self.tile)[0].taps.block
        turning = TURN * w.type.size if self.panels else 0
        self.time = self.count * of_image + turning  # half cycles

    def sweeps(self, images: int) -> list[Sweep]:
        """The sums for some images."""
        return self.make(self.geometry, images * self.beside, self.block)

    def way(self) -> tuple[float, int, bool]:
        """Half cycles for an image, images at a time, and whether they lie side by side."""
        found = []
        for self.beside in (False, True):
            room = 2 * TILE if self.beside else TILE
            tile = max(1, min(self.count, room * self.count // sum(self.sizes(self.count))))
            tile = rounds(self.count, rounds(self.count, tile))
            time = sum(s.time for s in self.sweeps(tile)) * (1 if self.beside else tile)
            found.append((time / tile, tile, self.beside))
        return min(found)

    def sizes(self, images: int) -> list[int]:
        """Bytes of packed images and of sums."""
        both = zip(*(s.sizes for s in self.sweeps(images)))
        times = (1 if self.beside else images) * self.node.dtype.size
        return [max(n) * times for n in both]

    @property
    def panels(self) -> Sequence[int]:
        """Bytes of w with the rows of a block side by side, where they do not lie in its order."""
        g, taps = self.geometry, self.sweeps(self.tile)[0].taps
        return [taps.w.group * g.groups * g.dtype.size] if taps.turned else []

    @property
    def tiles(self) -> int:
        return rounds(self.count, self.tile)

    @property
    def local(self) -> list[int]:
        """Bytes of working memory for a tile: none for what is read, or made, where it is."""
        sweeps = self.sweeps(self.tile)
        packed, sums = self.sizes(self.tile)
        in_place = all(s.packed.is_source for s in sweeps), all(s.is_target for s in sweeps)
        return [0 if there else n for there, n in zip(in_place, (packed, sums))]

    def scratch(self) -> Sequence[int]:
        """Bytes of working memory, of which a strip has some of its own."""
        return [*self.panels, *(self.local if self.tiles == 1 else ())]

    def entries(self, step: Step) -> list[Launch | Strip]:
        """The launches for all images."""
        (source, w), target = step.reads, step.writes[0]
        made: list[Launch | Strip] = []
        count, local = len(self.panels), step.scratch
        if count:
            made.append(self.turned(w, local[0]))
            w, local = local[0], local[1:]
        tile, tiles = self.tile, self.tiles
        if tiles == 1:
            return made + self.launches(tile, (source, w, target), local)
        room, buffers = local_buffers(self.local)
        x, y = (Moving(b, tile=b.nbytes // self.count * tile) for b in (source, target))
        sizes = tile, self.count - (tiles - 1) * tile
        body, tail = (tuple(self.launches(n, (x, w, y), buffers)) for n in sizes)
        return [*made, Strip((), body, tail, tiles, min(tiles, MOST_CHUNKS), room)]

    def turned(self, w: Pointer, panels: Pointer) -> Launch:
        """w, for sums over its filters."""
        g, high = self.geometry, self.sweeps(self.tile)[0].taps.block[1]
        blocks = rounds(g.channels, high)
        dims = blocks, g.channels - high, g.filters, g.channels
        text, work = conv.panels(g.dtype.code, high, g.area), self.node.inputs[1].type.size
        return Launch(text, (w, panels), dims, g.groups * blocks, work, once=True)

    def launches(self, count: int, pointers: Pointers, local: Sequence[Pointer]) -> list[Launch]:
        """The launches for some images."""
        made: list[Launch] = []
        packed = None
        for sweep in self.sweeps(count):
            made += sweep.launches(count, pointers, local, packed)
            packed = sweep.packed
        return made


def way_of(node: Node) -> Images | Spread | Squares:
    """How a convolution is made: what takes the least time."""
    images = Images(node)
    spread = spread_of(images.geometry) if images.panels else None
    found = images, spread, squares(images.geometry, images.make is _forward)
    return min((way for way in found if way is not None), key=lambda way: way.time)


def convolution(step: Step) -> Sequence[Launch | Strip]:
    """conv2d and conv2d_input: from image to image."""
    node = step.node
    assert node is not None
    if is_empty(node):
        return [zero(step.writes[0], node.type.nbytes)]
    return way_of(node).entries(step)


def convolution_scratch(node: Node) -> Sequence[int]:
    """Bytes of working memory."""
    return () if is_empty(node) else way_of(node).scratch()
