"""Parts of images that boxes or offsets, which may be computed, choose."""

from __future__ import annotations

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.types import int32
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.conv import bias_add
from jitgrad.ops.indexing import getitem
from jitgrad.ops.linalg import factors, matmul
from jitgrad.ops.promote import cast, constant, describe, expand, floating, one_of, tensor
from jitgrad.ops.shaping import permuted, reshaped
from jitgrad.ops.splitting import unbind
from jitgrad.ops.vision import blended, picked
from jitgrad.tensor import Tensor


def _crossed(rows: Tensor, columns: Tensor) -> list[Tensor]:
    """Rows [N, P] and columns [N, Q] as coordinates [N, P, Q]."""
    shape = (rows.shape[0], rows.shape[1], columns.shape[1])
    return [
        expand(reshaped("coordinates", rows, (*rows.shape, 1)), shape),
        expand(reshaped("coordinates", columns, (shape[0], 1, shape[2])), shape),
    ]


def crop_and_resize(image, boxes, box_indices, crop_size, method="bilinear",
                    extrapolation_value=0.0):  # fmt: skip
    """Boxes of images, each resized to the same size: [N, H, W, C] -> [M, h, w, C].

    Args:
        boxes: [M, 4], as (y0, x0, y1, x1) in shares of the image.
        box_indices: [M], which image a box is of.
        crop_size: (h, w).
        method: "bilinear" or "nearest"; "bilinear_v2" for boxes of whole pixels.
        extrapolation_value: the value outside of the image.

    >>> image = ops.arange(9.0).reshape(1, 3, 3, 1)
    >>> crop = ops.crop_and_resize(image, Tensor([[0.0, 0.0, 1.0, 0.5]]), Tensor([0]), (3, 2))
    >>> crop[0, :, :, 0].tolist()
    [[0.0, 1.0], [3.0, 4.0], [6.0, 7.0]]
    """
    x, places = factors("crop_and_resize", floating("crop_and_resize", image), boxes)
    which = tensor("crop_and_resize", box_indices)
    one_of("crop_and_resize", "method", method, ("bilinear", "nearest", "bilinear_v2"))
    if x.ndim != 4 or places.ndim != 2 or places.shape[1] != 4 or which.shape != places.shape[:1]:
        raise fail(
            ShapeError,
            f"crop_and_resize got {describe((x, places, which))}",
            why="it takes [N, H, W, C], boxes [M, 4] and indices [M]",
        )
    ends = unbind(reshaped("crop_and_resize", places, (-1, 4, 1)), 1)
    lines = [
        _cropped(low, high, extent, int(count), method)
        for low, high, extent, count in zip(ends, ends[2:], x.shape[1:3], crop_size)
    ]
    rows, columns = _crossed(*lines)
    inside = c.logical_and(_within(rows, x.shape[1]), _within(columns, x.shape[2]))
    first = permuted("crop_and_resize", x, (0, 3, 1, 2))
    if method == "nearest":
        found = picked(first, [_rounded(rows), _rounded(columns)], which)
    else:
        found = blended(first, [rows, columns], which)
    found = permuted("crop_and_resize", found, (0, 2, 3, 1))
    return c.where(reshaped("crop", inside, (*inside.shape, 1)), found, extrapolation_value)


def _cropped(low: Tensor, high: Tensor, extent: int, count: int, method: str) -> Tensor:
    """The coordinates [M, count] between edges [M, 1] given as shares of an extent."""
    steps = np.arange(count).astype(low.dtype.numpy)
    if method == "bilinear_v2":  # whole pixels, the last one included
        low, high = (e.trunc(e.mul(v, extent)) for v in (low, high))
        step = e.div(e.add(e.sub(high, low), 1), count)
        at = e.sub(e.add(low, e.mul(step, constant(steps + 0.5))), 0.5)
        return e.maximum(e.minimum(at, e.minimum(high, extent - 1)), low)
    if count == 1:
        return e.mul(e.add(low, high), 0.5 * (extent - 1))
    step = e.mul(e.sub(high, low), (extent - 1) / (count - 1))
    return e.add(e.mul(low, extent - 1), e.mul(step, constant(steps)))


def _within(at: Tensor, extent: int) -> Tensor:
    return c.logical_and(c.ge(at, 0), c.le(at, extent - 1))


def _rounded(at: Tensor) -> Tensor:
    return e.floor(e.add(at, 0.5))


def roi_align(features, rois, pooled_height, pooled_width, spatial_scale, sample_num=2,
              roi_end_mode=1):  # fmt: skip
    """Means of values sampled in the cells of a grid over regions: [N, C, H, W] -> [R, C, P, Q].

    Args:
        rois: [R, 5], as (image, x0, y0, x1, y1).
        spatial_scale: what turns coordinates of regions into ones of features.
        sample_num: samples of a cell along each axis.
        roi_end_mode: 1 adds one to x1 and y1; 0 makes small regions one element large.

    >>> ops.ROIAlign(1, 1, 1.0)(ops.ones((1, 2, 4, 4)), Tensor([[0.0, 0.0, 0.0, 2.0,
    ...     2.0]])).shape
    (1, 2, 1, 1)
    """
    x, boxes = factors("ROIAlign", floating("ROIAlign", features), rois)
    if x.ndim != 4 or boxes.ndim != 2 or boxes.shape[1] != 5:
        raise fail(
            ShapeError, f"ROIAlign got {describe((x, boxes))}", why="it takes [N, C, H, W], [R, 5]"
        )
    if sample_num < 1:
        raise fail(
            ArgumentError,
            f"ROIAlign got sample_num={sample_num}",
            why="the number of samples may not depend on values",
        )
    image, *edges = unbind(reshaped("ROIAlign", boxes, (-1, 5, 1)), 1)
    lines, inside = [], []
    for low, high, count, extent in zip(
        (edges[1], edges[0]), (edges[3], edges[2]), (pooled_height, pooled_width), x.shape[2:]
    ):
        start = e.mul(low, spatial_scale)
        size = e.sub(e.mul(e.add(high, roi_end_mode), spatial_scale), start)
        size = size if roi_end_mode else e.maximum(size, 1)
        shares = (np.arange(count * sample_num) + 0.5) / (count * sample_num)
        at = e.add(start, e.mul(size, constant(shares.astype(x.dtype.numpy))))
        inside.append(c.logical_and(c.ge(at, -1), c.le(at, extent)))
        lines.append(c.clamp(at, 0, extent - 1))
    known = c.logical_and(*_crossed(*inside))
    values = blended(x, _crossed(*lines), cast(image, int32))
    values = c.where(reshaped("ROIAlign", known, (known.shape[0], 1, *known.shape[1:])), values, 0)
    cells = (*values.shape[:2], pooled_height, sample_num, pooled_width, sample_num)
    return r.mean(reshaped("ROIAlign", values, cells), (3, 5))


def deformable_conv2d(x, weight, offsets, kernel_size, strides, padding, bias=None,
                      dilations=(1, 1, 1, 1), groups=1, deformable_groups=1,
                      modulated=True):  # fmt: skip
    """Convolution whose windows' places are moved: [N, C, H, W] -> [N, O, P, Q].

    Args:
        weight: [O, C / groups, KH, KW].
        offsets: [N, 3 * deformable_groups * KH * KW, P, Q]: columns, rows and factors.
        kernel_size: (KH, KW).
        strides, dilations: four numbers, of which the last two count.
        padding: four numbers: above, below, left, right.
        modulated: must be True.

    >>> ops.deformable_conv2d(ops.ones((1, 1, 3, 3)), ops.ones((1, 1, 2, 2)), ops.ones((1,
    ...     12, 2, 2)), (2, 2), (1,) * 4, (0,) * 4)[0, 0, 0].tolist()
    [4.0, 2.0]
    """
    image, w = factors("deformable_conv2d", floating("deformable_conv2d", x), weight)
    moved = floating("deformable_conv2d", offsets)
    taps = kernel_size[0] * kernel_size[1]
    line = [
        (np.arange((n + low + high - d * (k - 1) - 1) // s + 1) * s - low, np.arange(k) * d)
        for n, k, s, d, low, high in zip(
            image.shape[2:], kernel_size, strides[2:], dilations[2:], padding[::2], padding[1::2]
        )
    ]
    out = tuple(len(starts) for starts, _ in line)
    if not modulated or moved.shape != (image.shape[0], 3 * deformable_groups * taps, *out):
        raise fail(
            ShapeError,
            f"deformable_conv2d got {describe((image, w, moved))}, modulated={modulated}",
            why=f"offsets are [N, {3 * deformable_groups * taps}, {out[0]}, {out[1]}]",
        )
    name, batch = "deformable_conv2d", image.shape[0] * deformable_groups
    parts = reshaped(name, moved, (-1, 3, deformable_groups, taps, *out))
    columns, rows, factor = (
        reshaped(name, getitem(parts, (slice(None), i)), (batch, taps, *out)) for i in range(3)
    )
    (tops, down), (lefts, right) = line
    down, right = (v.reshape(-1, 1, 1) for v in np.meshgrid(down, right, indexing="ij"))
    at = [
        e.add(shift, constant((start + step).astype(image.dtype.numpy)))
        for shift, start, step in ((rows, tops[:, None], down), (columns, lefts, right))
    ]
    grouped = reshaped(name, image, (batch, -1, *image.shape[2:]))
    values = e.mul(blended(grouped, at), reshaped(name, factor, (batch, 1, taps, *out)))
    values = reshaped(name, values, (image.shape[0], groups, -1, out[0] * out[1]))
    y = matmul(reshaped(name, w, (groups, w.shape[0] // groups, -1)), values)
    y = reshaped(name, y, (image.shape[0], w.shape[0], *out))
    return y if bias is None else bias_add(y, bias)


__all__ = ["crop_and_resize", "deformable_conv2d", "roi_align"]
