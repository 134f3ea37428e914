"""`hessian`, `hvp`, `linearize`, `jet`, `derivative`, and NumPy everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops, tree

X = Tensor([0.5, 1.5], ms.float64)
V = Tensor([1.0, 10.0], ms.float64)


def close(got, want) -> None:
    value = got.asnumpy() if isinstance(got, Tensor) else got
    np.testing.assert_allclose(value, want, rtol=1e-12)


def cubes(x):
    return (x**3).sum() * x[0]


def hessian_of_cubes(a):
    h = np.diag(6 * a) * a[0]
    h[0] += 3 * a**2
    h[:, 0] += 3 * a**2
    return h


def test_hessian(mode: str) -> None:
    a = X.asnumpy()
    for h in (ms.hessian(cubes), ms.jit(ms.hessian(cubes)), ms.hessian(ms.jit(cubes))):
        close(h(X), hessian_of_cubes(a))
    close(ms.jacrev(ms.grad(cubes))(X), hessian_of_cubes(a))
    close(ms.hessian(lambda x: x * x * x)(X)[0], [[6 * a[0], 0], [0, 0]])
    value, aux = ms.hessian(lambda x: (cubes(x), x * 2.0), has_aux=True)(X)
    close(value, hessian_of_cubes(a))
    close(aux, 2 * a)
    (xx, xy), (yx, yy) = ms.hessian(lambda x, y: (x * x * y).sum(), (0, 1))(X, V)
    close(xx, np.diag(2 * V.asnumpy()))
    close(xy, np.diag(2 * a))
    close(yx, np.diag(2 * a))
    close(yy, np.zeros((2, 2)))


def test_hvp(mode: str) -> None:
    a, v = X.asnumpy(), V.asnumpy()
    value, product = ms.hvp(cubes, X, V)
    close(value, (a**3).sum() * a[0])
    close(product, hessian_of_cubes(a) @ v)
    _, (px, py) = ms.hvp(lambda x, y: (x * x * y).sum(), (X, V), (V, X))
    close(px, 2 * v * v + 2 * a * a)
    close(py, 2 * a * v)
    (only,) = ms.hvp(cubes, (X,), (V,))[1]
    close(only, hessian_of_cubes(a) @ v)
    third = ms.grad(lambda x: ms.hvp(cubes, x, V)[1].sum())(X).asnumpy()
    e = 1e-5
    low, high = ([(hessian_of_cubes(a + d) @ v).sum() for d in s * e * np.eye(2)] for s in (-1, 1))
    np.testing.assert_allclose(third, np.subtract(high, low) / (2 * e), rtol=1e-8)


def test_linearize(mode: str) -> None:
    calls = []

    def f(x, y):
        calls.append(1)
        return ops.sin(x) * y, x.sum()

    a, b = X.asnumpy(), V.asnumpy()
    for arguments in ((X, V), ((X, V),)):
        out, push = ms.linearize(f, *arguments)
        count = len(calls)
        close(out[0], np.sin(a) * b)
        for directions in ((X, V), ((X, V),)):
            t, s = push(*directions)
            close(t, np.cos(a) * b * a + np.sin(a) * b)
            close(s, a.sum())
        assert len(calls) == count
    close(ms.linearize(cubes, X)[1](V), ms.jvp(cubes, X, V)[1].asnumpy())
    close(ms.jit(lambda x: ms.linearize(cubes, x)[1](V))(X), ms.jvp(cubes, X, V)[1].asnumpy())
    close(ms.grad(lambda x: ms.linearize(cubes, x)[1](V))(X), ms.hvp(cubes, X, V)[1].asnumpy())
    with pytest.raises(TypeError, match="linearize got a int"):
        ms.linearize(3, X)
    with pytest.raises(ValueError, match="got 1 directions for 2 inputs"):
        ms.linearize(f, X, V)[1](X)


def test_jet_and_derivative(mode: str) -> None:
    series = Tensor(np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]))
    out, found = ms.jet(ops.sin, X, series)
    a = X.asnumpy()
    close(out, np.sin(a))
    close(found, [np.cos(a), -np.sin(a), -np.cos(a)])
    curve = Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]))  # x' and x''
    _, found = ms.jet(ops.exp, X, curve)
    close(found, [np.exp(a) * [1, 2], np.exp(a) * (np.array([1, 2]) ** 2 + [3, 4])])
    close(ms.jet(ops.exp, X, V)[1], [np.exp(a) * V.asnumpy()])
    (s, _), (ds, dp) = ms.jet(lambda x, y: (x + y, x * y), (X, X), (series, series))
    close(s, 2 * a)
    close(dp, [2 * a, [2, 2], [0, 0]])
    close(ds[0], [2, 2])
    for order, want in enumerate([np.cos(a), -np.sin(a), -np.cos(a), np.sin(a)], 1):
        out, found = ms.derivative(ops.sin, X, order)
        close(out, np.sin(a))
        close(found, want)
    close(ms.derivative(lambda x: x**3, Tensor([2, 3]), 2)[1], [12, 18])
    close(ms.derivative(lambda x, y: x * y, (X, V), 2)[1], [2, 2])
    with pytest.raises(ValueError, match="the order 0"):
        ms.derivative(ops.sin, X, 0)
    with pytest.raises(TypeError, match=r"the order 1\.5"):
        ms.derivative(ops.sin, X, 1.5)
    with pytest.raises(ValueError, match="a series of type"):
        ms.jet(ops.sin, X, Tensor([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="1 primals and 2 series"):
        ms.jet(ops.sin, (X,), (series, series))
    with pytest.raises(TypeError, match="jet got a float"):
        ms.jet(ops.sin, 1.0, X)


# --- nests and NumPy ----------------------------------------------------------------------------


@dataclass
class Point:
    x: Any
    y: Any


class Pair(NamedTuple):
    x: Any
    y: Any


NESTS = {
    "dict": lambda x, y: {"x": x, "y": y},
    "tuple": lambda x, y: (x, y),
    "list": lambda x, y: [x, y],
    "dataclass": Point,
    "namedtuple": Pair,
}


def leaves(nest):
    return tree.flatten(nest)[0]


@pytest.mark.parametrize("name", NESTS)
def test_nests(mode: str, name: str) -> None:
    make = NESTS[name]

    def f(nest):
        x, y = leaves(nest)
        return (x * x * y).sum()

    a, b = X.asnumpy(), V.asnumpy()
    nest = make(X, V)
    g = ms.grad(f)(nest)
    assert type(g) is type(nest)
    for got, want in zip(leaves(g), (2 * a * b, a * a), strict=True):
        close(got, want)
    for jacobian in (ms.jacrev(f), ms.jacfwd(f)):
        j = jacobian(nest)
        assert type(j) is type(nest)
        close(leaves(j)[1], a * a)
    h = ms.hessian(f)(nest)
    assert type(h) is type(nest)
    assert type(first(h)) is type(nest)
    xx, xy, yx, yy = leaves(h)
    for got, want in zip(
        (xx, xy, yx, yy), (np.diag(2 * b), *[np.diag(2 * a)] * 2, np.zeros((2, 2)))
    ):
        close(got, want)
    _, product = ms.hvp(f, (nest,), (make(V, X),))
    close(leaves(product[0])[1], 2 * a * b)
    mapped = ms.vmap(lambda nest: make(leaves(nest)[0] * 2.0, leaves(nest)[1]))(nest)
    assert type(mapped) is type(nest)


def first(h):
    return h["x"] if isinstance(h, dict) else h[0] if isinstance(h, (tuple, list)) else h.x


def test_numpy_in_numpy_out(mode: str) -> None:
    a, v = X.asnumpy(), V.asnumpy()
    results = [
        ms.grad(cubes)(a),
        ms.value_and_grad(cubes)(a),
        ms.jacrev(cubes)(a),
        ms.jacfwd(cubes)(a),
        ms.hessian(cubes)(a),
        ms.hvp(cubes, a, v),
        ms.jvp(cubes, a, v),
        ms.vjp(cubes, a)[0],
        ms.vjp(lambda x: x * x, a)[1](v),
        ms.linearize(cubes, a)[0],
        ms.linearize(cubes, a)[1](v),
        ms.vmap(lambda x: x * 2.0)(a),
        ms.grad(lambda p: (p["w"] ** 2).sum())({"w": a}),
    ]
    for found in leaves(results):
        assert isinstance(found, (np.ndarray, np.float64)), found
        assert found.dtype == np.float64
    close(ms.hessian(cubes)(a), hessian_of_cubes(a))
    assert isinstance(ms.vjp(lambda x, y: (x * y).sum(), a, X)[0], Tensor)
    assert math.isclose(ms.grad(lambda x: x**3)(2.0).item(), 12.0)
