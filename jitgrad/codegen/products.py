"""Launches of matrix products: blocks of sums, BLAS, or loops where they are small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from jitgrad.codegen.launch import Launch, Library, Pointer, zero
from jitgrad.codegen.panels import DEEP, Operands, Panels, panels_of
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

# What is left to the library: few rows, or little to do, but for right operands that are stored
# swapped, for which it takes twice the time; operands of which the cache holds neither, and such as
# are too much to be stored once more; left ones that are stored swapped and have many rows.
FEWEST = {False: 32, True: 4}
LEAST = 1 << 18
CACHE, MOST = 1 << 20, 1 << 22  # bytes


def gemm(
    dtype: DType,
    operands: Operands,
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
    a, b, c = step.reads[0], step.reads[1], step.writes[0]
    return matmul_of_batch(node, (a, b, c), batch_panels(node), step.scratch)


def matmul_of_batch(
    node: Node, operands: Operands, panels: Panels | None, scratch: Sequence[Pointer]
) -> list[Launch]:
    """Batched products on panels of the right operands, packed in `scratch`; without, those of the
    library.
    """
    if panels is None:
        return matmul_by_library(node, operands)
    a, b, c = operands
    m, batch, swapped = node.shape[-2], math.prod(node.shape[:-2]), _is_swapped(node.inputs[0])
    if not panels.packed:
        return panels.product((a, b, c), m, swapped, batch)
    (packed,) = scratch
    return panels.pack(b, packed, batch) + panels.product((a, packed, c), m, swapped, batch)


def matmul_by_library(node: Node, operands: Operands) -> list[Launch]:
    """Batched products by BLAS, or by loops."""
    swapped = (_is_swapped(node.inputs[0]), _is_swapped(node.inputs[1]))
    m, n, k = node.shape[-2], node.shape[-1], node.inputs[0].shape[-1]
    if k == 0:
        return [zero(operands[2], node.type.nbytes)]
    return [gemm(node.dtype, operands, (m, n, k), swapped, math.prod(node.shape[:-2]))]


def matmul_scratch(node: Node) -> Sequence[int]:
    """Bytes of packed operands."""
    panels = batch_panels(node)
    many = math.prod(node.shape[:-2])
    return () if panels is None or not panels.packed else [panels.nbytes * many]


def batch_panels(node: Node) -> Panels | None:
    """How the right operands of products are read, or None if the library is as fast."""
    m, n, k = node.shape[-2], node.shape[-1], node.inputs[0].shape[-1]
    (left, right), batch = map(_is_swapped, node.inputs), math.prod(node.shape[:-2])
    row, small = k * node.dtype.size, m * n * k < LEAST and not right
    large = row * min(m, n) > CACHE or row * n > MOST or (left and k > DEEP)
    if small or large or m < FEWEST[right] or batch == 0:
        return None
    return panels_of(node.dtype, (m, m), k, n, right, batch)


def row_panels(node: Node, rows: tuple[int, int]) -> Panels | None:
    """How the right operand of a product is packed, of which so many rows, the most and the fewest,
    are made at a time.
    """
    k, n = node.inputs[0].shape[-1], node.shape[-1]
    if node.ndim != 2:
        return None
    return panels_of(node.dtype, rows, k, n, _is_swapped(node.inputs[1]), packed=True)


def matmul_of_panels(node: Node, operands: Operands, panels: Panels) -> list[Launch]:
    """A product with a matrix that is packed already."""
    return panels.product(operands, node.shape[0], _is_swapped(node.inputs[0]))


def matmul_adding(node: Node, operands: Operands, most: int) -> list[Launch]:
    """A product added to what its result holds. `most`: terms of the longest such sum."""
    swapped = (_is_swapped(node.inputs[0]), _is_swapped(node.inputs[1]))
    (m, n), k = node.shape, node.inputs[0].shape[-1]
    if m >= FEWEST[False] and most <= DEEP and not swapped[1]:
        panels = panels_of(node.dtype, (m, m), most, n, False, packed=False)
        if panels is not None:
            return replace(panels, k=k).product(operands, m, swapped[0], adding=True)
    return [gemm(node.dtype, operands, (m, n, k), swapped, accumulate=True)]


def _is_swapped(operand: Node) -> bool:
    """Whether an operand is stored with its last two axes swapped (see passes.regions)."""
    return operand.op.kind == "view" and "perm" in operand.attrs
