"""Launches of matrix products and convolutions: BLAS over panels that fit the cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jitgrad.codegen.canonical import conv
from jitgrad.codegen.launch import Launch, Library, Part, Pointer, zero
from jitgrad.ir.node import Node
from jitgrad.ir.types import DType, float32, float64
from jitgrad.passes.plan import Step

PRODUCT = """def kernel(ptrs, dims, lo, hi):
    # row-major C = A B (+ C) is column-major C' = B' A' (+ C'); the range is rows or columns of C
    m = dims[0] if dims[0] > 0 else hi - lo
    n = dims[1] if dims[1] > 0 else hi - lo
    a = ptrs[0] + lo * dims[7]
    b = ptrs[1] + lo * dims[8]
    c = ptrs[2] + lo * dims[9]
    routine, k, ldc = ptrs[3], dims[2], dims[11]
    gemm_{T}(routine, dims[4], dims[3], n, m, k, b, dims[6], a, dims[5], dims[10], c, ldc)
"""
GEMM = """def kernel(ptrs, dims, lo, hi):
    # row-major C = A B (+ C) is column-major C' = B' A' (+ C')
    routine = ptrs[3]
    m, n, k = dims[0], dims[1], dims[2]
    for i in range(lo, hi):
        a = ptrs[0] + i * dims[7]
        b = ptrs[1] + i * dims[8]
        c = ptrs[2] + i * dims[9]
        gemm_{T}(routine, dims[4], dims[3], n, m, k, b, dims[6], a, dims[5], dims[10], c, n)
"""
LOOPS = """def kernel(ptrs, dims, lo, hi):
    a = {T}_ptr(ptrs, 0)
    b = {T}_ptr(ptrs, 1)
    c = {T}_ptr(ptrs, 2)
    m, n, k = dims[0], dims[1], dims[2]
    for batch in range(lo, hi):
        a_at = batch * m * k
        b_at = batch * k * n
        c_at = batch * m * n
        for i in range(m):
            if dims[7] == 0:
                for j in range(n):
                    c[c_at + i * n + j] = {T}(0)
            for p in range(k):
                left = a[a_at + i * dims[3] + p * dims[4]]
                for j in range(n):
                    c[c_at + i * n + j] = to_{T}(
                        c[c_at + i * n + j] + left * b[b_at + p * dims[5] + j * dims[6]]
                    )
"""
SMALL = 16  # below this edge a plain loop beats the library's call
EDGE = 512  # rows or columns of a product: each call packs the other operand again
PANEL = 1 << 18  # bytes of columns of a convolution at a time: a part of the L2 cache


def gemm(
    dtype: DType,
    operands: tuple[Pointer, Pointer, Pointer],
    shape: tuple[int, int, int],
    swapped: tuple[bool, bool] = (False, False),
    batch: int = 1,
    accumulate: bool = False,
) -> Launch:
    """c[m, n] = a[m, k] b[k, n] (+ c), for each of a batch; an operand may be stored swapped.

    BLAS, or a loop for small and for integer products.
    """
    m, n, k = shape
    work = batch * m * n * k
    if max(m, n, k) <= SMALL or dtype not in (float32, float64):
        left = (1, m) if swapped[0] else (k, 1)
        right = (1, k) if swapped[1] else (n, 1)
        dims = (m, n, k, *left, *right, int(accumulate))
        return Launch(LOOPS.replace("{T}", dtype.code), operands, dims, batch, work)
    flags = [ord("T" if s else "N") for s in swapped]
    leading = [m if swapped[0] else k, k if swapped[1] else n]
    routine = Library("sgemm" if dtype is float32 else "dgemm")
    if batch == 1:  # its longer edge is the range
        size = dtype.size
        if m >= n:
            left = size if swapped[0] else k * size
            dims = (0, n, k, *flags, *leading, left, 0, n * size, int(accumulate), n)
        else:
            right = k * size if swapped[1] else size
            dims = (m, 0, k, *flags, *leading, 0, right, size, int(accumulate), n)
        text = PRODUCT.replace("{T}", dtype.code)
        return Launch(text, (*operands, routine), dims, max(m, n), work, grain=EDGE)
    steps = [m * k * dtype.size, k * n * dtype.size, m * n * dtype.size]
    dims = (m, n, k, *flags, *leading, *steps, int(accumulate))
    return Launch(GEMM.replace("{T}", dtype.code), (*operands, routine), dims, batch, work)


def matmul(step: Step) -> list[Launch]:
    """Batched products."""
    node = step.node
    assert node is not None
    swapped = (_is_swapped(node.inputs[0]), _is_swapped(node.inputs[1]))
    m, n, k = node.shape[-2], node.shape[-1], node.inputs[0].shape[-1]
    operands = (step.reads[0], step.reads[1], step.writes[0])
    if k == 0:
        return [zero(step.writes[0], node.type.nbytes)]
    return [gemm(node.dtype, operands, (m, n, k), swapped, math.prod(node.shape[:-2]))]


def matmul_adding(step: Step) -> list[Launch]:
    """A product added to what its result holds."""
    node = step.node
    assert node is not None
    swapped = (_is_swapped(node.inputs[0]), _is_swapped(node.inputs[1]))
    (m, n), k = node.shape, node.inputs[0].shape[-1]
    operands = (step.reads[0], step.reads[1], step.writes[0])
    return [gemm(node.dtype, operands, (m, n, k), swapped, accumulate=True)]


def _is_swapped(operand: Node) -> bool:
    """Whether an operand is stored with its last two axes swapped (see passes.regions)."""
    return operand.op.kind == "view" and "perm" in operand.attrs


# --- convolution --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes of one convolution, whichever of its three operands is being made."""

    dtype: DType
    images: int
    channels: int  # of a group
    filters: int  # of a group
    groups: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    out: tuple[int, int]
    attrs: tuple[int, ...]  # stride, dilation, top, left

    @property
    def k(self) -> int:
        return self.channels * math.prod(self.kernel)

    @property
    def p(self) -> int:
        return math.prod(self.out)

    @property
    def panel(self) -> int:
        """Images whose columns are made at a time."""
        fits = PANEL // max(self.k * self.p * self.dtype.size, 1)
        return max(1, min(self.images, fits))

    def columns_bytes(self) -> int:
        return self.k * self.p * self.panel * self.dtype.size

    def rows_bytes(self) -> int:
        return self.filters * self.p * self.panel * self.dtype.size

    def panels(self) -> list[tuple[int, int, int]]:
        """(group, first image, images) of every panel."""
        return [
            (group, first, min(self.panel, self.images - first))
            for group in range(self.groups)
            for first in range(0, self.images, self.panel)
        ]

    def image_dims(self, group: int, first: int, count: int) -> tuple[int, ...]:
        plane = math.prod(self.size)
        step = self.groups * self.channels * plane
        start = first * step + group * self.channels * plane
        return (start, step, count, *self.size, *self.kernel, *self.out, *self.attrs)

    def im2col(self, images: Pointer, columns: Pointer, part: tuple[int, int, int]) -> Launch:
        text = conv.im2col(self.dtype.code)
        work = self.k * self.p * part[2]
        return Launch(text, (images, columns), self.image_dims(*part), self.k, work)

    def col2im(self, columns: Pointer, images: Pointer, part: tuple[int, int, int]) -> Launch:
        dims = (*self.image_dims(*part), self.channels)
        work = self.k * self.p * part[2]
        text = conv.col2im(self.dtype.code)
        return Launch(text, (columns, images), dims, part[2] * self.channels, work)

    def rows(
        self, source: Pointer, target: Pointer, part: tuple[int, int, int], gather: bool
    ) -> Launch:
        """Between y[O, count * P] of a panel and [image, filter, P] of the whole."""
        group, first, count = part
        outputs = self.groups * self.filters * self.p
        whole = (first * outputs + group * self.filters * self.p, outputs, self.p)
        panel = (0, self.p, count * self.p)
        dims = (self.filters, self.p, *(whole if gather else panel), *(panel if gather else whole))
        text = conv.rows(self.dtype.code, self.dtype.code)
        extent = count * self.filters
        return Launch(text, (source, target), dims, extent, extent * self.p)

    def filters_at(self, buffer, group: int) -> Part:
        return Part(buffer, group * self.filters * self.k * self.dtype.size)


def _geometry(node: Node, x: Sequence[int], w: Sequence[int], y: Sequence[int]) -> Geometry:
    at = node.attrs
    groups = at["groups"]
    top, _, left, _ = at["pad"]
    return Geometry(
        node.dtype, x[0], x[1] // groups, w[0] // groups, groups, (x[2], x[3]), (w[2], w[3]),
        (y[2], y[3]), (*at["stride"], *at["dilation"], top, left),
    )  # fmt: skip


def _conv2d_geometry(node: Node) -> Geometry:
    return _geometry(node, node.inputs[0].shape, node.inputs[1].shape, node.shape)


def _input_geometry(node: Node) -> Geometry:
    return _geometry(node, node.shape, node.inputs[1].shape, node.inputs[0].shape)


def _weight_geometry(node: Node) -> Geometry:
    return _geometry(node, node.inputs[0].shape, node.shape, node.inputs[1].shape)


GEOMETRY = {
    "conv2d": _conv2d_geometry,
    "conv2d_input": _input_geometry,
    "conv2d_weight": _weight_geometry,
}


def convolution_scratch(node: Node) -> Sequence[int]:
    """Columns of a panel, and its rows of outputs."""
    geometry = GEOMETRY[node.op.name](node)
    return geometry.columns_bytes(), geometry.rows_bytes()


def _is_empty(node: Node) -> bool:
    return any(x.type.size == 0 for x in (node, *node.inputs))


def conv2d(step: Step) -> list[Launch]:
    """out = w columns(x), panel by panel."""
    node = step.node
    assert node is not None
    if _is_empty(node):
        return [zero(step.writes[0], node.type.nbytes)]
    g = _conv2d_geometry(node)
    (x, w), (columns, y), out = step.reads, step.scratch, step.writes[0]
    made: list[Launch] = []
    for part in g.panels():
        shape = (g.filters, part[2] * g.p, g.k)
        made.append(g.im2col(x, columns, part))
        made.append(gemm(g.dtype, (g.filters_at(w, part[0]), columns, y), shape))
        made.append(g.rows(y, out, part, gather=False))
    return made


def conv2d_input(step: Step) -> list[Launch]:
    """x = image(w' g), panel by panel."""
    node = step.node
    assert node is not None
    if _is_empty(node):
        return [zero(step.writes[0], node.type.nbytes)]
    g = _input_geometry(node)
    (cotangent, w), (columns, y), out = step.reads, step.scratch, step.writes[0]
    made: list[Launch] = []
    for part in g.panels():
        shape = (g.k, part[2] * g.p, g.filters)
        made.append(g.rows(cotangent, y, part, gather=True))
        made.append(gemm(g.dtype, (g.filters_at(w, part[0]), y, columns), shape, (True, False)))
        made.append(g.col2im(columns, out, part))
    return made


def conv2d_weight(step: Step) -> list[Launch]:
    """w = sum over the panels of g columns(x)'."""
    node = step.node
    assert node is not None
    if _is_empty(node):
        return [zero(step.writes[0], node.type.nbytes)]
    g = _weight_geometry(node)
    (x, cotangent), (columns, y), out = step.reads, step.scratch, step.writes[0]
    made: list[Launch] = []
    for part in g.panels():
        shape = (g.filters, g.k, part[2] * g.p)
        target = g.filters_at(out, part[0])
        made.append(g.im2col(x, columns, part))
        made.append(g.rows(cotangent, y, part, gather=True))
        made.append(
            gemm(g.dtype, (y, columns, target), shape, (False, True), accumulate=part[1] > 0)
        )
    return made
