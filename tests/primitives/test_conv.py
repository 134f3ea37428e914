"""Convolution and its two transposes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import signal

from jitgrad.errors import ArgumentError, DTypeError, ShapeError
from jitgrad.ir.node import input_node
from jitgrad.ir.op import OPS
from jitgrad.ir.types import TensorType, float32, float64
from jitgrad.primitives import conv

RNG = np.random.default_rng(0)
PLAIN = {"stride": (1, 1), "pad": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}


def reals(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("op", ["conv2d", "conv2d_input", "conv2d_weight"])
def test_laws(op, laws):
    laws.of_op(OPS[op])


def loops(x, w, stride, pad, dilation, groups):
    """The definition, element by element of the kernel, on an image padded by hand."""
    top, bottom, left, right = pad
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    (n, _, high, wide), (filters, depth, kh, kw) = x.shape, w.shape
    oh = (high - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (wide - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    out = np.zeros((n, filters, oh, ow), x.dtype)
    for o, i, j in itertools.product(range(filters), range(oh), range(ow)):
        first = o // (filters // groups) * depth
        for a, b in itertools.product(range(kh), range(kw)):
            y, z = i * stride[0] + a * dilation[0], j * stride[1] + b * dilation[1]
            out[:, o, i, j] += x[:, first : first + depth, y, z] @ w[o, :, a, b]
    return out


CASES = [
    ((2, 3, 5, 4), (4, 3, 3, 2), {}),
    ((2, 3, 5, 4), (4, 3, 1, 1), {"stride": (3, 2)}),
    ((1, 2, 6, 7), (3, 2, 2, 3), {"stride": (4, 3), "pad": (2, 0, 1, 3)}),
    ((2, 4, 7, 6), (6, 2, 3, 2), {"dilation": (2, 3), "groups": 2, "pad": (0, 1, 1, 0)}),
    ((3, 4, 4, 5), (4, 1, 2, 2), {"groups": 4}),
    ((1, 1, 3, 4), (2, 1, 3, 4), {}),
    ((1, 1, 2, 3), (1, 1, 4, 5), {"pad": (1, 2, 3, 1), "stride": (2, 2)}),
    ((0, 2, 3, 4), (3, 2, 2, 2), {}),
    ((2, 0, 3, 4), (3, 0, 2, 2), {}),
    ((2, 2, 3, 4), (0, 2, 2, 2), {}),
]


@pytest.mark.parametrize(("image", "kernel", "attrs"), CASES)
def test_definition(image, kernel, attrs, laws):
    attrs = {**PLAIN, **attrs}
    for dtype in (np.float64, np.float32, np.int32):
        x, w = (reals(*image) * 3).astype(dtype), (reals(*kernel) * 3).astype(dtype)
        got = laws.one(lambda x, w: conv.conv2d(x, w, **attrs), x, w)
        tolerance = 1e-5 if dtype == np.float32 else 1e-13
        np.testing.assert_allclose(got, loops(x, w, **attrs), tolerance, tolerance)


@pytest.mark.parametrize(("image", "kernel", "attrs"), CASES)
def test_all_laws_of_the_cases(image, kernel, attrs, laws):
    """Each of the three at each case, through two orders of derivative."""
    attrs = {**PLAIN, **attrs}
    x, w = reals(*image), reals(*kernel)
    g = reals(*loops(x, w, **attrs).shape)
    if x.size and w.size:
        laws.twice(lambda x, w: conv.conv2d(x, w, **attrs), [x, w])
        laws.twice(lambda g, w: conv.conv2d_input(g, w, size=x.shape[2:], **attrs), [g, w])
        laws.twice(lambda x, g: conv.conv2d_weight(x, g, kernel=w.shape[2:], **attrs), [x, g])
    laws.batching(lambda x, w: conv.conv2d(x, w, **attrs), [x, w])
    laws.batching(lambda g, w: conv.conv2d_input(g, w, size=x.shape[2:], **attrs), [g, w])
    laws.batching(lambda x, g: conv.conv2d_weight(x, g, kernel=w.shape[2:], **attrs), [x, g])


@pytest.mark.parametrize(("image", "kernel", "attrs"), CASES)
def test_one_trilinear_form(image, kernel, attrs, laws):
    attrs = {**PLAIN, **attrs}
    x, w = reals(*image), reals(*kernel)
    y = laws.one(lambda x, w: conv.conv2d(x, w, **attrs), x, w)
    g = reals(*y.shape)
    dx = laws.one(lambda g, w: conv.conv2d_input(g, w, size=x.shape[2:], **attrs), g, w)
    dw = laws.one(lambda x, g: conv.conv2d_weight(x, g, kernel=w.shape[2:], **attrs), x, g)
    np.testing.assert_allclose([np.sum(x * dx), np.sum(w * dw)], np.sum(y * g), atol=1e-12)


@pytest.mark.parametrize("mode", ["valid", "full"])
def test_against_scipy(mode, laws):
    x, w = reals(7, 5), reals(3, 2)
    pad = (2, 2, 1, 1) if mode == "full" else (0, 0, 0, 0)
    got = laws.one(
        lambda x, w: conv.conv2d(x, w, **{**PLAIN, "pad": pad}), x[None, None], w[None, None]
    )
    np.testing.assert_allclose(got[0, 0], signal.correlate2d(x, w, mode), rtol=1e-12)


def test_transposed_convolution_is_scipys_full_convolution(laws):
    g, w = reals(4, 5), reals(3, 2)
    got = laws.one(
        lambda g, w: conv.conv2d_input(g, w, size=(6, 6), **PLAIN), g[None, None], w[None, None]
    )
    np.testing.assert_allclose(got[0, 0], signal.convolve2d(g, w, "full"), rtol=1e-12)


def test_float16_accumulates_in_float32(laws):
    x = np.full((1, 512, 1, 2), 1, np.float16)
    w = np.full((1, 512, 1, 1), 2**-11, np.float16)
    x[0, 0] = 2048
    got = laws.one(lambda x, w: conv.conv2d(x, w, **PLAIN), x, w)
    np.testing.assert_array_equal(got, np.float16(1 + 511 / 2048))
    assert got.dtype == np.float16


def test_non_contiguous_operands(laws):
    x, w = (
        reals(2, 5, 4, 3).transpose(0, 3, 1, 2),
        reals(2, 3, 4, 3).transpose(0, 3, 2, 1)[..., ::-1],
    )
    got = conv.conv2d.numpy(x, w[:, :, :3, :2], **PLAIN)
    np.testing.assert_allclose(got, loops(x, w[:, :, :3, :2], **PLAIN))


def tensor(*shape, dtype=float32):
    return input_node("x", TensorType(dtype, shape))


ERRORS = [
    (
        *(ShapeError, "has 3 channels, so each filter must see 3 / 1 = 3, but w is made for 2"),
        *((2, 3, 8, 8), (4, 2, 3, 3), {}),
    ),
    (
        *(ShapeError, "groups must divide both the 3 input channels and the 4 filters"),
        *((2, 3, 8, 8), (4, 1, 3, 3), {"groups": 2}),
    ),
    (ShapeError, "kernel of 3x5 does not fit an image of 8x4", (2, 3, 8, 4), (4, 3, 3, 5), {}),
    (ShapeError, "it covers 5x9 of 8x8", (2, 3, 8, 8), (4, 3, 3, 5), {"dilation": (2, 2)}),
    (ShapeError, r"x: f32\[3,8,8\] and w: f32\[4,3,3,3\]", (3, 8, 8), (4, 3, 3, 3), {}),
    (ArgumentError, r"got stride=\(0, 1\)", (2, 3, 8, 8), (4, 3, 3, 3), {"stride": (0, 1)}),
    (ArgumentError, "pad", (2, 3, 8, 8), (4, 3, 3, 3), {"pad": (0, -1, 0, 0)}),
]


@pytest.mark.parametrize(("kind", "message", "image", "kernel", "attrs"), ERRORS)
def test_errors(kind, message, image, kernel, attrs):
    with pytest.raises(kind, match=message):
        conv.conv2d(tensor(*image), tensor(*kernel), **{**PLAIN, **attrs})


def test_errors_of_the_transposes():
    w = tensor(4, 3, 3, 2)
    with pytest.raises(ShapeError, match=r"g must be \[N, 4, 6, 7\]"):
        conv.conv2d_input(tensor(2, 4, 5, 7), w, size=(8, 8), **PLAIN)
    with pytest.raises(ShapeError, match=r"g must be \[2, O, 6, 7\]"):
        conv.conv2d_weight(tensor(2, 3, 8, 8), tensor(2, 4, 6, 6), kernel=(3, 2), **PLAIN)
    with pytest.raises(DTypeError, match="one dtype"):
        conv.conv2d(tensor(2, 3, 8, 8), tensor(4, 3, 3, 2, dtype=float64), **PLAIN)
