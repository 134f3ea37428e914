"""Rows for linear algebra. What LAPACK leaves open, such as signs, is multiplied away or fixed."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from jitgrad import ops
from jitgrad.numpy import linalg as named
from tests.ops.table import Row, reals, row

SQUARE = reals(3, 3) + 3 * np.eye(3)
STACK = reals(2, 4, 4) + 4 * np.eye(4)
POSITIVE = SQUARE @ SQUARE.T
TALL, WIDE = reals(2, 4, 3), reals(2, 3, 4)
RIGHT = reals(3, 2)


def mirrored(x):
    """The symmetric part."""
    return (x + np.swapaxes(x, -1, -2)) / 2


def symmetric(call):
    """The call on the symmetric part, so that central differences see what derivatives are of."""
    return lambda x, *rest: call((x + ops.swapaxes(x, -1, -2)) / 2, *rest)


def fixed(q):
    """Columns with their first element positive."""
    return q * np.sign(q[..., :1, :])


def eigh(x):
    values, vectors = ops.eigh(x)
    return values, vectors * ops.stop_gradient(ops.sign(vectors[..., :1, :]))


def svd(x):
    s, u, v = ops.svd(x)
    sign = ops.stop_gradient(ops.sign(u[..., :1, :]))
    return s, u * sign, v * sign


def numpy_svd(x):
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    sign = np.sign(u[..., :1, :])
    return s, u * sign, np.swapaxes(vh, -1, -2) * sign


def numpy_eigh(x):
    values, vectors = np.linalg.eigh(mirrored(x))
    return values, fixed(vectors)


def matrix_function(function):
    """A SciPy function of one matrix, over a batch."""

    def call(x):
        return np.stack([function(one) for one in x]) if x.ndim > 2 else function(x)

    return call


LINALG: list[Row] = [
    row(symmetric(ops.cholesky), lambda x: np.linalg.cholesky(mirrored(x)), POSITIVE),
    row(
        symmetric(lambda x: ops.cholesky(x, upper=True)),
        lambda x: np.swapaxes(np.linalg.cholesky(mirrored(x)), -1, -2),
        STACK @ np.swapaxes(STACK, -1, -2),
        name="cholesky upper",
    ),
    row(
        ops.cholesky_inverse,
        lambda x: np.linalg.inv(np.tril(x) @ np.tril(x).T),
        SQUARE,
    ),
    row(
        lambda b, x: ops.cholesky_solve(b, x, True),
        lambda b, x: np.linalg.solve(np.triu(x).T @ np.triu(x), b),
        RIGHT,
        SQUARE,
        name="cholesky_solve",
    ),
    row(ops.solve, np.linalg.solve, SQUARE, RIGHT),
    row(ops.solve, lambda a, b: np.linalg.solve(a, b[:, None])[:, 0], SQUARE, RIGHT[:, 0]),
    row(
        lambda a, b: ops.solve(a, b, left=False),
        lambda a, b: np.swapaxes(np.linalg.solve(a.T, b.T), -1, -2),
        SQUARE,
        RIGHT.T,
        name="solve from the right",
    ),
    row(
        lambda a, b: ops.matrix_solve(a, b, adjoint=True),
        lambda a, b: np.linalg.solve(np.swapaxes(a, -1, -2), b),
        STACK,
        reals(4, 2),
        name="matrix_solve adjoint",
    ),
    row(
        lambda a, b: ops.solve_triangular(a, b, lower=True),
        lambda a, b: scipy.linalg.solve_triangular(a, b, lower=True),
        SQUARE,
        RIGHT,
        name="solve_triangular",
    ),
    row(
        lambda a, b: ops.solve_triangular(a, b, trans=1, unit_diagonal=True),
        lambda a, b: scipy.linalg.solve_triangular(a, b, trans=1, unit_diagonal=True),
        SQUARE,
        RIGHT[:, 0],
        name="solve_triangular unit",
    ),
    row(ops.inverse, np.linalg.inv, STACK),
    row(ops.det, np.linalg.det, STACK),
    row(ops.det, np.linalg.det, SQUARE[:1, :1]),
    row(ops.slogdet, lambda x: tuple(np.linalg.slogdet(x)), -STACK),
    row(ops.logdet, lambda x: np.linalg.slogdet(x)[1], POSITIVE),
    row(ops.lstsq, lambda a, b: np.linalg.lstsq(a, b, rcond=None)[0], TALL[0], reals(4, 2)),
    row(ops.lstsq, lambda a, b: np.linalg.lstsq(a, b, rcond=None)[0], WIDE[0], reals(3)),
    row(ops.pinv, np.linalg.pinv, TALL),
    row(ops.pinv, np.linalg.pinv, WIDE),
    row(ops.pinv, np.linalg.pinv, SQUARE),
    row(ops.qr, lambda x: tuple(np.linalg.qr(x)), TALL),
    row(ops.qr, lambda x: tuple(np.linalg.qr(x)), WIDE),
    row(
        lambda x: ops.qr(x, "complete"),
        lambda x: tuple(np.linalg.qr(x, "complete")),
        TALL,
        grad=False,
        name="qr complete",
    ),
    row(lambda x: ops.matmul(*ops.qr(x)), lambda x: x, TALL, name="qr product"),
    row(lambda x: ops.orgqr(*ops.geqrf(x)), lambda x: np.linalg.qr(x)[0], TALL[0], name="orgqr"),
    row(
        lambda x, y: ops.ormqr(*ops.geqrf(x), y, left=False),
        lambda x, y: y @ np.linalg.qr(x)[0],
        SQUARE,
        RIGHT.T,
        name="ormqr",
    ),
    row(lambda x: ops.lu(x)[1:], lambda x: scipy.linalg.lu(x)[1:], SQUARE, name="lu"),
    row(lambda x: ops.matmul(*ops.lu(x)[1:]), lambda x: x, STACK, name="lu product"),
    row(
        lambda a, b: ops.lu_solve(b, *ops.lu_factor(a)),
        np.linalg.solve,
        SQUARE[::-1].copy(),
        RIGHT,
        name="lu_solve",
    ),
    row(symmetric(eigh), numpy_eigh, STACK),
    row(symmetric(named.eigvalsh), lambda x: np.linalg.eigvalsh(mirrored(x)), SQUARE),
    row(svd, numpy_svd, SQUARE),
    row(svd, numpy_svd, TALL),
    row(svd, numpy_svd, WIDE),
    row(
        lambda x: ops.svd(x, full_matrices=True),
        lambda x: (lambda v, s, uh: (s, np.swapaxes(uh, -1, -2), v))(
            *np.linalg.svd(np.swapaxes(x, -1, -2))
        ),
        TALL,
        grad=False,
        name="svd full",
    ),
    row(
        lambda x: ops.svd(x, compute_uv=False),
        lambda x: np.linalg.svd(x, compute_uv=False),
        WIDE,
        name="svd values",
    ),
    row(ops.matrix_exp, matrix_function(scipy.linalg.expm), STACK / 3),
    row(ops.matrix_exp, matrix_function(scipy.linalg.expm), SQUARE),
    row(
        lambda x: ops.matrix_power(x, -2),
        lambda x: np.linalg.matrix_power(x, -2),
        SQUARE,
        name="matrix_power",
    ),
    row(ops.matrix_rank, np.linalg.matrix_rank, TALL @ WIDE, grad=False),
    *(
        row(
            lambda x, p=p: ops.matrix_norm(x, p),
            lambda x, p=p: np.linalg.norm(x, p, (-2, -1)),
            TALL,
            name=f"matrix_norm {p}",
        )
        for p in ("fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf)
    ),
    *(
        row(lambda x, p=p: ops.cond(x, p), lambda x, p=p: np.linalg.cond(x, p), STACK, name="cond")
        for p in (None, -2, "fro", "nuc", 1)
    ),
    row(
        lambda a, b, c: named.multi_dot([a, b, c]),
        lambda a, b, c: a @ b @ c,
        RIGHT,
        RIGHT.T,
        reals(3),
        name="multi_dot",
    ),
    row(named.tensorsolve, np.linalg.tensorsolve, reals(2, 3, 6) + 1, reals(2, 3)),
    row(lambda x: named.tensorinv(x, 1), lambda x: np.linalg.tensorinv(x, 1), reals(6, 2, 3)),
]
