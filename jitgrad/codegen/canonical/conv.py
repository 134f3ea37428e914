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

GEOMETRY = """    start, step, count = dims[0], dims[1], dims[2]
    high, wide = dims[3], dims[4]
    kernel_high, kernel_wide = dims[5], dims[6]
    out_high, out_wide = dims[7], dims[8]
    sh, sw = dims[9], dims[10]
    dh, dw = dims[11], dims[12]
    top, left = dims[13], dims[14]"""

# The outputs whose place in the kernel's column kw lies inside the image: first <= ow < last.
SPAN = """x0 = kw * dw - left
first = minimum_i64(maximum_i64((sw - 1 - x0) // sw, 0), out_wide)
last = maximum_i64(minimum_i64((wide - 1 - x0) // sw + 1, out_wide), first)"""

IM2COL = """def kernel(ptrs, dims, lo, hi):
    # columns[(c, kh, kw), (image, oh, ow)] = x[image, c, y, x], 0 outside of the image
    images = {T}_ptr(ptrs, 0)
    columns = {C}_ptr(ptrs, 1)
{geometry}
    area = kernel_high * kernel_wide
    for k in range(lo, hi):
        c, kh, kw = k // area, k % area // kernel_wide, k % kernel_wide
        {span}
        to = k * count * out_high * out_wide
        for image in range(count):
            plane = start + image * step + c * high * wide
            for oh in range(out_high):
                y = oh * sh + kh * dh - top
                for ow in range(out_wide):
                    columns[to + ow] = {C}(0)
                if y >= 0 and y < high:
                    at = plane + y * wide + x0
                    for ow in range(first, last):
                        columns[to + ow] = {load}(images[at + sw * ow])
                to += out_wide
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
        for i in range(high * wide):
            images[plane + i] = {T}(0)
        for kh in range(kernel_high):
            for kw in range(kernel_wide):
                {span}
                k = (c * kernel_high + kh) * kernel_wide + kw
                source = (k * count + image) * out_high * out_wide
                for oh in range(out_high):
                    y = oh * sh + kh * dh - top
                    if y >= 0 and y < high:
                        at = plane + y * wide + x0
                        here = source + oh * out_wide
                        for ow in range(first, last):
                            total = images[at + sw * ow] + columns[here + ow]
                            images[at + sw * ow] = total
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
    """Columns added up into images, which are overwritten (float32 or float64).

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
