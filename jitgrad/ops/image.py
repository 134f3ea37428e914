"""Adaptive pooling, patches, resizing and shuffling of images, in NCHW layout."""

from __future__ import annotations

import builtins
import functools
import math
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ops import elementwise as e
from jitgrad.ops import patches
from jitgrad.ops import reduce as r
from jitgrad.ops.conv import avg_pool2d, max_pool2d, pair
from jitgrad.ops.indexing import along, getitem, scattered
from jitgrad.ops.joining import concat
from jitgrad.ops.promote import constant, fill, floating, one_of, static, tensor
from jitgrad.ops.shaping import permuted, reshaped, sliced
from jitgrad.ops.splitting import padded
from jitgrad.tensor import Tensor

# --- adaptive pooling ---------------------------------------------------------------------------


def _targets(name: str, x: Tensor, output_size: Any) -> tuple[int, int]:
    size = static(name, "output_size", output_size)
    size = (size, size) if isinstance(size, int) or size is None else tuple(size)
    return tuple(n if n is not None else x.shape[i - 2] for i, n in enumerate(size))


def _adaptive(name: str, input: Any, output_size: Any, reduction, even) -> Tensor:
    x = floating(name, input)
    if x.ndim not in (3, 4):
        raise fail(ShapeError, f"{name} of {x._type}", why="it takes [N, C, H, W] or [C, H, W]")
    size = _targets(name, x, output_size)
    if builtins.all(n and extent % n == 0 for extent, n in zip(x.shape[-2:], size)):
        kernel = tuple(extent // n for extent, n in zip(x.shape[-2:], size))
        return even(x, kernel, kernel)
    for axis, count in zip((x.ndim - 2, x.ndim - 1), size):
        parts = [
            reduction(sliced(x, axis, start, stop), axis, True)
            for start, stop in patches.bins(x.shape[axis], count)
        ]
        x = concat(parts, axis)
    return x


def adaptive_avg_pool2d(input, output_size):
    """The mean of windows chosen so that the output has a given size.

    Args:
        output_size: an int, or one for rows and one for columns; None keeps an extent.
    """
    return _adaptive("adaptive_avg_pool2d", input, output_size, r.mean, avg_pool2d)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest of windows chosen so that the output has a given size.

    Args:
        return_indices: also where it was in the image flattened (int64), as a tuple.
    """
    name = "adaptive_max_pool2d"
    if return_indices:
        x = floating(name, input)
        return largest_of_bins(name, x, _targets(name, x, output_size))
    return _adaptive(name, input, output_size, r.amax, max_pool2d)


def largest_of_bins(name: str, x: Tensor, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The largest of windows that cover the last axes, and their places in these flattened."""
    extents = x.shape[x.ndim - len(size) :]
    lines = [patches.uneven(patches.bins(n, count)) for n, count in zip(extents, size, strict=True)]
    return patches.largest(name, x, lines)


def _of_sequences(name: str, function, doc: str):
    def call(input, output_size):
        x = floating(name, input)
        size = output_size if isinstance(output_size, int) else output_size[0]
        wide = reshaped(name, x, (*x.shape[:-1], 1, x.shape[-1]))
        out = function(wide, (1, size))
        return reshaped(name, out, (*out.shape[:-2], out.shape[-1]))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return call


adaptive_avg_pool1d = _of_sequences(
    "adaptive_avg_pool1d", adaptive_avg_pool2d, "The mean of windows of sequences, `output_size`."
)
adaptive_max_pool1d = _of_sequences(
    "adaptive_max_pool1d",
    adaptive_max_pool2d,
    "The largest of windows of sequences, `output_size` of them.",
)

# --- patches ------------------------------------------------------------------------------------


def _places(image, kernel, dilation, stride) -> np.ndarray:
    """Where each element of each window lies in the image flattened: [KH*KW, OH*OW]."""
    lines = []
    for extent, size, spread, step in zip(image, kernel, dilation, stride):
        count = (extent - spread * (size - 1) - 1) // step + 1
        if count < 1 or size < 1:
            raise fail(ShapeError, f"a window of {kernel} does not fit an image of {image}")
        lines.append(np.arange(size)[:, None] * spread + np.arange(count) * step)
    rows, columns = lines
    at = rows[:, None, :, None] * image[1] + columns[None, :, None, :]
    return at.reshape(math.prod(kernel), -1)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """All windows of an image as columns: [N, C, H, W] -> [N, C * KH * KW, L]."""
    x = tensor("unfold", input)
    kernel, spread, steps, amounts = (
        pair("unfold", what, v)
        for what, v in (
            ("kernel_size", kernel_size),
            ("dilation", dilation),
            ("stride", stride),
            ("padding", padding),
        )
    )
    if x.ndim != 4:
        raise fail(ShapeError, f"unfold of {x._type}", why="it takes [N, C, H, W]")
    x = padded(x, [(0, 0), (0, 0), *((n, n) for n in amounts)], "constant")
    at = _places(x.shape[2:], kernel, spread, steps)
    flat = reshaped("unfold", x, (*x.shape[:2], math.prod(x.shape[2:])))
    out = getitem(flat, (..., at))
    return reshaped("unfold", out, (x.shape[0], x.shape[1] * at.shape[0], at.shape[1]))


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The adjoint of `unfold`: columns added up where their windows overlap."""
    x = tensor("fold", input)
    size, kernel, spread, steps, amounts = (
        pair("fold", "argument", v) for v in (output_size, kernel_size, dilation, stride, padding)
    )
    wide = tuple(n + 2 * p for n, p in zip(size, amounts))
    at = _places(wide, kernel, spread, steps)
    if x.ndim != 3 or x.shape[1] % at.shape[0] or x.shape[2] != at.shape[1]:
        raise fail(
            ShapeError,
            f"fold of {x._type} to {size}",
            why=f"it takes [N, C * {at.shape[0]}, {at.shape[1]}]",
        )
    channels = x.shape[1] // at.shape[0]
    columns = reshaped("fold", x, (x.shape[0], channels, *at.shape))
    base = fill(0, x._type.with_shape((x.shape[0], channels, math.prod(wide))))
    out = scattered(base, (..., at), columns, "add")
    out = reshaped("fold", out, (x.shape[0], channels, *wide))
    return padded(out, [(0, 0), (0, 0), *((-n, -n) for n in amounts)], "constant")


def pixel_shuffle(input, upscale_factor):
    """Channels to pixels: [..., C * r * r, H, W] -> [..., C, H * r, W * r]."""
    x, f = tensor("pixel_shuffle", input), int(upscale_factor)
    if x.ndim < 3 or x.shape[-3] % (f * f):
        raise fail(ShapeError, f"pixel_shuffle of {x._type} by {f}", why="channels are C * r * r")
    lead, (c, h, w) = x.shape[:-3], x.shape[-3:]
    n = len(lead)
    out = reshaped("pixel_shuffle", x, (*lead, c // (f * f), f, f, h, w))
    order = [*range(n), *(n + a for a in (0, 3, 1, 4, 2))]
    return reshaped("pixel_shuffle", permuted("pixel_shuffle", out, order),
                    (*lead, c // (f * f), h * f, w * f))  # fmt: skip


def pixel_unshuffle(input, downscale_factor):
    """Pixels to channels: the inverse of `pixel_shuffle`."""
    x, f = tensor("pixel_unshuffle", input), int(downscale_factor)
    if x.ndim < 3 or x.shape[-2] % f or x.shape[-1] % f:
        raise fail(
            ShapeError, f"pixel_unshuffle of {x._type} by {f}", why="the factor divides H and W"
        )
    lead, (c, h, w) = x.shape[:-3], x.shape[-3:]
    n = len(lead)
    out = reshaped("pixel_unshuffle", x, (*lead, c, h // f, f, w // f, f))
    order = [*range(n), *(n + a for a in (0, 2, 4, 1, 3))]
    return reshaped("pixel_unshuffle", permuted("pixel_unshuffle", out, order),
                    (*lead, c * f * f, h // f, w // f))  # fmt: skip


def channel_shuffle(x, groups):
    """Channels (axis 1) of groups taken in turn."""
    x = tensor("channel_shuffle", x)
    if x.ndim < 2 or x.shape[1] % groups:
        raise fail(ShapeError, f"channel_shuffle of {x._type} in {groups} groups")
    shape = (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    out = reshaped("channel_shuffle", x, shape)
    order = (0, 2, 1, *range(3, x.ndim + 1))
    return reshaped("channel_shuffle", permuted("channel_shuffle", out, order), x.shape)


# --- resizing -----------------------------------------------------------------------------------


def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None,
                recompute_scale_factor=None):  # fmt: skip
    """Resized along the axes after the second, to a size or by a factor.

    Args:
        mode: "nearest", "nearest-exact", "linear" (one axis), "bilinear" or "bicubic" (two) or
            "trilinear" (three); "area" takes means of windows.
        align_corners: for the modes that blend, whether the corners' centres stay in place.
    """
    x = tensor("interpolate", input)
    one_of("interpolate", "mode", mode, ("nearest", "nearest-exact", "linear", "bilinear",
                                         "trilinear", "bicubic", "area"))  # fmt: skip
    spatial = x.shape[2:]
    if (size is None) == (scale_factor is None) or not spatial:
        raise fail(ArgumentError, f"interpolate of {x._type}", why="it needs size or scale_factor")
    given = size if scale_factor is None else scale_factor
    given = given if isinstance(given, (tuple, list)) else (given,) * len(spatial)
    targets = [int(g) if scale_factor is None else int(n * g) for n, g in zip(spatial, given)]
    if mode == "area":
        return _areas(x, tuple(targets))
    for axis, (extent, count) in enumerate(zip(spatial, targets), 2):
        scale = extent / count
        if scale_factor is not None and not recompute_scale_factor:
            scale = 1 / given[axis - 2]
        if mode.startswith("nearest"):
            half = 0.5 if mode == "nearest-exact" else 0.0
            at = np.floor((np.arange(count) + half) * scale).astype(np.int64)
            x = getitem(x, along(axis, np.minimum(at, extent - 1)))
        elif extent != count or not align_corners:
            wide = floating("interpolate", x)
            x = _blended(wide, axis, count, scale, bool(align_corners), mode == "bicubic")
    return x


def _areas(x: Tensor, targets: tuple[int, ...]) -> Tensor:
    """Means of windows along one axis, two or three."""
    from jitgrad.ops.volumes import adaptive_avg_pool3d

    if len(targets) == 1:
        return adaptive_avg_pool1d(x, targets[0])
    return (adaptive_avg_pool2d if len(targets) == 2 else adaptive_avg_pool3d)(x, targets)


def _triangle(share: np.ndarray) -> list[np.ndarray]:
    """Weights of the elements at 0 and 1 for a place between them."""
    return [1 - share, share]


def _cubic(share: np.ndarray) -> list[np.ndarray]:
    """Weights of the elements at -1, 0, 1 and 2: Keys' cubic convolution with a = -0.75.

    R. G. Keys, Cubic convolution interpolation for digital image processing, 1981.
    """
    a = -0.75

    def near(d: np.ndarray) -> np.ndarray:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: np.ndarray) -> np.ndarray:
        return a * (((d - 5) * d + 8) * d - 4)

    return [far(1 + share), near(share), near(1 - share), far(2 - share)]


def _blended(x: Tensor, axis: int, count: int, scale: float, align_corners: bool, cubic: bool):
    """Resized along an axis: each element a weighted sum of the two or four nearest."""
    extent = x.shape[axis]
    if align_corners:
        at = np.arange(count) * ((extent - 1) / builtins.max(count - 1, 1))
    else:
        at = (np.arange(count) + 0.5) * scale - 0.5
    at = at if cubic else np.clip(at, 0, None)
    low = np.floor(at).astype(np.int64)
    weights = (_cubic if cubic else _triangle)(at - low)
    terms = []
    for place, weight in enumerate(weights, -1 if cubic else 0):
        column = constant(weight.astype(x.dtype.numpy).reshape(-1, *(1,) * (x.ndim - axis - 1)))
        nearest = np.clip(low + place, 0, extent - 1)
        terms.append(e.mul(getitem(x, along(axis, nearest)), column))
    return functools.reduce(e.add, terms)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None,
             recompute_scale_factor=None):  # fmt: skip
    """As `interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners, recompute_scale_factor)


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "channel_shuffle", "fold", "interpolate", "pixel_shuffle", "pixel_unshuffle", "unfold",
    "upsample",
]  # fmt: skip
