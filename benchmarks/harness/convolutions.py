"""Convolutions as a person writes them in Numba: each image as columns, and BLAS."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness.hand import f32, njit


@njit
def columns(x: Any, k: int, stride: int, pad: int, out: Any) -> None:
    """out[(c, i, j), (y, x)] = the element of x that (i, j) of the kernel meets there."""
    channels, high, wide = x.shape
    rows = (high + 2 * pad - k) // stride + 1
    cols = (wide + 2 * pad - k) // stride + 1
    for c in range(channels):
        for i in range(k):
            for j in range(k):
                line = out[(c * k + i) * k + j]
                for r in range(rows):
                    y = r * stride + i - pad
                    for s in range(cols):
                        z = s * stride + j - pad
                        inside = 0 <= y < high and 0 <= z < wide
                        line[r * cols + s] = x[c, y, z] if inside else f32(0)


@njit
def add_columns(cols: Any, k: int, stride: int, pad: int, x: Any) -> None:
    """The adjoint of `columns`: what it took from x is added to x."""
    channels, high, wide = x.shape
    rows = (high + 2 * pad - k) // stride + 1
    width = (wide + 2 * pad - k) // stride + 1
    for c in range(channels):
        for i in range(k):
            for j in range(k):
                line = cols[(c * k + i) * k + j]
                for r in range(rows):
                    y = r * stride + i - pad
                    if 0 <= y < high:
                        for s in range(width):
                            z = s * stride + j - pad
                            if 0 <= z < wide:
                                x[c, y, z] += line[r * width + s]


@njit
def forward(x: Any, w: Any, b: Any, stride: int, pad: int, skip: Any, out: Any) -> None:
    """out = relu(conv(x, w) + b + skip); skip may be empty."""
    filters, channels, k, _ = w.shape
    flat = w.reshape(filters, channels * k * k)
    area = out.shape[2] * out.shape[3]
    cols = np.empty((channels * k * k, area), np.float32)
    for n in range(x.shape[0]):
        columns(x[n], k, stride, pad, cols)
        made = out[n].reshape(filters, area)
        np.dot(flat, cols, made)
        for o in range(filters):
            line = made[o]
            for p in range(area):
                v = line[p] + b[o]
                if skip.size:
                    v += skip[n].reshape(filters, area)[o, p]
                line[p] = v if v > f32(0) else f32(0)


@njit
def backward(
    x: Any, w: Any, y: Any, g: Any, stride: int, pad: int, gx: Any, gw: Any, gb: Any
) -> None:
    """From the cotangent g of y, in whose place that of the sum before the activation is left, to
    those of w and b, and, added to gx unless that is empty, of x.
    """
    filters, channels, k, _ = w.shape
    flat = w.reshape(filters, channels * k * k)
    into = gw.reshape(filters, channels * k * k)
    area = y.shape[2] * y.shape[3]
    cols = np.empty((channels * k * k, area), np.float32)
    part = np.empty_like(flat)
    into[:] = f32(0)
    gb[:] = f32(0)
    for n in range(x.shape[0]):
        out, made = g[n].reshape(filters, area), y[n].reshape(filters, area)
        for o in range(filters):
            for p in range(area):
                v = out[o, p] if made[o, p] > f32(0) else f32(0)
                out[o, p] = v
                gb[o] += v
        columns(x[n], k, stride, pad, cols)
        np.dot(out, cols.T, part)
        into += part
        if gx.size:
            np.dot(flat.T, out, cols)
            add_columns(cols, k, stride, pad, gx[n])


@njit
def pool(x: Any, out: Any) -> None:
    """Maxima of windows of 2×2."""
    images, channels, high, wide = out.shape
    for n in range(images):
        for c in range(channels):
            for i in range(high):
                upper, lower = x[n, c, 2 * i], x[n, c, 2 * i + 1]
                for j in range(wide):
                    a = max(upper[2 * j], upper[2 * j + 1])
                    b = max(lower[2 * j], lower[2 * j + 1])
                    out[n, c, i, j] = max(a, b)


@njit
def pool_back(x: Any, out: Any, g: Any, gx: Any) -> None:
    """The cotangent of `pool`: to the first element of a window that is its maximum."""
    images, channels, high, wide = out.shape
    for n in range(images):
        for c in range(channels):
            for i in range(high):
                for j in range(wide):
                    top, left = out[n, c, i, j], g[n, c, i, j]
                    for k in range(4):
                        y, z = 2 * i + k // 2, 2 * j + k % 2
                        hit = x[n, c, y, z] == top
                        gx[n, c, y, z] = left if hit else f32(0)
                        left = f32(0) if hit else left
