"""Adaptive pooling, patches, resizing and shuffling of images, in NCHW layout."""

from __future__ import annotations

import builtins
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

    >>> ops.adaptive_avg_pool2d(ops.arange(16.0).reshape(1, 4, 4), (1, 2)).tolist()
    [[[6.5, 8.5]]]
    """
    return _adaptive("adaptive_avg_pool2d", input, output_size, r.mean, avg_pool2d)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest of windows chosen so that the output has a given size.

    Args:
        return_indices: also where it was in the image flattened (int64), as a tuple.

    >>> ops.adaptive_max_pool2d(ops.arange(16.0).reshape(1, 4, 4), (1, 2)).tolist()
    [[[13.0, 15.0]]]
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
    """All windows of an image as columns: [N, C, H, W] -> [N, C * KH * KW, L].

    >>> ops.unfold(ops.arange(9.0).reshape(1, 1, 3, 3), 2).shape
    (1, 4, 4)
    """
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
    """The adjoint of `unfold`: columns added up where their windows overlap.

    >>> ops.fold(ops.ones((1, 4, 4)), 3, 2)[0, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    x = tensor("fold", input)
    size, kernel, spread, steps, amounts = (
        pair("fold", "argument", v) for v in (output_size, kernel_size, dilation, stride, padding)
    )
    wide = tuple(n + 2 * p for n, p in zip(size, amounts))
    at = _places(wide, kernel, spread, steps)
    if x.ndim == 4:  # [N, C, elements of the kernel, places]
        x = reshaped("fold", x, (x.shape[0], x.shape[1] * x.shape[2], x.shape[3]))
    if x.ndim != 3 or x.shape[1] % at.shape[0] or x.shape[2] != at.shape[1]:
        raise fail(
            ShapeError,
            f"fold of {x._type} to {size}",
            why=f"it takes [N, C * {at.shape[0]}, {at.shape[1]}], or C apart",
        )
    channels = x.shape[1] // at.shape[0]
    columns = reshaped("fold", x, (x.shape[0], channels, *at.shape))
    base = fill(0, x._type.with_shape((x.shape[0], channels, math.prod(wide))))
    out = scattered(base, (..., at), columns, "add")
    out = reshaped("fold", out, (x.shape[0], channels, *wide))
    return padded(out, [(0, 0), (0, 0), *((-n, -n) for n in amounts)], "constant")


def pixel_shuffle(input, upscale_factor):
    """Channels to pixels: [..., C * r * r, H, W] -> [..., C, H * r, W * r].

    >>> ops.pixel_shuffle(ops.arange(4).reshape(1, 4, 1, 1), 2).tolist()
    [[[[0, 1], [2, 3]]]]
    """
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
    """Pixels to channels: the inverse of `pixel_shuffle`.

    >>> ops.pixel_unshuffle(ops.arange(4).reshape(1, 1, 2, 2), 2).shape
    (1, 4, 1, 1)
    """
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
    """Channels (axis 1) of groups taken in turn.

    >>> ops.channel_shuffle(ops.arange(4).reshape(1, 4, 1), 2).ravel().tolist()
    [0, 2, 1, 3]
    """
    x = tensor("channel_shuffle", x)
    if x.ndim < 2 or x.shape[1] % groups:
        raise fail(ShapeError, f"channel_shuffle of {x._type} in {groups} groups")
    shape = (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    out = reshaped("channel_shuffle", x, shape)
    order = (0, 2, 1, *range(3, x.ndim + 1))
    return reshaped("channel_shuffle", permuted("channel_shuffle", out, order), x.shape)


# --- resizing -----------------------------------------------------------------------------------


HALF, CORNERS = "half_pixel", "align_corners"
MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area")


def _linear(s: Any) -> list[tuple[int, Any]]:
    return [(0, 1 - s), (1, s)]


def _cubic(slope: float) -> Any:
    """Keys's weights (1981)."""

    def weights(s: Any) -> list[tuple[int, Any]]:
        near = [((slope + 2) * d - (slope + 3)) * d * d + 1 for d in (s, 1 - s)]
        behind, ahead = (((d - 5) * d + 8) * d * slope - 4 * slope for d in (s + 1, 2 - s))
        return list(zip((-1, 0, 1, 2), (behind, *near, ahead)))

    return weights


# Which neighbours of a place are added up, and their weights by the share after the first.
TAPS = {
    **dict.fromkeys(("linear", "bilinear", "trilinear"), _linear),
    "bicubic": _cubic(-0.75),
    "inner cubic": _cubic(-0.5),  # of those neighbours that exist
}


def resized(x: Tensor, targets: Any, mode: str, where: Any = "", scales: Any = None) -> Tensor:
    """[N, C, …] with other extents of the axes after the second.

    Args:
        mode: "nearest" or one of TAPS.
        where: HALF puts edges on edges, CORNERS corners on corners, and else first on first.
        scales: how far neighbours are from each other in the input; by default what fits.
    """
    for i, (extent, count) in enumerate(zip(x.shape[2:], targets, strict=True)):
        scale = extent / count if scales is None else scales[i]
        if where == CORNERS:
            scale = (extent - 1) / builtins.max(count - 1, 1)
        half = 0.5 if where == HALF else 0.0
        at = (np.arange(count) + half) * scale
        if mode == "nearest":
            at = np.floor(at + 0.5 * (where == CORNERS)).astype(np.int64)
            x = getitem(x, along(i + 2, np.minimum(at, extent - 1)))
        elif extent != count or where != CORNERS:
            x = _weighted(floating("interpolate", x), i + 2, at - half, mode)
    return x


def _weighted(x: Tensor, axis: int, at: np.ndarray, mode: str) -> Tensor:
    """Values between the elements of an axis."""
    extent = x.shape[axis]
    at = np.maximum(at, 0) if TAPS[mode] is _linear else at
    low = np.floor(at).astype(np.int64)
    places, weights = zip(*((low + k, weight) for k, weight in TAPS[mode](at - low)))
    if mode == "inner cubic":
        weights = [np.where((p >= 0) & (p < extent), w, 0) for p, w in zip(places, weights)]
        weights = [w / sum(weights) for w in weights]
    total = None
    for place, weight in zip(places, weights):
        found = getitem(x, along(axis, np.clip(place, 0, extent - 1)))
        column = weight.astype(x.dtype.numpy).reshape(-1, *(1,) * (x.ndim - axis - 1))
        term = e.mul(found, constant(column))
        total = term if total is None else e.add(total, term)
    return total


def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None,
                recompute_scale_factor=None):  # fmt: skip
    """Resized along the axes after the second, to a size or by a factor.

    Args:
        mode: "nearest", "nearest-exact", "linear" (one axis), "bilinear" or "bicubic" (two) or
            "trilinear" (three); "area" takes means of windows.
        align_corners: for the modes that blend, whether the corners' centres stay in place.

    >>> ops.interpolate(Tensor([[[1.0, 3.0]]]), size=4, mode="linear").tolist()
    [[[1.0, 1.5, 2.5, 3.0]]]
    """
    x = tensor("interpolate", input)
    one_of("interpolate", "mode", mode, MODES)
    spatial = x.shape[2:]
    if (size is None) == (scale_factor is None) or not spatial:
        raise fail(ArgumentError, f"interpolate of {x._type}", why="it needs size or scale_factor")
    given = size if scale_factor is None else scale_factor
    given = given if isinstance(given, (tuple, list)) else (given,) * len(spatial)
    targets = [int(g) if scale_factor is None else int(n * g) for n, g in zip(spatial, given)]
    if mode == "area":
        return _areas(x, tuple(targets))
    kept = scale_factor is not None and not recompute_scale_factor
    scales = [1 / g for g in given] if kept else None
    if mode.startswith("nearest"):
        return resized(x, targets, "nearest", mode == "nearest-exact" and HALF, scales)
    return resized(x, targets, mode, CORNERS if align_corners else HALF, scales)


def _areas(x: Tensor, targets: tuple[int, ...]) -> Tensor:
    """Means of windows along one axis, two or three."""
    from jitgrad.ops.volumes import adaptive_avg_pool3d

    if len(targets) == 1:
        return adaptive_avg_pool1d(x, targets[0])
    return (adaptive_avg_pool2d if len(targets) == 2 else adaptive_avg_pool3d)(x, targets)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None,
             recompute_scale_factor=None):  # fmt: skip
    """As `interpolate`.

    >>> ops.upsample(Tensor([[[1.0, 2.0]]]), size=4).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """
    return interpolate(input, size, scale_factor, mode, align_corners, recompute_scale_factor)


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "channel_shuffle", "fold", "interpolate", "pixel_shuffle", "pixel_unshuffle", "resized",
    "unfold", "upsample",
]  # fmt: skip
