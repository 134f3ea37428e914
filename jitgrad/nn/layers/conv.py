"""Convolutions, in NCHW layout."""

from __future__ import annotations

import math
from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.frontend.dispatch import apply
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ir.types import float32
from jitgrad.nn.cell import Cell
from jitgrad.nn.initializer import HeUniform, Uniform, initializer
from jitgrad.nn.layers import windows
from jitgrad.primitives import conv as primitive
from jitgrad.tensor import Parameter, Tensor


class _Conv(Cell):
    """Weight, bias and settings of all convolutions. Sizes are pairs (rows, columns)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: windows.Pair,
        stride: windows.Pair,
        pad_mode: str,
        padding: windows.Pads,
        dilation: windows.Pair,
        group: int,
        has_bias: bool,
        weight_init: Any,
        bias_init: Any,
        data_format: str,
        dtype: Any,
        shape: tuple[int, ...],
    ):
        super().__init__()
        self.in_channels, self.out_channels, self.group = in_channels, out_channels, group
        self.pad_mode, self.has_bias, self.data_format = pad_mode, has_bias, data_format
        self._kernel, self._stride, self._dilation, self._pads = kernel, stride, dilation, padding
        self.kernel_size, self.stride, self.dilation = kernel, stride, dilation
        self.padding: Any = padding
        self._check()
        weight_init = HeUniform(math.sqrt(5)) if weight_init is None else weight_init
        self.weight = Parameter(initializer(weight_init, shape, dtype_of(dtype)), name="weight")
        self.bias = None
        if has_bias:
            bias_init = (
                Uniform(1 / math.sqrt(math.prod(shape[1:]))) if bias_init is None else bias_init
            )
            values = initializer(bias_init, (out_channels,), dtype_of(dtype))
            self.bias = Parameter(values, name="bias")
        self._inits = (weight_init, bias_init)

    def _check(self) -> None:
        name = self.cls_name
        if not isinstance(self.has_bias, bool):
            raise fail(DTypeError, f"{name}: has_bias must be a bool, got {self.has_bias!r}")
        for what in ("in_channels", "out_channels", "group"):
            windows.single(name, what, getattr(self, what))
        if self.in_channels % self.group or self.out_channels % self.group:
            raise fail(
                ArgumentError,
                f"{name}: group={self.group} does not divide {self.in_channels} in_channels and"
                f" {self.out_channels} out_channels",
            )
        if self.data_format not in ("NCHW", "NHWC"):
            raise fail(ArgumentError, f"{name}: no such data_format: {self.data_format!r}")

    def _image(self, x: Tensor, ndim: int) -> Tensor:
        """The input with its channels in axis 1."""
        if x.ndim != ndim:
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it takes {ndim} axes, the first for the examples",
            )
        x = ops.transpose(x, (0, 3, 1, 2)) if self.data_format == "NHWC" else x
        if x.shape[1] != self.in_channels:
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it is made for in_channels={self.in_channels}, not {x.shape[1]}",
            )
        return x

    def _convolved(self, x: Tensor) -> Tensor:
        padding = self._pads if self.pad_mode == "pad" else 0
        y = ops.conv2d(
            *(x, self.weight, self.bias, self._stride, self.pad_mode, padding),
            *(self._dilation, self.group),
        )
        return ops.transpose(y, (0, 2, 3, 1)) if self.data_format == "NHWC" else y

    def extend_repr(self) -> str:
        return (
            f"input_channels={self.in_channels}, output_channels={self.out_channels},"
            f" kernel_size={self.kernel_size}, stride={self.stride}, pad_mode={self.pad_mode},"
            f" padding={self.padding}, dilation={self.dilation}, group={self.group},"
            f" has_bias={self.has_bias}, weight_init={self._inits[0]}, bias_init={self._inits[1]},"
            f" format={self.data_format}"
        )


class Conv2d(_Conv):
    """Convolution of images: (n, in_channels, h, w) to (n, out_channels, h', w').

    pad_mode "same" pads with zeros so that h' = ceil(h / stride), "valid" does not pad, "pad" pads
    by `padding` (one int, or top, bottom, left, right). `weight` has shape
    (out_channels, in_channels / group, rows, columns); it starts as HeUniform(sqrt(5)), the bias
    uniform within 1 / sqrt(fan_in).

    >>> nn.Conv2d(3, 8, 5, stride=2)(ops.ones((1, 3, 16, 16))).shape
    (1, 8, 8, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        pad_mode: str = "same",
        padding: Any = 0,
        dilation: Any = 1,
        group: int = 1,
        has_bias: bool = False,
        weight_init: Any = None,
        bias_init: Any = None,
        data_format: str = "NCHW",
        dtype: Any = float32,
    ):
        name = type(self).__name__
        kernel = windows.pair(name, "kernel_size", kernel_size)
        steps = windows.pair(name, "stride", stride)
        spread = windows.pair(name, "dilation", dilation)
        pad_mode = windows.mode(name, pad_mode, padding)
        groups = windows.single(name, "group", group)
        shape = self._weight_shape(in_channels, out_channels, groups, kernel)
        super().__init__(
            *(in_channels, out_channels, kernel, steps, pad_mode, windows.four(name, padding)),
            *(spread, groups, has_bias, weight_init, bias_init, data_format, dtype, shape),
        )
        self.padding = padding

    def _weight_shape(self, i: int, o: int, group: int, kernel: windows.Pair) -> tuple[int, ...]:
        return (o, i // group, *kernel)

    def construct(self, x: Tensor) -> Tensor:
        return self._convolved(self._image(x, 4))


def transposed(
    cell: _Conv,
    x: Tensor,
    weight: Tensor,
    size: windows.Pair,
    pad: windows.Pads,
    bias: Tensor | None = None,
) -> Tensor:
    """The image of `size` whose convolution, with the Cell's settings, has the shape of x."""
    y = apply(
        *(primitive.conv2d_input, x, weight),
        size=size,
        stride=cell._stride,
        pad=pad,
        dilation=cell._dilation,
        groups=cell.group,
    )
    return y if bias is None else ops.bias_add(y, bias)


class Conv2dTranspose(Conv2d):
    """The transpose of a convolution: (n, in_channels, h, w) to (n, out_channels, h', w').

    h' is h * stride with "same", h * stride + max(rows - stride, 0) with "valid", and
    (h - 1) * stride - top - bottom + rows + output_padding with "pad". `weight` has shape
    (in_channels, out_channels / group, rows, columns). As in MindSpore, `output_padding` rows and
    columns of zeros follow the image; `ops.conv_transpose2d` continues it instead.

    >>> nn.Conv2dTranspose(3, 8, 4, 2)(ops.ones((1, 3, 8, 8))).shape
    (1, 8, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        pad_mode: str = "same",
        padding: Any = 0,
        output_padding: Any = 0,
        dilation: Any = 1,
        group: int = 1,
        has_bias: bool = False,
        weight_init: Any = None,
        bias_init: Any = None,
        dtype: Any = float32,
    ):
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, pad_mode, padding, dilation),
            *(group, has_bias, weight_init, bias_init, "NCHW", dtype),
        )
        self.output_padding = windows.pair(self.cls_name, "output_padding", output_padding, 0)
        if self.pad_mode != "pad" and any(self.output_padding):
            raise fail(ArgumentError, f'{self.cls_name}: output_padding needs pad_mode="pad"')

    def _weight_shape(self, i: int, o: int, group: int, kernel: windows.Pair) -> tuple[int, ...]:
        return (i, o // group, *kernel)

    def construct(self, x: Tensor) -> Tensor:
        x = self._image(x, 4)
        size, pad = windows.transposed(
            *(self.pad_mode, self._pads, x.shape[2:], self._kernel, self._stride, self._dilation)
        )
        y = transposed(self, x, self.weight, size, pad, self.bias)
        below, right = self.output_padding
        return ops.pad(y, (0, right, 0, below)) if below or right else y


class Conv1d(_Conv):
    """Convolution of sequences: (n, in_channels, l) to (n, out_channels, l'); see `Conv2d`.

    `weight` has shape (out_channels, in_channels / group, 1, kernel_size).

    >>> nn.Conv1d(3, 8, 5, pad_mode="valid")(ops.ones((1, 3, 16))).shape
    (1, 8, 12)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        pad_mode: str = "same",
        padding: Any = 0,
        dilation: int = 1,
        group: int = 1,
        has_bias: bool = False,
        weight_init: Any = None,
        bias_init: Any = None,
        dtype: Any = float32,
    ):
        name = type(self).__name__
        size = windows.single(name, "kernel_size", kernel_size)
        step = windows.single(name, "stride", stride)
        spread = windows.single(name, "dilation", dilation)
        pad_mode = windows.mode(name, pad_mode, padding)
        ends = (padding, padding) if isinstance(padding, int) else tuple(padding)
        groups = windows.single(name, "group", group)
        super().__init__(
            *(in_channels, out_channels, (1, size), (1, step), pad_mode),
            *(windows.four(name, (0, 0, *ends)), (1, spread), groups, has_bias),
            *(_with_row(weight_init), bias_init, "NCHW", dtype),
            (out_channels, in_channels // groups, 1, size),
        )

    def construct(self, x: Tensor) -> Tensor:
        x = self._image(x, 3)
        return ops.squeeze(self._convolved(ops.expand_dims(x, 2)), 2)


def _with_row(init: Any) -> Any:
    """A given weight (out, in, size) as (out, in, 1, size)."""
    return ops.expand_dims(init, 2) if isinstance(init, Tensor) and init.ndim == 3 else init


class Conv1dTranspose(_Conv):
    """The transpose of a convolution of sequences: (n, in_channels, l) to (n, out_channels, l').

    Sizes as in `Conv2dTranspose`; `weight` has shape (in_channels, out_channels / group, 1,
    kernel_size).

    >>> nn.Conv1dTranspose(3, 8, 4, 2)(ops.ones((1, 3, 8))).shape
    (1, 8, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        pad_mode: str = "same",
        padding: Any = 0,
        dilation: int = 1,
        group: int = 1,
        has_bias: bool = False,
        weight_init: Any = None,
        bias_init: Any = None,
        dtype: Any = float32,
    ):
        name = type(self).__name__
        size = windows.single(name, "kernel_size", kernel_size)
        step = windows.single(name, "stride", stride)
        spread = windows.single(name, "dilation", dilation)
        pad_mode = windows.mode(name, pad_mode, padding)
        ends = (padding, padding) if isinstance(padding, int) else tuple(padding)
        groups = windows.single(name, "group", group)
        super().__init__(
            *(in_channels, out_channels, (1, size), (1, step), pad_mode),
            *(windows.four(name, (0, 0, *ends)), (1, spread), groups, has_bias),
            *(_with_row(weight_init), bias_init, "NCHW", dtype),
            (in_channels, out_channels // groups, 1, size),
        )

    def construct(self, x: Tensor) -> Tensor:
        x = ops.expand_dims(self._image(x, 3), 2)
        size, pad = windows.transposed(
            *(self.pad_mode, self._pads, x.shape[2:], self._kernel, self._stride, self._dilation),
        )
        return ops.squeeze(transposed(self, x, self.weight, size, pad, self.bias), 2)
