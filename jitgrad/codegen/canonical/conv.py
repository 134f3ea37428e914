"""Convolutions: images with a border of zeros, and blocks of sums in registers over them.

An image is first laid out so that every element of the kernel meets the image at one distance from
the output's place, whatever the place: with its zeros around it, and, for strides, with every
s-th row and column together (a *phase*). Rows follow each other at a pitch; sums are made at all
places of that pitch, the few between two rows of outputs too. What is copied out leaves them away.
"""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill

PACK = """def kernel(ptrs, dims, lo, hi):
    # target[plane, phase, to + i * pitch + j] = source[plane, here + i * row_step + j * step], and
    # 0 at all other places
    source = {T}_ptr(ptrs, 0)
    target = {T}_ptr(ptrs, 1)
    area, size, pitch, row_step, step, phases = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    for plane in range(lo, hi):
        for phase in range(phases):
            base, at = (plane * phases + phase) * size, 6 + 4 * phase
            here, to, rows, columns = dims[at], dims[at + 1], dims[at + 2], dims[at + 3]
            here, to = plane * area + here, base + to
            for i in range(base, base + size):
                target[i] = {T}(0)
            for row in range(rows):
                for i in range(columns):
                    target[to + row * pitch + i] = source[here + row * row_step + i * step]
"""

TAPS = """def kernel(ptrs, dims, lo, hi):
    # sums[o, j] = sum over c and t of w[o, c, t] * x[c, j + shift[t]], for blocks of {rows} rows o
    # and {vectors} vectors j; the range is groups, times the blocks of the outer of o and j
    x = {T}_ptr(ptrs, 0)
    w = {T}_ptr(ptrs, 1)
    sums = {T}_ptr(ptrs, 2)
    images, outer, inner, last = dims[0], dims[1], dims[2], dims[3]
    for at in range(lo, hi):
        group, i = at // outer, at % outer
        for image in range(images):
            for k in range(inner):
                row = minimum_i64(i * dims[4] + k * dims[5], last)
                block = i * dims[6] + k * dims[7]
                x_at = image * dims[8] + group * dims[9] + block * dims[10]
                w_at = group * dims[11] + row * dims[12]
                to = image * dims[13] + group * dims[14] + row * dims[15] + block * dims[16]
                taps_{T}({vectors}, {rows}, x, x_at, w, w_at, sums, to, dims, 17)
"""

UNPACK = """def kernel(ptrs, dims, lo, hi):
    # target[plane, start + i * row_step + j * step] = sums[plane, i * pitch + j]
    sums = {T}_ptr(ptrs, 0)
    target = {T}_ptr(ptrs, 1)
    size, pitch, rows, columns = dims[0], dims[1], dims[2], dims[3]
    start, plane_step, row_step, step = dims[4], dims[5], dims[6], dims[7]
    for plane in range(lo, hi):
        for row in range(rows):
            here, to = plane * size + row * pitch, start + plane * plane_step + row * row_step
            for i in range(columns):
                target[to + i * step] = sums[here + i]
"""

PAIRS = """def kernel(ptrs, dims, lo, hi):
    # sums[o, c, t] += sum over images and j of g[o, j] * x[c, j + shift[t]], for blocks of {rows}
    # rows o and {columns} columns t; the range is groups, times the blocks of o
    x = {T}_ptr(ptrs, 0)
    g = {T}_ptr(ptrs, 1)
    sums = {T}_ptr(ptrs, 2)
    blocks, channels, column_blocks = dims[0], dims[1], dims[2]
    for at in range(lo, hi):
        group, i = at // blocks, at % blocks
        g_at = dims[3] + group * dims[4] + i * dims[5]
        for c in range(channels):
            x_at = group * dims[6] + c * dims[7]
            to = dims[8] + group * dims[9] + i * dims[10] + c * dims[11]
            for k in range(column_blocks):
                taps = 18 + 2 * {columns} * k
                pairs_{T}({columns}, {rows}, x, x_at, g, g_at, sums, to, dims, 12, taps)
"""


def pack(dtype: str) -> str:
    """Planes with their border, phase by phase.

    ptrs   source[planes, area], target[planes, phases, size]
    dims   area, size and pitch (of a phase), steps from row to row and column to column in the
           source, phases; for each phase where it begins in the source and in its target, rows and
           columns
    range  planes
    """
    return fill(PACK, dtype)


def taps(dtype: str, vectors: int, rows: int) -> str:
    """Blocks of sums over a packed image.

    ptrs   x, w, sums
    dims   images, blocks of the outer and of the inner loop; the row at which the last block
           begins (it may overlap the one before); rows, then blocks of places, from one round to
           the next of the outer and of the inner loop; then the steps of images, groups and blocks
           of places in x, of groups and rows in w, of images, groups, rows and blocks in sums; then
           those of `registers.taps`
    range  groups times outer blocks
    """
    return fill(TAPS, dtype, vectors=str(vectors), rows=str(rows))


def unpack(dtype: str) -> str:
    """Rows of sums to where they belong.

    ptrs   sums[planes, size], target
    dims   size, pitch, rows, columns; start, and steps from plane to plane, row to row, column to
           column in the target
    range  planes
    """
    return fill(UNPACK, dtype)


def pairs(dtype: str, columns: int, rows: int) -> str:
    """Blocks of sums of products of two packed images.

    ptrs   x, g, sums
    dims   blocks of rows, channels, blocks of columns; where g begins, steps of a group and of a
           block in it; steps of a group and of a channel in x; where sums begins, steps of a group,
           a block and a channel in it; then those of `registers.pairs`
    range  groups times blocks of rows
    """
    return fill(PAIRS, dtype, columns=str(columns), rows=str(rows))
