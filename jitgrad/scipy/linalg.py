"""Linear algebra under SciPy's names and with its parameters.

`overwrite_a`, `overwrite_b` and `check_finite` are taken and have no effect.
"""

from __future__ import annotations

from jitgrad import ops
from jitgrad.ops.linalg import kron
from jitgrad.ops.solving import det
from jitgrad.ops.solving import matrix_exp as expm
from jitgrad.ops.splitting import block_diag
from jitgrad.tensor import Tensor


def inv(a, overwrite_a=False, check_finite=True):
    """The inverse of a square matrix."""
    return ops.inverse(a)


def cholesky(a, lower=False, overwrite_a=False, check_finite=True):
    """The upper (or lower) triangle whose product with its transpose is a."""
    return ops.cholesky(a, not lower)


def cho_factor(a, lower=False, overwrite_a=False, check_finite=True):
    """The Cholesky factor and which triangle it is, for `cho_solve`."""
    return ops.cholesky(a, not lower), lower


def cho_solve(c_and_lower, b, overwrite_b=False, check_finite=True):
    """The x with a @ x = b, where `cho_factor` was given a."""
    factor, lower = c_and_lower
    vector = isinstance(b, Tensor) and b.ndim == 1
    found = ops.cholesky_solve(ops.expand_dims(b, -1) if vector else b, factor, not lower)
    return ops.squeeze(found, -1) if vector else found


def eigh(a, b=None, lower=True, eigvals_only=False, **options):
    """Eigenvalues in ascending order and eigenvectors of a symmetric matrix; with b positive
    definite, of a @ v = w * b @ v.
    """
    how = "L" if lower else "U"
    if b is None:
        values, vectors = ops.eigh(a, how)
        return values if eigvals_only else (values, vectors)
    root = ops.cholesky(b, not lower)
    root = root if lower else ops.swapaxes(root, -1, -2)
    half = ops.solve_triangular(root, a, lower=True)
    inner = ops.solve_triangular(root, ops.swapaxes(half, -1, -2), lower=True)
    values, vectors = ops.eigh(inner)
    return values if eigvals_only else (values, ops.solve_triangular(root, vectors, 1, True))


def lu(a, permute_l=False, overwrite_a=False, check_finite=True):
    """p, l and u with p @ l @ u = a; with `permute_l`, p @ l and u."""
    p, lower, upper = ops.lu(a)
    return (ops.matmul(p, lower), upper) if permute_l else (p, lower, upper)


def lu_factor(a, overwrite_a=False, check_finite=True):
    """L and U in one matrix, and the rows exchanged, counted from 0."""
    packed, pivots = ops.lu_factor(a)
    return packed, ops.sub(pivots, 1)


def lu_solve(lu_and_piv, b, trans=0, overwrite_b=False, check_finite=True):
    """The x with a @ x = b, where `lu_factor` was given a."""
    packed, pivots = lu_and_piv
    return ops.lu_solve(b, packed, ops.add(pivots, 1))


def qr(a, mode="full"):
    """q and the upper triangular r; "economic" without the columns that r meets with zeros."""
    return ops.qr(a, "complete" if mode == "full" else "reduced")


def solve(a, b, lower=False, overwrite_a=False, overwrite_b=False, check_finite=True):
    """The x with a @ x = b."""
    return ops.solve(a, b)


def solve_triangular(
    A, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=True
):
    """The x with t @ x = b, where t is one triangle of A."""
    return ops.solve_triangular(A, b, trans, lower, unit_diagonal)


def svd(a, full_matrices=True, compute_uv=True):
    """u, s and the transpose of v; s alone without `compute_uv`."""
    found = ops.svd(a, full_matrices, compute_uv)
    return (found[1], found[0], ops.swapaxes(found[2], -1, -2)) if compute_uv else found


__all__ = [
    "block_diag", "cho_factor", "cho_solve", "cholesky", "det", "eigh", "expm", "inv", "kron",
    "lu", "lu_factor", "lu_solve", "qr", "solve", "solve_triangular", "svd",
]  # fmt: skip
