"""Pooling of volumes (n, c, d, h, w): over the planes, and then along the depth.

A window of a volume is a product of intervals. So its maximum is a maximum of maxima and its mean
a mean of means, also where padding does not count: the numbers of values that do are products too.
"""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.nn.layers import windows
from jitgrad.tensor import Tensor

Triple = tuple[int, int, int]


def along_depth(pool: Any, x: Tensor) -> Tensor:
    """A pooling of images applied along axis 2 of volumes: it sees (n, c, d, h * w)."""
    n, c, d, h, w = x.shape
    y = pool(ops.reshape(x, (n, c, d, h * w)))
    return ops.reshape(y, (n, c, y.shape[2], h, w))


def over_planes(pool: Any, x: Tensor) -> Tensor:
    """A pooling of images applied to the planes of volumes: it sees (n, c * d, h, w)."""
    n, c, d, h, w = x.shape
    y = pool(ops.reshape(x, (n, c * d, h, w)))
    return ops.reshape(y, (n, c, d, *y.shape[2:]))


def with_examples(name: str, x: Tensor) -> tuple[Tensor, bool]:
    """The volumes with an axis for examples, and whether they had one."""
    if x.ndim not in (4, 5):
        raise fail(
            ShapeError,
            f"{name} got an input of shape {list(x.shape)}",
            why="it takes (n, c, d, h, w), or (c, d, h, w) for a single example",
        )
    return (x, True) if x.ndim == 5 else (ops.expand_dims(x, 0), False)


class _Pool3d(Cell):
    def __init__(self, kernel_size: Any, stride: Any, pad_mode: str, padding: Any, ceil_mode: bool):
        super().__init__()
        name = self.cls_name
        self.kernel_size, self.padding, self.ceil_mode = kernel_size, padding, ceil_mode
        self.stride = stride
        self._kernel = windows.triple(name, "kernel_size", kernel_size)
        self._stride = windows.triple(name, "stride", stride)
        self.pad_mode = windows.mode(name, pad_mode, padding)
        given = (
            padding[::2] if isinstance(padding, (tuple, list)) and len(padding) == 6 else padding
        )
        self._pads = windows.triple(name, "padding", given, low=0)
        if given is not padding and tuple(padding[::2]) != tuple(padding[1::2]):
            raise fail(
                ArgumentError, f"{name}: padding {padding} differs before and behind an axis"
            )
        if any(2 * p > k for p, k in zip(self._pads, self._kernel)):
            raise fail(
                ArgumentError,
                f"{name}: padding {padding} is more than half of the kernel {kernel_size}",
                why="some windows would hold nothing but padding",
            )

    def construct(self, x: Tensor) -> Tensor:
        x, batched = with_examples(self.cls_name, x)
        (depth, *plane), (step, *steps) = self._kernel, self._stride
        (before, *around) = self._pads
        y = over_planes(lambda v: self._pooled(v, plane, steps, around), x)
        y = along_depth(lambda v: self._pooled(v, (depth, 1), (step, 1), (before, 0)), y)
        return y if batched else ops.squeeze(y, 0)

    def _pooled(self, x: Tensor, kernel: Any, stride: Any, pads: Any) -> Tensor:
        raise NotImplementedError

    def _around(self, x: Tensor, kernel: Any, stride: Any, pads: Any) -> windows.Pads:
        """Top, bottom, left and right padding of an image, by pad_mode."""
        given = tuple(pads) if self.pad_mode == "pad" else 0
        image = x.shape[2:]
        return windows.paddings(self.cls_name, self.pad_mode, given, image, kernel, stride, (1, 1))

    def extend_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, pad_mode={self.pad_mode}"


class MaxPool3d(_Pool3d):
    """The largest value of each window: (n, c, d, h, w) to (n, c, d', h', w'); see `MaxPool2d`."""

    def __init__(
        self,
        kernel_size: Any = 1,
        stride: Any = 1,
        pad_mode: str = "valid",
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__(kernel_size, stride, pad_mode, padding, ceil_mode)
        if return_indices:
            raise fail(ArgumentError, "MaxPool3d: return_indices is not there for volumes")
        self.dilation = windows.triple("MaxPool3d", "dilation", dilation)
        if self.dilation != (1, 1, 1):
            raise fail(ArgumentError, f"MaxPool3d: dilation is {dilation!r}; only 1 is there")

    def _pooled(self, x: Tensor, kernel: Any, stride: Any, pads: Any) -> Tensor:
        around = self._around(x, kernel, stride, pads)
        return ops.max_pool2d(x, tuple(kernel), tuple(stride), around, 1, False, self.ceil_mode)


class AvgPool3d(_Pool3d):
    """The mean of each window: (n, c, d, h, w) to (n, c, d', h', w'); see `AvgPool2d`."""

    def __init__(
        self,
        kernel_size: Any = 1,
        stride: Any = 1,
        pad_mode: str = "valid",
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__(kernel_size, stride, pad_mode, padding, ceil_mode)
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def construct(self, x: Tensor) -> Tensor:
        y = super().construct(x)
        if not self.divisor_override:
            return y
        size = self._kernel[0] * self._kernel[1] * self._kernel[2]
        return y * (size / self.divisor_override)

    def _pooled(self, x: Tensor, kernel: Any, stride: Any, pads: Any) -> Tensor:
        around = self._around(x, kernel, stride, pads)
        counted = self.count_include_pad and self.pad_mode == "pad"
        divisor = kernel[0] * kernel[1] if self.divisor_override else None
        return ops.avg_pool2d(
            x, tuple(kernel), tuple(stride), around, self.ceil_mode, counted, divisor
        )


class _Adaptive3d(Cell):
    def __init__(self, output_size: Any):
        super().__init__()
        given = (output_size,) * 3 if isinstance(output_size, int) else output_size
        if not isinstance(given, (tuple, list)) or len(given) != 3:
            raise fail(
                DTypeError, f"{self.cls_name}: output_size must be one or three ints: {output_size}"
            )
        self.output_size, self._sizes = output_size, tuple(given)

    def _each(self, pool: Any, x: Tensor) -> Tensor:
        x, batched = with_examples(self.cls_name, x)
        depth, *plane = self._sizes
        y = over_planes(lambda v: pool(v, tuple(plane)), x)
        y = along_depth(lambda v: pool(v, (depth, None)), y)
        return y if batched else ops.squeeze(y, 0)

    def extend_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool3d(_Adaptive3d):
    """Means over windows that divide the volume into `output_size`; see `AdaptiveAvgPool2d`."""

    def construct(self, x: Tensor) -> Tensor:
        return self._each(ops.adaptive_avg_pool2d, x)


class AdaptiveMaxPool3d(_Adaptive3d):
    """Largest values of windows that divide the volume into `output_size`."""

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        if return_indices:
            raise fail(ArgumentError, "AdaptiveMaxPool3d: return_indices is not there for volumes")

    def construct(self, x: Tensor) -> Tensor:
        return self._each(ops.adaptive_max_pool2d, x)
