"""Running sums, products, recurrences and extremes along the middle axis of [A, n, B].

A part of the range is a part of the A * B lines. Lines beside each other (one a, several b) go
along the axis together, element by element, so that memory is read in order and the loop over
them vectorizes; with B = 1 a line keeps its state in a register, and a few go together: a step of
one waits for the step before it, but not for those of the others.
"""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill, indented

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
        if b == 1 and hi - line >= 4:
            count = 4
{four}
        elif b == 1:
{one}
        else:
{several}
        line += count
"""

SUM_ARRAYS = """    x = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)"""
SUM_FIRST = """total{j} = {load}(x[at{j}])
out[at{j}] = {store}(total{j})"""
SUM_STEP = """total{j} = {load}({store}(to_{C}(total{j} {operator} {load}(x[at{j}]))))
out[at{j}] = {store}(total{j})"""
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
RECURRENCE_FIRST = """state{j} = {load}(term[at{j}])
out[at{j}] = {store}(state{j})"""
RECURRENCE_STEP = """product{j} = {load}({store}(to_{C}({load}(factor[at{j}]) * state{j})))
state{j} = {load}({store}(to_{C}(product{j} + {load}(term[at{j}]))))
out[at{j}] = {store}(state{j})"""
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
EXTREME_FIRST = """best{j} = {load}(x[at{j}])
place{j} = 0
values[at{j}] = {store}(best{j})
indices[at{j}] = to_{I}(place{j})"""
EXTREME_STEP = """value{j} = {load}(x[at{j}])
new{j} = (value{j} {order} best{j}) | (value{j} != value{j})
best{j} = select(new{j}, value{j}, best{j})
place{j} = k if new{j} else place{j}
values[at{j}] = {store}(best{j})
indices[at{j}] = to_{I}(place{j})"""
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


def _lines(arrays: str, first: str, step: str, several: str) -> str:
    parts = {"arrays": arrays, "several": several}
    parts |= {"four": _in_registers(first, step, 4), "one": _in_registers(first, step, 1)}
    template = LINES
    for name, text in parts.items():
        template = template.replace("{" + name + "}", text)
    return template


def _in_registers(first: str, step: str, lines: int) -> str:
    """The text for some lines with B = 1, {j} being the number of one."""

    def each(text: str) -> str:
        return "\n".join(text.replace("{j}", str(j)) for j in range(lines))

    steps = "for k in range(1, n):\n" + each("at{j} += step\n" + step)
    text = each("at{j} = at + {j} * n\n" + first) + "\n" + indented(steps, 4)
    return " " * 12 + indented(text, 12)


def cumsum(dtype: str) -> str:
    """Running sums. out may be x.

    ptrs   x, out      dims   n, B, reverse (0 or 1)      range   lines of A * B
    """
    template = _lines(SUM_ARRAYS, SUM_FIRST, SUM_STEP, SUM_SEVERAL)
    return fill(template, dtype, what="out[k] = out[k - 1] + x[k]", operator="+")


def cumprod(dtype: str) -> str:
    """Running products; everything else as `cumsum`."""
    template = _lines(SUM_ARRAYS, SUM_FIRST, SUM_STEP, SUM_SEVERAL)
    return fill(template, dtype, what="out[k] = out[k - 1] * x[k]", operator="*")


def recurrence(dtype: str) -> str:
    """out[k] = factor[k] * out[k - 1] + term[k]. out may be either of the inputs.

    ptrs   factor, term, out      dims   n, B, reverse (0 or 1)      range   lines of A * B
    """
    template = _lines(RECURRENCE_ARRAYS, RECURRENCE_FIRST, RECURRENCE_STEP, RECURRENCE_SEVERAL)
    return fill(template, dtype, what="out[k] = factor[k] * out[k - 1] + term[k]")


def cummax(dtype: str, index: str) -> str:
    """Running maxima and where they were attained last. values may be x.

    ptrs   x, values, indices (of dtype `index`)      dims   n, B, 0      range   lines of A * B
    """
    template = _lines(EXTREME_ARRAYS, EXTREME_FIRST, EXTREME_STEP, EXTREME_SEVERAL)
    return fill(template, dtype, I=index, what="values[k] = max of x[: k + 1]", order=">=")


def cummin(dtype: str, index: str) -> str:
    """Running minima; everything else as `cummax`."""
    template = _lines(EXTREME_ARRAYS, EXTREME_FIRST, EXTREME_STEP, EXTREME_SEVERAL)
    return fill(template, dtype, I=index, what="values[k] = min of x[: k + 1]", order="<=")
