"""The sizes of a convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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

    @property
    def is_points(self) -> bool:
        """Whether each output meets just the element of the image at its own place."""
        return self.area == 1 and all(a.out == a.size and a.stride == 1 for a in self.axes)

    @property
    def axes(self) -> tuple[Axis, Axis]:
        return self.rows, self.columns


def geometry_of(node: Node, x: Sequence[int], w: Sequence[int], y: Sequence[int]) -> Geometry:
    """The sizes of a convolution from the shapes of x, w and what conv2d makes of them."""
    at = node.attrs
    groups, before = at["groups"], at["pad"][::2]
    rows, columns = map(Axis, x[2:], w[2:], y[2:], at["stride"], at["dilation"], before)
    return Geometry(node.dtype, x[0], x[1] // groups, w[0] // groups, groups, rows, columns)


def local_buffers(sizes: Sequence[int]) -> tuple[int, list[Buffer]]:
    """Memory of a thread for some buffers, and the buffers in it."""
    arena = Arena()
    buffers = [Buffer(n, "local", arena.take(n)) for n in sizes]
    return arena.size, buffers


def is_empty(node: Node) -> bool:
    """Whether there is nothing to add up, or nothing to add up into."""
    return any(x.type.size == 0 for x in (node, *node.inputs))
