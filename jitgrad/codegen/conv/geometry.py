"""The sizes of a convolution, and how its images are packed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from jitgrad.codegen import registers
from jitgrad.codegen.canonical import conv
from jitgrad.codegen.launch import Launch, Pointer
from jitgrad.ir.node import Node
from jitgrad.ir.types import DType
from jitgrad.passes.plan import Arena, Buffer


@dataclass(frozen=True, slots=True)
class Axis:
    """Rows or columns of a convolution."""

    size: int
    kernel: int
    out: int
    stride: int
    dilation: int
    before: int  # zeros in front of the image

    @property
    def phases(self) -> int:
        """Elements of the kernel after which they meet rows of the same phase again."""
        return min(self.kernel, self.stride // math.gcd(self.stride, self.dilation))

    @property
    def reach(self) -> int:
        """Rows of a phase from the first element of the kernel to the last."""
        return (self.kernel - 1) * self.dilation // self.stride

    @property
    def first(self) -> int:
        """Where the image begins, in strides."""
        return self.before // self.stride

    def places(self, phase: int) -> range:
        """The rows of a phase that are in the image, in strides."""
        start = -((phase - self.before) // self.stride)
        return range(start, (self.before + self.size - 1 - phase) // self.stride + 1)

    def met(self, phase: int) -> list[tuple[int, int]]:
        """(element of the kernel, rows back) of those by which a phase of the image is met."""
        reached = ((k, k * self.dilation) for k in range(self.kernel))
        return [(k, at // self.stride) for k, at in reached if at % self.stride == phase]


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes of one convolution, whichever of its three operands is being made."""

    dtype: DType
    images: int
    channels: int  # of a group
    filters: int  # of a group
    groups: int
    rows: Axis
    columns: Axis

    @property
    def area(self) -> int:
        return self.rows.kernel * self.columns.kernel


def geometry_of(node: Node, x: Sequence[int], w: Sequence[int], y: Sequence[int]) -> Geometry:
    """The sizes of a convolution from the shapes of x, w and what conv2d makes of them."""
    at = node.attrs
    groups, before = at["groups"], at["pad"][::2]
    rows, columns = map(Axis, x[2:], w[2:], y[2:], at["stride"], at["dilation"], before)
    return Geometry(node.dtype, x[0], x[1] // groups, w[0] // groups, groups, rows, columns)


@dataclass(frozen=True, slots=True)
class Packed:
    """How the planes of an image are packed: `size` elements for each phase, rows at a pitch."""

    source: tuple[int, int]
    rows: int
    pitch: int
    size: int
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    phases: tuple[int, int] = (1, 1)
    before: tuple[int, int] = (0, 0)

    @property
    def plane(self) -> int:
        """Elements of all phases of a plane."""
        return self.size * math.prod(self.phases)

    def launch(self, dtype: DType, source: Pointer, target: Pointer, planes: int) -> Launch:
        """Pack some planes."""
        (high, wide), (sh, sw), (dh, dw) = self.source, self.stride, self.dilation
        top, left = self.before
        dims = [high * wide, self.size, self.pitch, sh * wide, sw, math.prod(self.phases)]
        for i, k in itertools.product(*map(range, self.phases)):
            y, x = i * dh % sh - top, k * dw % sw - left
            rows, columns = _inside(y, sh, high, self.rows), _inside(x, sw, wide, self.pitch)
            dims += [(y + rows.start * sh) * wide + x + columns.start * sw]
            dims += [rows.start * self.pitch + columns.start, len(rows), len(columns)]
        work = planes * math.prod(self.phases) * self.size
        return Launch(conv.pack(dtype.code), (source, target), tuple(dims), planes, work)


def _inside(first: int, step: int, size: int, count: int) -> range:
    """The i < count for which first + i * step is inside of an image of some size."""
    start = min(max(-(first // step), 0), count)
    return range(start, max(min((size - 1 - first) // step + 1, count), start))


def pitch_of(before: int, size: int, columns: int) -> int:
    """Elements from row to row: the zeros behind one row are those before the next."""
    behind = columns - before - size
    return columns - max(min(before, behind), 0)


def whole(count: int, dtype: DType) -> int:
    """So many elements in whole vectors."""
    lanes = registers.lanes(dtype.code)
    return -(-count // lanes) * lanes


def packed_image(g: Geometry, span: int, pitch: int) -> tuple[Packed, tuple[tuple[int, int], ...]]:
    """x's planes for the places of the outputs, and for each element of the kernel its shift there
    and in w. `span`: places that are read from each shift on.
    """
    r, c = g.rows, g.columns
    size = whole(r.reach * pitch + c.reach + span, g.dtype)
    shifts = tuple(
        (
            (i % r.phases * c.phases + k % c.phases) * size
            + i * r.dilation // r.stride * pitch
            + k * c.dilation // c.stride,
            i * c.kernel + k,
        )
        for i in range(r.kernel)
        for k in range(c.kernel)
    )
    packed = Packed(
        (r.size, c.size), r.out + r.reach, pitch, size, (r.stride, c.stride),
        (r.dilation, c.dilation), (r.phases, c.phases), (r.before, c.before),
    )  # fmt: skip
    return packed, shifts


def image_pitch(g: Geometry) -> int:
    """The pitch at which x is packed."""
    c = g.columns
    wide = c.out + c.reach
    return pitch_of(c.before, c.size, wide) if c.stride == 1 else wide


def places_of(g: Geometry, pitch: int) -> int:
    """Places of the outputs, from the first to the last, in whole vectors."""
    return whole((g.rows.out - 1) * pitch + g.columns.out, g.dtype)


def local_buffers(sizes: Sequence[int]) -> tuple[int, list[Buffer]]:
    """Memory of a thread for some buffers, and the buffers in it."""
    arena = Arena()
    buffers = [Buffer(n, "local", arena.take(n)) for n in sizes]
    return arena.size, buffers


def is_empty(node: Node) -> bool:
    """Whether there is nothing to add up, or nothing to add up into."""
    return any(x.type.size == 0 for x in (node, *node.inputs))
