"""Maximum and mean over windows."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.errors import ArgumentError, DTypeError, ShapeError
from jitgrad.ir.node import input_node
from jitgrad.ir.op import OPS
from jitgrad.ir.types import TensorType, float32, int32
from jitgrad.primitives import pool

RNG = np.random.default_rng(0)
NAMES = ["max_pool2d", "max_pool2d_grad", "max_pool2d_pick", "avg_pool2d", "avg_pool2d_grad"]


@pytest.mark.parametrize("op", NAMES)
def test_laws(op, laws):
    laws.of_op(OPS[op])


def windows(x, kernel, stride, pad):
    """(output index, [(element index, value)]) for one plane, in C order."""
    top, bottom, left, right = pad
    high, wide = x.shape
    for i, y in enumerate(range(-top, high + bottom - kernel[0] + 1, stride[0])):
        for j, z in enumerate(range(-left, wide + right - kernel[1] + 1, stride[1])):
            places = [(y + a, z + b) for a in range(kernel[0]) for b in range(kernel[1])]
            yield (i, j), [p for p in places if 0 <= p[0] < high and 0 <= p[1] < wide]


CASES = [
    ((4, 6), {"kernel": (2, 3), "stride": (2, 3), "pad": (0, 0, 0, 0)}),
    ((5, 4), {"kernel": (3, 2), "stride": (1, 2), "pad": (1, 1, 0, 1)}),
    ((7, 5), {"kernel": (2, 2), "stride": (3, 4), "pad": (0, 1, 1, 0)}),
    ((5, 4), {"kernel": (1, 1), "stride": (2, 3), "pad": (0, 0, 0, 0)}),
    ((3, 4), {"kernel": (3, 4), "stride": (1, 1), "pad": (0, 0, 0, 0)}),
    ((2, 3), {"kernel": (2, 2), "stride": (1, 2), "pad": (3, 0, 0, 3)}),  # windows without elements
]


@pytest.mark.parametrize(("size", "attrs"), CASES)
def test_max(size, attrs, laws):
    """Value, gradient and pick, with ties and -inf, against a loop over the windows."""
    x = RNG.integers(-2, 2, (2, 3, *size)).astype(float)
    x[x == -2] = -np.inf
    got = laws.one(lambda x: pool.max_pool2d(x, **attrs), x)
    g, t = RNG.standard_normal(got.shape), RNG.standard_normal(x.shape)
    gradient = laws.one(lambda x, g: pool.max_pool2d_grad(x, g, **attrs), x, g)
    picked = laws.one(lambda x, t: pool.max_pool2d_pick(x, t, **attrs), x, t)
    want = np.zeros_like(x)
    for n, c in np.ndindex(2, 3):
        plane = x[n, c]
        for out, places in windows(plane, **attrs):
            at = (n, c, *out)
            if not places:
                assert got[at] == -np.inf
                assert picked[at] == 0
                continue
            best = max(places, key=lambda p: plane[p])  # the first of equals
            assert got[at] == plane[best]
            assert picked[at] == t[n, c][best]
            want[n, c][best] += g[at]
    np.testing.assert_allclose(gradient, want, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize(("size", "attrs"), CASES)
def test_mean(size, attrs, count_include_pad, laws):
    attrs = {**attrs, "count_include_pad": count_include_pad}
    rest = {k: v for k, v in attrs.items() if k != "count_include_pad"}
    x = RNG.standard_normal((2, 3, *size))
    got = laws.one(lambda x: pool.avg_pool2d(x, **attrs), x)
    g = RNG.standard_normal(got.shape)
    gradient = laws.one(lambda g: pool.avg_pool2d_grad(g, size=size, **attrs), g)
    want = np.zeros_like(x)
    for out, places in windows(x[0, 0], **rest):
        count = attrs["kernel"][0] * attrs["kernel"][1] if count_include_pad else len(places)
        total = sum((x[:, :, y, z] for y, z in places), np.zeros((2, 3)))
        np.testing.assert_allclose(got[:, :, out[0], out[1]], total / max(count, 1), rtol=1e-12)
        for y, z in places:
            want[:, :, y, z] += g[:, :, out[0], out[1]] / count
    np.testing.assert_allclose(gradient, want, rtol=1e-12, atol=1e-15)
    laws.twice(lambda x: pool.avg_pool2d(x, **attrs), [x])
    laws.batching(lambda g: pool.avg_pool2d_grad(g, size=size, **attrs), [g])


def test_nan_is_a_maximum(laws):
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 1, 1] = x[0, 0, 1, 0] = np.nan
    attrs = {"kernel": (2, 2), "stride": (2, 2), "pad": (0, 0, 0, 0)}
    got = laws.one(lambda x: pool.max_pool2d(x, **attrs), x)
    np.testing.assert_array_equal(got[0, 0], [[np.nan, 7], [13, 15]])
    g = np.ones((1, 1, 2, 2))
    gradient = laws.one(lambda x, g: pool.max_pool2d_grad(x, g, **attrs), x, g)
    assert np.argwhere(gradient[0, 0]).tolist() == [[1, 0], [1, 3], [3, 1], [3, 3]]


def test_integers(laws):
    x = np.full((1, 1, 2, 2), -128, np.int8)
    attrs = {"kernel": (2, 2), "stride": (1, 1), "pad": (1, 0, 1, 0)}
    assert (laws.one(lambda x: pool.max_pool2d(x, **attrs), x) == -128).all()
    g = np.ones((1, 1, 2, 2), np.int8)
    gradient = laws.one(lambda x, g: pool.max_pool2d_grad(x, g, **attrs), x, g)
    np.testing.assert_array_equal(gradient[0, 0], [[4, 0], [0, 0]])


def test_third_derivative(laws):
    def f(x):
        y = pool.max_pool2d(x, kernel=(2, 2), stride=(1, 1), pad=(0, 1, 1, 0))
        return y * y * y

    x = RNG.permutation(24).reshape(1, 2, 4, 3) * 0.5
    laws.twice(*laws.gradients(f, [x]))


def test_type_errors():
    x = input_node("x", TensorType(float32, (2, 3, 4, 5)))
    attrs = {"kernel": (2, 2), "stride": (1, 1), "pad": (0, 0, 0, 0)}
    with pytest.raises(ShapeError, match="a kernel of 5x2 does not fit an image of 4x5"):
        pool.max_pool2d(x, **{**attrs, "kernel": (5, 2)})
    with pytest.raises(ArgumentError, match=r"max_pool2d got kernel=\(0, 2\)"):
        pool.max_pool2d(x, **{**attrs, "kernel": (0, 2)})
    with pytest.raises(ShapeError, match=r"g must be f32\[2,3,3,4\]"):
        pool.max_pool2d_grad(x, x, **attrs)
    with pytest.raises(ShapeError, match=r"it takes \[N, C, H, W\]"):
        pool.max_pool2d(input_node("y", TensorType(float32, (4, 5))), **attrs)
    with pytest.raises(DTypeError, match="a float dtype"):
        pool.avg_pool2d(
            input_node("z", TensorType(int32, x.shape)), **attrs, count_include_pad=True
        )
