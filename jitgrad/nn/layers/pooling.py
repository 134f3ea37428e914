"""Pooling, in NCHW layout."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.nn.layers import windows
from jitgrad.ops.conv import paddings
from jitgrad.tensor import Tensor


class _Pool(Cell):
    """Settings of pooling layers. Sizes are pairs (rows, columns)."""

    def __init__(
        self,
        kernel: windows.Pair,
        stride: windows.Pair,
        pad_mode: str,
        padding: windows.Pads,
        dilation: windows.Pair,
        data_format: str = "NCHW",
    ):
        super().__init__()
        self._kernel, self._stride, self._dilation = kernel, stride, dilation
        self._pads, self.pad_mode, self.data_format = padding, pad_mode, data_format
        if data_format not in ("NCHW", "NHWC"):
            raise fail(ArgumentError, f"{self.cls_name}: no such data_format: {data_format!r}")
        if any(p > k // 2 for p, k in zip(padding, (kernel[0],) * 2 + (kernel[1],) * 2)):
            raise fail(
                ArgumentError,
                f"{self.cls_name}: padding {padding} is more than half of the kernel {kernel}",
                why="some windows would hold nothing but padding",
            )

    def _padding(self, x: Tensor) -> windows.Pads:
        given = self._pads if self.pad_mode == "pad" else 0
        return paddings(
            *(self.cls_name, self.pad_mode, given, x.shape[2:], self._kernel, self._stride),
            self._dilation,
        )

    def _pooled(self, x: Tensor) -> Any:
        raise NotImplementedError

    def _checked(self, x: Tensor, ndim: int) -> tuple[Tensor, bool]:
        """The input with an axis for examples, and whether it had one."""
        if x.ndim not in (ndim - 1, ndim):
            raise fail(
                ShapeError,
                f"{self.cls_name} got an input of shape {list(x.shape)}",
                why=f"it takes {ndim} axes, or {ndim - 1} for a single example",
            )
        return (x, True) if x.ndim == ndim else (ops.expand_dims(x, 0), False)

    def extend_repr(self) -> str:
        mode = self.pad_mode.upper()
        return f"kernel_size={self.kernel_size}, stride={self.stride}, pad_mode={mode}"


class _Pool2d(_Pool):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any,
        pad_mode: str,
        padding: Any,
        dilation: Any = 1,
        data_format: str = "NCHW",
    ):
        name = type(self).__name__
        super().__init__(
            windows.pair(name, "kernel_size", kernel_size),
            windows.pair(name, "stride", stride),
            windows.mode(name, pad_mode, padding),
            windows.four(name, padding),
            windows.pair(name, "dilation", dilation),
            data_format,
        )
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def construct(self, x: Tensor) -> Any:
        x, batched = self._checked(x, 4)
        last = self.data_format == "NHWC"
        found = self._pooled(ops.transpose(x, (0, 3, 1, 2)) if last else x)
        several = isinstance(found, tuple)
        results = found if several else (found,)
        if last:
            results = tuple(ops.transpose(y, (0, 2, 3, 1)) for y in results)
        if not batched:
            results = tuple(ops.squeeze(y, 0) for y in results)
        return results if several else results[0]


class _Pool1d(_Pool):
    def __init__(
        self, kernel_size: Any, stride: Any, pad_mode: str, padding: Any, dilation: Any = 1
    ):
        name = type(self).__name__
        ends = (padding, padding) if isinstance(padding, int) else (*padding, *padding)[:2]
        super().__init__(
            (1, windows.single(name, "kernel_size", kernel_size)),
            (1, windows.single(name, "stride", stride)),
            windows.mode(name, pad_mode, padding),
            windows.four(name, (0, 0, *ends)),
            (1, windows.single(name, "dilation", dilation)),
        )
        self.kernel_size, self.stride, self.padding = self._kernel, self._stride, padding

    def construct(self, x: Tensor) -> Any:
        x, batched = self._checked(x, 3)
        found = self._pooled(ops.expand_dims(x, 2))
        several = isinstance(found, tuple)
        results = [ops.squeeze(y, 2) for y in (found if several else (found,))]
        if not batched:
            results = [ops.squeeze(y, 0) for y in results]
        return tuple(results) if several else results[0]


class _Max:
    return_indices: bool
    ceil_mode: bool

    def _pooled(self, x: Tensor) -> Any:
        return ops.max_pool2d(
            *(x, self._kernel, self._stride, self._padding(x), self._dilation),
            *(self.return_indices, self.ceil_mode),
        )


class _Mean:
    ceil_mode: bool
    count_include_pad: bool
    divisor_override: int | None

    def _pooled(self, x: Tensor) -> Tensor:
        counted = self.count_include_pad and self.pad_mode == "pad"
        return ops.avg_pool2d(
            *(x, self._kernel, self._stride, self._padding(x), self.ceil_mode, counted),
            self.divisor_override,
        )


class MaxPool2d(_Max, _Pool2d):
    """The largest value of each window: (n, c, h, w) to (n, c, h', w').

    Padding, by pad_mode as in `Conv2d`, never is the largest. `ceil_mode` adds windows that reach
    over the end; `return_indices` gives their places too, counted over the whole image.

    >>> nn.MaxPool2d(2, 2)(ops.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
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
        data_format: str = "NCHW",
    ):
        super().__init__(kernel_size, stride, pad_mode, padding, dilation, data_format)
        self.return_indices, self.ceil_mode = return_indices, ceil_mode


class MaxPool1d(_Max, _Pool1d):
    """The largest value of each window: (n, c, l) to (n, c, l'); see `MaxPool2d`.

    >>> nn.MaxPool1d(2, 2)(Tensor([[[1.0, 3.0, 5.0, 7.0]]])).tolist()
    [[[3.0, 7.0]]]
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
        super().__init__(kernel_size, stride, pad_mode, padding, dilation)
        self.return_indices, self.ceil_mode = return_indices, ceil_mode


class AvgPool2d(_Mean, _Pool2d):
    """The mean of each window: (n, c, h, w) to (n, c, h', w').

    With "same" only values of the image count, with "pad" the padding too, unless
    `count_include_pad` is False. `divisor_override` replaces the number that sums are divided by.

    >>> nn.AvgPool2d(2, 2)(ops.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
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
        data_format: str = "NCHW",
    ):
        super().__init__(kernel_size, stride, pad_mode, padding, 1, data_format)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override


class AvgPool1d(_Mean, _Pool1d):
    """The mean of each window: (n, c, l) to (n, c, l'); see `AvgPool2d`.

    >>> nn.AvgPool1d(2, 2)(Tensor([[[1.0, 3.0, 5.0, 7.0]]])).tolist()
    [[[2.0, 6.0]]]
    """

    def __init__(
        self,
        kernel_size: Any = 1,
        stride: Any = 1,
        pad_mode: str = "valid",
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__(kernel_size, stride, pad_mode, padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = None


class _PowerMean(Cell):
    """(sum of x ** norm_type over each window) ** (1 / norm_type), without padding."""

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ):
        super().__init__()
        if isinstance(norm_type, bool) or not isinstance(norm_type, (int, float)):
            raise fail(
                DTypeError, f"{self.cls_name}: norm_type must be a number, got {norm_type!r}"
            )
        if norm_type == 0:
            raise fail(ArgumentError, f"{self.cls_name}: norm_type must not be 0")
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode


class LPPool1d(_PowerMean):
    """(Σ x^p)^(1/p) over each window, p = `norm_type`: (n, c, l) or (c, l).

    >>> nn.LPPool1d(2, 2)(Tensor([[[3.0, 4.0]]])).tolist()
    [[[5.0]]]
    """

    def construct(self, x: Tensor) -> Tensor:
        kernel = windows.single(self.cls_name, "kernel_size", self.kernel_size)
        stride = kernel if self.stride is None else self.stride
        wide = ops.expand_dims(x, -2)
        y = ops.lp_pool2d(wide, self.norm_type, (1, kernel), (1, stride), self.ceil_mode)
        return ops.squeeze(y, -2)


class LPPool2d(_PowerMean):
    """(Σ x^p)^(1/p) over each window, p = `norm_type`: (n, c, h, w) or (c, h, w).

    >>> nn.LPPool2d(2, 2)(ops.ones((1, 1, 4, 4))).shape
    (1, 1, 2, 2)
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.lp_pool2d(x, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


# --- to a given size ----------------------------------------------------------------------------


class _Adaptive(Cell):
    def __init__(self, output_size: Any):
        super().__init__()
        self.output_size = output_size


class AdaptiveAvgPool1d(_Adaptive):
    """Means over windows that divide (n, c, l) into `output_size`; see `AdaptiveAvgPool2d`.

    >>> nn.AdaptiveAvgPool1d(2)(ops.ones((1, 3, 8))).shape
    (1, 3, 2)
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.adaptive_avg_pool1d(x, self.output_size)


class AdaptiveMaxPool1d(_Adaptive):
    """Largest values of windows that divide (n, c, l) into `output_size`.

    >>> nn.AdaptiveMaxPool1d(2)(ops.ones((1, 3, 8))).shape
    (1, 3, 2)
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.adaptive_max_pool1d(x, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """Means over windows that divide the image into `output_size` (rows, columns; None keeps).

    Window i of n covers floor(i * size / n) up to ceil((i + 1) * size / n), per axis.

    >>> nn.AdaptiveAvgPool2d((2, 3))(ops.ones((1, 3, 8, 9))).shape
    (1, 3, 2, 3)
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.adaptive_avg_pool2d(x, self.output_size)


class AdaptiveMaxPool2d(_Adaptive):
    """Largest values of windows that divide the image into `output_size`; with `return_indices`
    also their places, counted over the whole image.

    >>> nn.AdaptiveMaxPool2d((2, 3))(ops.ones((1, 3, 8, 9))).shape
    (1, 3, 2, 3)
    """

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = return_indices

    def construct(self, x: Tensor) -> Any:
        return ops.adaptive_max_pool2d(x, self.output_size, self.return_indices)
