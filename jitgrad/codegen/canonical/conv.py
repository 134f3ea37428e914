"""Convolutions: images with a border of zeros, and blocks of sums in registers over them.

An image is first laid out so that every element of the kernel meets the image at one distance from
the output's place, whatever the place: with its zeros around it, and, for strides, with every
s-th row and column together (a *phase*). Rows follow each other at a pitch; sums are made at all
places of that pitch, the few between two rows of outputs too. What is copied out leaves them away.
"""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill

PACK = """def kernel(ptrs, dims, lo, hi):
    # target[channel, phase, image * period + to + i * pitch + j] =
    #     source[image, channel, here + i * row_step + j * step], and 0 at all other places
    source = {T}_ptr(ptrs, 0)
    target = {T}_ptr(ptrs, 1)
    area, channels, images, period = dims[0], dims[1], dims[2], dims[3]
    size, pitch, row_step, step, phases = dims[4], dims[5], dims[6], {step}, dims[8]
    for plane in range(lo, hi):
        image, channel = plane // channels, plane % channels
        for phase in range(phases):
            base, at = (channel * phases + phase) * size, 9 + 4 * phase
            end = base + size if image + 1 == images else base + (image + 1) * period
            base = base + image * period
            here, to, rows, columns = dims[at], dims[at + 1], dims[at + 2], dims[at + 3]
            here, to = plane * area + here, base + to
            if rows * columns < end - base:
                for i in range(base, end):
                    target[i] = {T}(0)
            for row in range(rows):
                for i in range(columns):
                    target[to + row * pitch + i] = source[here + row * row_step + i * step]
"""

PANELS = """def kernel(ptrs, dims, lo, hi):
    # panels[group, i, o, t, k] = w[group, o, {rows} * i + k, t], but the last {rows} rows at the
    # end; the range is groups times blocks i of rows
    w = {T}_ptr(ptrs, 0)
    panels = {T}_ptr(ptrs, 1)
    blocks, last, filters, rows = dims[0], dims[1], dims[2], dims[3]
    for at in range(lo, hi):
        first = minimum_i64(at % blocks * {rows}, last)
        for o in range(filters):
            here = ((at // blocks * filters + o) * rows + first) * {taps}
            to = (at * filters + o) * {taps} * {rows}
            for t in range({taps}):
                for k in range({rows}):
                    panels[to + t * {rows} + k] = w[here + k * {taps} + t]
"""

TAPS = """def kernel(ptrs, dims, lo, hi):
    # sums[o, j] = sum over c and t of w[o, c, t] * x[c, j + shift[t]], for blocks of {rows} rows o
    # and {vectors} vectors j; the range is groups, times the blocks of the outer of o and j
    x = {T}_ptr(ptrs, 0)
    w = {T}_ptr(ptrs, 1)
    sums = {T}_ptr(ptrs, 2)
    images, outer, inner, last, w_last = dims[0], dims[1], dims[2], dims[3], dims[17]
    for at in range(lo, hi):
        group, i = at // outer, at % outer
        for image in range(images):
            for k in range(inner):
                w_row = i * dims[4] + k * dims[5]
                row, w_row = minimum_i64(w_row, last), minimum_i64(w_row, w_last)
                block = i * dims[6] + k * dims[7]
                x_at = image * dims[8] + group * dims[9] + block * dims[10]
                w_at = group * dims[11] + w_row * dims[12]
                to = image * dims[13] + group * dims[14] + row * dims[15] + block * dims[16]
                taps_{T}({vectors}, {rows}, x, x_at, w, w_at, sums, to, dims, 18)
"""

UNPACK = """def kernel(ptrs, dims, lo, hi):
    # target[image, plane, start + i * row_step + j * step] =
    #     sums[plane, image * period + i * pitch + j]
    sums = {T}_ptr(ptrs, 0)
    target = {T}_ptr(ptrs, 1)
    size, pitch, rows, columns = dims[0], dims[1], dims[2], dims[3]
    start, plane_step, row_step, step = dims[4], dims[5], dims[6], dims[7]
    planes, period = dims[8], dims[9]
    for plane in range(lo, hi):
        first = plane // planes * period + plane % planes * size
        for row in range(rows):
            here, to = first + row * pitch, start + plane * plane_step + row * row_step
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


ROWS = """def kernel(ptrs, dims, lo, hi):
    # rows[panel, image, y, x, c, i, k] = source[image, panel * together + c,
    #     y * down - top + i * apart_y, x * right - left + k * apart_x], and 0 beside the image; the
    # range is images times y
    source = {T}_ptr(ptrs, 0)
    target = {T}_ptr(ptrs, 1)
    panels, together, high, wide = dims[0], dims[1], dims[2], dims[3]
    rows, columns = dims[4], dims[5]
    apart_y, apart_x, lines = dims[8], dims[9], dims[12]
    for at in range(lo, hi):
        first_y = at % rows * dims[6] - dims[10]
        for panel in range(panels):
            for x in range(columns):
                first_x = x * dims[7] - dims[11]
                inside = (first_y >= 0) & (first_y + {last_y} * apart_y < high)
                inside = inside & (first_x >= 0) & (first_x + {last_x} * apart_x < wide)
                plane = (at // rows * panels + panel) * together * high * wide
                to = ((panel * lines + at) * columns + x) * together * {area}
                for c in range(together):
                    if inside:
                        here = plane + first_y * wide + first_x
                        for i in range({high}):
                            for k in range({wide}):
                                place = here + i * apart_y * wide + k * apart_x
                                target[to + i * {wide} + k] = source[place]
                    else:
                        for i in range({high}):
                            for k in range({wide}):
                                y, z = first_y + i * apart_y, first_x + k * apart_x
                                met = (y >= 0) & (y < high) & (z >= 0) & (z < wide)
                                place = to + i * {wide} + k
                                target[place] = source[plane + y * wide + z] if met else {T}(0)
                    plane, to = plane + high * wide, to + {area}
"""

SPREAD = """def kernel(ptrs, dims, lo, hi):
    # target[image, c, y * down - top + i * apart_y, x * right - left + k * apart_x] = the sum of
    # all products[image, y, x, c, i, k] that belong there; the range is images times channels
    products = {T}_ptr(ptrs, 0)
    target = {T}_ptr(ptrs, 1)
    channels, high, wide, rows, columns = dims[0], dims[1], dims[2], dims[3], dims[4]
    apart_y, apart_x = dims[7], dims[8]
    for at in range(lo, hi):
        plane = at * high * wide
        for i in range(plane, plane + high * wide):
            target[i] = {T}(0)
        for y in range(rows):
            first_y = y * dims[5] - dims[9]
            for x in range(columns):
                first_x = x * dims[6] - dims[10]
                place = (at // channels * rows + y) * columns + x
                here = (place * channels + at % channels) * {area}
                for i in range({high}):
                    for k in range({wide}):
                        y_to, x_to = first_y + i * apart_y, first_x + k * apart_x
                        if (y_to >= 0) & (y_to < high) & (x_to >= 0) & (x_to < wide):
                            to = plane + y_to * wide + x_to
                            target[to] = to_{T}(target[to] + products[here + i * {wide} + k])
"""

MEND = """def kernel(ptrs, dims, lo, hi):
    # where out[o, c, i, k] is not a number: the sum again, of just what belongs to it
    x = {T}_ptr(ptrs, 0)
    g = {T}_ptr(ptrs, 1)
    out = {T}_ptr(ptrs, 2)
    images, channels, filters, groups = dims[0], dims[1], dims[2], dims[3]
    high, wide, rows, columns = dims[4], dims[5], dims[6], dims[7]
    area = dims[8] * dims[9]
    for at in range(lo, hi):
        if out[at] != out[at]:
            o, c = at // (channels * area), at // area % channels
            first_y = at % area // dims[9] * dims[12] - dims[14]
            first_x = at % dims[9] * dims[13] - dims[15]
            total = {T}(0)
            for image in range(images):
                plane = (image * groups + o // filters) * channels + c
                for row in range(rows):
                    y = first_y + row * dims[10]
                    here = ((image * groups * filters + o) * rows + row) * columns
                    for i in range(columns):
                        z = first_x + i * dims[11]
                        met = (y >= 0) & (y < high) & (z >= 0) & (z < wide)
                        value = x[(plane * high + y) * wide + z] if met else {T}(0)
                        total = total + value * g[here + i]
            out[at] = total
"""


def pack(dtype: str, step: int) -> str:
    """Planes with their border, phase by phase.

    ptrs   source[images, channels, area], target[channels, phases, size]
    dims   area, channels, images that lie side by side, elements of each; size and pitch (of a
           phase), steps from row to row and column to column in the source, phases; for each phase
           where it begins in the source and in its target, rows and columns
    range  images times channels
    """
    return fill(PACK, dtype, step=str(step) if step < 3 else "dims[7]")


def panels(dtype: str, rows: int, taps: int) -> str:
    """w turned round: for each block of `rows` rows, the rows side by side.

    ptrs   w[groups, filters, rows, taps], panels[groups, blocks, filters, taps, `rows`]
    dims   blocks; the row at which the last begins (it may overlap the one before); filters, rows
    range  groups times blocks
    """
    return fill(PANELS, dtype, rows=str(rows), taps=str(taps))


def taps(dtype: str, vectors: int, rows: int) -> str:
    """Blocks of sums over a packed image.

    ptrs   x, w, sums
    dims   images, blocks of the outer and of the inner loop; the row at which the last block
           begins (it may overlap the one before); rows, then blocks of places, from one round to
           the next of the outer and of the inner loop; then the steps of images, groups and blocks
           of places in x, of groups and rows in w, of images, groups, rows and blocks in sums; the
           row of w at which the last block begins; then those of `registers.taps`
    range  groups times outer blocks
    """
    return fill(TAPS, dtype, vectors=str(vectors), rows=str(rows))


def unpack(dtype: str) -> str:
    """Rows of sums to where they belong.

    ptrs   sums[planes, size], target
    dims   size, pitch, rows, columns; start, and steps from plane to plane, row to row, column to
           column in the target; planes of an image, and elements from one image to the next in a
           plane of sums
    range  images times planes
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


def rows(dtype: str, high: int, wide: int) -> str:
    """What each output meets, as rows. `high`, `wide`: the kernel's extents.

    ptrs   source[images, channels, rows, columns], target[panels, images, places, channels, taps]
    dims   panels, channels of each; rows and columns of an image, of outputs; stride, dilation, top
           and left; rows of outputs of all images
    range  images times rows of outputs
    """
    return fill(ROWS, dtype, high=str(high), wide=str(wide), last_y=str(high - 1),
                last_x=str(wide - 1), area=str(high * wide))  # fmt: skip


def spread(dtype: str, high: int, wide: int) -> str:
    """Products added up where they belong. `high`, `wide`: the kernel's extents.

    ptrs   products[images, places, channels, taps], target[images, channels, rows, columns]
    dims   channels, rows and columns of an image, of g; stride, dilation, top and left
    range  images times channels
    """
    return fill(SPREAD, dtype, high=str(high), wide=str(wide), area=str(high * wide))


def mend(dtype: str) -> str:
    """Sums of products of images, where they are nan.

    ptrs   x, g, out[filters, channels of a group, taps]
    dims   images, channels and filters of a group, groups; rows and columns of x, of g, of the
           kernel; stride, dilation, top and left
    range  all of out
    """
    return fill(MEND, dtype)
