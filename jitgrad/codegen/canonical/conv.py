"""What a convolution needs around its matrix products: images as columns, and back.

With K = C * KH * KW (the channels of one group) and P = OH * OW, for a panel of `count` images and
one group of O filters, in row-major matrices:

    conv2d          im2col: x -> columns[K, count * P];   w[O, K] @ columns = y[O, count * P];
                    rows: y -> out
    conv2d_weight   im2col: x -> columns;   rows: g -> y[O, count * P];
                    out[O, K] += y @ columns^T, over all panels
    conv2d_input    rows: g -> y;   w^T[K, O] @ y = columns;   col2im: columns -> out

A panel of one image needs no `rows`: y is then the image's own [O, P] in g or out. Panels are
independent but for the sum in conv2d_weight.
"""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill, indented, working

GEOMETRY = """start, step, count = dims[0], dims[1], dims[2]
    high, wide = dims[3], dims[4]
    kernel_high, kernel_wide = dims[5], dims[6]
    out_high, out_wide = dims[7], dims[8]
    sh, sw = dims[9], dims[10]
    dh, dw = dims[11], dims[12]
    top, left = dims[13], dims[14]
    joined = (sh == 1) & (sw == 1) & (out_wide == wide)"""

# The outputs whose element (kh, kw) lies inside the image: y_low <= oh < y_high and first <= ow <
# last. `shift` leads from (oh, ow), times the strides, to that element. Where a row of outputs is
# as long as one of the image, rows follow each other here as there: all are one line.
SPAN = """y0, x0 = kh * dh - top, kw * dw - left
shift = y0 * wide + x0
y_low = minimum_i64(maximum_i64((sh - 1 - y0) // sh, 0), out_high)
y_high = maximum_i64(minimum_i64((high - 1 - y0) // sh + 1, out_high), y_low)
first = minimum_i64(maximum_i64((sw - 1 - x0) // sw, 0), out_wide)
last = maximum_i64(minimum_i64((wide - 1 - x0) // sw + 1, out_wide), first)
lines, length = y_high - y_low, last - first
if joined:
    length += (lines - 1) * wide
    lines = minimum_i64(lines, 1)"""

IM2COL = """def kernel(ptrs, dims, lo, hi):
    # columns[(c, kh, kw), (image, oh, ow)] = x[image, c, y, x], 0 outside of the image
    images = {T}_ptr(ptrs, 0)
    columns = {C}_ptr(ptrs, 1)
    {geometry}
    area = kernel_high * kernel_wide
    for k in range(lo, hi):
        c, kh, kw = k // area, k % area // kernel_wide, k % kernel_wide
        {span}
        for image in range(count):
            to = (k * count + image) * out_high * out_wide
            here = start + image * step + c * high * wide + shift + first * sw
            for line in range(y_low, y_low + lines):
                row, at = to + line * out_wide + first, here + line * sh * wide
                for i in range(length):
                    columns[row + i] = {load}(images[at + i * sw])
            for i in range(to, to + y_low * out_wide):
                columns[i] = {C}(0)
            for i in range(to + y_high * out_wide, to + out_high * out_wide):
                columns[i] = {C}(0)
            for oh in range(y_low, y_high):
                for i in range(to + oh * out_wide, to + oh * out_wide + first):
                    columns[i] = {C}(0)
                for i in range(to + oh * out_wide + last, to + (oh + 1) * out_wide):
                    columns[i] = {C}(0)
"""

COL2IM = """def kernel(ptrs, dims, lo, hi):
    # x[image, c, y, x] = the sum of all columns[(c, kh, kw), (image, oh, ow)] from there
    columns = {T}_ptr(ptrs, 0)
    images = {T}_ptr(ptrs, 1)
    {geometry}
    channels = dims[15]
    for q in range(lo, hi):
        image, c = q // channels, q % channels
        plane = start + image * step + c * high * wide
        for i in range(plane, plane + high * wide):
            images[i] = {T}(0)
        for kh in range(kernel_high):
            for kw in range(kernel_wide):
                {span}
                k = (c * kernel_high + kh) * kernel_wide + kw
                source = (k * count + image) * out_high * out_wide
                if joined:
                    for oh in range(y_low, y_high):
                        for i in range(source + oh * wide, source + oh * wide + first):
                            columns[i] = {T}(0)
                        for i in range(source + oh * wide + last, source + (oh + 1) * wide):
                            columns[i] = {T}(0)
                here = plane + shift + first * sw
                for line in range(y_low, y_low + lines):
                    row, at = source + line * out_wide + first, here + line * sh * wide
                    for i in range(length):
                        total = images[at + i * sw] + columns[row + i]
                        images[at + i * sw] = total
"""

ROWS = """def kernel(ptrs, dims, lo, hi):
    # target[a, b, :] = source[a, b, :], each with its own distances between a's and between b's
    source = {S}_ptr(ptrs, 0)
    target = {T}_ptr(ptrs, 1)
    nb, length = dims[0], dims[1]
    for p in range(lo, hi):
        a, b = p // nb, p % nb
        here = dims[2] + a * dims[3] + b * dims[4]
        there = dims[5] + a * dims[6] + b * dims[7]
        for j in range(length):
            target[there + j] = {store}({unpack}(source[here + j]))
"""


def im2col(dtype: str) -> str:
    """Images as columns. float16 images make float32 columns, because BLAS knows no float16.

    ptrs   x, columns[K, count * P]
    dims   start (element of x where the first image's first channel begins), step (elements from
           one image to the next), count, H, W, KH, KW, OH, OW, stride (rows, columns), dilation
           (rows, columns), top, left
    range  rows k of K
    """
    return fill(IM2COL, dtype, geometry=GEOMETRY, span=indented(SPAN, 8))


def col2im(dtype: str) -> str:
    """Columns added up into images, which are overwritten (float32 or float64); so are columns.

    ptrs   columns[K, count * P], x
    dims   those of `im2col`, then C (the channels of the group)
    range  planes (image, c) of count * C
    """
    return fill(COL2IM, dtype, geometry=GEOMETRY, span=indented(SPAN, 16))


def rows(source: str, target: str) -> str:
    """Contiguous rows under two leading axes, from one layout into another, with a conversion
    between float16 and float32 if the two dtypes say so.

    ptrs   source, target
    dims   B, length, then for the source and for the target: where the first row begins, elements
           from a to a + 1, elements from b to b + 1
    range  pairs (a, b) of A * B
    """
    if working(source) != working(target):
        raise ValueError(f"rows does not convert {source} to {target}")
    unpack = "unpack_f16" if source == "f16" else ""
    return fill(ROWS, target, S=source, unpack=unpack)
