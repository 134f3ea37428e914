"""Pooling of volumes, along one axis after the others, and the inverse of max-pooling."""

from __future__ import annotations

import math
from typing import Any

from jitgrad.errors import ShapeError, fail
from jitgrad.ops import elementwise as e
from jitgrad.ops.conv import avg_pool2d, max_pool2d, pair
from jitgrad.ops.gathering import tensor_scatter_elements
from jitgrad.ops.image import adaptive_avg_pool2d, adaptive_max_pool2d
from jitgrad.ops.promote import expand, fill, floating, tensor
from jitgrad.ops.shaping import reshaped
from jitgrad.ops.slicing import lp_pool2d
from jitgrad.tensor import Tensor


def _triple(value: Any) -> tuple:
    """One number or None for all three axes, or three."""
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


def avg_pool3d(input_x, kernel_size=1, stride=1, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=0):  # fmt: skip
    """The mean of each window: [N, C, D, H, W] -> [N, C, …]."""
    x = _volume("avg_pool3d", input_x)
    kernel, padding = _triple(kernel_size), _triple(padding)
    stride = kernel if stride is None else _triple(stride)
    how = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    how |= {"divisor_override": 1} if divisor_override else {}  # then sums are divided
    out = _apart(
        "avg_pool3d",
        x,
        lambda v: avg_pool2d(v, kernel[1:], stride[1:], padding[1:], **how),
        lambda v: avg_pool2d(v, (kernel[0], 1), (stride[0], 1), (padding[0], 0), **how),
    )
    return e.div(out, divisor_override) if divisor_override else out


def max_pool3d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The largest of each window: [N, C, D, H, W] -> [N, C, …]."""
    x = _volume("max_pool3d", x)
    kernel, padding, dilation = _triple(kernel_size), _triple(padding), _triple(dilation)
    stride = kernel if stride is None else _triple(stride)

    def along(part: slice, more: tuple) -> Any:
        sizes = [(*v[part], *m) for v, m in zip((kernel, stride, padding, dilation), more)]
        return lambda v: max_pool2d(v, *sizes, ceil_mode=ceil_mode)

    rest = ((1,), (1,), (0,), (1,))
    return _apart("max_pool3d", x, along(slice(1, 3), ((),) * 4), along(slice(0, 1), rest))


def _adaptive(name: str, function: Any, input: Any, output_size: Any) -> Tensor:
    x = _volume(name, input)
    depth, height, width = (
        n if wanted is None else wanted
        for n, wanted in zip(x.shape[-3:], _triple(output_size), strict=True)
    )
    return _apart(
        name,
        x,
        lambda v: function(v, (height, width)),
        lambda v: function(v, (depth, v.shape[-1])),
    )


def adaptive_avg_pool3d(input, output_size):
    """Means of windows such that the result has a given size; None keeps an extent."""
    return _adaptive("adaptive_avg_pool3d", adaptive_avg_pool2d, input, output_size)


def adaptive_max_pool3d(input, output_size):
    """The largest of windows such that the result has a given size; None keeps an extent."""
    return _adaptive("adaptive_max_pool3d", adaptive_max_pool2d, input, output_size)


def lp_pool1d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of sequences: [N, C, L]."""
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
    """Values of `max_pool1d` back at their places, zeros elsewhere."""
    size = _sizes("max_unpool1d", x, 1, kernel_size, stride, padding, output_size)
    return _unpooled("max_unpool1d", x, indices, size)


def max_unpool2d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Values of `max_pool2d` back at their places, zeros elsewhere."""
    size = _sizes("max_unpool2d", x, 2, kernel_size, stride, padding, output_size)
    return _unpooled("max_unpool2d", x, indices, size)


def max_unpool3d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Values of a pooled volume back at their places, zeros elsewhere."""
    size = _sizes("max_unpool3d", x, 3, kernel_size, stride, padding, output_size)
    return _unpooled("max_unpool3d", x, indices, size)


__all__ = [
    "adaptive_avg_pool3d", "adaptive_max_pool3d", "avg_pool3d", "lp_pool1d", "max_pool3d",
    "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip
