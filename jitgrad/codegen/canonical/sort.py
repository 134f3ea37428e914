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
            best = {load}(x[at])
            for i in range(at + 1, at + n):
                best = {extreme}(best, {load}(x[i]))
            place = 0
            if best == best:
                while {load}(x[at + place]) != best:
                    place += 1
            else:
                while {load}(x[at + place]) == {load}(x[at + place]):
                    place += 1
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
                    if (best == best) & (not value {order} best):
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
                left, right, k = low, middle, low
                while left < middle and right < high:
                    value, other = {load}(keys[source + right]), {load}(keys[source + left])
                    # 1 if the right one goes first
                    skip = to_i64({before})
                    i = source + left + skip * (right - left)
                    keys[target + k] = keys[i]
                    places[target + k] = places[i]
                    k, left, right = k + 1, left + 1 - skip, right + skip
                shift = left - k if left < middle else right - k
                for i in range(k, high):
                    keys[target + i] = keys[source + i + shift]
                    places[target + i] = places[source + i + shift]
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
    return fill(ARG, dtype, I=index, order="<=", what="maximum", extreme=_running(dtype, "max"))


def argmin(dtype: str, index: str) -> str:
    """Where the minimum of each line is first; everything else as `argmax`."""
    return fill(ARG, dtype, I=index, order=">=", what="minimum", extreme=_running(dtype, "min"))


def _running(dtype: str, which: str) -> str:
    """The name of a maximum or minimum that a loop may take in any order."""
    return f"{which}_reassoc_{{C}}" if dtype.startswith("f") else f"{which}imum_{{C}}"


def sort(descending: bool, dtype: str, index: str) -> str:
    """Each line in order, and where its elements came from; stable, nan last.

    ptrs   x, values, indices (of dtype `index`), then working memory: keys, 2 * A * n * B elements
           of the dtype, and places, 2 * A * n * B of `index`. values may be x.
    dims   n, B      range   lines of A * B
    """
    order = "<=" if descending else ">="
    return fill(SORT, dtype, I=index, before=f"(value == value) & (not value {order} other)")
