"""Matrices as products of simpler ones: LAPACK, with derivatives of every order.

Symmetric matrices are read from one triangle; their derivatives are symmetric.
"""

from __future__ import annotations

import numpy as np

from jitgrad.errors import ShapeError, TapeError, fail
from jitgrad.ir.types import int32
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.creation import tril, triu
from jitgrad.ops.joining import concat, stack
from jitgrad.ops.linalg import factors, product
from jitgrad.ops.promote import apply, cast, constant, describe, expand, floating, one_of, tensor
from jitgrad.ops.shaping import reshaped, sliced, swapaxes
from jitgrad.primitives import factor
from jitgrad.primitives.solve import triangular_solve
from jitgrad.tensor import Tensor


def matrices(name: str, value) -> Tensor:
    """One operand as matrices of floats; ShapeError for fewer than two axes."""
    x = floating(name, value)
    if x.ndim < 2:
        raise fail(ShapeError, f"{name} of {x._type}", why="it takes matrices")
    return x


def square_matrices(name: str, value) -> Tensor:
    """One operand as square matrices of floats."""
    x = matrices(name, value)
    if x.shape[-1] != x.shape[-2]:
        raise fail(ShapeError, f"{name} of {x._type}", why="it takes square matrices")
    return x


def turned(x: Tensor) -> Tensor:
    """The transposes of matrices."""
    return swapaxes(x, -1, -2)


def unit(n: int, like: Tensor) -> Tensor:
    """The identity of n rows in the dtype of another Tensor."""
    return constant(np.eye(n, dtype=like.dtype.numpy))


def symmetric(name: str, value, upper: bool) -> Tensor:
    """Square matrices made of one triangle and its mirror image, whose derivative is that of the
    mean of both triangles.
    """
    x = square_matrices(name, value)
    half = triu(x) if upper else tril(x)
    other = triu(x, 1) if upper else tril(x, -1)
    mirrored = e.add(half, turned(other))
    mean = e.mul(e.add(x, turned(x)), 0.5)
    return e.add(e.stop_gradient(mirrored), e.sub(mean, e.stop_gradient(mean)))


# --- Cholesky -----------------------------------------------------------------------------------


def cholesky(input_x, upper=False):
    """The lower (or upper) triangular L with L @ L.T the input, symmetric and positive definite.

    Args:
        input_x: Tensor [..., n, n], of which one triangle is read.

    Raises:
        LinAlgError: a matrix is not positive definite.

    >>> from jitgrad import Tensor, ops
    >>> ops.cholesky(Tensor([[4.0, 2.0], [2.0, 5.0]])).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    found = apply(factor.cholesky, symmetric("cholesky", input_x, upper))
    return turned(found) if upper else found


def cholesky_inverse(input_x, upper=False):
    """The inverse of the matrix of which the input is the Cholesky factor.

    >>> ops.cholesky_inverse(Tensor([[2.0, 0.0], [0.0, 1.0]])).tolist()
    [[0.25, 0.0], [0.0, 1.0]]
    """
    x = square_matrices("cholesky_inverse", input_x)
    return cholesky_solve(unit(x.shape[-1], x), x, upper)


def cholesky_solve(input, input2, upper=False):
    """The X with A @ X = input, where input2 is the Cholesky factor of A.

    >>> ops.cholesky_solve(Tensor([[4.0], [2.0]]), Tensor([[2.0, 0.0], [0.0, 1.0]])).tolist()
    [[1.0], [2.0]]
    """
    triangle, right = square_matrices("cholesky_solve", input2), matrices("cholesky_solve", input)
    triangle, right = batched("cholesky_solve", triangle, right)
    how = {"lower": not upper, "transpose": upper, "unit": False}
    half = apply(triangular_solve, triangle, right, **how)
    return apply(triangular_solve, triangle, half, **{**how, "transpose": not upper})


def batched(name: str, *operands: Tensor) -> list[Tensor]:
    """Matrices of one dtype over one batch: the axes before the last two are broadcast."""
    found = [floating(name, x) for x in factors(name, *operands)]
    try:
        lead = np.broadcast_shapes(*[x.shape[:-2] for x in found])
    except ValueError:
        raise fail(
            ShapeError,
            f"{name} got {describe(found)}",
            why="the axes before the last two do not broadcast",
        ) from None
    return [expand(x, (*lead, *x.shape[-2:])) for x in found]


# --- L and U ------------------------------------------------------------------------------------


def lu_factor(input):
    """L and U in one matrix, as `lu_solve` takes them, and the rows exchanged, counted from 1.

    >>> factors, pivots = ops.lu_factor(Tensor([[0.0, 1.0], [2.0, 4.0]]))
    >>> factors.tolist(), pivots.tolist()
    ([[2.0, 4.0], [0.0, 1.0]], [2, 2])
    """
    packed, pivots, _ = apply(factor.lu, matrices("lu_factor", input))
    return packed, e.add(pivots, 1)


def lu(input):
    """P, L and U with P @ L @ U the input: a permutation, a unit lower and an upper triangle.

    >>> [v.tolist() for v in ops.lu(Tensor([[0.0, 1.0], [2.0, 4.0]]))]
    [[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[2.0, 4.0], [0.0, 1.0]]]
    """
    x = matrices("lu", input)
    packed, _, order = apply(factor.lu, x)
    return _permutation(order, x), *_triangles(packed)


def _permutation(order: Tensor, like: Tensor) -> Tensor:
    places = constant(np.arange(order.shape[-1], dtype=np.int32).reshape(-1, 1))
    rows = reshaped("lu", order, (*order.shape[:-1], 1, order.shape[-1]))
    return cast(c.eq(places, rows), like.dtype)


def _triangles(packed: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = packed.shape[-2:]
    k = min(rows, columns)
    below = tril(sliced(packed, packed.ndim - 1, 0, k), -1)
    ones = constant(np.eye(rows, k, dtype=packed.dtype.numpy))
    return e.add(below, ones), triu(sliced(packed, packed.ndim - 2, 0, k))


def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """P, L and U of what `lu_factor` gives; None for what is not asked for.

    >>> [v.shape for v in ops.lu_unpack(*ops.lu_factor(ops.eye(3)))]
    [(3, 3), (3, 3), (3, 3)]
    """
    packed = matrices("lu_unpack", LU_data)
    parts = _triangles(packed) if unpack_data else (None, None)
    order = _order(packed, LU_pivots) if unpack_pivots else None
    return None if order is None else _permutation(order, packed), *parts


def _order(packed: Tensor, pivots) -> Tensor:
    """The row that each row comes from, exchange by exchange."""
    pivots = cast(tensor("lu_unpack", pivots), int32)
    order = constant(np.arange(packed.shape[-2], dtype=np.int32))
    order = expand(order, packed.shape[:-1])
    places = constant(np.arange(packed.shape[-2], dtype=np.int32))
    for i in range(pivots.shape[-1]):
        other = e.sub(sliced(pivots, pivots.ndim - 1, i, i + 1), 1)
        at = c.eq(places, other)
        mine = sliced(order, order.ndim - 1, i, i + 1)
        theirs = r.sum(c.where(at, order, 0), -1, True, dtype=int32)
        order = c.where(at, mine, order)
        order = c.where(c.eq(places, i), theirs, order)
    return order


def lu_solve(b, LU_data, LU_pivots):
    """The X with A @ X = b, where A is what `lu_factor` was given.

    >>> ops.lu_solve(Tensor([[2.0], [4.0]]), *ops.lu_factor(2 * ops.eye(2))).tolist()
    [[1.0], [2.0]]
    """
    packed, right = square_matrices("lu_solve", LU_data), matrices("lu_solve", b)
    order = _permutation(_order(packed, LU_pivots), packed)
    right = product("lu_solve", turned(order), right)
    packed, right = batched("lu_solve", packed, right)
    below = {"lower": True, "transpose": False, "unit": True}
    half = apply(triangular_solve, packed, right, **below)
    return apply(triangular_solve, packed, half, lower=False, transpose=False, unit=False)


# --- orthonormal columns ------------------------------------------------------------------------


def qr(input, mode="reduced"):
    """Q with orthonormal columns and the upper triangular R, Q @ R the input, as a tuple.

    "complete" gives a square Q, "r" an empty one. Signs are as in LAPACK. Derivatives need the
    first columns of the input to be independent, and Q not to have more columns than it.

    >>> q, r = ops.qr(ops.ones((3, 2)))
    >>> q.shape, r.shape
    ((3, 2), (2, 2))
    """
    x = matrices("qr", input)
    one_of("qr", "mode", mode, ("reduced", "complete", "r"))
    rows, columns = x.shape[-2:]
    if mode == "complete" or rows >= columns:
        q, upper = apply(factor.qr, x, complete=mode == "complete")
    else:  # the first columns decide; the others are turned along
        q, left = apply(factor.qr, sliced(x, x.ndim - 1, 0, rows), complete=False)
        rest = product("qr", turned(q), sliced(x, x.ndim - 1, rows, columns))
        upper = concat((left, rest), x.ndim - 1)
    return (sliced(q, q.ndim - 1, 0, 0) if mode == "r" else q), upper


def geqrf(input):
    """R above and Householder's vectors below the diagonal, and their factors tau.

    >>> factors, tau = ops.geqrf(ops.ones((3, 2)))
    >>> factors.shape, tau.shape
    ((3, 2), (2,))
    """
    x = matrices("geqrf", input)
    rows, columns = x.shape[-2:]
    last, lead = x.ndim - 1, x.shape[:-2]
    vectors, scales = [], []
    for k in range(min(rows, columns)):
        start = np.arange(rows).reshape(rows, 1)
        column = c.where(constant(start >= k), sliced(x, last, k, k + 1), 0.0)
        head = sliced(column, last - 1, k, k + 1)
        size = e.sqrt(r.sum(e.square(column), -2, True))
        size = c.where(c.ge(head, 0), e.neg(size), size)
        below = c.where(constant(start > k), e.div(column, e.sub(head, size)), 0.0)
        v = e.add(below, constant((start == k).astype(x.dtype.numpy)))
        tau = e.div(e.sub(size, head), size) if k < rows - 1 else e.mul(head, 0)
        x = e.sub(x, e.mul(e.mul(tau, v), product("geqrf", turned(v), x)))
        vectors.append(below)
        scales.append(reshaped("geqrf", tau, lead))
    if len(vectors) < columns:
        vectors.append(expand(unit(1, x), (*lead, rows, columns - len(vectors))))
    packed = e.add(triu(x), tril(concat(vectors, last), -1)) if columns else x
    return packed, stack(scales, -1) if scales else reshaped("geqrf", x, (*lead, 0))


def _reflected(name: str, vectors: Tensor, tau: Tensor, x: Tensor, inverse: bool) -> Tensor:
    """The product of Householder's reflections (its transpose if `inverse`) times x."""
    rows, count = vectors.shape[-2], tau.shape[-1]
    for k in range(count) if inverse else reversed(range(count)):
        start = np.arange(rows).reshape(rows, 1)
        v = c.where(constant(start > k), sliced(vectors, vectors.ndim - 1, k, k + 1), 0.0)
        v = e.add(v, constant((start == k).astype(x.dtype.numpy)))
        scale = reshaped(name, sliced(tau, tau.ndim - 1, k, k + 1), (*tau.shape[:-1], 1, 1))
        x = e.sub(x, e.mul(e.mul(scale, v), product(name, turned(v), x)))
    return x


def orgqr(input, input2):
    """The first columns of the product of the reflections that `geqrf` gives.

    >>> ops.orgqr(*ops.geqrf(ops.ones((3, 2)))).shape
    (3, 2)
    """
    vectors, tau = matrices("orgqr", input), floating("orgqr", input2)
    rows, columns = vectors.shape[-2:]
    start = constant(np.eye(rows, columns, dtype=vectors.dtype.numpy))
    return _reflected("orgqr", vectors, tau, expand(start, vectors.shape), False)


def ormqr(input, tau, other, left=True, transpose=False):
    """The product of the reflections that `geqrf` gives, or its transpose, times a matrix, or a
    matrix times it.

    >>> ops.ormqr(*ops.geqrf(ops.ones((3, 2))), ops.ones((3, 4))).shape
    (3, 4)
    """
    vectors, scales = matrices("ormqr", input), floating("ormqr", tau)
    x = matrices("ormqr", other)
    if left:
        return _reflected("ormqr", vectors, scales, x, transpose)
    return turned(_reflected("ormqr", vectors, scales, turned(x), not transpose))


# --- eigenvalues and singular values ------------------------------------------------------------


def eigh(A, UPLO="L"):
    """Eigenvalues in ascending order, and eigenvectors as columns, of symmetric matrices.

    Derivatives are those of distinct eigenvalues. Of equal ones only what does not depend on the
    choice of their vectors has a derivative, and gets it; the rest is taken for 0.

    Args:
        A: Tensor [..., n, n], of which the lower ("L") or the upper ("U") triangle is read.

    >>> from jitgrad import Tensor, ops
    >>> ops.eigh(Tensor([[3.0, 0.0], [0.0, 1.0]]))[0].tolist()
    [1.0, 3.0]
    """
    one_of("eigh", "UPLO", UPLO, ("L", "U"))
    return apply(factor.eigh, symmetric("eigh", A, UPLO == "U"))


def eigvalsh(A, UPLO="L"):
    """Eigenvalues of symmetric matrices, in ascending order.

    >>> print(ops.eigvalsh(Tensor([[2.0, 0.0], [0.0, 1.0]])))
    [1. 2.]
    """
    return eigh(A, UPLO)[0]


def svd(input, full_matrices=False, compute_uv=True):
    """Singular values s in descending order, and u and v with u @ diag(s) @ v.T the input.

    Derivatives are those of distinct singular values, as in `eigh`; with `full_matrices` only s
    has one, unless the matrices are square.

    >>> from jitgrad import Tensor, ops
    >>> ops.svd(Tensor([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False).tolist()
    [4.0, 3.0]
    """
    u, s, vh = singular("svd", input, full_matrices and compute_uv)
    return (s, u, turned(vh)) if compute_uv else s


def singular(name: str, value, full: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """u, s and the transpose of v."""
    u, s, vh = apply(factor.svd, matrices(name, value), full=full)
    return u, s, vh


def svdvals(A):
    """Singular values, in descending order.

    >>> print(ops.svdvals(Tensor([[0.0, 3.0], [2.0, 0.0]])))
    [3. 2.]
    """
    return svd(A, compute_uv=False)


# --- eigenvalues of any matrix: values only -----------------------------------------------------


def _eigen(name: str, input) -> tuple[np.ndarray, np.ndarray]:
    x = square_matrices(name, input)
    if x.requires_grad:
        raise fail(
            TapeError,
            f"{name} of a Tensor that is being differentiated",
            why="these eigenvalues have no derivative here yet",
            instead="ops.eigh(x) if it is symmetric, or ops.stop_gradient(x)",
        )
    array = x._array(f"given to {name}")
    values, vectors = np.linalg.eig(array)
    wanted = x.dtype.complex if np.iscomplexobj(values) else x.dtype
    return values.astype(wanted.numpy), vectors.astype(wanted.numpy)


def eig(A):
    """Eigenvalues, in no order, and eigenvectors as columns: complex unless all are real.

    Not differentiable, and not in a trace.

    >>> values, vectors = ops.eig(Tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> values.tolist()
    [2.0, 1.0]
    """
    return tuple(map(constant, _eigen("eig", A)))


def eigvals(A):
    """Eigenvalues, in no order: complex unless all are real. Not differentiable, and not in a
    trace.

    >>> ops.eigvals(Tensor([[2.0, 0.0], [0.0, 1.0]])).tolist()
    [2.0, 1.0]
    """
    return constant(_eigen("eigvals", A)[0])


__all__ = [
    "batched", "cholesky", "cholesky_inverse", "cholesky_solve", "eig", "eigh", "eigvals",
    "eigvalsh", "geqrf", "lu", "lu_factor", "lu_solve", "lu_unpack", "matrices", "orgqr", "ormqr",
    "qr", "singular", "square_matrices", "svd", "svdvals", "symmetric", "turned", "unit",
]  # fmt: skip
