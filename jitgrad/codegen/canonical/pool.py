"""Pooling, directly from image to image.

All share their dims: H, W, OH, OW, KH, KW, stride (rows, columns), top, left, and for the means
count_include_pad (0 or 1). Ranges are rows of outputs, (n, c, oh) of N * C * OH, or planes (n, c)
of N * C.
"""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill, indented

GEOMETRY = """    high, wide = dims[0], dims[1]
    out_high, out_wide = dims[2], dims[3]
    kernel_high, kernel_wide = dims[4], dims[5]
    sh, sw = dims[6], dims[7]
    top, left = dims[8], dims[9]"""

# The outputs whose place in the window's column kw lies inside the image: first <= ow < last.
SPAN = """x0 = kw - left
first = minimum_i64(maximum_i64((sw - 1 - x0) // sw, 0), out_wide)
last = maximum_i64(minimum_i64((wide - 1 - x0) // sw + 1, out_wide), first)"""

# The part of a window inside the image.
WINDOW = """y0, x0 = oh * sh - top, ow * sw - left
y_low, y_high = maximum_i64(y0, 0), minimum_i64(y0 + kernel_high, high)
x_low, x_high = maximum_i64(x0, 0), minimum_i64(x0 + kernel_wide, wide)"""

FIRST_MAXIMUM = """place = -1
if y_low < y_high and x_low < x_high:
    place = plane + y_low * wide + x_low
    best = {load}(x[place])
    for y in range(y_low, y_high):
        for i in range(plane + y * wide + x_low, plane + y * wide + x_high):
            value = {load}(x[i])
            better = value > best or (value != value and best == best)
            best = value if better else best
            place = i if better else place"""

MAX = """def kernel(ptrs, dims, lo, hi):
    # out[n, c, oh, ow] = max over the window of x[n, c, y, x]
    x = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
{geometry}
    for row in range(lo, hi):
        plane, oh, to = row // out_high * high * wide, row % out_high, row * out_wide
        for ow in range(out_wide):
            out[to + ow] = {store}({C}({lowest}))
        for kh in range(kernel_high):
            y = oh * sh - top + kh
            if y >= 0 and y < high:
                for kw in range(kernel_wide):
                    {span}
                    at = plane + y * wide + x0
                    for ow in range(first, last):
                        best, value = {load}(out[to + ow]), {load}(x[at + sw * ow])
                        out[to + ow] = {store}(maximum_{C}(best, value))
"""

MAX_GRAD = """def kernel(ptrs, dims, lo, hi):
    # out[n, c, y, x] = sum of g[n, c, oh, ow] over the windows whose first maximum is there
    x = {T}_ptr(ptrs, 0)
    g = {T}_ptr(ptrs, 1)
    out = {T}_ptr(ptrs, 2)
{geometry}
    for q in range(lo, hi):
        plane = q * high * wide
        for i in range(plane, plane + high * wide):
            out[i] = {zero}
        for oh in range(out_high):
            row = (q * out_high + oh) * out_wide
            for ow in range(out_wide):
                {window}
                {first}
                if place >= 0:
                    out[place] = {store}(to_{C}({load}(out[place]) + {load}(g[row + ow])))
"""

MAX_PICK = """def kernel(ptrs, dims, lo, hi):
    # out[n, c, oh, ow] = t[n, c, y, x] where x has the window's first maximum
    x = {T}_ptr(ptrs, 0)
    t = {T}_ptr(ptrs, 1)
    out = {T}_ptr(ptrs, 2)
{geometry}
    for row in range(lo, hi):
        plane, oh = row // out_high * high * wide, row % out_high
        for ow in range(out_wide):
            {window}
            {first}
            out[row * out_wide + ow] = t[place] if place >= 0 else {zero}
"""

MEAN = """def kernel(ptrs, dims, lo, hi):
    # out[n, c, oh, ow] = mean over the window of x[n, c, y, x]
    x = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
{geometry}
    whole = dims[10] != 0
    for row in range(lo, hi):
        plane, oh, to = row // out_high * high * wide, row % out_high, row * out_wide
        for ow in range(out_wide):
            out[to + ow] = {zero}
        for kh in range(kernel_high):
            y = oh * sh - top + kh
            if y >= 0 and y < high:
                for kw in range(kernel_wide):
                    {span}
                    at = plane + y * wide + x0
                    for ow in range(first, last):
                        total, value = {load}(out[to + ow]), {load}(x[at + sw * ow])
                        out[to + ow] = {store}(total + value)
        for ow in range(out_wide):
            {window}
            inside = (y_high - y_low) * (x_high - x_low)
            inside = inside if y_high > y_low and x_high > x_low else 1
            size = to_{C}(kernel_high * kernel_wide if whole else inside)
            out[to + ow] = {store}({load}(out[to + ow]) / size)
"""

MEAN_GRAD = """def kernel(ptrs, dims, lo, hi):
    # out[n, c, y, x] = sum of g[n, c, oh, ow] / size over the windows that hold the place
    g = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
{geometry}
    whole = dims[10] != 0
    for q in range(lo, hi):
        plane = q * high * wide
        for i in range(plane, plane + high * wide):
            out[i] = {zero}
        for oh in range(out_high):
            row = (q * out_high + oh) * out_wide
            for ow in range(out_wide):
                {window}
                inside = (y_high - y_low) * (x_high - x_low)
                size = to_{C}(kernel_high * kernel_wide if whole else inside)
                for y in range(y_low, y_high):
                    for i in range(plane + y * wide + x_low, plane + y * wide + x_high):
                        share = {load}({store}({load}(g[row + ow]) / size))
                        out[i] = {store}({load}(out[i]) + share)
"""


def _lowest(dtype: str) -> str:
    if dtype.startswith("f"):
        return "-inf"
    return "0" if dtype.startswith("u") else str(-(2 ** (int(dtype[1:]) - 1)))


def max_pool2d(dtype: str) -> str:
    """The largest element of each window.

    ptrs   x, out      dims   the ten shared ones      range   rows of N * C * OH
    """
    span = indented(SPAN, 20)
    return fill(MAX, dtype, geometry=GEOMETRY, span=span, lowest=_lowest(dtype))


def max_pool2d_grad(dtype: str) -> str:
    """The cotangent g of the maxima, at the first maximum of each window.

    ptrs   x, g, out      dims   the ten shared ones      range   planes of N * C
    """
    window, first = indented(WINDOW, 16), indented(FIRST_MAXIMUM, 16)
    return fill(MAX_GRAD, dtype, geometry=GEOMETRY, window=window, first=first)


def max_pool2d_pick(dtype: str) -> str:
    """t where x has the first maximum of each window.

    ptrs   x, t, out      dims   the ten shared ones      range   rows of N * C * OH
    """
    window, first = indented(WINDOW, 12), indented(FIRST_MAXIMUM, 12)
    return fill(MAX_PICK, dtype, geometry=GEOMETRY, window=window, first=first)


def avg_pool2d(dtype: str) -> str:
    """The mean of each window.

    ptrs   x, out      dims   all eleven      range   rows of N * C * OH
    """
    span, window = indented(SPAN, 20), indented(WINDOW, 12)
    return fill(MEAN, dtype, geometry=GEOMETRY, span=span, window=window)


def avg_pool2d_grad(dtype: str) -> str:
    """The cotangent g of the means, shared among the elements of each window.

    ptrs   g, out      dims   all eleven      range   planes of N * C
    """
    return fill(MEAN_GRAD, dtype, geometry=GEOMETRY, window=indented(WINDOW, 16))
