"""Matrices one after the other: LAPACK's routines, and the lines around them.

LAPACK's matrices are column-major: what it reads of ours is the transpose. Where that does not
serve, a copy is turned round. Letters are given by their numbers: 65 A, 76 L, 78 N, 82 R, 83 S,
84 T, 85 U, 86 V.
"""

from __future__ import annotations

from textwrap import indent

from jitgrad.codegen.canonical.text import fill

HEAD = "def kernel(ptrs, dims, lo, hi):\n"

CHOLESKY = """    # our lower triangle is its upper one
    a = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
    status = i64_ptr(ptrs, 2)
    n = dims[0]
    for m in range(lo, hi):
        at = m * n * n
        for i in range(n):
            for j in range(n):
                out[at + i * n + j] = a[at + i * n + j]
        if potrf(ptrs[3], 85, n, ptrs[1] + at * {size}, dims[1]) != 0:
            status[0] = 1
            status[1] = 0
        for i in range(n):
            for j in range(i + 1, n):
                out[at + i * n + j] = {T}(0)
"""

SOLVE = """    # dims: n, columns k of the right side, n or 1, whether the transpose of a is meant
    a = {T}_ptr(ptrs, 0)
    b = {T}_ptr(ptrs, 1)
    x = {T}_ptr(ptrs, 2)
    work = {T}_ptr(ptrs, 3)  # of each matrix: the factors, then the right side's columns
    status = i64_ptr(ptrs, 5)
    n, k, ld = dims[0], dims[1], dims[2]
    for m in range(lo, hi):
        at, right = m * n * (n + k), m * n * (n + k) + n * n
        for i in range(n * n):
            work[at + i] = a[m * n * n + i]
        for i in range(n):
            for j in range(k):
                work[right + j * n + i] = b[(m * n + i) * k + j]
        factors, pivots = ptrs[3] + at * {size}, ptrs[4] + m * n * 4
        if getrf(ptrs[6], n, n, factors, ld, pivots) != 0:
            status[0] = 1
            status[1] = 0
        else:
            columns = ptrs[3] + right * {size}
            getrs(ptrs[7], 84 - 6 * dims[3], n, k, factors, ld, pivots, columns, ld)
        for i in range(n):
            for j in range(k):
                x[(m * n + i) * k + j] = work[right + j * n + i]
"""

TRIANGULAR = """    # dims: n, columns k, n or 1, k or 1, letters: which, transposed, diagonal
    a = {T}_ptr(ptrs, 0)
    b = {T}_ptr(ptrs, 1)
    x = {T}_ptr(ptrs, 2)
    one = {T}_ptr(ptrs, 3)
    status = i64_ptr(ptrs, 4)
    n, k = dims[0], dims[1]
    one[0] = {T}(1)
    for m in range(lo, hi):
        for i in range(n):
            if dims[6] == 78 and a[m * n * n + i * n + i] == {T}(0):
                status[0] = 1
                status[1] = 0
        for i in range(n * k):
            x[m * n * k + i] = b[m * n * k + i]
        factor, right = ptrs[0] + m * n * n * {size}, ptrs[2] + m * n * k * {size}
        which, turned, diagonal = dims[4], dims[5], dims[6]
        trsm(
            ptrs[5], 82, which, turned, diagonal,
            k, n, ptrs[3], factor, dims[2], right, dims[3],
        )
"""

FACTORED = """    # the factors, and the sign of the order that the pivots make
    a = {T}_ptr(ptrs, 0)
    {results}
    work = {T}_ptr(ptrs, {work})
    pivots = i32_ptr(ptrs, {work} + 1)
    n = dims[0]
    for m in range(lo, hi):
        at = m * n * n
        for i in range(n * n):
            work[at + i] = a[at + i]
        factors, exchanged = ptrs[{work}] + at * {size}, ptrs[{work} + 1] + m * n * 4
        getrf(ptrs[{work} + 2], n, n, factors, dims[1], exchanged)
        sign = {T}(1)
        for i in range(n):
            if to_i64(pivots[m * n + i]) != i + 1:
                sign = -sign
"""
# What becomes of the factors of matrix {m}, at any depth of loops.
DET = """    for i in range(n):
        sign = sign * work[at + i * n + i]
    out[{m}] = sign
"""
SLOGDET = """    total = {T}(0)
    for i in range(n):
        pivot = work[at + i * n + i]
        total = total + log_{T}(abs_{T}(pivot))
        if pivot < {T}(0):
            sign = -sign
        elif not pivot > {T}(0):
            sign = pivot
    signs[{m}] = sign
    out[{m}] = total
"""

LU = """    # dims: rows m, columns n, the smaller, m or 1
    a = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
    pivots = i32_ptr(ptrs, 2)
    order = i32_ptr(ptrs, 3)
    work = {T}_ptr(ptrs, 4)
    rows, n, k = dims[0], dims[1], dims[2]
    for m in range(lo, hi):
        at = m * rows * n
        for i in range(rows):
            for j in range(n):
                work[at + j * rows + i] = a[at + i * n + j]
        getrf(ptrs[5], rows, n, ptrs[4] + at * {size}, dims[3], ptrs[2] + m * k * 4)
        for i in range(rows):
            order[m * rows + i] = to_i32(i)
            for j in range(n):
                out[at + i * n + j] = work[at + j * rows + i]
        for i in range(k):
            place = to_i64(pivots[m * k + i]) - 1
            pivots[m * k + i] = to_i32(place)
            other = m * rows + place
            moved = order[m * rows + i]
            order[m * rows + i] = order[other]
            order[other] = moved
"""

QR = """    # dims: rows, columns n, columns c of q, the stride of the working matrix, room
    a = {T}_ptr(ptrs, 0)
    q = {T}_ptr(ptrs, 1)
    r = {T}_ptr(ptrs, 2)
    work = {T}_ptr(ptrs, 3)
    rows, n, c, ld, room = dims[0], dims[1], dims[2], dims[3], dims[4]
    k = rows if rows < n else n
    size = rows * ld + k + room
    for m in range(lo, hi):
        at = m * size
        for i in range(rows):
            for j in range(n):
                work[at + i * ld + j] = a[(m * rows + i) * n + j]
        matrix = ptrs[3] + at * {size}
        heads, free = matrix + rows * ld * {size}, matrix + (rows * ld + k) * {size}
        gelqf(ptrs[4], n, rows, matrix, ld, heads, free, room)
        for i in range(c):
            for j in range(n):
                here = (m * c + i) * n + j
                r[here] = work[at + i * ld + j] if i <= j else {T}(0)
        orglq(ptrs[5], c, rows, k, matrix, ld, heads, free, room)
        for i in range(rows):
            for j in range(c):
                q[(m * rows + i) * c + j] = work[at + i * ld + j]
"""

EIGH = """    # dims: n, n or 1, and the room for numbers and for integers
    a = {T}_ptr(ptrs, 0)
    vectors = {T}_ptr(ptrs, 2)
    work = {T}_ptr(ptrs, 3)
    status = i64_ptr(ptrs, 5)
    n, room, places = dims[0], dims[2], dims[3]
    for m in range(lo, hi):
        at, start = m * n * n, m * (n * n + room)
        for i in range(n):
            for j in range(n):
                work[start + j * n + i] = a[at + i * n + j]
        matrix, free = ptrs[3] + start * {size}, ptrs[3] + (start + n * n) * {size}
        found, integers = ptrs[1] + m * n * {size}, ptrs[4] + m * places * 4
        if syevd(ptrs[6], 86, 76, n, matrix, dims[1], found, free, room, integers, places) != 0:
            status[0] = 1
            status[1] = 0
        for i in range(n):
            for j in range(n):
                vectors[at + i * n + j] = work[start + j * n + i]
"""

# u, s, v' of our matrix are v', s, u of the transpose: all of them in their places already
DECOMPOSED = """        for i in range(rows * n):
            work[start + i] = a[m * rows * n + i]
        matrix = ptrs[{work}] + start * {size}
        free, integers = matrix + rows * n * {size}, ptrs[{work} + 1] + m * 32 * k
        if gesdd(
            ptrs[{work} + 3], letter, n, rows, matrix, ld,
            values, right, ld, left, dims[5], free, room, integers,
        ) != 0:
            status[0] = 1
            status[1] = 0
"""
SVD = """    # dims: rows, columns n, the smaller k, n or 1, letter, columns of u or 1, of v', room
    a = {T}_ptr(ptrs, 0)
    work = {T}_ptr(ptrs, 4)
    status = i64_ptr(ptrs, 6)
    rows, n, k, ld, letter, room = dims[0], dims[1], dims[2], dims[3], dims[4], dims[7]
    for m in range(lo, hi):
        start = m * (rows * n + room)
        left = ptrs[1] + m * rows * dims[5] * {size}
        values = ptrs[2] + m * k * {size}
        right = ptrs[3] + m * dims[6] * n * {size}
{decomposed}"""
PINV = """    # dims: rows, columns n, the smaller k, n or 1, rows or 1, k or 1, -, room
    a = {T}_ptr(ptrs, 0)
    work = {T}_ptr(ptrs, 3)
    status = i64_ptr(ptrs, 5)
    limits = {T}_ptr(ptrs, 1)
    rows, n, k, ld, room = dims[0], dims[1], dims[2], dims[3], dims[7]
    letter = 83
    for m in range(lo, hi):
        start = m * (rows * n + room + k * (rows + n + 1))
        first = start + rows * n + room
        second, third = first + rows * k, first + (rows + n) * k
        left, right = ptrs[3] + first * {size}, ptrs[3] + second * {size}
        values = ptrs[3] + third * {size}
{decomposed}        largest = work[third] if k > 0 else {T}(0)
        small = maximum_{T}(limits[2 * m + 1], limits[2 * m] * largest)
        for i in range(k):
            s = work[third + i]
            scale = {T}(1) / s if s > small else {T}(0)
            for j in range(n):
                work[second + i * n + j] = work[second + i * n + j] * scale
        out = ptrs[2] + m * rows * n * {size}
        if k > 0:
            gemm_{T}(ptrs[7], 84, 84, rows, n, k, left, dims[5], right, ld, 0, out, dims[4])
"""

# Padé's approximant of order 13, of the matrix halved until its norm is small, then squared
# (Higham, 2005). What holds of a matrix holds of its transpose: nothing is turned round.
EXPM = """    a = {T}_ptr(ptrs, 0)
    out = {T}_ptr(ptrs, 1)
    work = {T}_ptr(ptrs, 2)
    n, ld = dims[0], dims[1]
    size = n * n
    for m in range(lo, hi):
        start, at = m * 6 * size, m * size
        base = ptrs[2] + start * {size}
        step = size * {size}
        x, x2, x4, x6 = base, base + step, base + 2 * step, base + 3 * step
        u, v = base + 4 * step, base + 5 * step
        norm = {T}(0)
        for j in range(n):
            total = {T}(0)
            for i in range(n):
                total = total + abs_{T}(a[at + i * n + j])
            norm = maximum_{T}(norm, total)
        halvings, scale = 0, {T}(1)
        while norm * scale > {T}(5.4) and halvings < 1100:
            halvings += 1
            scale = scale * {T}(0.5)
        for i in range(size):
            work[start + i] = a[at + i] * scale
        gemm_{T}(ptrs[4], 78, 78, n, n, n, x, ld, x, ld, 0, x2, ld)
        gemm_{T}(ptrs[4], 78, 78, n, n, n, x2, ld, x2, ld, 0, x4, ld)
        gemm_{T}(ptrs[4], 78, 78, n, n, n, x4, ld, x2, ld, 0, x6, ld)
        for i in range(size):
            p2, p4 = work[start + size + i], work[start + 2 * size + i]
            p6 = work[start + 3 * size + i]
            diagonal = {T}(1) if i % (n + 1) == 0 else {T}(0)
            high = p6 + {T}(16380) * p4 + {T}(40840800) * p2
            out[at + i] = high
            low = {T}(33522128640) * p6 + {T}(10559470521600) * p4
            low = low + {T}(1187353796428800) * p2 + {T}(32382376266240000) * diagonal
            work[start + 4 * size + i] = low
        gemm_{T}(ptrs[4], 78, 78, n, n, n, x6, ld, ptrs[1] + at * {size}, ld, 1, u, ld)
        for i in range(size):
            out[at + i] = work[start + 4 * size + i]
        gemm_{T}(ptrs[4], 78, 78, n, n, n, x, ld, ptrs[1] + at * {size}, ld, 0, u, ld)
        for i in range(size):
            p2, p4 = work[start + size + i], work[start + 2 * size + i]
            p6 = work[start + 3 * size + i]
            diagonal = {T}(1) if i % (n + 1) == 0 else {T}(0)
            out[at + i] = {T}(182) * p6 + {T}(960960) * p4 + {T}(1323241920) * p2
            low = {T}(670442572800) * p6 + {T}(129060195264000) * p4
            low = low + {T}(7771770303897600) * p2 + {T}(64764752532480000) * diagonal
            work[start + 5 * size + i] = low
        gemm_{T}(ptrs[4], 78, 78, n, n, n, x6, ld, ptrs[1] + at * {size}, ld, 1, v, ld)
        for i in range(size):  # (v - u) r = v + u
            odd, even = work[start + 4 * size + i], work[start + 5 * size + i]
            work[start + i] = even - odd
            out[at + i] = even + odd
        pivots = ptrs[3] + m * n * 4
        getrf(ptrs[5], n, n, x, ld, pivots)
        getrs(ptrs[6], 78, n, n, x, ld, pivots, ptrs[1] + at * {size}, ld)
        for k in range(halvings):
            for i in range(size):
                work[start + i] = out[at + i]
            gemm_{T}(ptrs[4], 78, 78, n, n, n, x, ld, x, ld, 0, ptrs[1] + at * {size}, ld)
"""


def text(template: str, dtype: str, **more: str) -> str:
    """A kernel's text for a dtype."""
    return HEAD + fill(template, dtype, **more, size=str(int(dtype[1:]) // 8))


def cholesky(dtype: str) -> str:
    """ptrs  a, out, status, potrf      dims  n, n or 1      range  matrices, here and below."""
    return text(CHOLESKY, dtype)


def solve(dtype: str) -> str:
    """ptrs  a, b, x, work, pivots, status, getrf, getrs."""
    return text(SOLVE, dtype)


def triangular_solve(dtype: str) -> str:
    """ptrs  a, b, x, one number, status, trsm."""
    return text(TRIANGULAR, dtype)


def _of_factors(end: str, results: str, work: str, dtype: str) -> str:
    return text(FACTORED + indent(end, "    "), dtype, results=results, work=work, m="m")


def det(dtype: str) -> str:
    """ptrs  a, out, work, pivots, getrf      dims  n, n or 1."""
    return _of_factors(DET, "out = {T}_ptr(ptrs, 1)", "2", dtype)


def slogdet(dtype: str) -> str:
    """ptrs  a, signs, out, work, pivots, getrf      dims  n, n or 1."""
    results = "signs = {T}_ptr(ptrs, 1)\n    out = {T}_ptr(ptrs, 2)"
    return _of_factors(SLOGDET, results, "3", dtype)


def lu(dtype: str) -> str:
    """ptrs  a, out, pivots, order, work, getrf."""
    return text(LU, dtype)


def qr(dtype: str) -> str:
    """ptrs  a, q, r, work, gelqf, orglq."""
    return text(QR, dtype)


def eigh(dtype: str) -> str:
    """ptrs  a, values, vectors, work, integers, status, syevd."""
    return text(EIGH, dtype)


def svd(dtype: str) -> str:
    """ptrs  a, u, s, v', work, integers, status, gesdd."""
    return text(SVD, dtype, decomposed=DECOMPOSED, work="4")


def pinv(dtype: str) -> str:
    """ptrs  a, limits, out, work, integers, status, gesdd, gemm."""
    return text(PINV, dtype, decomposed=DECOMPOSED, work="3")


def expm(dtype: str) -> str:
    """ptrs  a, out, work, pivots, gemm, getrf, getrs      dims  n, n or 1."""
    return text(EXPM, dtype)
