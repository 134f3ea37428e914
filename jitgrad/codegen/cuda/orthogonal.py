"""Factors with orthonormal columns, and the exponential: a thread for each matrix of the batch.

Eigenvectors, singular vectors and pseudo-inverses are one algorithm, Jacobi's rotations from one
side (Hestenes, 1958): columns of w are turned two at a time until all are at right angles, and v by
the same angles. Then a v = w, the lengths of w's columns are the singular values, and small ones
are found to as many digits as the columns have (Demmel and Veselić, 1992). A symmetric matrix is
made positive definite first, by adding to its diagonal: its singular vectors are its eigenvectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jitgrad.codegen.canonical.text import fill
from jitgrad.codegen.cuda.matrices import HEAD, code, rule
from jitgrad.ir.node import Node
from jitgrad.ir.types import TupleType

WRONG = "converge"

# LAPACK's signs: the diagonal of r has those that no digit is lost by.
QR = """    # dims: rows, columns n, columns c of q. Reflections, whose vectors stay below r in work
    a = {T}_ptr(ptrs, 0)
    q = {T}_ptr(ptrs, 1)
    r = {T}_ptr(ptrs, 2)
    work = {T}_ptr(ptrs, 3)
    rows, n, c = dims[0], dims[1], dims[2]
    at, to = lo * rows * n, lo * rows * c
    for i in range(rows * n):
        work[at + i] = a[at + i]
    for i in range(rows):
        for j in range(c):
            q[to + i * c + j] = {T}(1) if i == j else {T}(0)
    for j in range(rows if rows < n else n):
        largest = {T}(0)
        for i in range(j, rows):
            largest = maximum_{T}(largest, abs_{T}(work[at + i * n + j]))
        below = {T}(0)
        for i in range(j + 1, rows):
            scaled = work[at + i * n + j] / largest if largest > {T}(0) else {T}(0)
            below = below + scaled * scaled
        if below > {T}(0):
            head = work[at + j * n + j]
            length = largest * sqrt_{T}(head / largest * (head / largest) + below)
            length = -length if head > {T}(0) else length
            for i in range(j + 1, rows):
                work[at + i * n + j] = work[at + i * n + j] / (head - length)
            work[at + j * n + j] = length
            for k in range(j + 1, n):
                total = work[at + j * n + k]
                for i in range(j + 1, rows):
                    total = total + work[at + i * n + j] * work[at + i * n + k]
                total = total * ((length - head) / length)
                work[at + j * n + k] = work[at + j * n + k] - total
                for i in range(j + 1, rows):
                    moved = work[at + i * n + k] - total * work[at + i * n + j]
                    work[at + i * n + k] = moved
    for back in range(rows if rows < n else n):
        j = (rows if rows < n else n) - 1 - back
        norm = {T}(1)
        for i in range(j + 1, rows):
            norm = norm + work[at + i * n + j] * work[at + i * n + j]
        for k in range(j, c if norm > {T}(1) else j):
            total = q[to + j * c + k]
            for i in range(j + 1, rows):
                total = total + work[at + i * n + j] * q[to + i * c + k]
            total = total * {T}(2) / norm
            q[to + j * c + k] = q[to + j * c + k] - total
            for i in range(j + 1, rows):
                q[to + i * c + k] = q[to + i * c + k] - total * work[at + i * n + j]
    for i in range(c):
        for j in range(n):
            r[lo * c * n + i * n + j] = work[at + i * n + j] if i <= j else {T}(0)
"""

# w[i, j] lies at w0 + i * wi + j * wj, of `long` rows and k columns; v alike, of k rows.
ROTATIONS = """    for i in range(k):
        for j in range(k):
            {v}[v0 + i * vi + j * vj] = {T}(1) if i == j else {T}(0)
    nothing = {T}({eps}) * to_{T}(long)
    least, turns, sweeps = {T}(0), 1, 0
    while turns > 0 and sweeps < {sweeps}:
        turns, sweeps, most = 0, sweeps + 1, {T}(0)
        for j in range(k):
            total = {T}(0)
            for i in range(long):
                total = total + {w}[w0 + i * wi + j * wj] * {w}[w0 + i * wi + j * wj]
            most = maximum_{T}(most, total)
        if not most - most == {T}(0):
            turns, sweeps = 1, {sweeps}
        least = most * nothing * nothing
        for one in range(k if turns == 0 else 0):
            for two in range(one + 1, k):
                first, second, both = {T}(0), {T}(0), {T}(0)
                for i in range(long):
                    x, y = {w}[w0 + i * wi + one * wj], {w}[w0 + i * wi + two * wj]
                    first, second, both = first + x * x, second + y * y, both + x * y
                small = nothing * sqrt_{T}(first) * sqrt_{T}(second)
                if first > least and second > least and abs_{T}(both) > small:
                    turns = turns + 1
                    slope = (second - first) / (both + both)
                    tangent = {T}(1) / (abs_{T}(slope) + sqrt_{T}({T}(1) + slope * slope))
                    tangent = -tangent if slope < {T}(0) else tangent
                    cosine = {T}(1) / sqrt_{T}({T}(1) + tangent * tangent)
                    sine = cosine * tangent
                    for i in range(long):
                        here, there = w0 + i * wi + one * wj, w0 + i * wi + two * wj
                        x, y = {w}[here], {w}[there]
                        {w}[here] = cosine * x - sine * y
                        {w}[there] = sine * x + cosine * y
                    for i in range(k):
                        here, there = v0 + i * vi + one * vj, v0 + i * vi + two * vj
                        x, y = {v}[here], {v}[there]
                        {v}[here] = cosine * x - sine * y
                        {v}[there] = sine * x + cosine * y
    if turns > 0:
        status[0] = 1
        status[1] = 0
"""
# The lengths of w's columns.
LENGTHS = """    for j in range(k):
        total = {T}(0)
        for i in range(long):
            total = total + {w}[w0 + i * wi + j * wj] * {w}[w0 + i * wi + j * wj]
        {s}[s0 + j] = sqrt_{T}(total)
"""
SORTED = """    for j in range(k):
        place = j
        for i in range(j + 1, k):
            if {s}[s0 + i] {before} {s}[s0 + place]:
                place = i
        moved = {s}[s0 + j]
        {s}[s0 + j] = {s}[s0 + place]
        {s}[s0 + place] = moved
        for i in range(k):
            moved = {v}[v0 + i * vi + j * vj]
            {v}[v0 + i * vi + j * vj] = {v}[v0 + i * vi + place * vj]
            {v}[v0 + i * vi + place * vj] = moved
        for i in range(long):
            moved = {w}[w0 + i * wi + j * wj]
            {w}[w0 + i * wi + j * wj] = {w}[w0 + i * wi + place * wj]
            {w}[w0 + i * wi + place * wj] = moved
"""

EIGH = """    # of 1 + a / scale, which is positive definite
    a = {T}_ptr(ptrs, 0)
    values = {T}_ptr(ptrs, 1)
    vectors = {T}_ptr(ptrs, 2)
    work = {T}_ptr(ptrs, 3)
    status = i64_ptr(ptrs, 4)
    k = dims[0]
    long, s0, v0, w0, vi, wi, vj, wj = k, lo * k, lo * k * k, lo * k * k, k, k, 1, 1
    scale = {T}(0)
    for i in range(k):
        total = {T}(0)
        for j in range(k):
            work[w0 + i * k + j] = a[w0 + i * k + j] if i >= j else a[w0 + j * k + i]
            total = total + abs_{T}(work[w0 + i * k + j])
        scale = maximum_{T}(scale, total + total)
    for i in range(k * k):
        found = work[w0 + i] / scale if scale != {T}(0) else {T}(0)
        work[w0 + i] = found + {T}(1) if i % (k + 1) == 0 else found
{rotations}    for j in range(k):  # Rayleigh's quotient, which needs nothing taken away again
        total, norm = {T}(0), {T}(0)
        for i in range(k):
            found = {T}(0)
            for l in range(k):
                here = a[w0 + i * k + l] if i >= l else a[w0 + l * k + i]
                found = found + here * vectors[v0 + l * k + j]
            total = total + vectors[v0 + i * k + j] * found
            norm = norm + vectors[v0 + i * k + j] * vectors[v0 + i * k + j]
        values[s0 + j] = total / norm
{sorted}"""

# w is a, or its transpose, over its largest element
SCALED = """    largest = {T}(0)
    for i in range(rows * n):
        largest = maximum_{T}(largest, abs_{T}(a[lo * rows * n + i]))
    for i in range(long):
        for j in range(k):
            found = a[lo * rows * n + (i * n + j if rows >= n else j * n + i)]
            {w}[w0 + i * wi + j * wj] = found / largest if largest != {T}(0) else found
"""
# Columns without a length become what is at right angles to all before them.
COMPLETED = """    for j in range(count):
        length = values[s0 + j] if j < k else {T}(0)
        if length * length <= least:
            widest, place = {T}(-1), 0
            for i in range(long):
                total = {T}(1)
                for l in range(j):
                    total = total - {w}[w0 + i * wi + l * wj] * {w}[w0 + i * wi + l * wj]
                if total > widest:
                    widest, place = total, i
            for i in range(long):
                {w}[w0 + i * wi + j * wj] = {T}(1) if i == place else {T}(0)
            for again in range(2):
                for l in range(j):
                    total = {T}(0)
                    for i in range(long):
                        here, there = w0 + i * wi + j * wj, w0 + i * wi + l * wj
                        total = total + {w}[here] * {w}[there]
                    for i in range(long):
                        here, there = w0 + i * wi + j * wj, w0 + i * wi + l * wj
                        {w}[here] = {w}[here] - total * {w}[there]
            length = {T}(0)
            for i in range(long):
                length = length + {w}[w0 + i * wi + j * wj] * {w}[w0 + i * wi + j * wj]
            length = sqrt_{T}(length)
        for i in range(long):
            {w}[w0 + i * wi + j * wj] = {w}[w0 + i * wi + j * wj] / length
        if j < k:
            values[s0 + j] = values[s0 + j] * largest
"""
SVD = """    # dims: rows, columns n, of u p, of v' q. If a is tall w is u and v is v', else w is v'
    a = {T}_ptr(ptrs, 0)
    u = {T}_ptr(ptrs, 1)
    values = {T}_ptr(ptrs, 2)
    vh = {T}_ptr(ptrs, 3)
    status = i64_ptr(ptrs, 4)
    rows, n, p, q = dims[0], dims[1], dims[2], dims[3]
    if rows >= n:
        long, k, count, w0, wi, wj, v0, vi, vj = rows, n, p, lo * rows * p, p, 1, lo * q * n, 1, n
    else:
        long, k, count, w0, wi, wj, v0, vi, vj = n, rows, q, lo * q * n, 1, n, lo * rows * p, p, 1
    s0 = lo * k
{scaled}{rotations}{lengths}{sorted}{completed}"""

PINV = """    # dims: rows, columns n
    a = {T}_ptr(ptrs, 0)
    limits = {T}_ptr(ptrs, 1)
    out = {T}_ptr(ptrs, 2)
    work = {T}_ptr(ptrs, 3)
    status = i64_ptr(ptrs, 4)
    rows, n = dims[0], dims[1]
    long, k = (rows, n) if rows >= n else (n, rows)
    w0 = lo * k * (long + k + 1)
    v0, wi, vi, wj, vj = w0 + long * k, k, k, 1, 1
    s0 = v0 + k * k
    left, right = (v0, w0) if rows >= n else (w0, v0)
{scaled}{rotations}{lengths}    most = {T}(0)
    for j in range(k):
        most = maximum_{T}(most, work[s0 + j] * largest)
    small = maximum_{T}(limits[2 * lo + 1], limits[2 * lo] * most)
    for i in range(n):
        for r in range(rows):
            total = {T}(0)
            for j in range(k):
                s = work[s0 + j]
                if s * largest > small:
                    total = total + work[left + i * k + j] / s * (work[right + r * k + j] / s)
            out[(lo * n + i) * rows + r] = total / largest if total != {T}(0) else total
"""

# Taylor's series of the matrix halved until its norm is 1 at most, by Horner's rule; then squares.
EXPM = """    a = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
    work = {T}_ptr(ptrs, 2)
    n = dims[0]
    size, at = n * n, lo * n * n
    x, product = 2 * at, 2 * at + size
    norm, scale, halvings = {T}(0), {T}(1), 0
    for j in range(n):
        total = {T}(0)
        for i in range(n):
            total = total + abs_{T}(a[at + i * n + j])
        norm = maximum_{T}(norm, total)
    while norm * scale > {T}(1) and halvings < 1100:
        halvings, scale = halvings + 1, scale * {T}(0.5)
    for i in range(size):
        work[x + i] = a[at + i] * scale
        out[at + i] = {T}(1) if i % (n + 1) == 0 else {T}(0)
    for step in range({terms} + halvings):
        power = {terms} - step
        for i in range(size if power <= 0 else 0):
            work[x + i] = out[at + i]
        for i in range(n):
            for j in range(n):
                total = {T}(0)
                for k in range(n):
                    total = total + work[x + i * n + k] * out[at + k * n + j]
                work[product + i * n + j] = total
        for i in range(size):
            one = {T}(1) if i % (n + 1) == 0 else {T}(0)
            found = work[product + i]
            out[at + i] = found / to_{T}(power) + one if power > 0 else found
"""
EPSILON = {"f32": "1.2e-7", "f64": "2.3e-16"}
TERMS = {"f32": "12", "f64": "18"}  # the next one is below a rounding
SWEEPS = 40  # of Jacobi's rotations; ten are many


def _rotated(text: str, w: str, v: str, s: str) -> Callable[[str], str]:
    """A text with Jacobi's rotations in it, of the arrays of these names."""
    parts = {
        "scaled": SCALED, "rotations": ROTATIONS, "lengths": LENGTHS, "sorted": SORTED,
        "completed": COMPLETED,
    }  # fmt: skip
    names = {"w": w, "v": v, "s": s, "before": "<" if text is EIGH else ">"}

    def made(dtype: str) -> str:
        more = {**names, "eps": EPSILON[dtype], "sweeps": str(SWEEPS)}
        return fill(HEAD + text, dtype, **parts, **more)

    return made


def _svd_text(node: Node) -> str:
    rows, n = node.inputs[0].shape[-2:]
    w, v = ("u", "vh") if rows >= n else ("vh", "u")
    return _rotated(SVD, w, v, "values")(code(node))


def _qr_dims(node: Node) -> tuple[int, ...]:
    q = _results(node)[0]
    return (*node.inputs[0].shape[-2:], q[-1])


def _svd_dims(node: Node) -> tuple[int, ...]:
    u, _, vh = _results(node)
    return (*node.inputs[0].shape[-2:], u[-1], vh[-2])


def _results(node: Node) -> list[tuple[int, ...]]:
    assert isinstance(node.type, TupleType)
    return [item.shape for item in node.type.items]


def _room(count: Callable[[int, int], int]) -> Callable[[Node], Sequence[int]]:
    """Working memory of so many numbers for a matrix of some rows and columns."""

    def scratch(node: Node) -> Sequence[int]:
        *lead, rows, n = node.inputs[0].shape
        return (math.prod(lead) * count(rows, n) * node.inputs[0].dtype.size,)

    return scratch


def _of_pinv(rows: int, n: int) -> int:
    k = min(rows, n)
    return k * (max(rows, n) + k + 1)


RULES = {
    "qr": rule(lambda node: fill(HEAD + QR, code(node)), _qr_dims),
    "eigh": rule(lambda node: _rotated(EIGH, "work", "vectors", "values")(code(node)), wrong=WRONG),
    "svd": rule(_svd_text, _svd_dims, wrong=WRONG),
    "pinv": rule(
        lambda node: _rotated(PINV, "work", "work", "work")(code(node)),
        lambda node: node.inputs[0].shape[-2:],
        wrong=WRONG,
    ),
    "expm": rule(lambda node: fill(HEAD + EXPM, code(node), terms=TERMS[code(node)])),
}
SCRATCH: dict[str, Callable[[Node], Sequence[int]]] = {
    "qr": _room(lambda rows, n: rows * n),
    "eigh": _room(lambda rows, n: n * n),
    "svd": lambda node: (),
    "pinv": _room(_of_pinv),
    "expm": _room(lambda rows, n: 2 * n * n),
}
