"""SciPy's optimizers over nests, with derivatives filled in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.optimize import least_squares, minimize, root


def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


METHODS = {
    None: 24,  # at most so many evaluations, with right derivatives
    "BFGS": 24,
    "CG": 110,
    "L-BFGS-B": 30,
    "Newton-CG": 40,
    "SLSQP": 30,
    "TNC": 60,
    "dogleg": 25,
    "trust-constr": 40,
    "trust-exact": 20,
    "trust-krylov": 30,
    "trust-ncg": 40,
    "Nelder-Mead": 300,
    "Powell": 800,
}


@pytest.mark.parametrize("method", METHODS)
def test_methods(method: str | None) -> None:
    start = np.array([1.3, 0.7, 0.8, 1.9]) if method != "dogleg" else np.array([1.05, 1.1])
    found = minimize(rosenbrock, start, method=method)
    assert found.success
    np.testing.assert_allclose(found.x, np.ones(start.size), atol=1e-3)
    assert found.nfev <= METHODS[method]


def test_nests_come_back_as_they_were() -> None:
    def f(p):
        w, (b, c) = p["w"], p["rest"]
        return ((w - 1.0) ** 2).sum() + (b + 2.0) ** 2 + ((c - 3.0) ** 2).sum()

    x0 = {"w": Tensor([[0.0, 0.0]]), "rest": (0.0, np.zeros(2))}
    seen = []
    found = minimize(f, x0, callback=seen.append)
    w, (b, c) = found.x["w"], found.x["rest"]
    assert (w.shape, w.dtype, type(b), c.dtype) == ((1, 2), ms.float32, float, np.float64)
    np.testing.assert_allclose(w.asnumpy(), [[1, 1]], atol=1e-5)
    np.testing.assert_allclose([b, *c], [-2, 3, 3], atol=1e-5)
    assert found.jac.keys() == x0.keys()
    assert seen[0].keys() == x0.keys()


def test_arguments_and_lists() -> None:
    target = np.array([2.0, 5.0])
    found = minimize(lambda x, t: ((x - t) ** 2).sum(), [0.0, 0.0], (target,))
    np.testing.assert_allclose(found.x, target, atol=1e-6)
    found = minimize(lambda x: (x - 1.0) ** 2, 3.0)
    assert type(found.x) is float
    assert abs(found.x - 1) < 1e-6


def test_bounds_and_constraints() -> None:
    def f(x):
        return ((x - 2.0) ** 2).sum()

    for bounds in ([(0, 1), (0, 3)], Bounds([0, 0], [1, 3])):
        np.testing.assert_allclose(minimize(f, np.zeros(2), bounds=bounds).x, [1, 2], atol=1e-6)
    equal = {"type": "eq", "fun": lambda x: x.sum() - 1.0}
    below = {"type": "ineq", "fun": lambda x, k: k - x[0] ** 2, "args": (0.04,)}
    found = minimize(f, np.zeros(2), constraints=[equal, below])
    np.testing.assert_allclose(found.x, [0.2, 0.8], atol=1e-5)
    found = minimize(f, np.zeros(2), constraints=equal)
    np.testing.assert_allclose(found.x, [0.5, 0.5], atol=1e-6)
    circle = NonlinearConstraint(lambda x: (x * x).sum(), -np.inf, 2.0)
    line = LinearConstraint([[1.0, -1.0]], 0, 0)
    found = minimize(f, np.array([0.5, 0.5]), method="trust-constr", constraints=[circle, line])
    np.testing.assert_allclose(found.x, [1, 1], atol=1e-3)


def test_least_squares() -> None:
    t = np.linspace(0, 1, 20)
    y = 2.0 * np.exp(-1.5 * t) + 0.5

    def residuals(p, t):
        return p["a"] * ops.exp(-p["k"] * t) + p["c"] - Tensor(y)

    found = least_squares(residuals, {"a": 1.0, "k": 1.0, "c": 0.0}, (t,))
    np.testing.assert_allclose([*found.x.values()], [2, 1.5, 0.5], rtol=1e-6)
    assert found.jac.shape == (20, 3)
    found = least_squares(lambda x: {"a": x[0] - 3.0, "b": x[1:] * 2.0}, np.ones(3))
    np.testing.assert_allclose(found.x, [3, 0, 0], atol=1e-8)


@pytest.mark.parametrize("method", ["hybr", "lm", "krylov"])
def test_root(method: str) -> None:
    def f(p):
        return p["x"] ** 2 + p["y"] - 3.0, p["x"] * p["y"] - 2.0

    found = root(f, {"x": 1.5, "y": 1.5}, method=method)
    assert found.success
    np.testing.assert_allclose([v.item() for v in map(Tensor, f(found.x))], [0, 0], atol=1e-5)


def test_a_second_call_does_not_trace_again() -> None:
    traces = itertools.count()

    def f(x):
        next(traces)
        return (x * x).sum()

    minimize(f, np.ones(3))
    count = next(traces)
    minimize(f, np.full(3, 2.0))
    assert next(traces) == count + 1


def test_errors() -> None:
    with pytest.raises(TypeError, match="x0 of minimize holds a str"):
        minimize(rosenbrock, {"a": "b"})
    with pytest.raises(ValueError, match=r"returned f64\[2\]"):
        minimize(lambda x: x * x, np.ones(2))
    with pytest.raises(TypeError, match="returned a float"):
        minimize(lambda x: 1.0, np.ones(2))
    with pytest.raises(TypeError, match="returned a int"):
        least_squares(lambda x: 1, np.ones(2))
