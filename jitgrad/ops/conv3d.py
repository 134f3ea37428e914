"""Convolution of volumes, as a sum of convolutions of images: one for each plane of the kernel."""

from __future__ import annotations

from collections.abc import Sequence

from jitgrad.errors import ShapeError, fail
from jitgrad.ops import elementwise as e
from jitgrad.ops.conv import bias_add, conv2d
from jitgrad.ops.indexing import getitem
from jitgrad.ops.linalg import factors
from jitgrad.ops.promote import describe
from jitgrad.ops.shaping import permuted, reshaped
from jitgrad.ops.splitting import padded
from jitgrad.ops.volumes import around, triple
from jitgrad.tensor import Tensor

ALL = slice(None)


def conv3d(input, weight, bias=None, stride=1, pad_mode="valid", padding=0, dilation=1, groups=1):
    """Convolution of volumes: input [N, C, D, H, W], weight [O, C / groups, KD, KH, KW],
    bias [O] -> [N, O, …].

    Args:
        pad_mode: "valid", "same" or "pad".
        padding: for "pad" one number, three, or six: two for each axis.

    >>> from jitgrad import ops
    >>> ops.conv3d(ops.ones((1, 2, 4, 5, 6)), ops.ones((3, 2, 2, 3, 3))).shape
    (1, 3, 3, 3, 4)
    """
    x, w = factors("conv3d", input, weight)
    if x.ndim != 5 or w.ndim != 5:
        raise fail(
            ShapeError,
            f"conv3d got {describe((x, w))}",
            why="it takes [N, C, D, H, W] and [O, C / groups, KD, KH, KW]",
        )
    kernel, steps, spread = w.shape[2:], triple(stride), triple(dilation)
    pads = around("conv3d", pad_mode, padding, x, kernel, steps, spread)
    x = padded(x, [(0, 0), (0, 0), pads[:2], (0, 0), (0, 0)], "constant")
    depth = (x.shape[2] - spread[0] * (kernel[0] - 1) - 1) // steps[0] + 1
    if depth < 1:
        raise fail(ShapeError, f"conv3d: {kernel[0]} planes do not fit {x._type}")
    parts = []
    for k in range(kernel[0]):
        start = k * spread[0]
        chosen = slice(start, start + (depth - 1) * steps[0] + 1, steps[0])
        image, plane = getitem(x, (ALL, ALL, chosen)), getitem(w, (ALL, ALL, k))
        how = (steps[1:], "pad", pads[2:], spread[1:], groups)
        parts.append(conv2d(planes_of(image), plane, None, *how))
    return planes_summed(parts, depth, bias)


def planes_of(x: Tensor) -> Tensor:
    """Volumes [N, C, D, H, W] as images [N * D, C, H, W]."""
    images = permuted("conv3d", x, (0, 2, 1, 3, 4))
    return reshaped("conv3d", images, (-1, x.shape[1], *x.shape[3:]))


def planes_summed(parts: Sequence[Tensor], depth: int, bias: Tensor | None) -> Tensor:
    """The sum of images [N * depth, C, H, W], as volumes [N, C, depth, H, W], with the bias."""
    y = parts[0]
    for part in parts[1:]:
        y = e.add(y, part)
    y = permuted("conv3d", reshaped("conv3d", y, (-1, depth, *y.shape[1:])), (0, 2, 1, 3, 4))
    return y if bias is None else bias_add(y, bias)


__all__ = ["conv3d", "planes_of", "planes_summed"]
