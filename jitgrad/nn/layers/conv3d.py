"""Convolutions of volumes, as sums of convolutions of images: one for each plane of the kernel."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.ir.types import float32
from jitgrad.nn.layers import windows
from jitgrad.nn.layers.conv import _Conv, transposed
from jitgrad.ops.conv3d import planes_of, planes_summed
from jitgrad.tensor import Tensor

Ends = tuple[int, int]  # before and behind the planes


class _Volumes(_Conv):
    """Settings of convolutions of volumes. Those of the planes are the images' settings."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        pad_mode: str,
        padding: Any,
        dilation: Any,
        group: int,
        has_bias: bool,
        weight_init: Any,
        bias_init: Any,
        data_format: str,
        dtype: Any,
        turned: bool = False,
    ):
        name = type(self).__name__
        if data_format != "NCDHW":
            raise fail(ArgumentError, f"{name}: no such data_format: {data_format!r}")
        given = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
        sizes, steps, spread = (windows.triple(name, *pair) for pair in given.items())
        ends = (padding,) * 6 if isinstance(padding, int) else tuple(padding)
        if len(ends) == 3:
            ends = tuple(n for n in ends for _ in range(2))
        if len(ends) != 6:
            raise fail(DTypeError, f"{name}: padding must be 1, 3 or 6 ints, got {padding!r}")
        groups = windows.single(name, "group", group)
        first, second = (in_channels, out_channels) if turned else (out_channels, in_channels)
        super().__init__(
            *(in_channels, out_channels, sizes[1:], steps[1:]),
            *(windows.mode(name, pad_mode, padding), windows.four(name, ends[2:]), spread[1:]),
            *(groups, has_bias, weight_init, bias_init, "NCHW", dtype),
            (first, second // groups, *sizes),
        )
        self.kernel_size, self.stride, self.dilation, self.padding = sizes, steps, spread, padding
        self._ends: Ends = ends[:2]
        self.data_format = data_format


class Conv3d(_Volumes):
    """Convolution of volumes: (n, in_channels, d, h, w) to (n, out_channels, d', h', w').

    As `Conv2d`, with triples; `padding` is one int, or six: two for each axis. `weight` has shape
    (out_channels, in_channels / group, planes, rows, columns). It is computed as a sum of
    two-dimensional convolutions, one for each plane of the kernel.

    >>> nn.Conv3d(3, 8, 3)(ops.ones((1, 3, 4, 4, 4))).shape
    (1, 8, 4, 4, 4)
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
        data_format: str = "NCDHW",
        dtype: Any = float32,
    ):
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, pad_mode, padding, dilation, group),
            *(has_bias, weight_init, bias_init, data_format, dtype),
        )

    def construct(self, x: Tensor) -> Tensor:
        padding = (*self._ends, *self._pads) if self.pad_mode == "pad" else 0
        return ops.conv3d(
            *(self._image(x, 5), self.weight, self.bias, self.stride, self.pad_mode, padding),
            *(self.dilation, self.group),
        )


class Conv3dTranspose(_Volumes):
    """The transpose of a convolution of volumes: (n, in_channels, d, h, w) to
    (n, out_channels, d', h', w'). Sizes as in `Conv2dTranspose`, with triples; `weight` has shape
    (in_channels, out_channels / group, planes, rows, columns).

    >>> nn.Conv3dTranspose(3, 8, 2, 2)(ops.ones((1, 3, 4, 4, 4))).shape
    (1, 8, 8, 8, 8)
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
        output_padding: Any = 0,
        has_bias: bool = False,
        weight_init: Any = None,
        bias_init: Any = None,
        data_format: str = "NCDHW",
        dtype: Any = float32,
    ):
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, pad_mode, padding, dilation, group),
            *(has_bias, weight_init, bias_init, data_format, dtype),
            turned=True,
        )
        self.output_padding = windows.triple(self.cls_name, "output_padding", output_padding, 0)
        if self.pad_mode != "pad" and any(self.output_padding):
            raise fail(ArgumentError, f'{self.cls_name}: output_padding needs pad_mode="pad"')

    def construct(self, x: Tensor) -> Tensor:
        x = self._image(x, 5)
        (planes, *_), (step, *_), (spread, *_) = self.kernel_size, self.stride, self.dilation
        settings = (self._kernel, self._stride, self._dilation, self.output_padding[1:])
        size, pad = windows.transposed(self.pad_mode, self._pads, x.shape[3:], *settings)
        (depth, _), ends = windows.transposed(
            *(self.pad_mode, (*self._ends, 0, 0), (x.shape[2], 1), (planes, 1), (step, 1)),
            *((spread, 1), (self.output_padding[0], 0)),
        )
        images, count = planes_of(x), x.shape[2]
        parts = []
        for k in range(planes):
            y = transposed(self, images, self.weight[:, :, k], size, pad)
            parts.append(self._spread(y, count, step, depth, k * spread - ends[0]))
        return planes_summed(parts, depth, self.bias)

    @staticmethod
    def _spread(y: Tensor, count: int, step: int, depth: int, first: int) -> Tensor:
        """Planes (n * count, c, h, w) at places first, first + step, … of `depth` planes."""
        y = ops.reshape(y, (-1, count, 1, *y.shape[1:]))
        around = (0, 0) * 3
        y = ops.pad(y, (*around, 0, step - 1))
        y = ops.reshape(y, (y.shape[0], count * step, *y.shape[3:]))
        y = ops.pad(y, (*around, first, depth - count * step - first))
        return ops.reshape(y, (-1, *y.shape[2:]))
