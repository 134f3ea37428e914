"""Linear algebra under NumPy's names and with its parameters."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import LinAlgError
from jitgrad.ops.decompose import eigvals, eigvalsh, singular, svdvals
from jitgrad.ops.linalg import cross, diagonal, matmul, outer, tensordot, trace, vecdot
from jitgrad.ops.norms import matrix_norm, vector_norm
from jitgrad.ops.solving import condition as cond
from jitgrad.ops.solving import (
    det,
    matrix_power,
    matrix_rank,
    multi_dot,
    slogdet,
    tensorinv,
    tensorsolve,
)
from jitgrad.ops.solving import inverse as inv


def cholesky(a, *, upper=False):
    """The lower (or upper) triangle whose product with its transpose is a."""
    return ops.cholesky(a, upper)


def eigh(a, UPLO="L"):
    """Eigenvalues in ascending order, and eigenvectors as columns, of symmetric matrices."""
    return ops.eigh(a, UPLO)


def lstsq(a, b, rcond=None):
    """The x with the least |a @ x - b|; NumPy's further results are left out."""
    return ops.lstsq(a, b)


def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of vectors or matrices."""
    return ops.norm(x, ord, axis, keepdims)


def pinv(a, rcond=None, hermitian=False):
    """The pseudo-inverse of matrices."""
    return ops.pinv(a, rtol=rcond, hermitian=hermitian)


def qr(a, mode="reduced"):
    """q with orthonormal columns and the upper triangular r."""
    found = ops.qr(a, mode)
    return found[1] if mode == "r" else found


def solve(a, b):
    """The x with a @ x = b."""
    return ops.solve(a, b)


def svd(a, full_matrices=True, compute_uv=True) -> Any:
    """u, s and the transpose of v; s alone without `compute_uv`."""
    return singular("svd", a, full_matrices) if compute_uv else svdvals(a)


__all__ = [
    "LinAlgError", "cholesky", "cond", "cross", "det", "diagonal", "eigh", "eigvals", "eigvalsh",
    "inv", "lstsq", "matmul", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm",
    "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "tensorinv",
    "tensorsolve", "trace", "vecdot", "vector_norm",
]  # fmt: skip
