"""Running sums, products, recurrences and extremes."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.errors import DTypeError, ShapeError
from jitgrad.ir.node import input_node, project
from jitgrad.ir.op import OPS
from jitgrad.ir.types import TensorType, float32, int8, int32, int64
from jitgrad.primitives import scan

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("op", ["cumsum", "cumprod", "recurrence", "cummax", "cummin"])
def test_laws(op, laws):
    laws.of_op(OPS[op])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("op", "function"), [("cumsum", np.cumsum), ("cumprod", np.cumprod)])
def test_values(op, function, axis, reverse, laws):
    for dtype in (np.float64, np.float32, np.int8):
        x = (RNG.standard_normal((3, 4, 2)) * 2).astype(dtype)
        ordered = np.flip(x, axis) if reverse else x
        want = function(ordered, axis, dtype)
        got = laws.one(lambda x: OPS[op](x, axis=axis, reverse=reverse), x)
        np.testing.assert_array_equal(np.flip(got, axis) if reverse else got, want)


@pytest.mark.parametrize("reverse", [False, True])
def test_recurrence(reverse, laws):
    a, b = RNG.standard_normal((2, 5, 3)), RNG.standard_normal((2, 5, 3))
    a[:, 4 if reverse else 0] = np.nan  # not used
    want, state = np.zeros_like(b), 0
    for k in range(5)[:: -1 if reverse else 1]:
        state = b[:, k] + (0 if np.isscalar(state) else a[:, k] * state)
        want[:, k] = state
    got = laws.one(lambda a, b: scan.recurrence(a, b, axis=1, reverse=reverse), a, b)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("zeros", [(), (0,), (2,), (4,), (1, 3), (0, 1, 4)])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumprod_derivatives_at_zeros(zeros, reverse, laws):
    x = RNG.uniform(0.5, 1.5, (5, 2))
    x[list(zeros), 0] = 0

    def f(x):
        return scan.cumprod(x, axis=0, reverse=reverse)

    laws.twice(f, [x])


def test_third_derivative_of_cumprod(laws):
    """x^4 of ones after one another: d3/dx3 of x0 x1 x2 x3 along (1, 1, 1, 1) is 24 x."""

    def last(x):
        return scan.cumprod(x, axis=0, reverse=False)

    once, a1 = laws.gradients(last, [np.full(4, 0.0)])
    twice, a2 = laws.gradients(once, a1)
    laws.derivative(twice, a2)


EXTREMES = [("cummax", np.maximum), ("cummin", np.minimum)]


@pytest.mark.parametrize(("op", "ufunc"), EXTREMES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_extremes(op, ufunc, axis, laws):
    x = RNG.integers(-3, 4, (3, 6, 2)).astype(float)
    values, indices = laws.run(lambda x: OPS[op](x, axis=axis, dtype=int64), x)
    np.testing.assert_array_equal(values, ufunc.accumulate(x, axis))
    np.testing.assert_array_equal(np.take_along_axis(x, indices, axis), values)
    for p in np.ndindex(x.shape):
        line = np.moveaxis(x, axis, -1)[tuple(np.delete(p, axis))][: p[axis] + 1]
        assert indices[p] == np.flatnonzero(line == values[p])[-1]


@pytest.mark.parametrize(("op", "ufunc"), EXTREMES)
def test_extremes_of_nan_and_infinity(op, ufunc, laws):
    x = np.array([-np.inf, np.inf, 1, np.nan, 3, -np.inf, np.nan, 9])
    values, indices = laws.run(lambda x: OPS[op](x, axis=0, dtype=int32), x)
    np.testing.assert_array_equal(values, ufunc.accumulate(x))
    np.testing.assert_array_equal(indices[3:], [3, 3, 3, 6, 6])


@pytest.mark.parametrize(("op", "ufunc"), EXTREMES)
def test_gradient_of_ties_goes_to_the_latest(op, ufunc, laws):
    def f(x):
        return project(OPS[op](x, axis=0, dtype=int32), 0)

    vjp, arguments = laws.gradients(f, [np.array([1.0, 1, 1])])
    arguments[-1] = np.array([1.0, 10, 100])
    np.testing.assert_array_equal(laws.one(vjp, *arguments), [1, 10, 100])


def test_type_errors():
    x = input_node("x", TensorType(float32, (4, 3)))
    with pytest.raises(ShapeError, match=r"cumsum of f32\[4,3\] along axis 2"):
        scan.cumsum(x, axis=2, reverse=False)
    with pytest.raises(DTypeError, match="indices are int32 or int64"):
        scan.cummax(x, axis=0, dtype=int8)
