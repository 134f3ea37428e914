"""Running sums, products, recurrences and extremes along the middle axis of [A, n, B].

A part of the range is a part of the A * B lines. Lines beside each other (one a, several b) go
along the axis together, element by element, so that memory is read in order and the loop over
them vectorizes; with B = 1 a line keeps its state in a register.
"""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill

# `at` is where the lines' current elements are, `before` where their last ones were.
LINES = """def kernel(ptrs, dims, lo, hi):
    # {what}
{arrays}
    n, b = dims[0], dims[1]
    step = -b if dims[2] != 0 else b
    line = lo if n > 0 else hi
    while line < hi:
        a = line // b
        low = line - a * b
        high = low + hi - line
        high = high if high < b else b
        at = a * n * b + low
        if dims[2] != 0:
            at += (n - 1) * b
        count = high - low
        if b == 1:
{single}
        else:
{several}
        line += count
"""

SUM_ARRAYS = """    x = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)"""
SUM_SINGLE = """            total = {load}(x[at])
            out[at] = {store}(total)
            for k in range(1, n):
                at += step
                total = {load}({store}(to_{C}(total {operator} {load}(x[at]))))
                out[at] = {store}(total)"""
SUM_SEVERAL = """            for j in range(count):
                out[at + j] = x[at + j]
            for k in range(1, n):
                before = at
                at += step
                for j in range(count):
                    total = {load}(out[before + j]) {operator} {load}(x[at + j])
                    out[at + j] = {store}(to_{C}(total))"""

RECURRENCE_ARRAYS = """    factor = {T}_ptr(ptrs, 0)
    term = {T}_ptr(ptrs, 1)
    out = {T}_ptr(ptrs, 2)"""
RECURRENCE_SINGLE = """            state = {load}(term[at])
            out[at] = {store}(state)
            for k in range(1, n):
                at += step
                product = {load}({store}(to_{C}({load}(factor[at]) * state)))
                state = {load}({store}(to_{C}(product + {load}(term[at]))))
                out[at] = {store}(state)"""
RECURRENCE_SEVERAL = """            for j in range(count):
                out[at + j] = term[at + j]
            for k in range(1, n):
                before = at
                at += step
                for j in range(count):
                    product = {load}(factor[at + j]) * {load}(out[before + j])
                    product = {load}({store}(to_{C}(product)))
                    out[at + j] = {store}(to_{C}(product + {load}(term[at + j])))"""

EXTREME_ARRAYS = """    x = {T}_ptr(ptrs, 0)
    values = {T}_ptr(ptrs, 1)
    indices = {I}_ptr(ptrs, 2)"""
EXTREME_SINGLE = """            best = {load}(x[at])
            place = 0
            for k in range(n):
                value = {load}(x[at])
                new = (value {order} best) | (value != value)
                best = select(new, value, best)
                place = k if new else place
                values[at] = {store}(best)
                indices[at] = to_{I}(place)
                at += step"""
EXTREME_SEVERAL = """            for j in range(count):
                values[at + j] = x[at + j]
                indices[at + j] = {I}(0)
            for k in range(1, n):
                before = at
                at += step
                for j in range(count):
                    value, best = {load}(x[at + j]), {load}(values[before + j])
                    new = (value {order} best) | (value != value)
                    values[at + j] = {store}(select(new, value, best))
                    indices[at + j] = to_{I}(k) if new else indices[before + j]"""


def _lines(arrays: str, single: str, several: str) -> str:
    return (
        LINES.replace("{arrays}", arrays).replace("{single}", single).replace("{several}", several)
    )


def cumsum(dtype: str) -> str:
    """Running sums. out may be x.

    ptrs   x, out      dims   n, B, reverse (0 or 1)      range   lines of A * B
    """
    template = _lines(SUM_ARRAYS, SUM_SINGLE, SUM_SEVERAL)
    return fill(template, dtype, what="out[k] = out[k - 1] + x[k]", operator="+")


def cumprod(dtype: str) -> str:
    """Running products; everything else as `cumsum`."""
    template = _lines(SUM_ARRAYS, SUM_SINGLE, SUM_SEVERAL)
    return fill(template, dtype, what="out[k] = out[k - 1] * x[k]", operator="*")


def recurrence(dtype: str) -> str:
    """out[k] = factor[k] * out[k - 1] + term[k]. out may be either of the inputs.

    ptrs   factor, term, out      dims   n, B, reverse (0 or 1)      range   lines of A * B
    """
    template = _lines(RECURRENCE_ARRAYS, RECURRENCE_SINGLE, RECURRENCE_SEVERAL)
    return fill(template, dtype, what="out[k] = factor[k] * out[k - 1] + term[k]")


def cummax(dtype: str, index: str) -> str:
    """Running maxima and where they were attained last. values may be x.

    ptrs   x, values, indices (of dtype `index`)      dims   n, B, 0      range   lines of A * B
    """
    template = _lines(EXTREME_ARRAYS, EXTREME_SINGLE, EXTREME_SEVERAL)
    return fill(template, dtype, I=index, what="values[k] = max of x[: k + 1]", order=">=")


def cummin(dtype: str, index: str) -> str:
    """Running minima; everything else as `cummax`."""
    template = _lines(EXTREME_ARRAYS, EXTREME_SINGLE, EXTREME_SEVERAL)
    return fill(template, dtype, I=index, what="values[k] = min of x[: k + 1]", order="<=")
