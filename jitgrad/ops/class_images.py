"""Rows of which `classes` makes the Primitive classes for images, regions and draws; see
`class_table`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.errors import fail
from jitgrad.frontend.linear import linearize
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ir.types import float32, int32, int64
from jitgrad.ops import (
    colour,
    conv,
    creation,
    ctc,
    detection,
    gathering,
    image,
    linalg,
    patches,
    random,
    sampling,
    shaping,
    splitting,
    state,
    volumes,
)
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.activation import log_softmax
from jitgrad.ops.conv3d import conv3d
from jitgrad.ops.indexing import getitem
from jitgrad.ops.promote import constant, floating, static, tensor

ALL = slice(None)

# --- resizing -----------------------------------------------------------------------------------


def _size(name: str, size: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in np.ravel(static(name, "size", size)))


def _resized(mode: str) -> Callable:
    """A class whose instances take images and their new size."""

    def make(align_corners=False, half_pixel_centers=False):
        where = image.CORNERS if align_corners else image.HALF if half_pixel_centers else ""
        return lambda x, size: image.resized(
            tensor("resize", x), _size("resize", size), mode, where
        )

    return make


def _resized_cubic(align_corners=False, half_pixel_centers=False):
    mode = "inner cubic" if half_pixel_centers else "bicubic"
    return _resized(mode)(align_corners, half_pixel_centers)


def _older(mode: str) -> Callable:
    """A class that has the new size among its options."""

    def make(size, align_corners=False, half_pixel_centers=False):
        of_size = _resized(mode)(align_corners, half_pixel_centers)
        return lambda x: of_size(x, size)

    return make


def _resized_lines(coordinate_transformation_mode="align_corners"):
    return lambda x, size: image.resized(
        tensor("ResizeLinear1D", x), _size("ResizeLinear1D", size), "linear",
        coordinate_transformation_mode,
    )  # fmt: skip


def _areas(extent: int, count: int, align_corners: bool) -> np.ndarray:
    """Which share of each result's window every element has: [count, extent]."""
    scale = (extent - 1) / (count - 1) if align_corners and count > 1 else extent / count
    starts = np.arange(count)[:, None] * scale
    places = np.arange(max(extent, math.ceil(count * scale)))
    common = np.minimum(starts + scale, places + 1) - np.maximum(starts, places)
    shares = np.zeros((count, extent))
    for place in places:
        shares[:, min(place, extent - 1)] += np.maximum(common[:, place], 0) / scale
    return shares


def _resized_areas(align_corners=False):
    def call(images, size):
        x = floating("ResizeArea", images)
        count = _size("ResizeArea", size)
        rows, columns = (
            constant(_areas(n, m, align_corners).astype(x.dtype.numpy))
            for n, m in zip(x.shape[1:3], count, strict=True)
        )
        flat = shaping.reshape(x, (*x.shape[:2], -1))
        x = shaping.reshape(linalg.matmul(rows, flat), (x.shape[0], count[0], *x.shape[2:]))
        return linalg.matmul(columns, x)

    return call


def _upsampled(mode: str) -> Callable:
    def make(align_corners=False):
        def call(x, output_size=None, scales=None):
            scales = None if scales is None else tuple(scales)
            return image.interpolate(x, output_size, scales, mode, align_corners or None)

        return call

    return make


# --- windows ------------------------------------------------------------------------------------


def _max_with_places(kernel_size=1, strides=1, pad_mode="valid", data_format="NCHW"):
    def call(x):
        x = tensor("MaxPoolWithArgmax", x)
        kernel, steps = (conv.pair("MaxPoolWithArgmax", "size", v) for v in (kernel_size, strides))
        pads = conv.paddings("MaxPoolWithArgmax", pad_mode, 0, x.shape[2:], kernel, steps, (1, 1))
        lines = list(map(patches.regular, x.shape[2:], kernel, steps, (pads[:2], pads[2:])))
        values, at = patches.largest("MaxPoolWithArgmax", x, lines)
        first = np.arange(x.shape[1]).reshape(-1, 1, 1) * math.prod(x.shape[2:])
        return values, state.cast(e.add(at, constant(first)), int32)

    return call


def _dilated(stride, dilation, pad_mode="SAME", data_format="NCHW"):
    def call(x, filter):
        x, w = floating("Dilation2D", x), floating("Dilation2D", filter)
        steps, spread = (conv.pair("Dilation2D", "option", v) for v in (stride, dilation))
        size = w.shape[1:]
        pads = conv.paddings("Dilation2D", pad_mode, 0, x.shape[2:], size, steps, spread)
        ends = [(0, 0), (0, 0), pads[:2], pads[2:]]
        x = splitting.padded(x, ends, "constant", -math.inf)
        counts = [(n - (k - 1) * d - 1) // s + 1
                  for n, k, d, s in zip(x.shape[2:], size, spread, steps)]  # fmt: skip
        best = None
        for place in np.ndindex(*size):
            key = [slice(i * d, i * d + (n - 1) * s + 1, s)
                   for i, d, n, s in zip(place, spread, counts, steps)]  # fmt: skip
            weight = shaping.reshape(getitem(w, (ALL, *place)), (-1, 1, 1))
            found = e.add(getitem(x, (ALL, ALL, *key)), weight)
            best = found if best is None else e.maximum(best, found)
        return best

    return call


def _conv3d_transpose(in_channel, out_channel, kernel_size, mode=1, pad_mode="valid", pad=0,
                      stride=1, dilation=1, group=1, output_padding=0,
                      data_format="NCDHW"):  # fmt: skip
    """A convolution of the volume with zeros between its elements, by the kernel turned around."""
    name = "Conv3DTranspose"

    def call(dout, weight):
        x, w = tensor(name, dout), tensor(name, weight)
        steps, spread, more = (volumes.triple(v) for v in (stride, dilation, output_padding))
        kernel = w.shape[2:]
        full = [(n * s) for n, s in zip(x.shape[2:], steps)]
        whole = creation.zeros((*x.shape[:2], *full), x.dtype)
        pads = volumes.around(name, pad_mode, pad, whole, kernel, steps, spread)
        for axis, s in enumerate(steps, 2):
            x = shaping.expand_dims(x, axis + 1)
            x = splitting.padded(x, [(0, s - 1) if i == axis + 1 else (0, 0)
                                     for i in range(x.ndim)], "constant")  # fmt: skip
            x = shaping.reshape(x, (*x.shape[:axis], -1, *x.shape[axis + 2 :]))
        ends = [(0, 0), (0, 0)]
        for i, (k, d, s) in enumerate(zip(kernel, spread, steps)):
            reach = (k - 1) * d
            ends.append((reach - pads[2 * i], reach - pads[2 * i + 1] + more[i] - s + 1))
        w = shaping.reshape(w, (group, w.shape[0] // group, *w.shape[1:]))
        w = shaping.flip(shaping.swapaxes(w, 1, 2), (3, 4, 5))
        w = shaping.reshape(w, (-1, *w.shape[2:]))
        return conv3d(splitting.padded(x, ends, "constant"), w, dilation=spread, groups=group)

    return call


def _pad_v3(mode="constant", paddings_contiguous=True):
    def call(x, paddings, constant_value=None):
        amounts = _size("PadV3", paddings)
        if not paddings_contiguous:
            half = len(amounts) // 2
            amounts = tuple(n for ends in zip(amounts[:half], amounts[half:]) for n in ends)
        value = None if constant_value is None else static("PadV3", "value", constant_value)
        how = "replicate" if mode == "edge" else mode
        return splitting.pad(x, amounts, how, None if value is None else np.asarray(value).item())

    return call


def _format_places(src: str, dst: str, letters: str) -> list[int]:
    """Where each letter of the second order stands in the first."""
    first, second = ("".join(v for v in order if v in letters) for order in (src, dst))
    return [first.index(letter) for letter in second]


def _dimensions(src_format="NHWC", dst_format="NCHW"):
    places = constant(np.array(_format_places(src_format, dst_format, "NHWC"), np.int32))
    return lambda x: gathering.gather(places, e.remainder(tensor("DataFormatDimMap", x), 4), 0)


def _permuted(src_format="NHWC", dst_format="NCHW"):
    def call(x):
        x = tensor("DataFormatVecPermute", x)
        letters = "NHWC" if x.shape[0] == 4 else "HW"
        return gathering.gather(x, _format_places(src_format, dst_format, letters), 0)

    return call


# --- losses, counts, lists ----------------------------------------------------------------------


def _ctc_loss(preprocess_collapse_repeated=False, ctc_merge_repeated=True,
              ignore_longer_outputs_than_inputs=False):  # fmt: skip
    """Losses, and their gradient in the scores of the classes, of which the last is the blank."""

    def call(x, labels_indices, labels_values, sequence_length):
        x, at = floating("CTCLoss", x), tensor("CTCLoss", labels_indices)
        shape = (x.shape[1], x.shape[0])
        targets = gathering.scatter_nd(at, labels_values, shape)
        rows = getitem(at, (ALL, 0))
        counts = gathering.unsorted_segment_sum(creation.ones_like(rows), rows, shape[0])

        def losses(scores):
            return ctc.ctc_loss(log_softmax(scores, 2), targets, sequence_length, counts,
                                x.shape[2] - 1, "none")[0]  # fmt: skip

        found, linear = linearize(lambda v: losses(v[0]), [e.stop_gradient(x)])
        return losses(x), *linear.pull([creation.ones_like(found)])

    return call


def _histogram(nbins, dtype="int32"):
    def call(x, range):
        x = floating("HistogramFixedWidth", shaping.ravel(tensor("HistogramFixedWidth", x)))
        low, high = splitting.unbind(floating("HistogramFixedWidth", range), 0)
        at = e.floor(e.div(e.mul(e.sub(x, low), nbins), e.sub(high, low)))
        at = state.cast(c.clamp(at, 0, nbins - 1), int32)
        found = gathering.unsorted_segment_sum(creation.ones_like(at), at, nbins)
        return state.cast(found, dtype_of(dtype))

    return call


def _list_difference(out_idx=int32):
    def call(x, y):
        x = tensor("ListDiff", x)
        kept = ~np.isin(static("ListDiff", "x", x), static("ListDiff", "y", tensor("ListDiff", y)))
        at = constant(np.flatnonzero(kept))
        return gathering.gather(x, at, 0), state.cast(at, out_idx)

    return call


def _ragged_ranges(Tsplits):
    def call(starts, limits, deltas):
        given = [np.ravel(static("RaggedRange", "operand", v)) for v in (starts, limits, deltas)]
        rows = [np.arange(*row) for row in np.broadcast(*given)]
        splits = np.cumsum([0, *map(len, rows)]).astype(dtype_of(Tsplits).numpy)
        return constant(splits), constant(
            np.concatenate(rows).astype(tensor("RaggedRange", starts).dtype.numpy)
        )

    return call


def _checked(x):
    x = tensor("CheckNumerics", x)
    values = x._array("checked by CheckNumerics")
    if not np.isfinite(values).all():
        bad = "NaN" if np.isnan(values).any() else "Inf"
        raise fail(FloatingPointError, f"CheckNumerics: {x._type} has {bad} values")
    return x


# --- tables -------------------------------------------------------------------------------------

PLAIN: dict[str, Callable] = {
    "AdjustHue": colour.adjust_hue, "AdjustSaturation": colour.adjust_saturation,
    "CheckNumerics": _checked, "HSVToRGB": colour.hsv_to_rgb, "RGBToHSV": colour.rgb_to_hsv,
}  # fmt: skip

OPTIONS: dict[str, Callable] = {
    "CTCLoss": _ctc_loss,
    "Cauchy": lambda size, median=0.0, sigma=1.0: lambda: e.add(
        e.mul(e.tan(e.mul(e.sub(random.draw_uniform(tuple(size), float32), 0.5), math.pi)), sigma),
        median,
    ),
    "Conv3DTranspose": _conv3d_transpose,
    "CropAndResize": lambda method="bilinear", extrapolation_value=0.0: (
        lambda x, boxes, box_indices, crop_size: detection.crop_and_resize(
            x, boxes, box_indices, _size("CropAndResize", crop_size), method, extrapolation_value
        )
    ),
    "DataFormatDimMap": _dimensions,
    "DataFormatVecPermute": _permuted,
    "Dilation2D": _dilated,
    "Gamma": lambda seed=0, seed2=0: lambda shape, alpha, beta: sampling.gamma(
        shape, alpha, beta, seed or None
    ),
    "HistogramFixedWidth": _histogram,
    "ListDiff": _list_difference,
    "LogNormalReverse": lambda mean=1.0, std=2.0: lambda x: e.exp(
        random.normal(tensor("LogNormalReverse", x).shape, mean, std)
    ),
    "LogUniformCandidateSampler": lambda num_true=1, num_sampled=5, unique=True, range_max=5,
    seed=0: lambda true_classes: sampling.log_uniform_candidate_sampler(
        true_classes, num_true, num_sampled, unique, range_max, seed
    ),
    "MaxPool3DWithArgmax": lambda ksize, strides, pads, dilation=(1, 1, 1), ceil_mode=False,
    data_format="NCDHW", argmax_type=int64: lambda x: volumes.max_pool3d(
        x, ksize, strides, pads, dilation, ceil_mode, True
    ),
    "MaxPoolWithArgmax": _max_with_places,
    "PadV3": _pad_v3,
    "ROIAlign": lambda pooled_height, pooled_width, spatial_scale, sample_num=2, roi_end_mode=1: (
        lambda features, rois: detection.roi_align(
            features, rois, pooled_height, pooled_width, spatial_scale, sample_num, roi_end_mode
        )
    ),
    "RaggedRange": _ragged_ranges,
    "RandomChoiceWithMask": lambda count=256, seed=0, seed2=0: lambda input_x: (
        sampling.choice_with_mask(input_x, count, seed or None)
    ),
    "RandomGamma": lambda seed=0, seed2=0: lambda shape, alpha: sampling.random_gamma(
        shape, alpha, seed or None
    ),
    "RandomPoisson": lambda seed=0, seed2=0, dtype=int64: lambda shape, rate: (
        sampling.random_poisson(shape, rate, seed or None, dtype)
    ),
    "ResizeArea": _resized_areas,
    "ResizeBicubic": _resized_cubic,
    "ResizeBilinear": _older("bilinear"),
    "ResizeBilinearV2": _resized("bilinear"),
    "ResizeLinear1D": _resized_lines,
    "ResizeNearestNeighbor": _older("nearest"),
    "ResizeNearestNeighborV2": _resized("nearest"),
    "ScatterAddWithAxis": lambda axis=0: lambda input_x, indices, updates: (
        gathering.tensor_scatter_elements(input_x, indices, updates, axis, "add")
    ),
    "UniformCandidateSampler": lambda num_true, num_sampled, unique, range_max, seed=0,
    remove_accidental_hits=False: lambda true_classes: sampling.uniform_candidate_sampler(
        true_classes, num_true, num_sampled, unique, range_max, seed, remove_accidental_hits
    ),
    "UpsampleNearest3D": lambda: _upsampled("nearest")(),
    "UpsampleTrilinear3D": _upsampled("trilinear"),
}  # fmt: skip

__all__ = ["OPTIONS", "PLAIN"]
