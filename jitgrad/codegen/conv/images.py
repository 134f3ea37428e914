"""conv2d and conv2d_input: from image to image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import conv
from jitgrad.codegen.conv.geometry import (
    Packed,
    geometry_of,
    image_pitch,
    is_empty,
    local_buffers,
    packed_image,
    pitch_of,
    places_of,
    whole,
)
from jitgrad.codegen.launch import Launch, Moving, Pointer, Strip, zero
from jitgrad.codegen.sums import Operand, Taps, block_of, rounds
from jitgrad.ir.node import Node
from jitgrad.passes.plan import Step
from jitgrad.passes.tiles import MOST_CHUNKS

TILE = 1 << 19  # bytes of a tile's packed images and sums: a part of the L2 cache


@dataclass(frozen=True, slots=True)
class Images:
    """How images become others: `make(count, source, w, target, *local)` gives the launches for
    some, `local` the bytes of memory that each needs, source and target those of each.
    """

    count: int
    source: int
    target: int
    local: tuple[int, ...]
    make: Callable[..., list[Launch]]

    @property
    def tile(self) -> int:
        """Images at a time: for them w is read once."""
        return max(1, min(self.count, TILE // sum(self.local)))

    @property
    def tiles(self) -> int:
        return rounds(self.count, self.tile)

    def scratch(self) -> list[int]:
        """Bytes of working memory."""
        return [self.tile * n for n in self.local]

    def entries(self, step: Step) -> list[Launch | Strip]:
        """The launches for all images."""
        (source, w), target = step.reads, step.writes[0]
        tile, tiles = self.tile, self.tiles
        if tiles == 1:
            return list(self.make(tile, source, w, target, *step.scratch))
        room, local = local_buffers(self.scratch())
        moved = Moving(source, tile=tile * self.source), w, Moving(target, tile=tile * self.target)
        sizes = tile, self.count - (tiles - 1) * tile
        body, tail = (tuple(self.make(count, *moved, *local)) for count in sizes)
        return [Strip((), body, tail, tiles, min(tiles, MOST_CHUNKS), room)]


def _forward(node: Node) -> Images:
    x, w = node.inputs
    g = geometry_of(node, x.shape, w.shape, node.shape)
    pitch = image_pitch(g)
    block, row = block_of(places_of(g, pitch), g.filters, g.dtype)
    packed, shifts = packed_image(g, row, pitch)
    step = block[0] * registers.lanes(g.dtype.code)
    in_x = Operand(g.channels * packed.plane, step, packed.plane)
    filter = g.channels * g.area
    in_w = Operand(g.filters * filter, filter, g.area)
    taps = Taps(g.dtype, g.groups, g.filters, g.channels, in_x, in_w, block, row, shifts)
    out = g.rows.out, g.columns.out
    place = (row, pitch, *out, 0, math.prod(out), out[1], 1)

    def make(count: int, x: Pointer, w: Pointer, y: Pointer, *local: Pointer) -> list[Launch]:
        planes, sums = local
        first = packed.launch(g.dtype, x, planes, count * g.groups * g.channels)
        last = _unpack(sums, y, place, node, count)
        return [first, taps.launch(count, planes, w, sums), last]

    sizes = (g.groups * g.channels * packed.plane, g.groups * g.filters * row)
    return _images(x, node, sizes, make)


def _unpack(
    sums: Pointer, target: Pointer, place: tuple[int, ...], out: Node, count: int
) -> Launch:
    text, planes = conv.unpack(out.dtype.code), count * out.shape[1]
    return Launch(text, (sums, target), place, planes, planes * place[2] * place[3])


def _images(x: Node, out: Node, sizes: Sequence[int], make: Callable[..., list[Launch]]) -> Images:
    count = x.shape[0]
    local = tuple(n * out.dtype.size for n in sizes)
    return Images(count, x.type.nbytes // count, out.type.nbytes // count, local, make)


def _backward(node: Node) -> Images:
    """conv2d_input: every phase of the image, from the places of g that meet it."""
    cotangent, w = node.inputs
    g = geometry_of(node, node.shape, w.shape, cotangent.shape)
    r, c = g.rows, g.columns
    before = r.reach - r.first, c.reach - c.first
    high, wide = ((a.before + a.size - 1) // a.stride - a.first + 1 for a in (r, c))
    rows, columns = high + r.reach, wide + c.reach
    pitch = pitch_of(before[1], c.out, columns)
    block, row = block_of(whole((high - 1) * pitch + wide, g.dtype), g.channels, g.dtype)
    size = whole(r.reach * pitch + c.reach + row, g.dtype)
    packed = Packed((r.out, c.out), rows, pitch, size, before=before)
    filter = g.channels * g.area
    step = block[0] * registers.lanes(g.dtype.code)
    in_g = Operand(g.filters * size, step, size)
    in_w = Operand(g.filters * filter, g.area, filter)
    parts: list[tuple[Taps, tuple[int, ...]]] = []
    for i, k in itertools.product(range(r.stride), range(c.stride)):
        below, right = r.places(i), c.places(k)
        if not below or not right:
            continue
        shifts = tuple(
            ((below[0] - r.first + r.reach - a) * pitch + right[0] - c.first + c.reach - b,
             y * c.kernel + x)
            for y, a in r.met(i)
            for x, b in c.met(k)
        )  # fmt: skip
        taps = Taps(g.dtype, g.groups, g.channels, g.filters, in_g, in_w, block, row, shifts)
        start = (below[0] * r.stride + i - r.before) * c.size
        start += right[0] * c.stride + k - c.before
        steps = (start, r.size * c.size, r.stride * c.size, c.stride)
        parts.append((taps, (row, pitch, len(below), len(right), *steps)))

    def make(count: int, y: Pointer, w: Pointer, x: Pointer, *local: Pointer) -> list[Launch]:
        planes, sums = local
        made = [packed.launch(g.dtype, y, planes, count * g.groups * g.filters)]
        for taps, place in parts:
            made.append(taps.launch(count, planes, w, sums))
            made.append(_unpack(sums, x, place, node, count))
        return made

    sizes = (g.groups * g.filters * size, g.groups * g.channels * row)
    return _images(cotangent, node, sizes, make)


MAPS = {"conv2d": _forward, "conv2d_input": _backward}


def convolution(step: Step) -> list[Launch | Strip]:
    """conv2d and conv2d_input: from image to image."""
    node = step.node
    assert node is not None
    if is_empty(node):
        return [zero(step.writes[0], node.type.nbytes)]
    return MAPS[node.op.name](node).entries(step)


def convolution_scratch(node: Node) -> Sequence[int]:
    """Bytes for one image where a strip has memory of its own."""
    if is_empty(node):
        return ()
    images = MAPS[node.op.name](node)
    return images.scratch() if images.tiles == 1 else ()
