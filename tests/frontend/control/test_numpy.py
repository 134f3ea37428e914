"""NumPy in compiled code: its functions on traced values, and arrays that are written to."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor
from jitgrad.errors import TraceError
from tests.frontend.control.conftest import interpreted

A = np.array([[1.0, -2.0], [3.0, 4.5]])
V = np.array([1.0, 2.5])

FUNCTIONS = {
    "where": lambda x: np.where(x > 0, x, 0.0),
    "sum": lambda x: np.sum(x, axis=0),
    "mean": lambda x: np.mean(x),
    "std": lambda x: np.std(x, axis=1),
    "max": lambda x: np.max(x, axis=1, keepdims=True),
    "argmax": lambda x: np.argmax(x),
    "prod": lambda x: np.prod(x),
    "cumsum": lambda x: np.cumsum(x, axis=0),
    "dot": lambda x: np.dot(x, V),
    "matmul": lambda x: np.matmul(x, V),
    "einsum": lambda x: np.einsum("ij,j->i", x, V),
    "outer": lambda x: np.outer(x[0], V),
    "trace": lambda x: np.trace(x),
    "vdot": lambda x: np.vdot(x, x),
    "norm": lambda x: np.linalg.norm(x),
    "solve": lambda x: np.linalg.solve(x, V),
    "inv": lambda x: np.linalg.inv(x),
    "concatenate": lambda x: np.concatenate([x, x]),
    "stack": lambda x: np.stack([x, x], axis=1),
    "hstack": lambda x: np.hstack([x, x]),
    "split": lambda x: np.split(x, 2)[1],
    "reshape": lambda x: np.reshape(x, (-1,)),
    "transpose": lambda x: np.transpose(x),
    "expand_dims": lambda x: np.expand_dims(x, 0),
    "squeeze": lambda x: np.squeeze(x[None]),
    "flip": lambda x: np.flip(x, axis=1),
    "roll": lambda x: np.roll(x, 1, axis=0),
    "tile": lambda x: np.tile(x, (2, 1)),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "diag": lambda x: np.diag(x),
    "clip": lambda x: np.clip(x, 0, 1),
    "maximum": lambda x: np.maximum(x, 0),
    "sort": lambda x: np.sort(x, axis=-1),
    "interp": lambda x: np.interp(0.5, V, x[0]),
    "meshgrid": lambda x: np.meshgrid(x[0], x[1])[0],
    "zeros_like": lambda x: np.zeros_like(x),
    "full_like": lambda x: np.full_like(x, 2.0),
    "array of items": lambda x: np.array([x[0, 0], x[1, 1] * 2, 5.0]),
    "array of rows": lambda x: np.array([[x[0, 0], 1.0], [2.0, x[1, 1]]]),
    "asarray": lambda x: np.asarray(x),
    "shape": lambda x: np.shape(x)[0] * x,
    "float64": lambda x: np.float64(x[0, 1]) * x,
    "round": lambda x: np.round(x * 1.3, 1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_traced_values(name: str) -> None:
    function = FUNCTIONS[name]
    expected = np.asarray(function(A))
    for found in (function(Tensor(A)), interpreted(function)(Tensor(A))):
        if not isinstance(found, (Tensor, float)):
            assert name.startswith(("asarray", "array of"))  # of what has a value, eagerly
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-14)


def test_derivatives_of_functions() -> None:
    def f(x):
        return np.sum(np.where(x > 0, x, 0.0) ** 2) + np.linalg.norm(x[1])

    expected = 2 * np.maximum(A, 0)
    expected[1] += A[1] / np.linalg.norm(A[1])
    for gradient in (ms.grad(f), interpreted(ms.grad(f))):
        np.testing.assert_allclose(np.asarray(gradient(Tensor(A))), expected, rtol=1e-14)


def test_what_only_numpy_has() -> None:
    assert np.median(Tensor(V)) == 1.75
    with pytest.raises(TraceError, match=r"was searched by intersect1d"):
        interpreted(lambda x: np.intersect1d(x, x))(Tensor(V))
    with pytest.raises(TraceError, match=r"np\.sum is called on a traced Tensor"):
        interpreted(lambda x: np.sum(x, out=np.zeros(2), axis=0))(Tensor(A))


# --- arrays -------------------------------------------------------------------------------------


def product(a, x):
    out = np.zeros(len(a))
    for i in range(len(a)):
        total = 0.0
        for j in range(len(x)):
            total += a[i, j] * x[j]
        out[i] = total
    return out


def cholesky(a):
    n = len(a)
    low = np.zeros_like(a)
    for i in range(n):
        for j in range(i + 1):
            s = a[i, j]
            for k in range(j):
                s -= low[i, k] * low[j, k]
            low[i, j] = np.sqrt(s) if i == j else s / low[j, j]
    return low


def names(x):
    a = np.zeros((3, 3))
    row, same = a[1], a
    row[0] = 5.0
    a[0, 0] = x
    same[2] = x * 2
    row[2] = 7.0
    return a, row, same


def histogram(x):
    counts = np.zeros(4)
    for value in x:
        counts[int(value)] += 1.0
    return counts


def distance(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1))
    table[:, 0] = np.arange(len(a) + 1)
    table[0] = np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            cost = 0.0 if a[i - 1] == b[j - 1] else 1.0
            best = min(table[i - 1, j], table[i, j - 1]) + 1.0
            table[i, j] = min(best, table[i - 1, j - 1] + cost)
    return table[len(a), len(b)]


POSITIVE = np.eye(5) + np.ones((5, 5)) / 7
WORDS = np.array([1, 2, 3, 4, 5, 3, 2, 4]), np.array([2, 3, 5, 3, 4, 4, 1])
PROGRAMS = {
    "product": (product, (np.arange(12.0).reshape(4, 3), V[[0, 1, 0]])),
    "cholesky": (cholesky, (POSITIVE,)),
    "names": (names, (2.5,)),
    "histogram": (histogram, (np.array([0.0, 1.2, 3.5, 1.1, 2.2] * 3),)),
    "distance": (distance, WORDS),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_arrays_that_traced_values_are_written_to(name: str) -> None:
    program, inputs = PROGRAMS[name]
    expected = program(*inputs)
    found = interpreted(program)(*[Tensor(np.asarray(x)) for x in inputs])
    pairs = zip(found, expected, strict=True) if name == "names" else [(found, expected)]
    for a, b in pairs:
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-14)


def test_derivatives_through_arrays() -> None:
    gradient = interpreted(ms.grad(lambda a: (cholesky(a) ** 2).sum()))
    # The sum of the squares of a Cholesky factor is the trace of the matrix.
    np.testing.assert_allclose(gradient(Tensor(POSITIVE)).asnumpy(), np.eye(5), atol=1e-15)


def test_static_arrays_stay_numpy_arrays() -> None:
    @interpreted
    def f(x):
        order = np.zeros(3, dtype=int)
        for i in range(3):
            order[i] = (2 * i) % 3
        assert type(order) is np.ndarray
        return x[order], x.reshape(tuple(order[:2] + 1))

    picked, shaped = f(Tensor(np.array([1.0, 2.0, 3.0])))
    assert picked.tolist() == [1.0, 3.0, 2.0]
    assert shaped.shape == (1, 3)


def test_an_array_from_outside_is_not_written_to() -> None:
    buffer = np.zeros(3)

    @interpreted
    def f(x):
        buffer[0] = x
        return buffer

    text = r"a traced value is written into a NumPy array of shape \[3\]"
    with pytest.raises(TraceError, match=text):
        f(Tensor(1.0))
    assert buffer[0] == 0.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.int32, bool])
def test_tables_are_looked_up_with_traced_numbers(dtype: type) -> None:
    """An element has the dtype that it has eagerly: it is a number, and the Tensor decides."""
    table = np.arange(100).astype(dtype)

    def f(x, n):
        total = x * 0
        for i in range(n):
            total = total + table[i] * x
        return total

    for x in (Tensor(np.float32(2)), Tensor(np.array(2.0)), Tensor(3)):
        eager, found = f(x, 100), interpreted(f)(x, Tensor(100))
        assert found.dtype is eager.dtype
        assert found.item() == eager.item()
    table[0] = 1
    assert interpreted(f)(Tensor(3), Tensor(1)).item() == 3
