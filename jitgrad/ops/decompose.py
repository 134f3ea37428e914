"""Determinants, inverses and factors of matrices, made of ops: elimination step by step.

The steps are unrolled, so derivatives of every order, batching and compilation come with them, and
a graph grows with the extent of the matrices. They are meant for small and medium ones.
"""

from __future__ import annotations

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, TapeError, fail
from jitgrad.ir.types import int32
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.creation import tril
from jitgrad.ops.joining import concat, stack
from jitgrad.ops.linalg import product
from jitgrad.ops.promote import cast, constant, expand, fill, floating, splat
from jitgrad.ops.shaping import reshaped, sliced, swapaxes
from jitgrad.tensor import Tensor


def _square(name: str, value) -> Tensor:
    x = floating(name, value)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise fail(ShapeError, f"{name} of {x._type}", why="it takes square matrices")
    return x


def _unit(n: int, like: Tensor) -> Tensor:
    return constant(np.eye(n, dtype=like.dtype.numpy))


# --- elimination --------------------------------------------------------------------------------


class _Elimination:
    """Gaussian elimination with partial pivoting of [..., n, m], rows staying where they are.

    Step k picks, among the rows not used yet, the one with the largest entry in column k, and
    removes that column from the others: from all of them for an inverse (`whole`), from those
    not used yet for a determinant.
    """

    def __init__(self, x: Tensor, whole: bool):
        n = x.shape[-2]
        lead = x.shape[:-2]
        free = fill(1, x._type.with_shape((*lead, n)))
        self.sign = fill(1, x._type.with_shape(lead))
        self.pivots: list[Tensor] = []
        self.rows: list[Tensor] = []
        order = constant(np.arange(n, dtype=np.int32))
        for k in range(n):
            column = reshaped("elimination", sliced(x, x.ndim - 1, k, k + 1), (*lead, n))
            size = c.where(c.gt(free, 0), e.abs(e.stop_gradient(column)), -1.0)
            chosen = r.argmax(size, -1, True)
            here = cast(c.eq(order, cast(chosen, int32)), x.dtype)
            before = cast(c.lt(order, cast(chosen, int32)), x.dtype)
            passed = r.sum(e.mul(free, before), -1)
            self.sign = e.mul(self.sign, e.sub(1, e.mul(e.remainder(passed, 2), 2)))
            free = e.mul(free, e.sub(1, here))
            row = r.sum(e.mul(reshaped("elimination", here, (*lead, n, 1)), x), -2, True)
            pivot = r.sum(e.mul(here, column), -1)
            self.pivots.append(pivot)
            others = e.sub(1, here) if whole else free
            share = e.div(e.mul(column, others), reshaped("elimination", pivot, (*lead, 1)))
            share = share if whole else c.where(c.gt(others, 0), share, 0.0)
            x = e.sub(x, e.mul(reshaped("elimination", share, (*lead, n, 1)), row))
            self.rows.append(here)
        self.x = x


def solved(name: str, matrix: Tensor, right: Tensor) -> Tensor:
    """The X with matrix @ X = right, both [..., n, k]."""
    n = matrix.shape[-1]
    lead = np.broadcast_shapes(matrix.shape[:-2], right.shape[:-2])
    matrix, right = (expand(v, (*lead, *v.shape[-2:])) for v in (matrix, right))
    work = _Elimination(concat((matrix, right), -1), whole=True)
    answers = sliced(work.x, work.x.ndim - 1, n, work.x.shape[-1])
    found = product(name, stack(work.rows, -2), answers)
    return e.div(found, reshaped(name, stack(work.pivots, -1), (*lead, n, 1)))


def inverse(input):
    """The inverse of square matrices; of a singular one inf or nan.

    >>> from jitgrad import Tensor, ops
    >>> ops.inverse(Tensor([[2.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    x = _square("inverse", input)
    return solved("inverse", x, expand(_unit(x.shape[-1], x), x.shape))


def matrix_solve(matrix, rhs, adjoint=False):
    """The X with matrix @ X = rhs, for square matrices."""
    a, b = _square("matrix_solve", matrix), floating("matrix_solve", rhs)
    if b.ndim < 2 or b.shape[-2] != a.shape[-1]:
        raise fail(
            ShapeError,
            f"matrix_solve of {a._type} and {b._type}",
            why=f"the right side has {a.shape[-1]} rows",
        )
    return solved("matrix_solve", swapaxes(a, -1, -2) if adjoint else a, b)


def det(input):
    """The determinant of square matrices."""
    x = _square("det", input)
    work = _Elimination(x, whole=False)
    out = work.sign
    for pivot in work.pivots:
        out = e.mul(out, pivot)
    return out


def slogdet(input):
    """The sign of the determinant and the logarithm of its magnitude, as a tuple."""
    x = _square("slogdet", input)
    work = _Elimination(x, whole=False)
    sign, total = work.sign, fill(0, work.sign._type)
    for pivot in work.pivots:
        sign = e.mul(sign, e.sign(pivot))
        total = e.add(total, e.log(e.abs(pivot)))
    return sign, total


def logdet(input):
    """The logarithm of the determinant; nan where that is negative."""
    sign, total = slogdet(input)
    return c.where(c.lt(sign, 0), splat(np.nan, total._type), total)


def cholesky(input_x, upper=False):
    """The lower (or upper) triangular L with L @ L.T the input, which is symmetric and positive
    definite; nan where it is not.
    """
    x = _square("cholesky", input_x)
    n, last = x.shape[-1], x.ndim - 1
    columns = []
    for k in range(n):
        column = sliced(x, last, k, k + 1)
        root = e.rsqrt(sliced(column, last - 1, k, k + 1))
        below = constant((np.arange(n) >= k).reshape(n, 1))
        column = c.where(below, e.mul(column, root), 0.0)
        columns.append(column)
        x = e.sub(x, e.mul(column, swapaxes(column, -1, -2)))
    lower = concat(columns, last) if n else x
    return swapaxes(lower, -1, -2) if upper else lower


def cholesky_inverse(input_x, upper=False):
    """The inverse of the matrix of which the input is the Cholesky factor."""
    factor = _square("cholesky_inverse", input_x)
    factor = swapaxes(factor, -1, -2) if upper else factor
    return inverse(product("cholesky_inverse", factor, swapaxes(factor, -1, -2)))


def cholesky_solve(input, input2, upper=False):
    """The X with A @ X = input, where input2 is the Cholesky factor of A."""
    factor = _square("cholesky_solve", input2)
    factor = swapaxes(factor, -1, -2) if upper else factor
    full = product("cholesky_solve", factor, swapaxes(factor, -1, -2))
    return solved("cholesky_solve", full, floating("cholesky_solve", input))


def qr(input, mode="reduced"):
    """Q with orthonormal columns and the upper triangular R, Q @ R the input, as a tuple.

    By Householder's reflections; "complete" gives a square Q. Signs are as in LAPACK.
    """
    x = floating("qr", input)
    if x.ndim < 2 or mode not in ("reduced", "complete"):
        raise fail(ArgumentError, f"qr of {x._type} got mode={mode!r}", why="reduced or complete")
    rows, columns = x.shape[-2:]
    last, lead = x.ndim - 1, x.shape[:-2]
    q = expand(_unit(rows, x), (*lead, rows, rows))
    for k in range(min(rows - 1, columns)):
        below = constant((np.arange(rows) >= k).astype(x.dtype.numpy).reshape(rows, 1))
        column = e.mul(sliced(x, last, k, k + 1), below)
        head = sliced(column, last - 1, k, k + 1)
        size = e.sqrt(r.sum(e.square(column), -2, True))
        size = c.where(c.ge(head, 0), size, e.neg(size))
        start = constant((np.arange(rows) == k).astype(x.dtype.numpy).reshape(rows, 1))
        v = e.add(column, e.mul(start, size))
        scale = e.div(2, r.sum(e.square(v), -2, True))
        turned = swapaxes(v, -1, -2)
        x = e.sub(x, e.mul(e.mul(v, scale), product("qr", turned, x)))
        q = e.sub(q, e.mul(product("qr", q, v), e.mul(turned, scale)))
    keep = min(rows, columns) if mode == "reduced" else rows
    upper = swapaxes(tril(swapaxes(sliced(x, last - 1, 0, keep), -1, -2)), -1, -2)
    return sliced(q, last, 0, keep), upper


# --- eigenvalues: values only -------------------------------------------------------------------


def _eigen(name: str, input) -> tuple[np.ndarray, np.ndarray, Tensor]:
    x = _square(name, input)
    if x.requires_grad:
        raise fail(
            TapeError,
            f"{name} of a Tensor that is being differentiated",
            why="eigenvalues have no derivative here yet",
            instead="ops.stop_gradient(x)",
        )
    array = x._array(f"given to {name}")
    values, vectors = np.linalg.eig(array)
    if np.iscomplexobj(values):
        raise fail(
            ArgumentError,
            f"{name} of {x._type} has complex eigenvalues",
            why="there are no complex dtypes here yet",
        )
    return values, vectors, x


def eig(A):
    """Eigenvalues, in no order, and eigenvectors as columns, where all are real.

    Not differentiable, and not in a trace.
    """
    values, vectors, x = _eigen("eig", A)
    return tuple(constant(part.astype(x.dtype.numpy)) for part in (values, vectors))


def eigvals(A):
    """Eigenvalues, in no order, where all are real. Not differentiable, and not in a trace."""
    values, _, x = _eigen("eigvals", A)
    return constant(values.astype(x.dtype.numpy))


__all__ = [
    "cholesky", "cholesky_inverse", "cholesky_solve", "det", "eig", "eigvals", "inverse", "logdet",
    "matrix_solve", "qr", "slogdet", "solved",
]  # fmt: skip
