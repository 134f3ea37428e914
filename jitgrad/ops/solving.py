"""Systems of linear equations, determinants, norms and functions of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.types import int64
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.decompose import (
    batched,
    matrices,
    qr,
    singular,
    square_matrices,
    svdvals,
    symmetric,
    turned,
    unit,
)
from jitgrad.ops.linalg import product
from jitgrad.ops.norms import matrix_norm
from jitgrad.ops.promote import (
    apply,
    constant,
    describe,
    expand,
    floating,
    fresh,
    inexact,
    splat,
    tensor,
)
from jitgrad.ops.shaping import reshaped, sliced
from jitgrad.primitives import determinant
from jitgrad.primitives import solve as primitive
from jitgrad.primitives.declare import NUMBER
from jitgrad.tensor import Tensor

# --- systems ------------------------------------------------------------------------------------


def _right(name: str, a: Tensor, value) -> tuple[Tensor, bool]:
    """A right side as matrices, and whether it was vectors."""
    b = floating(name, value)
    vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    b = reshaped(name, b, (*b.shape, 1)) if vector else b
    if b.ndim < 2 or b.shape[-2] != a.shape[-2]:
        raise fail(
            ShapeError,
            f"{name} of {describe((a, b))}",
            why=f"the right side has {a.shape[-2]} rows",
        )
    return b, vector


def _answer(name: str, x: Tensor, vector: bool) -> Tensor:
    return reshaped(name, x, x.shape[:-1]) if vector else x


def solve(A, B, *, left=True):
    """The X with A @ X = B (or X @ A = B) for square matrices; B may be a vector.

    Args:
        A: Tensor [..., n, n].
        B: Tensor [..., n, k] or [..., n], of the same dtype.

    Raises:
        LinAlgError: a matrix is singular.

    >>> from jitgrad import Tensor, ops
    >>> ops.solve(Tensor([[2.0, 0.0], [0.0, 4.0]]), Tensor([2.0, 2.0])).tolist()
    [1.0, 0.5]
    """
    if not left:
        return turned(solve(turned(matrices("solve", A)), turned(matrices("solve", B))))
    a = square_matrices("solve", A)
    b, vector = _right("solve", a, B)
    return _answer("solve", solved("solve", a, b), vector)


def solved(name: str, matrix: Tensor, right: Tensor, transpose: bool = False) -> Tensor:
    """The X with matrix @ X = right, both matrices, or batches of them that broadcast."""
    matrix, right = batched(name, matrix, right)
    return apply(primitive.solve, matrix, right, transpose=transpose)


def matrix_solve(matrix, rhs, adjoint=False):
    """The X with matrix @ X = rhs (or with its transpose), for square matrices.

    >>> ops.matrix_solve(2 * ops.eye(2), Tensor([[2.0], [4.0]])).tolist()
    [[1.0], [2.0]]
    """
    a = square_matrices("matrix_solve", matrix)
    b, vector = _right("matrix_solve", a, rhs)
    return _answer("matrix_solve", solved("matrix_solve", a, b, bool(adjoint)), vector)


def solve_triangular(a, b, trans=0, lower=False, unit_diagonal=False):
    """The X with T @ X = b, where T is one triangle of a; `trans` 1 or "T" takes its transpose.

    Raises:
        LinAlgError: there is a 0 on the diagonal, and it is not taken for ones.

    >>> from jitgrad import Tensor, ops
    >>> a = Tensor([[2.0, 9.0], [1.0, 4.0]])
    >>> ops.solve_triangular(a, Tensor([2.0, 5.0]), lower=True).tolist()
    [1.0, 1.0]
    """
    x = square_matrices("solve_triangular", a)
    right, vector = _right("solve_triangular", x, b)
    x, right = batched("solve_triangular", x, right)
    how = {"lower": bool(lower), "transpose": trans in (1, 2, "T", "C"), "unit": unit_diagonal}
    found = apply(primitive.triangular_solve, x, right, **how)
    return _answer("solve_triangular", found, vector)


def matrix_triangular_solve(matrix, rhs, lower=True, adjoint=False):
    """`solve_triangular` of matrices, from their lower triangles unless said otherwise.

    >>> ops.matrix_triangular_solve(Tensor([[2.0, 0.0], [0.0, 1.0]]), Tensor([[2.0],
    ...     [4.0]])).tolist()
    [[1.0], [4.0]]
    """
    return solve_triangular(matrix, rhs, int(adjoint), lower)


def inverse(input):
    """The inverse of square matrices.

    Raises:
        LinAlgError: a matrix is singular.

    >>> from jitgrad import Tensor, ops
    >>> ops.inverse(Tensor([[2.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    x = square_matrices("inverse", input)
    return solved("inverse", x, expand(unit(x.shape[-1], x), x.shape))


def lstsq(input, A):
    """The X for which the sum of squares of input @ X - A is least, and of all such the one that
    is itself smallest. The input has full rank.

    Args:
        input: Tensor [..., m, n].
        A: Tensor [..., m, k] or [..., m], of the same dtype.

    Returns:
        Tensor [..., n, k] or [..., n].

    >>> print(ops.lstsq(2 * ops.eye(2), Tensor([[2.0], [4.0]])).asnumpy().round(4).tolist())
    [[1.0], [2.0]]
    """
    x = matrices("lstsq", input)
    right, vector = _right("lstsq", x, A)
    wide = x.shape[-2] < x.shape[-1]
    q, upper = qr(turned(x) if wide else x)
    if wide:
        found = product("lstsq", q, solve_triangular(upper, right, trans=1))
    else:
        found = solve_triangular(upper, product("lstsq", turned(q), right))
    return _answer("lstsq", found, vector)


def pinv(x, *, atol=None, rtol=None, hermitian=False):
    """The pseudo-inverse of matrices: that of x = u diag(s) v' is v diag(1 / s) u'.

    Singular values up to `rtol` times the largest, or up to `atol`, count as 0. The derivative
    holds where that does not change. `hermitian` reads the lower triangle only.

    >>> print(ops.pinv(2 * ops.eye(2)).asnumpy().round(4).tolist())
    [[0.5, 0.0], [0.0, 0.5]]
    """
    x = symmetric("pinv", x, False) if hermitian else matrices("pinv", x)
    if rtol is None:
        rtol = 0.0 if atol else max(x.shape[-2:]) * float(np.finfo(x.dtype.numpy).eps)
    limits = constant(np.array([rtol, atol or 0.0], x.dtype.numpy))
    return apply(primitive.pinv, x, expand(limits, (*x.shape[:-2], 2)))


def tensorinv(a, ind=2):
    """The inverse of a Tensor as a map from its last axes to its first `ind`.

    >>> ops.tensorinv(ops.eye(4).reshape(4, 2, 2), 1).shape
    (2, 2, 4)
    """
    x = floating("tensorinv", a)
    rows = math.prod(x.shape[:ind])
    found = inverse(reshaped("tensorinv", x, (rows, x._type.size // max(rows, 1))))
    return reshaped("tensorinv", found, x.shape[ind:] + x.shape[:ind])


def tensorsolve(a, b):
    """The x with the sum of a * x over the axes of x equal to b.

    >>> ops.tensorsolve(ops.eye(4).reshape(4, 2, 2), ops.ones(4)).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    x, right = floating("tensorsolve", a), floating("tensorsolve", b)
    matrix = reshaped("tensorsolve", x, (right._type.size, -1))
    found = solve(matrix, reshaped("tensorsolve", right, (right._type.size,)))
    return reshaped("tensorsolve", found, x.shape[right.ndim :])


# --- determinants -------------------------------------------------------------------------------


def det(input):
    """The determinant of square matrices. Its derivatives are the cofactors, always.

    >>> ops.det(Tensor([[2.0, 0.0], [0.0, 3.0]])).item()
    6.0
    """
    return apply(determinant.det, square_matrices("det", input))


def slogdet(input):
    """The sign of the determinant and the logarithm of its magnitude, as a tuple.

    >>> [v.item() for v in ops.slogdet(-ops.eye(1))]
    [-1.0, 0.0]
    """
    return apply(determinant.slogdet, square_matrices("slogdet", input))


def logdet(input):
    """The logarithm of the determinant; nan where that is negative.

    >>> ops.logdet(ops.eye(2)).item()
    0.0
    """
    sign, total = slogdet(input)
    return c.where(c.lt(sign, 0), splat(np.nan, total._type), total)


# --- functions of matrices ----------------------------------------------------------------------


def matrix_exp(input):
    """The exponential of square matrices.

    >>> from jitgrad import Tensor, ops
    >>> ops.matrix_exp(Tensor([[0.0, 1.0], [0.0, 0.0]])).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    return apply(primitive.expm, square_matrices("matrix_exp", input))


@fresh
def matrix_power(input, n):
    """The n-th power of square matrices; of the inverse for negative n.

    >>> ops.matrix_power(Tensor([[1.0, 1.0], [0.0, 1.0]]), 3).tolist()
    [[1.0, 3.0], [0.0, 1.0]]
    """
    x = tensor("matrix_power", input, NUMBER)
    if n < 0:
        x, n = inverse(x), -n
    out = None
    while n:
        if n & 1:
            out = x if out is None else product("matrix_power", out, x)
        n >>= 1
        x = product("matrix_power", x, x) if n else x
    return expand(unit(x.shape[-1], x), x.shape) if out is None else out


def matrix_rank(A, tol=None, hermitian=False):
    """How many singular values are above `tol`, by default what rounding leaves (int64).

    >>> ops.matrix_rank(ops.ones((2, 2))).item()
    1
    """
    x = matrices("matrix_rank", A)
    s = svdvals(e.stop_gradient(x))
    if tol is None:
        share = max(x.shape[-2:]) * float(np.finfo(x.dtype.numpy).eps)
        tol = e.mul(r.amax(s, -1, True), share) if s.shape[-1] else 0.0
    return r.sum(c.gt(s, tol), -1, dtype=int64)


def condition(A, p=None):
    """The condition number: the norm of matrices times that of their inverses; None is 2.

    p is that of `matrix_norm`: None, 2, -2, "fro", "nuc", 1, -1, inf or -inf.
    """
    x = matrices("cond", A)
    if p in (None, 2, -2):
        s = singular("cond", x)[1]
        axis, count = s.ndim - 1, s.shape[-1]
        first, last = sliced(s, axis, 0, 1), sliced(s, axis, count - 1, count)
        return reshaped("cond", e.div(last, first) if p == -2 else e.div(first, last), s.shape[:-1])
    return e.mul(matrix_norm(x, p), matrix_norm(inverse(x), p))


def multi_dot(tensors):
    """The product of matrices, in the order that needs the fewest operations; the first and the
    last may be vectors.

    >>> ops.multi_dot([ops.ones((2, 3)), ops.ones((3, 1))]).tolist()
    [[3.0], [3.0]]
    """
    parts = [inexact("multi_dot", x) for x in tensors]
    if len(parts) < 2:
        raise fail(ArgumentError, "multi_dot takes at least two Tensors")
    sizes = [1 if parts[0].ndim == 1 else parts[0].shape[0], *[x.shape[0] for x in parts[1:]]]
    sizes.append(1 if parts[-1].ndim == 1 else parts[-1].shape[-1])
    return _in_order(parts, _splits(sizes), 0, len(parts) - 1)


def _splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to cut each range of a product of matrices of these sizes, by dynamic programming."""
    count = len(sizes) - 1
    cost, cut = {(i, i): 0 for i in range(count)}, {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options = {
                k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            }
            cut[i, j] = min(options, key=options.__getitem__)
            cost[i, j] = options[cut[i, j]]
    return cut


def _in_order(parts: list[Any], cut: dict[tuple[int, int], int], i: int, j: int) -> Tensor:
    if i == j:
        return parts[i]
    k = cut[i, j]
    left, right = _in_order(parts, cut, i, k), _in_order(parts, cut, k + 1, j)
    return product("multi_dot", left, right)


__all__ = [
    "condition", "det", "inverse", "logdet", "lstsq", "matrix_exp", "matrix_power", "matrix_rank",
    "matrix_solve", "matrix_triangular_solve", "multi_dot", "pinv", "slogdet", "solve",
    "solve_triangular", "solved", "tensorinv", "tensorsolve",
]  # fmt: skip
