"""Sorting and the place of the extreme."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.errors import ArgumentError, DTypeError
from jitgrad.ir.node import input_node, project
from jitgrad.ir.op import OPS
from jitgrad.ir.types import TensorType, float32, int32, int64
from jitgrad.primitives import sort

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("op", ["sort", "argmax", "argmin"])
def test_laws(op, laws):
    laws.of_op(OPS[op])


@pytest.mark.parametrize("op", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_place_of_the_extreme(op, axis, laws):
    x = RNG.integers(-2, 3, (3, 4, 5)).astype(float)
    x[1, 2, 3] = x[2, 3, 4] = np.nan
    got = laws.one(lambda x: OPS[op](x, axis=axis, dtype=int32), x)
    np.testing.assert_array_equal(got, getattr(np, op)(x, axis))
    assert got.dtype == np.int32


def test_extreme_of_nothing(laws):
    x = np.zeros((3, 0, 2))
    assert laws.one(lambda x: sort.argmax(x, axis=0, dtype=int64), x).shape == (0, 2)
    with pytest.raises(ArgumentError, match="the axis has no elements"):
        laws.run(lambda x: sort.argmax(x, axis=1, dtype=int64), x)


def test_argmax_has_no_gradient(laws):
    x = input_node("x", TensorType(float32, (4, 3)))
    node = sort.argmax(x, axis=0, dtype=int32)
    assert node.op.vjp(node, node) == (None,)
    assert node.op.jvp(node, (x,)) is None


def key(value: float, descending: bool) -> tuple[bool, float]:
    return (value != value, 0.0 if value != value else -value if descending else value)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_sort_is_stable_with_nan_last(descending, axis, laws):
    x = RNG.integers(-2, 3, (7, 6)).astype(float)
    x[x == 2] = np.nan
    x[0] = [0.0, -0.0, np.inf, -np.inf, np.nan, 0.0]

    def f(x):
        return sort.sort(x, axis=axis, descending=descending, dtype=int64)

    values, indices = laws.run(f, x)
    for line, order in zip(np.moveaxis(x, axis, -1), np.moveaxis(indices, axis, -1)):
        want = sorted(range(len(line)), key=lambda i: key(line[i], descending))
        np.testing.assert_array_equal(order, want)
    np.testing.assert_array_equal(values, np.take_along_axis(x, indices, axis))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float16])
def test_sort_descending_at_the_ends_of_a_dtype(dtype, laws):
    x = np.array([0, 1, 0, 1]).astype(dtype)
    if dtype is np.int64:
        x = np.array([5, np.iinfo(dtype).min, 0, np.iinfo(dtype).max])
    values, _ = laws.run(lambda x: sort.sort(x, axis=0, descending=True, dtype=int32), x)
    np.testing.assert_array_equal(values, np.sort(x)[::-1])


def test_argsort_and_topk(laws):
    x = RNG.standard_normal((3, 7))
    order = laws.one(lambda x: sort.argsort(x, axis=1, descending=False, dtype=int32), x)
    np.testing.assert_array_equal(order, np.argsort(x, 1))
    values, indices = laws.run(lambda x: sort.topk(x, 3, 1, True, int64), x)
    np.testing.assert_array_equal(values, -np.sort(-x, 1)[:, :3])
    np.testing.assert_array_equal(np.take_along_axis(x, indices, 1), values)
    values, _ = laws.run(lambda x: sort.topk(x, 2, 0, False, int64), x)
    np.testing.assert_array_equal(values, np.sort(x, 0)[:2])
    laws.twice(lambda x: sort.topk(x, 3, 1, True, int64)[0], [x])
    with pytest.raises(ArgumentError, match="k goes from 0 to the extent 3"):
        laws.run(lambda x: sort.topk(x, 4, 0, True, int64), x)


def test_second_derivative_through_a_sort(laws):
    """The sum of squares of sorted values times ramps: quadratic in x."""

    def f(x):
        v = project(sort.sort(x, axis=0, descending=False, dtype=int32), 0)
        return v * v * v

    laws.twice(f, [RNG.permutation(12).reshape(6, 2) * 0.5 - 2])


def test_type_errors():
    x = input_node("x", TensorType(float32, (4, 3)))
    with pytest.raises(DTypeError, match="indices are int32 or int64"):
        sort.sort(x, axis=0, descending=False, dtype=float32)
