"""Rows and blocks at computed positions."""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill

TAKE = """def kernel(ptrs, dims, lo, hi):
    # out[m, :] = x[idx[m], :]
    x = {T}_ptr(ptrs, 0)
    idx = {I}_ptr(ptrs, 1)
    out = {T}_ptr(ptrs, 2)
    status = i64_ptr(ptrs, 3)
    n, r = dims[0], dims[1]
    if r == 1:
        for m in range(lo, hi):
            row = to_i64(idx[m])
            if row >= 0 and row < n:
                out[m] = x[row]
            else:
                status[0] = 1
                status[1] = row
    else:
        for m in range(lo, hi):
            row = to_i64(idx[m])
            if row >= 0 and row < n:
                source, target = row * r, m * r
                for j in range(r):
                    out[target + j] = x[source + j]
            else:
                status[0] = 1
                status[1] = row
"""

SCATTER = """def kernel(ptrs, dims, lo, hi):
    # out[idx[m], :] = {mode} of out[idx[m], :] and updates[m, :], in the order of m
    idx = {I}_ptr(ptrs, 0)
    updates = {T}_ptr(ptrs, 1)
    out = {T}_ptr(ptrs, 2)
    status = i64_ptr(ptrs, 3)
    count, n, r = dims[0], dims[1], dims[2]
    for m in range(count):
        row = to_i64(idx[m])
        if row < 0 or row >= n:
            if lo == 0:
                status[0] = 1
                status[1] = row
        elif row >= lo and row < hi:
            source, target = m * r, row * r
            for j in range(r):
                old, new = {load}(out[target + j]), {load}(updates[source + j])
                out[target + j] = {store}({update})
"""

UPDATES = {
    "set": "new",
    "add": "to_{C}(old + new)",
    "mul": "to_{C}(old * new)",
    "max": "maximum_{C}(old, new)",
    "min": "minimum_{C}(old, new)",
}

BLOCK = """def kernel(ptrs, dims, lo, hi):
    # {what}
    {first} = {T}_ptr(ptrs, 0)
    rank = dims[0]
    {second} = {T}_ptr(ptrs, rank + 1)
    origin, stride = 0, 1
    for k in range(rank):
        d = rank - 1 - k
        start = to_i64({I}_ptr(ptrs, d + 1)[0])
        extent, size = dims[1 + d], dims[1 + rank + d]
        start = start if start <= extent - size else extent - size
        start = start if start >= 0 else 0
        origin += start * stride
        stride *= extent
    length = dims[2 * rank]
    for p in range(lo, hi):
        rest, place, stride = p, origin, dims[rank]
        for k in range(1, rank):
            d = rank - 1 - k
            size = dims[1 + rank + d]
            place += rest % size * stride
            rest = rest // size
            stride *= dims[1 + d]
        row = p * length
        for j in range(length):
            {move}
"""


def take(dtype: str, index: str) -> str:
    """x[N, R] by rows: out[M, R].

    ptrs   x, idx (of dtype `index`), out, status      dims   N, R      range   m of M
    """
    return fill(TAKE, dtype, I=index)


def scatter(mode: str, dtype: str, index: str) -> str:
    """updates[M, R] into the rows of out[N, R], which holds the base already (a copy, or the base
    itself). A part of the range writes its rows only, so the order of writes is kept.

    ptrs   idx (of dtype `index`), updates, out, status      dims   M, N, R
    range  rows n of max(N, 1): of one even if there is none, so that indices are checked
    """
    return fill(SCATTER, dtype, I=index, mode=mode, update=UPDATES[mode])


def dynamic_slice(dtype: str, index: str) -> str:
    """A block of x. The rank is at least 1 (a block of a scalar is a copy).

    ptrs   x, one pointer a start (scalars of dtype `index`), out
    dims   rank, the extents of x, the sizes of the block
    range  rows of the block: the product of all sizes but the last
    """
    what = "out = the block of x that begins at the starts"
    move = "out[row + j] = x[place + j]"
    return fill(BLOCK, dtype, I=index, what=what, first="x", second="out", move=move)


def dynamic_update_slice(dtype: str, index: str) -> str:
    """A block written into out, which holds x already (a copy, or x itself).

    ptrs   update, one pointer a start (scalars of dtype `index`), out
    dims, range   as `dynamic_slice`
    """
    what = "the block of out that begins at the starts = update"
    move = "out[place + j] = update[row + j]"
    return fill(BLOCK, dtype, I=index, what=what, first="update", second="out", move=move)
