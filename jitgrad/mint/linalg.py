"""`mint.linalg`: linear algebra with PyTorch's parameters."""

from __future__ import annotations

from jitgrad import ops
from jitgrad.ops.decompose import eigh, eigvals, eigvalsh, lu, lu_factor, singular, svdvals
from jitgrad.ops.linalg import matmul, vecdot
from jitgrad.ops.solving import condition as cond
from jitgrad.ops.solving import (
    det,
    matrix_exp,
    matrix_power,
    matrix_rank,
    multi_dot,
    pinv,
    slogdet,
    solve,
    tensorinv,
    tensorsolve,
)
from jitgrad.ops.solving import inverse as inv


def cholesky(input, *, upper=False):
    """The lower (or upper) triangle whose product with its transpose is the input."""
    return ops.cholesky(input, upper)


def cross(input, other, *, dim=-1):
    """The cross product along an axis of extent 3."""
    return ops.cross(input, other, dim)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """A diagonal of the matrices in two axes, as the last axis."""
    return ops.diagonal(A, offset, dim1, dim2)


def lstsq(input, b, rcond=None):
    """The x with the least |input @ x - b|."""
    return ops.lstsq(input, b)


def lu_solve(LU, pivots, B):
    """The x with A @ x = B, where A is what `lu_factor` was given."""
    return ops.lu_solve(B, LU, pivots)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The norm of matrices in two axes."""
    return ops.matrix_norm(A, ord, dim, keepdim, dtype=dtype)


def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """The norm of vectors or matrices."""
    return ops.norm(A, ord, dim, keepdim, dtype=dtype)


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """The norm of vectors along axes."""
    return ops.vector_norm(x, ord, dim, keepdim, dtype=dtype)


def qr(A, mode="reduced"):
    """Q with orthonormal columns and the upper triangular R."""
    return ops.qr(A, mode)


def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """The X with T @ X = B (or X @ T = B), where T is one triangle of A."""
    if left:
        return ops.solve_triangular(A, B, 0, not upper, unitriangular)
    turned = ops.solve_triangular(A, ops.swapaxes(B, -1, -2), 1, not upper, unitriangular)
    return ops.swapaxes(turned, -1, -2)


def svd(A, full_matrices=True):
    """U, S and the transpose of V."""
    return singular("svd", A, full_matrices)


def vander(x, N=None):
    """Powers 0 … N - 1 of the elements of vectors, as rows."""
    return ops.flip(ops.vander(x, N), (-1,))


__all__ = [
    "cholesky", "cond", "cross", "det", "diagonal", "eigh", "eigvals", "eigvalsh", "inv", "lstsq",
    "lu", "lu_factor", "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power",
    "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular",
    "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
