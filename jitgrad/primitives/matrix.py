"""What the derivatives of matrix functions are written in: triangles, diagonals, their errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jitgrad.errors import DTypeError, LinAlgError, ShapeError, fail
from jitgrad.ir.node import Node, constant
from jitgrad.ir.types import TensorType, Type, float32, float64
from jitgrad.locate import Location
from jitgrad.primitives.declare import FLOAT, tensor_type, zeros
from jitgrad.primitives.elementwise import select
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import expand, reduce_sum
from jitgrad.primitives.shape import broadcast, transpose_last

# What LAPACK finds wrong with a matrix: what, why, instead.
WRONG = {
    "singular": (
        "is singular",
        "there is no inverse, and no single solution",
        "ops.pinv(x), or add a small multiple of the identity",
    ),
    "definite": (
        "is not positive definite",
        "only matrices whose eigenvalues are all positive have a Cholesky factor",
        "add a small multiple of the identity, or use ops.eigh",
    ),
    "converge": (
        "has no eigenvalues or singular values that could be found",
        "the iteration did not converge, usually because of a nan or an inf",
        "",
    ),
}


def broken(kind: str, extent: int, where: Location | None = None) -> Exception:
    """The LinAlgError for a matrix of so many rows."""
    what, why, instead = WRONG[kind]
    return fail(
        LinAlgError, f"a matrix of {extent} rows {what}", why=why, instead=instead, where=where
    )


def checked(kind: str, function: Callable, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """A function of NumPy's or SciPy's on arrays, its LinAlgError worded as ours."""
    try:
        with np.errstate(all="ignore"):
            return function(*arrays)
    except np.linalg.LinAlgError:
        raise broken(kind, arrays[0].shape[-1]) from None


def matrices(name: str, type: Type, square: bool = True) -> TensorType:
    """The type itself, checked to be matrices of float32 or float64."""
    x = tensor_type(name, type, FLOAT)
    if x.dtype not in (float32, float64):
        raise fail(
            DTypeError,
            f"{name} got {x}",
            why="LAPACK computes in float32 and float64",
            instead="cast it first, as in x.astype(jitgrad.float32)",
        )
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise fail(
            ShapeError, f"{name} of {x}", why=f"it takes {'square ' if square else ''}matrices"
        )
    return x


def kept(x: Node, mask: np.ndarray) -> Node:
    """Elements of matrices where the mask is true, 0 elsewhere."""
    return select(spread_matrix(mask, x), x, zeros(x.type))


def spread_matrix(matrix: np.ndarray, like: Node) -> Node:
    """One matrix for each of a batch."""
    return broadcast(constant(matrix), shape=like.shape, dims=(like.ndim - 2, like.ndim - 1))


def lower(x: Node, offset: int = 0) -> Node:
    """The lower triangle up to a diagonal."""
    return kept(x, np.tri(*x.shape[-2:], offset, dtype=bool))


def upper(x: Node, offset: int = 0) -> Node:
    """The upper triangle from a diagonal on."""
    return kept(x, ~np.tri(*x.shape[-2:], offset - 1, dtype=bool))


def mirrored(x: Node) -> Node:
    """The symmetric matrix with the lower triangle of x."""
    return lower(x) + transpose_last(lower(x, -1))


def folded(x: Node) -> Node:
    """The transpose of `mirrored`: what falls on the upper triangle, added to the lower."""
    return lower(x) + lower(transpose_last(x), -1)


def diagonal(x: Node) -> Node:
    """The diagonals of square matrices."""
    return reduce_sum(kept(x, np.eye(x.shape[-1], dtype=bool)), axes=(x.ndim - 1,))


def diagonal_matrix(v: Node) -> Node:
    """Vectors as the diagonals of matrices."""
    n = v.shape[-1]
    return kept(rows_of(v, n), np.eye(n, dtype=bool))


def rows_of(v: Node, count: int) -> Node:
    """Vectors repeated as rows: element [i, j] is v[j]."""
    return expand(v, (*v.shape[:-1], count, v.shape[-1]), (v.ndim - 1,))


def columns_of(v: Node, count: int) -> Node:
    """Vectors repeated as columns: element [i, j] is v[i]."""
    return expand(v, (*v.shape, count), (v.ndim,))


def over_matrix(v: Node, like: Node) -> Node:
    """One number for each matrix, repeated over it."""
    return expand(v, like.shape, (like.ndim - 2, like.ndim - 1))


def identity(like: Node) -> Node:
    """Unit matrices of the type of square matrices."""
    return spread_matrix(np.eye(like.shape[-1], dtype=like.dtype.numpy), like)


def chain(*factors: Node) -> Node:
    """The product of matrices, from left to right."""
    product = factors[0]
    for factor in factors[1:]:
        product = matmul(product, factor)
    return product


__all__ = [
    "broken", "chain", "checked", "columns_of", "diagonal", "diagonal_matrix", "folded",
    "identity", "kept", "lower", "matrices", "mirrored", "over_matrix", "rows_of",
    "spread_matrix", "upper",
]  # fmt: skip
