"""Layers and losses as plain NumPy loops in float64: slow and plain to see through."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

Array = np.ndarray


def around(x: Array, pad: Sequence[int], value: float = 0.0) -> Array:
    """Rows and columns of `value` around the images of (n, c, h, w): top, bottom, left, right."""
    widths = ((0, 0), (0, 0), tuple(pad[:2]), tuple(pad[2:]))
    return np.pad(x, widths, constant_values=value)


def same(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    out = math.ceil(size / stride)
    total = max(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def conv2d(x, w, stride=(1, 1), pad=(0, 0, 0, 0), dilation=(1, 1), groups=1) -> Array:
    x = around(x, pad)
    n, _, h, wide = x.shape
    o, depth, kh, kw = w.shape
    rows = (h - (kh - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (wide - (kw - 1) * dilation[1] - 1) // stride[1] + 1
    y = np.zeros((n, o, rows, columns))
    for b, f, i, j in itertools.product(range(n), range(o), range(rows), range(columns)):
        first = f // (o // groups) * depth
        for k, a, e in itertools.product(range(depth), range(kh), range(kw)):
            row, column = i * stride[0] + a * dilation[0], j * stride[1] + e * dilation[1]
            y[b, f, i, j] += x[b, first + k, row, column] * w[f, k, a, e]
    return y


def conv2d_transpose(x, w, size, stride=(1, 1), pad=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Every input value spreads its kernel over an image of `size` and its padding."""
    n, c, h, wide = x.shape
    _, each, kh, kw = w.shape
    out = np.zeros((n, each * groups, size[0] + pad[0] + pad[1], size[1] + pad[2] + pad[3]))
    for b, k, i, j in itertools.product(range(n), range(c), range(h), range(wide)):
        first = k // (c // groups) * each
        for f, a, e in itertools.product(range(each), range(kh), range(kw)):
            row, column = i * stride[0] + a * dilation[0], j * stride[1] + e * dilation[1]
            if row < out.shape[2] and column < out.shape[3]:
                out[b, first + f, row, column] += x[b, k, i, j] * w[k, f, a, e]
    return out[:, :, pad[0] : pad[0] + size[0], pad[2] : pad[2] + size[1]]


def pool2d(
    x: Array,
    reduce: Callable[[Array], float],
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    padding: float = np.nan,
) -> Array:
    """`reduce` of the values of each window; padding that is nan is left out."""
    x = around(x, pad, padding)
    n, c, h, w = x.shape
    rows, columns = (h - kernel[0]) // stride[0] + 1, (w - kernel[1]) // stride[1] + 1
    y = np.zeros((n, c, rows, columns))
    for b, k, i, j in itertools.product(range(n), range(c), range(rows), range(columns)):
        top, left = i * stride[0], j * stride[1]
        window = x[b, k, top : top + kernel[0], left : left + kernel[1]]
        y[b, k, i, j] = reduce(window[~np.isnan(window)])
    return y


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def normalized(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps)


def assert_gradient(f: Callable[[Array], float], x: Array, gradient: Array, name: str = "") -> None:
    """Hold a gradient against central differences of a scalar function along random directions."""
    rng = np.random.default_rng(17)
    assert gradient.shape == x.shape, name
    for _ in range(3):
        direction = rng.standard_normal(x.shape)
        step = 1e-5 * direction
        wanted = (f(x + step) - f(x - step)) / 2e-5
        got = float((gradient * direction).sum())
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7, err_msg=name)
