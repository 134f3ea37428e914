"""Factorizations and systems: the laws of ops, and what is wrong with matrices."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import ops
from jitgrad.errors import DTypeError, LinAlgError, ShapeError, TapeError
from jitgrad.ir.node import constant, input_node, project
from jitgrad.ir.op import OPS
from jitgrad.ir.types import DTYPES, TensorType, float16, float64
from jitgrad.primitives import determinant, factor, solve
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.matrix import rows_of
from jitgrad.primitives.shape import transpose_last

NAMES = (
    *("cholesky", "det", "eigh", "expm", "lu", "pinv", "qr", "slogdet", "solve", "svd"),
    "triangular_solve",
)


def multiples(array: np.ndarray, size: int) -> np.ndarray:
    """A batch: with its elements in other orders, as elsewhere, a matrix would not be regular."""
    return np.stack([array * (1 + i / 8) for i in range(size)])


@pytest.mark.parametrize("name", [n for n in NAMES if n != "pinv"])
def test_laws(name, laws, monkeypatch):
    monkeypatch.setattr(laws, "_stack", multiples)
    for dtype in DTYPES:
        for sample in OPS[name].samples(dtype):
            if dtype is float64:
                laws.of_sample(OPS[name], sample)
            else:
                laws.run(lambda *n, s=sample: OPS[name](*n, **s.attrs), *sample.inputs)


def test_derivatives_of_pinv(laws):
    for sample in OPS["pinv"].samples(float64):
        a, limits = sample.inputs
        laws.twice(lambda x, limits=limits: solve.pinv(x, constant(limits)), [a])


def test_equal_eigenvalues(laws):
    """The sum of the values has a derivative, and so has every function of the whole matrix."""

    def whole(x):
        node = factor.eigh(x)
        values, vectors = project(node, 0), project(node, 1)
        return matmul(vectors * rows_of(values, 3), transpose_last(vectors))

    x = np.diag([2.0, 2.0, 5.0])
    vjp, arguments = laws.gradients(whole, [x])
    (found,) = laws.run(vjp, *arguments)
    assert np.isfinite(found).all()


def test_equal_singular_values_of_the_values_alone(laws):
    vjp, (x, seed) = laws.gradients(lambda x: project(factor.svd(x, full=False), 1), [np.eye(3)])
    (found,) = laws.run(vjp, x, seed)
    np.testing.assert_allclose(np.trace(found), seed.sum())


# --- bad input ----------------------------------------------------------------------------------

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
BAD = [
    ("singular", lambda x: solve.solve(x, x, transpose=False), SINGULAR),
    (
        "singular",
        lambda x: solve.triangular_solve(x, x, lower=True, transpose=False, unit=False),
        np.zeros((2, 2)),
    ),
    ("not positive definite", factor.cholesky, SINGULAR),
    ("could be found", lambda x: project(factor.svd(x, full=False), 1), np.full((2, 2), np.nan)),
]


@pytest.mark.parametrize(("words", "call", "x"), BAD, ids=[b[0] for b in BAD])
def test_bad_matrices(words, call, x, laws):
    with pytest.raises(LinAlgError, match=f"a matrix of 2 rows .*{words}"):
        laws.run(call, x)


def test_bad_types(laws):
    half = input_node("x", TensorType(float16, (2, 2)))
    with pytest.raises(DTypeError, match="LAPACK computes in float32 and float64"):
        factor.cholesky(half)
    flat = input_node("x", TensorType(float64, (2, 3)))
    with pytest.raises(ShapeError, match="square matrices"):
        determinant.det(flat)
    matrix = input_node("a", TensorType(float64, (2, 2)))
    with pytest.raises(ShapeError, match="as many rows"):
        solve.solve(matrix, transpose_last(flat), transpose=False)


@pytest.mark.parametrize("name", ["qr", "svd"])
def test_no_derivative(name, laws):
    x = np.arange(6.0).reshape(3, 2)
    how = {"complete": True} if name == "qr" else {"full": True}
    vjp, arguments = laws.gradients(lambda x: project(OPS[name](x, **how), 0), [x])
    with pytest.raises(TapeError, match=f"derivative of {name} of 3x2"):
        laws.run(vjp, *arguments)


SINGULAR = {
    "rank 1 of 2": [[1, 2], [2, 4]],
    "rank 2 of 3": [[1, 2, 3], [2, 4, 6], [1, 0, 1]],
    "a column of zeros": [[0, 1, 2], [0, 3, 1], [0, 1, 4]],
    "rank 1 of 3": [[1, 2, 3], [2, 4, 6], [3, 6, 9]],
    "zeros": [[0, 0], [0, 0]],
    "a zero": [[0]],
    "rank 3 of 4, twice": [np.diag([1, 2, 0, 3]), np.diag([0, 5, 1, 2])],
}


@pytest.mark.parametrize("name", SINGULAR)
def test_determinants_of_singular_matrices(name):
    """Their derivatives are the cofactors."""
    a = np.array(SINGULAR[name], np.float64)
    n = a.shape[-1]
    cofactors = np.empty_like(a)
    for i, j in np.ndindex(n, n):
        minor = np.delete(np.delete(a, i, -2), j, -1)
        cofactors[..., i, j] = (-1) ** (i + j) * np.linalg.det(minor)
    for gradient in (ms.grad(ops.det), ms.jit(ms.grad(ops.det))):
        np.testing.assert_allclose(gradient(a), cofactors, rtol=1e-12, atol=1e-12)
