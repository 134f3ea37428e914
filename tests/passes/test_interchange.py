"""Loops over independent lanes: what is proven to be such, and that tiles of it give the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops


def oscillators(x, v, mu):
    for _ in range(40):
        v = v + 0.01 * (mu * (1.0 - x * x) * v - x)
        x = x + 0.01 * v
    return (x * x + v * v).sum()


def filtered(c, x):
    """Rows are read in turn, and a mean of each is added up."""
    s = x[0] * 0.0
    total = 0.0
    for t in range(x.shape[0]):
        y = c[0] * x[t] + s
        s = c[1] * x[t] - c[2] * y
        total = total + (y * y).mean()
    return total


def planes(x, w):
    """States of three numbers, an inner product of each, a weight that all lanes share."""
    for _ in range(20):
        size = (x * x).sum(axis=1)
        x = x - 0.1 * x * ops.tanh(size).reshape(-1, 1) * w
    return x.sum()


def nested(x):
    for _ in range(20):
        y = x
        for _ in range(33):
            y = y - 0.1 * ops.sin(y)
        x = 0.5 * (x + y)
    return (x * x).sum()


def rng(*shapes: tuple[int, ...], dtype: type = np.float64) -> list[np.ndarray]:
    made = np.random.default_rng(0)
    return [made.uniform(0.2, 1.5, size=s).astype(dtype) for s in shapes]


PROGRAMS: dict[str, tuple[Callable, list[np.ndarray]]] = {
    "oscillators": (oscillators, rng((5000,), (5000,), (5000,))),
    "oscillators, a short tile at the end": (oscillators, rng((4999,), (4999,), (4999,))),
    "oscillators in float32": (oscillators, rng((9001,), (9001,), (9001,), dtype=np.float32)),
    "filtered": (filtered, rng((3,), (50, 3001))),
    "planes": (planes, rng((3000, 3), (3,))),
    "nested": (nested, rng((7003,))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_tiles_of_lanes(name: str) -> None:
    """One strip has both loops, and gives what the loops give as they are."""
    function, arrays = PROGRAMS[name]
    args = [Tensor(a) for a in arrays]
    gradient = ms.value_and_grad(function, tuple(range(len(args))))
    value, slopes = gradient(*args)
    compiled = ms.jit(gradient)
    assert any("strip of" in k.text and "gathered" in k.ops for k in compiled.lower(*args).kernels)
    got, found = compiled(*args)
    exact = 2.0 ** (-20 if arrays[0].dtype == np.float32 else -46)
    np.testing.assert_allclose(got.asnumpy(), value.asnumpy(), rtol=1e4 * exact)
    for a, b in zip(found, slopes, strict=True):
        scale = np.abs(b.asnumpy()).max()
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), atol=1e3 * exact * scale)


def centred(x):
    """Each step needs all lanes."""
    for _ in range(10):
        x = x - 0.1 * (x - x.mean())
    return (x * x).sum()


def shifted(x):
    """Each lane needs its neighbour."""
    for _ in range(10):
        x = x + 0.1 * ops.concat((x[1:], x[:1]))
    return (x * x).sum()


def counted(x):
    """Lanes, and a number that belongs to none of them."""
    scale = x[0]
    for _ in range(10):
        x = x * 0.9 + 0.01 * scale
        scale = scale * 0.5
    return (x * x).sum() * scale


@pytest.mark.parametrize("function", [centred, shifted, counted])
def test_what_is_no_lane(function: Callable) -> None:
    """Loops that mix lanes are run as they are written."""
    (x,) = (Tensor(a) for a in rng((6000,)))
    gradient = ms.value_and_grad(function)
    value, slope = gradient(x)
    compiled = ms.jit(gradient)
    assert not any("strip of" in k.text and "gathered" in k.ops for k in compiled.lower(x).kernels)
    got, found = compiled(x)
    np.testing.assert_allclose(got.asnumpy(), value.asnumpy(), rtol=1e-10)
    np.testing.assert_allclose(found.asnumpy(), slope.asnumpy(), atol=1e-10)


def test_threads_change_no_bit() -> None:
    """Tiles and chunks depend on the shapes alone."""
    args = [Tensor(a) for a in PROGRAMS["oscillators"][1]]
    compiled = ms.jit(ms.value_and_grad(oscillators, (0, 1, 2)))
    before = ms.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            ms.set_num_threads(threads)
            value, slopes = compiled(*args)
            found.append([value.asnumpy(), *(s.asnumpy() for s in slopes)])
    finally:
        ms.set_num_threads(before)
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
