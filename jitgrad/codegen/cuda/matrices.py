"""Elimination: each thread takes a matrix of the batch, or a column of a solution.

That is for many small matrices, which is what models batch; there is no LAPACK on a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jitgrad.codegen.canonical.factor import DET, SLOGDET
from jitgrad.codegen.canonical.text import fill
from jitgrad.codegen.cuda import tables
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.launch import Launch, Pointer, Status
from jitgrad.codegen.structured.writer import Fault
from jitgrad.ir.node import Node
from jitgrad.passes.plan import Step

HEAD = "def kernel(ptrs, dims, lo, hi):\n"

CHOLESKY = """    # column by column, of the lower triangle
    a = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
    status = i64_ptr(ptrs, 2)
    n = dims[0]
    at = lo * n * n
    for j in range(n):
        for i in range(j):
            out[at + i * n + j] = {T}(0)
        total = a[at + j * n + j]
        for k in range(j):
            total = total - out[at + j * n + k] * out[at + j * n + k]
        if not total > {T}(0):
            status[0] = 1
            status[1] = 0
        root = sqrt_{T}(total)
        out[at + j * n + j] = root
        for i in range(j + 1, n):
            total = a[at + i * n + j]
            for k in range(j):
                total = total - out[at + i * n + k] * out[at + j * n + k]
            out[at + i * n + j] = total / root
"""

TRIANGULAR = """    # dims: n, columns, whether a is lower, transposed, with ones on its diagonal
    a = {T}_ptr(ptrs, 0)
    b = {T}_ptr(ptrs, 1)
    x = {T}_ptr(ptrs, 2)
    status = i64_ptr(ptrs, 3)
    n, columns, turned, unit = dims[0], dims[1], dims[3], dims[4]
    down = dims[2] != turned
    at, right = lo // columns * n * n, lo // columns * n * columns + lo % columns
    row, step = (1, n) if turned else (n, 1)
    for count in range(n):
        i = count if down else n - 1 - count
        total = b[right + i * columns]
        for j in range(0 if down else i + 1, i if down else n):
            total = total - a[at + i * row + j * step] * x[right + j * columns]
        if unit == 0:
            pivot = a[at + i * (n + 1)]
            if pivot == {T}(0):
                status[0] = 1
                status[1] = 0
            total = total / pivot
        x[right + i * columns] = total
"""

# The largest of a column, from row j on, comes to row j; and what else changes places with it.
PIVOT = """    for j in range({k}):
        best, place = abs_{T}({w}[at + j * n + j]), j
        for i in range(j + 1, {rows}):
            found = abs_{T}({w}[at + i * n + j])
            if found > best:
                best, place = found, i
        if place != j:
            for c in range(n):
                moved = {w}[at + j * n + c]
                {w}[at + j * n + c] = {w}[at + place * n + c]
                {w}[at + place * n + c] = moved
{changed}        pivot = {w}[at + j * n + j]
        for i in range(j + 1, {rows} if best > {T}(0) else 0):
            factor = {w}[at + i * n + j] / pivot
            {w}[at + i * n + j] = factor
            for c in range(j + 1, n):
                {w}[at + i * n + c] = {w}[at + i * n + c] - factor * {w}[at + j * n + c]
{also}"""

SOLVE = """    # dims: n, columns of the right side, whether the transpose of a is meant
    a = {T}_ptr(ptrs, 0)
    b = {T}_ptr(ptrs, 1)
    x = {T}_ptr(ptrs, 2)
    work = {T}_ptr(ptrs, 3)
    status = i64_ptr(ptrs, 4)
    n, columns = dims[0], dims[1]
    at, right = lo * n * n, lo * n * columns
    for i in range(n):
        for j in range(n):
            work[at + i * n + j] = a[at + j * n + i] if dims[2] else a[at + i * n + j]
        for c in range(columns):
            x[right + i * columns + c] = b[right + i * columns + c]
{eliminate}    for i in range(n - 1, -1, -1):
        pivot = work[at + i * n + i]
        if pivot == {T}(0):
            status[0] = 1
            status[1] = 0
        for c in range(columns):
            total = x[right + i * columns + c]
            for j in range(i + 1, n):
                total = total - work[at + i * n + j] * x[right + j * columns + c]
            x[right + i * columns + c] = total / pivot
"""
SWAP_X = """            for c in range(columns):
                moved = x[right + j * columns + c]
                x[right + j * columns + c] = x[right + place * columns + c]
                x[right + place * columns + c] = moved
"""
TAKE_FROM_X = """            for c in range(columns):
                here = right + i * columns + c
                x[here] = x[here] - factor * x[right + j * columns + c]
"""

DETERMINANT = """    # the product of the pivots, and the sign of their order
    a = {T}_ptr(ptrs, 0)
{results}    work = {T}_ptr(ptrs, {scratch})
    n = dims[0]
    at = lo * n * n
    sign = {T}(1)
    for i in range(n * n):
        work[at + i] = a[at + i]
{eliminate}{end}"""
OUT = "    out = {T}_ptr(ptrs, 1)\n"
SIGN_OUT = "    signs = {T}_ptr(ptrs, 1)\n    out = {T}_ptr(ptrs, 2)\n"

LU = """    # dims: rows, columns n, the smaller
    a = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
    pivots = i32_ptr(ptrs, 2)
    order = i32_ptr(ptrs, 3)
    rows, n, smaller = dims[0], dims[1], dims[2]
    at = lo * rows * n
    for i in range(rows):
        order[lo * rows + i] = to_i32(i)
        for j in range(n):
            out[at + i * n + j] = a[at + i * n + j]
{eliminate}"""
NOTE_PIVOT = """            other = order[lo * rows + j]
            order[lo * rows + j] = order[lo * rows + place]
            order[lo * rows + place] = other
        pivots[lo * smaller + j] = to_i32(place)
"""


def _eliminated(text: str, work: str, k: str = "n", rows: str = "n", changed: str = "",
                also: str = "") -> Callable[[str], str]:  # fmt: skip
    """A text with Gauss's elimination in it."""
    steps = {"w": work, "k": k, "rows": rows, "changed": changed, "also": also}

    def made(dtype: str) -> str:
        return fill(HEAD + text, dtype, eliminate=fill(PIVOT, dtype, **steps))

    return made


def _determinant(results: str, scratch: str, end: str) -> Callable[[str], str]:
    parts = (("results", results), ("scratch", scratch), ("end", end), ("m", "lo"))
    text = DETERMINANT
    for name, part in parts:
        text = text.replace("{" + name + "}", part)
    return _eliminated(text, "work", changed="            sign = -sign\n")


TEXTS: dict[str, Callable[[str], str]] = {
    "cholesky": lambda dtype: fill(HEAD + CHOLESKY, dtype),
    "triangular_solve": lambda dtype: fill(HEAD + TRIANGULAR, dtype),
    "solve": _eliminated(SOLVE, "work", changed=SWAP_X, also=TAKE_FROM_X),
    "det": _determinant(OUT, "2", DET),
    "slogdet": _determinant(SIGN_OUT, "3", SLOGDET),
    "lu": _eliminated(LU, "out", "smaller", "rows", NOTE_PIVOT),
}


def code(node: Node) -> str:
    """Of the dtype that a node's first operand has."""
    return node.inputs[0].dtype.code


def _dims(node: Node) -> tuple[int, ...]:
    """Rows, columns of what else there is, and choices."""
    rows, n = node.inputs[0].shape[-2:]
    if len(node.inputs) > 1:
        choices = [node.attrs[k] for k in ("lower", "transpose", "unit") if k in node.attrs]
        return n, node.inputs[1].shape[-1], *map(int, choices)
    return rows, n, min(rows, n)


def rule(
    text: Callable[[Node], str],
    dims: Callable[[Node], tuple[int, ...]] = _dims,
    wrong: str = "",
    by_column: bool = False,
) -> Callable[[Step], list[Grid]]:
    """Launches of a text over the matrices of a batch, or over the columns of its right sides.
    `wrong`: what a matrix can be reported for.
    """

    def grids_of(step: Step) -> list[Grid]:
        node = step.node
        assert node is not None
        given = dims(node)
        *lead, rows, n = node.inputs[0].shape
        count = math.prod(lead)
        pointers: tuple[Pointer, ...] = (*step.reads, *step.writes, *step.scratch)
        pointers += (Status(),) if wrong else ()
        faults = (Fault(wrong, None, n),) if wrong else ()
        threads = count * given[1] if by_column else count
        work = count * rows * n * min(rows, n)
        launch = Launch(text(node), pointers, given, threads, work, faults=faults)
        return [tables.shared(launch)]

    return grids_of


def _rule(name: str, wrong: str = "", by_column: bool = False) -> Callable[[Step], list[Grid]]:
    return rule(lambda node: TEXTS[name](code(node)), wrong=wrong, by_column=by_column)


def _copy_of_matrices(node: Node) -> Sequence[int]:
    return (node.inputs[0].type.nbytes,)


RULES: dict[str, Callable[[Step], list[Grid]]] = {
    "cholesky": _rule("cholesky", "definite"),
    "triangular_solve": _rule("triangular_solve", "singular", by_column=True),
    "solve": _rule("solve", "singular"),
    "det": _rule("det"),
    "slogdet": _rule("slogdet"),
    "lu": _rule("lu"),
}
SCRATCH: dict[str, Callable[[Node], Sequence[int]]] = {
    **dict.fromkeys(("solve", "det", "slogdet"), _copy_of_matrices),
    **dict.fromkeys(("lu", "cholesky", "triangular_solve"), lambda node: ()),
}
