"""Pooling, directly from image to image.

All share their dims: H, W, OH, OW, KH, KW, stride (rows, columns), top, left, and for the means
count_include_pad (0 or 1). `window` (KH, KW, and the stride's two) makes a text for just this
window, of which the compiler unrolls the loops: several times faster, but to be compiled for each
window. Ranges are rows of outputs, (n, c, oh) of N * C * OH, or planes (n, c) of N * C.
"""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill, indented

Window = tuple[int, int, int, int]

# The window of one output; corner is the place of its first element, if that is in the image.
CORNER = """y0, x0 = oh * sh - top, ow * sw - left
corner = plane + y0 * wide + x0
inside = (y0 >= 0) & (y0 + kernel_high <= high)
inside = inside & (x0 >= 0) & (x0 + kernel_wide <= wide)"""

FIRST_MAXIMUM = """place = -1
if inside:
    place = corner
    best = {load}(x[corner])
    for dy in range(kernel_high):
        for dx in range(kernel_wide):
            i = corner + dy * wide + dx
            value = {load}(x[i])
            better = (best == best) & (not value <= best)
            best = select(better, value, best)
            place = i if better else place
else:
    best = {C}(0)
    for y in range(maximum_i64(y0, 0), minimum_i64(y0 + kernel_high, high)):
        for i in range(maximum_i64(x0, 0), minimum_i64(x0 + kernel_wide, wide)):
            value = {load}(x[plane + y * wide + i])
            if place < 0 or (best == best and not value <= best):
                best = value
                place = plane + y * wide + i"""

MAX = """def kernel(ptrs, dims, lo, hi):
    # out[n, c, oh, ow] = max over the window of x[n, c, y, x]
    x = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
    {geometry}
    for row in range(lo, hi):
        plane, oh = row // out_high * high * wide, row % out_high
        for ow in range(out_wide):
            {corner}
            if inside:
                best = {load}(x[corner])
                for dy in range(kernel_high):
                    for dx in range(kernel_wide):
                        best = maximum_{C}(best, {load}(x[corner + dy * wide + dx]))
            else:
                best = {C}({lowest})
                for y in range(maximum_i64(y0, 0), minimum_i64(y0 + kernel_high, high)):
                    for i in range(maximum_i64(x0, 0), minimum_i64(x0 + kernel_wide, wide)):
                        best = maximum_{C}(best, {load}(x[plane + y * wide + i]))
            out[row * out_wide + ow] = {store}(best)
"""

MAX_GRAD = """def kernel(ptrs, dims, lo, hi):
    # out[n, c, y, x] = sum of g[n, c, oh, ow] over the windows whose maximum (the first, or
    # the first nan) is there
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
                {corner}
                {first}
                if place >= 0:
                    total = {load}(out[place]) + {load}(g[row + ow])
                    out[place] = {store}(to_{C}(total))
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
            {corner}
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
        plane, oh = row // out_high * high * wide, row % out_high
        for ow in range(out_wide):
            {corner}
            total = {C}(0)
            if inside:
                count = kernel_high * kernel_wide
                for dy in range(kernel_high):
                    for dx in range(kernel_wide):
                        total = {load}({store}(total + {load}(x[corner + dy * wide + dx])))
            else:
                count = 0
                for y in range(maximum_i64(y0, 0), minimum_i64(y0 + kernel_high, high)):
                    for i in range(maximum_i64(x0, 0), minimum_i64(x0 + kernel_wide, wide)):
                        total = {load}({store}(total + {load}(x[plane + y * wide + i])))
                        count += 1
                count = kernel_high * kernel_wide if whole else maximum_i64(count, 1)
            out[row * out_wide + ow] = {store}(total / to_{C}(count))
"""

MEAN_GRAD = """def kernel(ptrs, dims, lo, hi):
    # out[n, c, y, x] = sum of g[n, c, oh, ow] / count over the windows that hold the place
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
                {corner}
                grad = {load}(g[row + ow])
                if inside:
                    share = {load}({store}(grad / to_{C}(kernel_high * kernel_wide)))
                    for dy in range(kernel_high):
                        for dx in range(kernel_wide):
                            i = corner + dy * wide + dx
                            out[i] = {store}({load}(out[i]) + share)
                else:
                    y_low, y_high = maximum_i64(y0, 0), minimum_i64(y0 + kernel_high, high)
                    x_low, x_high = maximum_i64(x0, 0), minimum_i64(x0 + kernel_wide, wide)
                    count = (y_high - y_low) * (x_high - x_low)
                    count = kernel_high * kernel_wide if whole else count
                    share = {load}({store}(grad / to_{C}(count)))
                    for y in range(y_low, y_high):
                        for i in range(plane + y * wide + x_low, plane + y * wide + x_high):
                            out[i] = {store}({load}(out[i]) + share)
"""


def _geometry(window: Window | None) -> str:
    kernel, stride = "dims[4], dims[5]", "dims[6], dims[7]"
    if window is not None:
        kernel, stride = f"{window[0]}, {window[1]}", f"{window[2]}, {window[3]}"
    return f"""high, wide = dims[0], dims[1]
    out_high, out_wide = dims[2], dims[3]
    kernel_high, kernel_wide = {kernel}
    sh, sw = {stride}
    top, left = dims[8], dims[9]"""


def _lowest(dtype: str) -> str:
    if dtype.startswith("f"):
        return "-inf"
    return "0" if dtype.startswith("u") else str(-(2 ** (int(dtype[1:]) - 1)))


def max_pool2d(dtype: str, window: Window | None = None) -> str:
    """The largest element of each window.

    ptrs   x, out      dims   the ten shared ones      range   rows of N * C * OH
    """
    corner = indented(CORNER, 12)
    return fill(MAX, dtype, geometry=_geometry(window), corner=corner, lowest=_lowest(dtype))


def max_pool2d_grad(dtype: str, window: Window | None = None) -> str:
    """The cotangent g of the maxima, at the first maximum of each window.

    ptrs   x, g, out      dims   the ten shared ones      range   planes of N * C
    """
    corner, first = indented(CORNER, 16), indented(FIRST_MAXIMUM, 16)
    return fill(MAX_GRAD, dtype, geometry=_geometry(window), corner=corner, first=first)


def max_pool2d_pick(dtype: str, window: Window | None = None) -> str:
    """t where x has the first maximum of each window.

    ptrs   x, t, out      dims   the ten shared ones      range   rows of N * C * OH
    """
    corner, first = indented(CORNER, 12), indented(FIRST_MAXIMUM, 12)
    return fill(MAX_PICK, dtype, geometry=_geometry(window), corner=corner, first=first)


def avg_pool2d(dtype: str, window: Window | None = None) -> str:
    """The mean of each window.

    ptrs   x, out      dims   all eleven      range   rows of N * C * OH
    """
    return fill(MEAN, dtype, geometry=_geometry(window), corner=indented(CORNER, 12))


def avg_pool2d_grad(dtype: str, window: Window | None = None) -> str:
    """The cotangent g of the means, shared among the elements of each window.

    ptrs   g, out      dims   all eleven      range   planes of N * C
    """
    return fill(MEAN_GRAD, dtype, geometry=_geometry(window), corner=indented(CORNER, 16))
