"""Dense layers, convolution, pooling and resizing, in NCHW layout.

`pad_mode` is MindSpore's: "valid" (none), "same" (the output has ceil(extent / stride) places) or
"pad" (by `padding`: a number, one for each axis, or (top, bottom, left, right)).
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ops import elementwise as e
from jitgrad.ops import patches
from jitgrad.ops.linalg import factors, product
from jitgrad.ops.promote import apply, constant, describe, floating, one_of, static, tensor
from jitgrad.ops.shaping import permuted, reshaped
from jitgrad.primitives import conv as primitive
from jitgrad.primitives import pool
from jitgrad.tensor import Tensor

Pair = tuple[int, int]


def pair(name: str, what: str, value: Any) -> Pair:
    """One number for both axes, two, or MindSpore's four (of which the last two count)."""
    value = static(name, what, value)
    value = (value,) if isinstance(value, (int, np.integer)) else value
    if not isinstance(value, (tuple, list)) or len(value) not in (1, 2, 4):
        raise fail(ArgumentError, f"{name} got {what}={value!r}", why="it is an int or two ints")
    value = tuple(int(v) for v in value[-2:])
    return value * 2 if len(value) == 1 else value


def paddings(name: str, mode: str, padding: Any, image, kernel, stride, dilation) -> tuple:
    """Top, bottom, left and right padding of an image."""
    mode = one_of(name, "pad_mode", str(mode).lower(), ("valid", "same", "pad"))
    given = static(name, "padding", padding)
    if mode != "pad":
        if given not in (0, (0,), (0, 0), (0, 0, 0, 0)) and given != [0, 0]:
            raise fail(
                ArgumentError,
                f"{name} got padding={padding} with pad_mode={mode!r}",
                why="only pad_mode='pad' takes amounts",
                instead="pad_mode='pad'",
            )
        return (0, 0, 0, 0) if mode == "valid" else same(image, kernel, stride, dilation)
    given = (given,) if isinstance(given, (int, np.integer)) else tuple(given)
    if len(given) not in (1, 2, 4):
        raise fail(ArgumentError, f"{name} got padding={padding}", why="it is 1, 2 or 4 numbers")
    if len(given) == 4:
        return tuple(int(n) for n in given)
    rows, columns = given * 2 if len(given) == 1 else given
    return (int(rows), int(rows), int(columns), int(columns))


def same(image, kernel, stride, dilation) -> tuple[int, ...]:
    """Padding before and behind each axis so that there are ceil(extent / stride) places."""
    out = []
    for extent, size, step, spread in zip(image, kernel, stride, dilation):
        reach = (size - 1) * spread + 1
        total = builtins.max((math.ceil(extent / step) - 1) * step + reach - extent, 0)
        out += [total // 2, total - total // 2]
    return tuple(out)


# --- dense --------------------------------------------------------------------------------------


def dense(input, weight, bias=None):
    """x @ weight.T + bias: input [..., k], weight [n, k], bias [n] -> [..., n].

    >>> from jitgrad import Tensor, ops
    >>> ops.dense(Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]]), Tensor([0.5])).tolist()
    [[11.5]]
    """
    return _linear("dense", input, weight, bias)


def linear(input, weight, bias=None):
    """x @ weight.T + bias, as `dense`.

    >>> ops.linear(Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]]), Tensor([0.5])).tolist()
    [[11.5]]
    """
    return _linear("linear", input, weight, bias)


def _linear(name: str, input, weight, bias) -> Tensor:
    x, w = factors(name, input, weight)
    if w.ndim not in (1, 2) or not x.ndim or x.shape[-1] != w.shape[-1]:
        raise fail(
            ShapeError,
            f"{name} got {describe((x, w))}",
            why=f"the last axes have {x.shape[-1:]} and {w.shape[-1:]} elements",
        )
    w = permuted(name, w, (1, 0)) if w.ndim == 2 else w
    out = product(name, x, w)
    return out if bias is None else e.add(out, bias)


def bias_add(input_x, bias):
    """A bias added to axis 1 (the last axis of a matrix).

    >>> ops.bias_add(ops.zeros((1, 2, 2)), Tensor([1.0, 2.0])).tolist()
    [[[1.0, 1.0], [2.0, 2.0]]]
    """
    x, bias = tensor("bias_add", input_x), tensor("bias_add", bias)
    if x.ndim < 2 or bias.shape != x.shape[1:2]:
        raise fail(
            ShapeError,
            f"bias_add got {describe((x, bias))}",
            why="the bias has one element for each of axis 1",
        )
    return e.add(x, reshaped("bias_add", bias, (x.shape[1], *(1,) * (x.ndim - 2))))


# --- convolution --------------------------------------------------------------------------------


def _image(name: str, x: Tensor, ndim: int) -> Tensor:
    if x.ndim != ndim:
        names = ", ".join("NCDHW"[:2] + "DHW"[5 - ndim :])
        raise fail(ShapeError, f"{name} got {x._type}", why=f"it takes [{names}]")
    return x


def conv2d(input, weight, bias=None, stride=1, pad_mode="valid", padding=0, dilation=1, groups=1):
    """Convolution of images: input [N, C, H, W], weight [O, C / groups, KH, KW] -> [N, O, …].

    Args:
        bias: Tensor [O].
        stride, dilation: an int, or one for rows and one for columns.
        pad_mode: "valid", "same" or "pad"; only the last uses `padding`.
        groups: how many groups of channels are convolved separately.

    >>> from jitgrad import ops
    >>> ops.conv2d(ops.ones((1, 1, 3, 3)), ops.ones((1, 1, 2, 2))).shape
    (1, 1, 2, 2)
    """
    x, w = factors("conv2d", input, weight)
    _image("conv2d", x, 4), _image("conv2d", w, 4)
    steps, spread = pair("conv2d", "stride", stride), pair("conv2d", "dilation", dilation)
    pads = paddings("conv2d", pad_mode, padding, x.shape[2:], w.shape[2:], steps, spread)
    out = apply(primitive.conv2d, x, w, stride=steps, pad=pads, dilation=spread, groups=int(groups))
    return out if bias is None else bias_add(out, bias)


def conv1d(input, weight, bias=None, stride=1, pad_mode="valid", padding=0, dilation=1, groups=1):
    """Convolution of sequences: input [N, C, L], weight [O, C / groups, K].

    >>> ops.conv1d(Tensor([[[1.0, 2.0, 3.0]]]), Tensor([[[1.0, -1.0]]])).tolist()
    [[[-1.0, -1.0]]]
    """
    x, w = factors("conv1d", input, weight)
    _image("conv1d", x, 3), _image("conv1d", w, 3)
    given = static("conv1d", "padding", padding)
    given = (given,) if isinstance(given, int) else tuple(given)
    sides = (0, 0, *(given * 2 if len(given) == 1 else given)) if pad_mode == "pad" else 0
    x, w = (reshaped("conv1d", v, (*v.shape[:2], 1, v.shape[2])) for v in (x, w))
    steps, spread = _one("stride", stride), _one("dilation", dilation)
    out = conv2d(x, w, bias, steps, pad_mode, sides, spread, groups)
    return reshaped("conv1d", out, (*out.shape[:2], out.shape[3]))


def _one(what: str, value: Any) -> Pair:
    """A number for an axis of sequences, beside an axis of extent 1."""
    return (1, pair("conv1d", what, value)[-1])


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):  # fmt: skip
    """The transpose of a convolution: input [N, C, H, W], weight [C, O / groups, KH, KW].

    >>> ops.conv_transpose2d(ops.ones((1, 2, 3, 3)), ops.ones((2, 4, 2, 2)), stride=2).shape
    (1, 4, 6, 6)
    """
    name = "conv_transpose2d"
    x, w = factors(name, input, weight)
    _image(name, x, 4), _image(name, w, 4)
    steps, spread = pair(name, "stride", stride), pair(name, "dilation", dilation)
    pads = paddings(name, "pad", padding, x.shape[2:], w.shape[2:], steps, spread)
    more = pair(name, "output_padding", output_padding)
    return transposed(name, x, w, bias, steps, pads, spread, groups, more)


def transposed(name, x, w, bias, stride, pads, dilation, groups, more=(0, 0)) -> Tensor:
    """The transposed convolution; `more` places beyond the smallest output that fits."""
    if builtins.any(m >= builtins.max(s, d) for m, s, d in zip(more, stride, dilation)):
        raise fail(ArgumentError, f"{name} got output_padding={more}", why="it is below the stride")
    size = tuple(
        (n - 1) * s - pads[2 * i] - pads[2 * i + 1] + d * (k - 1) + 1 + m
        for i, (n, s, d, k, m) in enumerate(zip(x.shape[2:], stride, dilation, w.shape[2:], more))
    )
    if x.shape[1] != w.shape[0] or builtins.min(size) < 1:
        raise fail(
            ShapeError,
            f"{name} got {describe((x, w))} with padding {pads}",
            why=f"the weight is made for {w.shape[0]} channels, and the output is {size}",
        )
    out = apply(
        primitive.conv2d_input,
        x, w, stride=stride, pad=pads, dilation=dilation, groups=int(groups), size=size,
    )  # fmt: skip
    return out if bias is None else bias_add(out, bias)


# --- pooling ------------------------------------------------------------------------------------


def ceil_more(image, kernel, stride, pads) -> list[int]:
    """Extra places at the end so that a last, partial window counts (it starts inside)."""
    more = []
    for i, (extent, size, step) in enumerate(zip(image, kernel, stride)):
        low, high = pads[2 * i : 2 * i + 2]
        room = extent + low + high - size
        count = math.ceil(room / step) + 1
        count -= (count - 1) * step >= extent + low
        more.append(builtins.max((count - 1) * step - room, 0))
    return more


def _batched(name: str, x: Tensor, ndim: int = 4) -> tuple[Tensor, bool]:
    """An image without a batch axis gets one."""
    if x.ndim == ndim - 1:
        return reshaped(name, x, (1, *x.shape)), True
    return _image(name, x, ndim), False


def _windows(name, x, kernel_size, stride, padding, ceil_mode, pad_mode="pad", dilation=(1, 1)):
    kernel = pair(name, "kernel_size", kernel_size)
    steps = kernel if stride is None else pair(name, "stride", stride)
    pads = paddings(name, pad_mode, padding, x.shape[2:], kernel, steps, dilation)
    if builtins.any(2 * p > k for p, k in zip((pads[0], pads[2]), kernel)) and pad_mode == "pad":
        raise fail(ArgumentError, f"{name} got padding={padding} for a window of {kernel}",
                   why="it is at most half of the window")  # fmt: skip
    more = ceil_more(x.shape[2:], kernel, steps, pads) if ceil_mode else [0, 0]
    widened = (pads[0], pads[1] + more[0], pads[2], pads[3] + more[1])
    return kernel, steps, pads, widened


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, return_indices=False,
               ceil_mode=False):  # fmt: skip
    """The largest of each window: [N, C, H, W] -> [N, C, …]; ties give the first the gradient.

    Args:
        stride: None for that of the window.
        return_indices: also where it was in the image flattened (int64), as a tuple.
        ceil_mode: whether a partial window at the end counts.

    >>> ops.max_pool2d(ops.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    x, single = _batched("max_pool2d", tensor("max_pool2d", x))
    spread = pair("max_pool2d", "dilation", dilation)
    if return_indices or spread != (1, 1):
        out = _max_by_patches(x, kernel_size, stride, padding, spread, return_indices, ceil_mode)
    else:
        kernel, steps, _, pads = _windows("max_pool2d", x, kernel_size, stride, padding, ceil_mode)
        out = apply(pool.max_pool2d, x, kernel=kernel, stride=steps, pad=pads)
    if not single:
        return out
    drop = [reshaped("max_pool2d", v, v.shape[1:]) for v in (out if return_indices else (out,))]
    return tuple(drop) if return_indices else drop[0]


def _max_by_patches(x, kernel_size, stride, padding, dilation, return_indices, ceil_mode):
    """Windows as a gather, for what the pooling op does not know: gaps and indices."""
    kernel = pair("max_pool2d", "kernel_size", kernel_size)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    steps = kernel if stride is None else stride
    _, step, _, pads = _windows("max_pool2d", x, reach, steps, padding, ceil_mode)
    ends = (pads[:2], pads[2:])
    lines = list(map(patches.regular, x.shape[2:], kernel, step, ends, dilation))
    values, places = patches.largest("max_pool2d", x, lines)
    return (values, places) if return_indices else values


def avg_pool2d(input_x, kernel_size=1, stride=1, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=0):  # fmt: skip
    """The mean of each window: [N, C, H, W] -> [N, C, …].

    Args:
        count_include_pad: whether padding counts as zeros.
        divisor_override: what sums are divided by instead of the count, unless 0 or None.

    >>> ops.avg_pool2d(ops.arange(16.0).reshape(1, 1, 4, 4), 2, 2).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    x, single = _batched("avg_pool2d", floating("avg_pool2d", input_x))
    out = _average("avg_pool2d", x, kernel_size, stride, padding, ceil_mode, count_include_pad,
                   divisor_override)  # fmt: skip
    return reshaped("avg_pool2d", out, out.shape[1:]) if single else out


def _average(name, x, kernel_size, stride, padding, ceil_mode, include, divisor, pad_mode="pad"):
    kernel, steps, pads, wide = _windows(name, x, kernel_size, stride, padding, ceil_mode, pad_mode)
    full = math.prod(kernel)
    attrs = {"kernel": kernel, "stride": steps, "pad": wide}
    if divisor or (include and wide != pads):
        out = apply(pool.avg_pool2d, x, **attrs, count_include_pad=True)
        if divisor:
            return e.mul(out, full / divisor)
        return e.div(out, constant(_shares(x, kernel, steps, pads, out.shape[2:])))
    return apply(pool.avg_pool2d, x, **attrs, count_include_pad=bool(include))


def _shares(x: Tensor, kernel, stride, pads, out) -> np.ndarray:
    """The share of each window inside of the image and its padding (ceil_mode goes beyond)."""
    lines = []
    for i, (extent, size, step, count) in enumerate(zip(x.shape[2:], kernel, stride, out)):
        start = np.arange(count) * step
        end = extent + pads[2 * i] + pads[2 * i + 1]
        lines.append((np.minimum(start + size, end) - start) / size)
    return np.outer(*lines).astype(x.dtype.numpy)


def average_pool(x, kernel_size=1, strides=1, pad_mode="valid"):
    """The mean of each window with MindSpore's pad_mode; padding does not count."""
    x, mode = floating("AvgPool", x), pad_mode.lower()
    return _average("AvgPool", x, kernel_size, strides, 0, False, False, 0, mode)


def maximum_pool(x, kernel_size=1, strides=1, pad_mode="valid"):
    """The largest of each window with MindSpore's pad_mode."""
    x = _image("MaxPool", tensor("MaxPool", x), 4)
    kernel, steps, _, pads = _windows(
        "MaxPool", x, kernel_size, strides, 0, False, pad_mode.lower()
    )
    return apply(pool.max_pool2d, x, kernel=kernel, stride=steps, pad=pads)


def max_pool1d(x, kernel_size, stride=None, padding=0, ceil_mode=False):
    """The largest of each window of sequences: [N, C, L].

    >>> ops.max_pool1d(Tensor([[[1.0, 5.0, 2.0, 3.0]]]), 2).tolist()
    [[[5.0, 3.0]]]
    """
    x = tensor("max_pool1d", x)
    steps = kernel_size if stride is None else stride
    out = max_pool2d(_flat(x), (1, kernel_size), (1, steps), (0, padding), ceil_mode=ceil_mode)
    return _unflat(out)


def avg_pool1d(input_x, kernel_size=1, stride=1, padding=0, ceil_mode=False,
               count_include_pad=True):  # fmt: skip
    """The mean of each window of sequences: [N, C, L].

    >>> ops.avg_pool1d(Tensor([[[1.0, 5.0, 2.0, 4.0]]]), 2, 2).tolist()
    [[[3.0, 3.0]]]
    """
    x = floating("avg_pool1d", input_x)
    out = avg_pool2d(
        _flat(x), (1, kernel_size), (1, stride), (0, padding), ceil_mode, count_include_pad
    )
    return _unflat(out)


def _flat(x: Tensor) -> Tensor:
    return reshaped("pooling", x, (*x.shape[:-1], 1, x.shape[-1]))


def _unflat(x: Tensor) -> Tensor:
    return reshaped("pooling", x, (*x.shape[:-2], x.shape[-1]))


__all__ = [
    "average_pool",
    "avg_pool1d",
    "avg_pool2d",
    "bias_add",
    "ceil_more",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "dense",
    "linear",
    "max_pool1d",
    "max_pool2d",
    "maximum_pool",
    "paddings",
    "pair",
    "same",
    "transposed",
]  # fmt: skip
