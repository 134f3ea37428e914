"""conv2d and conv2d_input: from image to image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from jitgrad.codegen.conv.sums import Operand, Taps, block_of
from jitgrad.codegen.launch import Launch, Moving, Pointer, Strip, zero
from jitgrad.ir.node import Node
from jitgrad.ir.types import DType
from jitgrad.passes.plan import Step
from jitgrad.passes.tiles import MOST_CHUNKS


@dataclass(frozen=True, slots=True)
class Images:
    """How one image becomes another: `make(source, w, target, *local)` gives the launches for one
    image, `local` the bytes of memory that they need, and source and target its bytes.
    """

    count: int
    source: int
    target: int
    local: tuple[int, ...]
    make: Callable[..., list[Launch]]

    def entries(self, step: Step) -> list[Launch | Strip]:
        (source, w), target = step.reads, step.writes[0]
        if self.count == 1:
            return list(self.make(source, w, target, *step.scratch))
        room, local = local_buffers(self.local)
        images = Moving(source, tile=self.source), w, Moving(target, tile=self.target)
        body = tuple(self.make(*images, *local))
        return [Strip((), body, (), self.count, min(self.count, MOST_CHUNKS), room)]


def _forward(node: Node) -> Images:
    x, w = node.inputs
    g = geometry_of(node, x.shape, w.shape, node.shape)
    pitch = image_pitch(g)
    block, row = block_of(places_of(g, pitch), g.filters, g.dtype)
    packed, shifts = packed_image(g, row, pitch)
    in_x = Operand(g.channels * packed.plane, 0, packed.plane)
    filter = g.channels * g.area
    in_w = Operand(g.filters * filter, filter, g.area)
    taps = Taps(g.dtype, g.groups, g.filters, g.channels, in_x, in_w, block, row, shifts)
    out = g.rows.out, g.columns.out
    place = (row, pitch, *out, 0, math.prod(out), out[1], 1)

    def make(x: Pointer, w: Pointer, y: Pointer, planes: Pointer, sums: Pointer) -> list[Launch]:
        first = packed.launch(g.dtype, x, planes, g.groups * g.channels)
        return [first, *taps.launches(planes, w, sums), _unpack(g.dtype, sums, y, place, node)]

    sizes = (g.groups * g.channels * packed.plane, g.groups * g.filters * row)
    return _images(x, node, sizes, make)


def _unpack(
    dtype: DType, sums: Pointer, target: Pointer, place: tuple[int, ...], out: Node
) -> Launch:
    text, channels = conv.unpack(dtype.code), out.shape[1]
    return Launch(text, (sums, target), place, channels, channels * place[2] * place[3])


def _images(x: Node, out: Node, sizes: Sequence[int], make: Callable[..., list[Launch]]) -> Images:
    bytes_of = [n.type.nbytes // n.shape[0] for n in (x, out)]
    return Images(x.shape[0], *bytes_of, tuple(n * out.dtype.size for n in sizes), make)


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
    in_g, in_w = Operand(g.filters * size, 0, size), Operand(g.filters * filter, g.area, filter)
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

    def make(g_: Pointer, w: Pointer, x: Pointer, planes: Pointer, sums: Pointer) -> list[Launch]:
        made = [packed.launch(g.dtype, g_, planes, g.groups * g.filters)]
        for taps, place in parts:
            made += [*taps.launches(planes, w, sums), _unpack(g.dtype, sums, x, place, node)]
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
    return images.local if images.count == 1 else ()
