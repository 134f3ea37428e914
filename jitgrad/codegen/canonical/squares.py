"""Convolutions of 3 × 3 elements in squares: to sixteen products of matrices, and back."""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill

CUT = """def kernel(ptrs, dims, lo, hi):
    # parts[k, channel, image, i, j] = element k of Bᵀ d B, for the square d of an image at
    # (2 i + top, 2 j + left); the range is channels. A vector's end is written over by the next.
    images = {T}_ptr(ptrs, 0)
    parts = {T}_ptr(ptrs, 1)
    count, channels, high, wide = dims[0], dims[1], dims[2], dims[3]
    rows, columns, top, left, line, step = dims[4], dims[5], dims[6], dims[7], dims[8], dims[9]
    for channel in range(lo, hi):
        to = channel * line
        for image in range(count):
            here = (image * channels + channel) * high * wide
            for i in range(rows):
                row = 2 * i + top
                for j in range(0, columns, {lanes}):
                    column = 2 * j + left
                    cut_image_{T}(images, here, row, column, high, wide, parts, to + j, step)
                to = to + columns
"""

JOIN = """def kernel(ptrs, dims, lo, hi):
    # images[image, filter, 2 i + top, 2 j] and what is beside and below = Aᵀ m A, for the square m
    # of sums[k, filter, image, i, j]; the range is images times filters
    sums = {T}_ptr(ptrs, 0)
    images = {T}_ptr(ptrs, 1)
    filters, high, wide, rows, columns = dims[0], dims[1], dims[2], dims[3], dims[4]
    top, line, step = dims[5], dims[6], dims[7]
    for at in range(lo, hi):
        here = at % filters * line + at // filters * rows * columns
        for i in range(rows):
            row = 2 * i + top
            for j in range(0, columns, {lanes}):
                first, to = here + i * columns + j, at * high * wide
                join_output_{T}(sums, first, step, images, to, row, 2 * j, high, wide)
"""

FILTERS = """def kernel(ptrs, dims, lo, hi):
    # parts[k, i, term, row] = element k of G f Gᵀ, for the filter f of ({high} i + row, term): its
    # elements are `along` apart. The range is blocks i, of which {beside} lie side by side in w.
    w = {T}_ptr(ptrs, 0)
    parts = {T}_ptr(ptrs, 1)
    blocks, terms, first, row_step = dims[0], dims[1], dims[2], dims[3]
    term_step, along, step = dims[4], dims[5], dims[6]
    for some in range(lo, hi):
        for n in range(0, terms, {together}):
            term = minimum_i64(n, terms - {together})
            for i in range(some * {beside}, minimum_i64((some + 1) * {beside}, blocks)):
                here = first + {high} * i * row_step + term * term_step
                to = {high} * (i * terms + term)
                lattice_filter_{T}({high}, w, here, row_step, term_step, along, parts, to, step)
"""

MEND = """def kernel(ptrs, dims, lo, hi):
    # where made[image, row, i, k] is not finite: the sum again, of just what belongs to it; the
    # range is images times rows
    images = {T}_ptr(ptrs, 0)
    w = {T}_ptr(ptrs, 1)
    made = {T}_ptr(ptrs, 2)
    rows, terms, high, wide, down, across = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    top, left, first, row_step = dims[6], dims[7], dims[8], dims[9]
    term_step, along, area = dims[10], dims[11], dims[4] * dims[5]
    for plane in range(lo, hi):
        found = {T}(0)
        for at in range(plane * area, plane * area + area):
            found = add_reassoc_{T}(found, made[at] * {T}(0))
        for at in range(plane * area, plane * area + (0 if found == {T}(0) else area)):
            if made[at] * {T}(0) != {T}(0):
                y, z = at % area // across + top, at % across + left
                total = {T}(0)
                for term in range(terms):
                    here = (plane // rows * terms + term) * high * wide
                    weights = first + plane % rows * row_step + term * term_step
                    for k in range(9 if total == total else 0):
                        row, column = y + k // 3, z + k % 3
                        if (row >= 0) & (row < high) & (column >= 0) & (column < wide):
                            value = images[here + row * wide + column]
                            total = total + value * w[weights + k * along]
                made[at] = total
"""


def cut(dtype: str, lanes: int) -> str:
    """Squares of images as parts.

    ptrs   images[count, channels, high, wide], parts[16, channels, line]
    dims   count, channels, high, wide; rows and columns of squares; where the first begins; from
           one channel to the next, and one part to the next
    range  channels
    """
    return fill(CUT, dtype, lanes=str(lanes))


def join(dtype: str, lanes: int) -> str:
    """Images from the parts of their squares.

    ptrs   sums[16, filters, line], images[count, filters, high, wide]
    dims   filters, high, wide; rows and columns of squares; the first row of an image; from one
           filter to the next, and one part to the next
    range  images times filters
    """
    return fill(JOIN, dtype, lanes=str(lanes))


def filters(dtype: str, high: int, together: int, beside: int) -> str:
    """Filters as parts, with the rows of a block side by side.

    ptrs   w, parts[16, blocks, terms, `high`]
    dims   blocks; terms, `together` at least; where w begins, steps in it from row to row, term to
           term, and element to element; from one part to the next
    range  blocks, `beside` at a time
    """
    more = {"high": str(high), "together": str(together), "beside": str(beside)}
    return fill(FILTERS, dtype, **more)


def mend(dtype: str) -> str:
    """Sums over images, where they are not finite.

    ptrs   images[count, terms, high, wide], w, made[count, rows, down, across]
    dims   rows, terms, high, wide, down, across; where the first square begins; where w begins,
           steps in it from row to row, term to term, and element to element
    range  images times rows
    """
    return fill(MEND, dtype)
