"""Pooling of volumes (n, c, d, h, w), or (c, d, h, w): layers over the functions of `ops`."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.nn.layers import windows
from jitgrad.ops import volumes
from jitgrad.tensor import Tensor

Triple = tuple[int, int, int]


class _Pool3d(Cell):
    dilation: Triple = (1, 1, 1)

    def __init__(self, kernel_size: Any, stride: Any, pad_mode: str, padding: Any, ceil_mode: bool):
        super().__init__()
        name = self.cls_name
        self.kernel_size, self.padding, self.ceil_mode = kernel_size, padding, ceil_mode
        self.stride = stride
        self._kernel = windows.triple(name, "kernel_size", kernel_size)
        self._stride = windows.triple(name, "stride", stride)
        self.pad_mode = windows.mode(name, pad_mode, padding)
        self._pads = windows.six(name, padding)
        if any(2 * p > k for p, k in zip(self._pads[::2], self._kernel)):
            raise fail(
                ArgumentError,
                f"{name}: padding {padding} is more than half of the kernel {kernel_size}",
                why="some windows would hold nothing but padding",
            )

    def _around(self, x: Tensor) -> tuple[int, ...]:
        """Padding before and behind each axis, by pad_mode."""
        sizes = (self._kernel, self._stride, self.dilation)
        return volumes.around(self.cls_name, self.pad_mode, self._pads, x, *sizes)

    def extend_repr(self) -> str:
        mode = self.pad_mode.upper()
        return f"kernel_size={self.kernel_size}, stride={self.stride}, pad_mode={mode}"


class MaxPool3d(_Pool3d):
    """The largest value of each window: (n, c, d, h, w) to (n, c, d', h', w'); see `MaxPool2d`.

    >>> nn.MaxPool3d(2, 2)(ops.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 2, 2, 2)
    """

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
        self.dilation = windows.triple("MaxPool3d", "dilation", dilation)
        self.return_indices = return_indices

    def construct(self, x: Tensor) -> Any:
        sizes = (self._kernel, self._stride, self._around(x), self.dilation)
        return ops.max_pool3d(x, *sizes, self.ceil_mode, self.return_indices)


class AvgPool3d(_Pool3d):
    """The mean of each window: (n, c, d, h, w) to (n, c, d', h', w'); see `AvgPool2d`.

    >>> nn.AvgPool3d(2, 2)(ops.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 2, 2, 2)
    """

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
        counted = self.count_include_pad and self.pad_mode == "pad"
        sizes = (self._kernel, self._stride, self._around(x))
        return ops.avg_pool3d(x, *sizes, self.ceil_mode, counted, self.divisor_override or 0)


class _Adaptive3d(Cell):
    def __init__(self, output_size: Any):
        super().__init__()
        given = (output_size,) * 3 if isinstance(output_size, int) else output_size
        if not isinstance(given, (tuple, list)) or len(given) != 3:
            raise fail(
                DTypeError, f"{self.cls_name}: output_size must be one or three ints: {output_size}"
            )
        self.output_size, self._sizes = output_size, tuple(given)


class AdaptiveAvgPool3d(_Adaptive3d):
    """Means over windows that divide the volume into `output_size`; see `AdaptiveAvgPool2d`.

    >>> nn.AdaptiveAvgPool3d(2)(ops.ones((1, 3, 4, 4, 4))).shape
    (1, 3, 2, 2, 2)
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.adaptive_avg_pool3d(x, self._sizes)


class AdaptiveMaxPool3d(_Adaptive3d):
    """Largest values of windows that divide the volume into `output_size`.

    >>> nn.AdaptiveMaxPool3d(2)(ops.ones((1, 3, 4, 4, 4))).shape
    (1, 3, 2, 2, 2)
    """

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = return_indices

    def construct(self, x: Tensor) -> Any:
        return ops.adaptive_max_pool3d(x, self._sizes, self.return_indices)


class _Fractional(Cell):
    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
    ):
        super().__init__()
        self.kernel_size, self.return_indices = kernel_size, return_indices
        self.output_size, self.output_ratio = output_size, output_ratio
        self._random_samples = _random_samples

    def _settings(self) -> tuple:
        size = (self.kernel_size, self.output_size, self.output_ratio)
        return (*size, self.return_indices, self._random_samples)


class FractionalMaxPool2d(_Fractional):
    """The largest of windows at random places; see `ops.fractional_max_pool2d`.

    >>> nn.FractionalMaxPool2d(2, output_size=(3, 3))(ops.ones((1, 1, 6, 6))).shape
    (1, 1, 3, 3)
    """

    def construct(self, x: Tensor) -> Any:
        return ops.fractional_max_pool2d(x, *self._settings())


class FractionalMaxPool3d(_Fractional):
    """The largest of windows at random places; see `ops.fractional_max_pool3d`.

    >>> nn.FractionalMaxPool3d(2, output_size=(3, 3, 3))(ops.ones((1, 1, 6, 6, 6))).shape
    (1, 1, 3, 3, 3)
    """

    def construct(self, x: Tensor) -> Any:
        return ops.fractional_max_pool3d(x, *self._settings())
