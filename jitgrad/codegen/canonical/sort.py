"""Order along the middle axis of [A, n, B]."""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill

ARG = """def kernel(ptrs, dims, lo, hi):
    # out[a, b] = where the {what} of x[a, :, b] is first
    x = {T}_ptr(ptrs, 0)
    out = {I}_ptr(ptrs, 1)
    n, b = dims[0], dims[1]
    if b == 1:
        for line in range(lo, hi):
            at = line * n
            best, place = {load}(x[at]), 0
            for k in range(1, n):
                value = {load}(x[at + k])
                if value {order} best or (value != value and best == best):
                    best, place = value, k
            out[line] = to_{I}(place)
    else:
        line = lo
        while line < hi:  # lines beside each other go along the axis together
            a = line // b
            low = line - a * b
            high = low + hi - line
            high = high if high < b else b
            at = a * n * b
            for j in range(low, high):
                out[a * b + j] = {I}(0)
            for k in range(1, n):
                for j in range(low, high):
                    value = {load}(x[at + k * b + j])
                    place = at + to_i64(out[a * b + j]) * b + j
                    best = {load}(x[place])
                    if value {order} best or (value != value and best == best):
                        out[a * b + j] = to_{I}(k)
            line += high - low
"""

SORT = """def kernel(ptrs, dims, lo, hi):
    # stable merge sort of values with their places, in two lines of working memory
    x = {T}_ptr(ptrs, 0)
    values = {T}_ptr(ptrs, 1)
    indices = {I}_ptr(ptrs, 2)
    keys = {T}_ptr(ptrs, 3)
    places = {I}_ptr(ptrs, 4)
    n, b = dims[0], dims[1]
    for line in range(lo, hi):
        a = line // b
        at = a * n * b + line - a * b
        source, target = 2 * line * n, 2 * line * n + n
        for k in range(n):  # runs of 16, by insertion
            value = {load}(x[at + k * b])
            run = source + k // 16 * 16
            i = source + k
            while i > run:
                other = {load}(keys[i - 1])
                if not {before}:
                    break
                keys[i] = keys[i - 1]
                places[i] = places[i - 1]
                i -= 1
            keys[i] = {store}(value)
            places[i] = to_{I}(k)
        width = 16
        while width < n:
            for low in range(0, n, 2 * width):
                middle = low + width if low + width < n else n
                high = low + 2 * width if low + 2 * width < n else n
                left, right = low, middle
                for k in range(low, high):
                    if left < middle and right < high:
                        value = {load}(keys[source + right])
                        other = {load}(keys[source + left])
                        from_right = {before}
                    else:
                        from_right = left >= middle
                    i = right if from_right else left
                    keys[target + k] = keys[source + i]
                    places[target + k] = places[source + i]
                    if from_right:
                        right += 1
                    else:
                        left += 1
            source, target = target, source
            width *= 2
        for k in range(n):
            values[at + k * b] = keys[source + k]
            indices[at + k * b] = places[source + k]
"""


def argmax(dtype: str, index: str) -> str:
    """Where the maximum of each line is first; the first nan counts as one. n is at least 1.

    ptrs   x, out (of dtype `index`)      dims   n, B      range   lines of A * B
    """
    return fill(ARG, dtype, I=index, order=">", what="maximum")


def argmin(dtype: str, index: str) -> str:
    """Where the minimum of each line is first; everything else as `argmax`."""
    return fill(ARG, dtype, I=index, order="<", what="minimum")


def sort(descending: bool, dtype: str, index: str) -> str:
    """Each line in order, and where its elements came from; stable, nan last.

    ptrs   x, values, indices (of dtype `index`), then working memory: keys, 2 * A * n * B elements
           of the dtype, and places, 2 * A * n * B of `index`. values may be x.
    dims   n, B      range   lines of A * B
    """
    order = f"value {'>' if descending else '<'} other"
    if dtype.startswith("f"):
        order = f"({order} or (value == value and other != other))"
    else:
        order = f"({order})"
    return fill(SORT, dtype, I=index, before=order)
