"""Pooling of volumes, along one axis after the others, and the inverse of max-pooling."""

from __future__ import annotations

import math
from typing import Any

from jitgrad.errors import ShapeError, fail
from jitgrad.ir.types import int32
from jitgrad.ops import elementwise as e
from jitgrad.ops import patches
from jitgrad.ops.conv import avg_pool2d, ceil_more, max_pool2d, pair, same
from jitgrad.ops.gathering import tensor_scatter_elements
from jitgrad.ops.image import adaptive_avg_pool2d, adaptive_max_pool2d, largest_of_bins
from jitgrad.ops.promote import cast, expand, fill, floating, one_of, tensor
from jitgrad.ops.shaping import reshaped
from jitgrad.ops.slicing import lp_pool2d
from jitgrad.tensor import Tensor


def triple(value: Any) -> tuple:
    """One number or None for all three axes, or a number for each."""
    return (value,) * 3 if value is None or isinstance(value, int) else tuple(value)


def _volume(name: str, value: Any) -> Tensor:
    x = floating(name, value)
    if x.ndim not in (4, 5):
        raise fail(ShapeError, f"{name} of {x._type}", why="it takes [N, C, D, H, W]")
    return x


def _apart(name: str, x: Tensor, plane: Any, depth: Any) -> Tensor:
    """A function of planes over height and width, then one over depth, as rows of planes."""
    lead = x.shape[:-3]
    count = math.prod(lead)
    flat = reshaped(name, x, (count, x.shape[-3], *x.shape[-2:]))
    flat = plane(flat)
    height, width = flat.shape[-2:]
    flat = depth(reshaped(name, flat, (count, 1, flat.shape[1], height * width)))
    return reshaped(name, flat, (*lead, flat.shape[2], height, width))


def around(name: str, mode: str, padding: Any, x: Tensor, kernel, stride, dilation=(1, 1, 1)):
    """Padding before and behind each of the three axes, six numbers, by MindSpore's pad_mode."""
    mode = one_of(name, "pad_mode", str(mode).lower(), ("valid", "same", "pad"))
    if mode == "same":
        return same(x.shape[-3:], kernel, stride, dilation)
    given = triple(0 if mode == "valid" else padding)
    return tuple(n for n in given for _ in range(2)) if len(given) == 3 else given


def avg_pool3d(input_x, kernel_size=1, stride=1, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=0):  # fmt: skip
    """The mean of each window: [N, C, D, H, W] -> [N, C, …].

    Args:
        padding: one number, three, or six: two for each axis.

    >>> ops.avg_pool3d(ops.ones((1, 1, 2, 4, 4)), 2, 2).shape
    (1, 1, 1, 2, 2)
    """
    x = _volume("avg_pool3d", input_x)
    kernel = triple(kernel_size)
    stride = kernel if stride is None else triple(stride)
    pads = around("avg_pool3d", "pad", padding, x, kernel, stride)
    how = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    how |= {"divisor_override": 1} if divisor_override else {}  # then sums are divided
    out = _apart(
        "avg_pool3d",
        x,
        lambda v: avg_pool2d(v, kernel[1:], stride[1:], pads[2:], **how),
        lambda v: avg_pool2d(v, (kernel[0], 1), (stride[0], 1), (*pads[:2], 0, 0), **how),
    )
    return e.div(out, divisor_override) if divisor_override else out


def max_pool3d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):  # fmt: skip
    """The largest of each window: [N, C, D, H, W] -> [N, C, …].

    Args:
        stride: None for that of the window.
        padding: one number, three, or six: two for each axis.
        return_indices: also where it was in the volume flattened (int64), as a tuple.

    >>> ops.max_pool3d(ops.ones((1, 1, 2, 4, 4)), 2).shape
    (1, 1, 1, 2, 2)
    """
    x = _volume("max_pool3d", x)
    kernel, dilation = triple(kernel_size), triple(dilation)
    stride = kernel if stride is None else triple(stride)
    pads = around("max_pool3d", "pad", padding, x, kernel, stride)
    if return_indices:
        return _max_with_places(x, kernel, stride, pads, dilation, ceil_mode)

    def along(sizes: tuple) -> Any:
        return lambda v: max_pool2d(v, *sizes, ceil_mode=ceil_mode)

    plane = (kernel[1:], stride[1:], pads[2:], dilation[1:])
    depth = ((kernel[0], 1), (stride[0], 1), (*pads[:2], 0, 0), (dilation[0], 1))
    return _apart("max_pool3d", x, along(plane), along(depth))


def _max_with_places(x: Tensor, kernel, stride, pads, dilation, ceil_mode: bool) -> Any:
    extents = x.shape[-3:]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    more = ceil_more(extents, reach, stride, pads) if ceil_mode else (0, 0, 0)
    ends = [(pads[2 * i], pads[2 * i + 1] + more[i]) for i in range(3)]
    lines = list(map(patches.regular, extents, kernel, stride, ends, dilation))
    return patches.largest("max_pool3d", x, lines)


def _sized(name: str, x: Tensor, output_size: Any) -> tuple[int, ...]:
    return tuple(
        n if wanted is None else wanted
        for n, wanted in zip(x.shape[-3:], triple(output_size), strict=True)
    )


def _adaptive(name: str, function: Any, input: Any, output_size: Any) -> Tensor:
    x = _volume(name, input)
    depth, height, width = _sized(name, x, output_size)
    return _apart(
        name,
        x,
        lambda v: function(v, (height, width)),
        lambda v: function(v, (depth, v.shape[-1])),
    )


def adaptive_avg_pool3d(input, output_size):
    """Means of windows such that the result has a given size; None keeps an extent.

    >>> ops.adaptive_avg_pool3d(ops.ones((1, 2, 4, 4)), (1, 2, 2)).shape
    (1, 1, 2, 2)
    """
    return _adaptive("adaptive_avg_pool3d", adaptive_avg_pool2d, input, output_size)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The largest of windows such that the result has a given size; None keeps an extent.

    Args:
        return_indices: also where it was in the volume flattened (int32), as a tuple.

    >>> ops.adaptive_max_pool3d(ops.ones((1, 2, 4, 4)), (1, 2, 2)).shape
    (1, 1, 2, 2)
    """
    name = "adaptive_max_pool3d"
    if return_indices:
        x = _volume(name, input)
        values, places = largest_of_bins(name, x, _sized(name, x, output_size))
        return values, cast(places, int32)
    return _adaptive(name, adaptive_max_pool2d, input, output_size)


def lp_pool1d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of sequences: [N, C, L].

    >>> ops.lp_pool1d(Tensor([[[3.0, 4.0]]]), 2, 2).tolist()
    [[[5.0]]]
    """
    x = floating("lp_pool1d", x)
    flat = reshaped("lp_pool1d", x, (*x.shape[:-1], 1, x.shape[-1]))
    steps = None if stride is None else (1, stride)
    out = lp_pool2d(flat, norm_type, (1, kernel_size), steps, ceil_mode)
    return reshaped("lp_pool1d", out, (*out.shape[:-2], out.shape[-1]))


def _unpooled(name: str, x: Any, indices: Any, size: tuple[int, ...]) -> Tensor:
    """Values at their places in zeros; places count in the image of one channel."""
    x, at = tensor(name, x), tensor(name, indices)
    lead = x.shape[: x.ndim - len(size)]
    flat, places = (reshaped(name, v, (*lead, math.prod(v.shape[len(lead) :]))) for v in (x, at))
    base = expand(fill(0, x._type.with_shape(())), (*lead, math.prod(size)))
    out = tensor_scatter_elements(base, places, flat, len(lead))
    return reshaped(name, out, (*lead, *size))


def _sizes(name, x, count, kernel_size, stride, padding, output_size) -> tuple[int, ...]:
    """The extents that pooling had before, unless they are given."""
    if output_size is not None and tuple(output_size):
        return tuple(output_size)[-count:]
    many = (lambda v: (v,) * count if isinstance(v, int) else tuple(v)) if count != 2 else (
        lambda v: pair(name, "size", v)
    )  # fmt: skip
    kernel, padding = many(kernel_size), many(padding)
    steps = kernel if stride is None else many(stride)
    extents = tensor(name, x).shape[-count:]
    return tuple(
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(extents, steps, padding, kernel, strict=True)
    )


def max_unpool1d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Values of `max_pool1d` back at their places, zeros elsewhere.

    >>> ops.max_unpool1d(Tensor([[[5.0]]]), Tensor([[[1]]]), 2).tolist()
    [[[0.0, 5.0]]]
    """
    size = _sizes("max_unpool1d", x, 1, kernel_size, stride, padding, output_size)
    return _unpooled("max_unpool1d", x, indices, size)


def max_unpool2d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Values of `max_pool2d` back at their places, zeros elsewhere.

    >>> ops.max_unpool2d(Tensor([[[[5.0]]]]), Tensor([[[[3]]]]), 2).tolist()
    [[[[0.0, 0.0], [0.0, 5.0]]]]
    """
    size = _sizes("max_unpool2d", x, 2, kernel_size, stride, padding, output_size)
    return _unpooled("max_unpool2d", x, indices, size)


def max_unpool3d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Values of a pooled volume back at their places, zeros elsewhere.

    >>> ops.max_unpool3d(Tensor([[[[[5.0]]]]]), Tensor([[[[[3]]]]]), 2).shape
    (1, 1, 2, 2, 2)
    """
    size = _sizes("max_unpool3d", x, 3, kernel_size, stride, padding, output_size)
    return _unpooled("max_unpool3d", x, indices, size)


__all__ = [
    "adaptive_avg_pool3d", "adaptive_max_pool3d", "around", "avg_pool3d", "lp_pool1d",
    "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d", "triple",
]  # fmt: skip
