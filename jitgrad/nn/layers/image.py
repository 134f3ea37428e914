"""Layers that move the values of images: padding, windows, pixels, sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.nn.layers.windows import paddings, pair, single
from jitgrad.ops.image import CORNERS, HALF, resized
from jitgrad.tensor import Tensor


class Pad(Cell):
    """More values around: `paddings` has a pair (before, after) for each axis.

    mode "CONSTANT" adds zeros, "REFLECT" mirrors without repeating the edge, "SYMMETRIC" with.

    >>> nn.Pad(((1, 0), (0, 2)))(ops.ones((2, 2))).shape
    (3, 4)
    """

    def __init__(self, paddings: Any, mode: str = "CONSTANT"):
        super().__init__()
        if mode not in ("CONSTANT", "REFLECT", "SYMMETRIC"):
            raise fail(ArgumentError, f"Pad: no such mode: {mode!r}")
        pairs = np.asarray(paddings)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise fail(ArgumentError, f"Pad: paddings must be pairs of ints, got {paddings!r}")
        if (pairs < 0).any():
            raise fail(ArgumentError, f"Pad: paddings must be at least 0, got {paddings!r}")
        self.paddings, self.mode = tuple((int(a), int(b)) for a, b in pairs), mode

    def construct(self, x: Tensor) -> Tensor:
        if x.ndim != len(self.paddings):
            raise fail(
                ShapeError, f"Pad has {len(self.paddings)} paddings for shape {list(x.shape)}"
            )
        if self.mode == "CONSTANT":
            flat = [n for pair in reversed(self.paddings) for n in pair]
            return ops.pad(x, tuple(flat))
        for axis, (before, after) in enumerate(self.paddings):
            places = np.arange(x.shape[axis])
            how = "reflect" if self.mode == "REFLECT" else "symmetric"
            places = np.pad(places, (before, after), mode=how)
            x = ops.gather(x, Tensor(places.astype(np.int32)), axis)
        return x


class CentralCrop(Cell):
    """The middle of images (c, h, w) or (n, c, h, w): of rows and columns the same fraction.

    >>> nn.CentralCrop(0.5)(ops.ones((3, 8, 6))).shape
    (3, 4, 4)
    """

    def __init__(self, central_fraction: float):
        super().__init__()
        if not 0 < central_fraction <= 1:
            raise fail(
                ArgumentError,
                f"CentralCrop: central_fraction must be above 0 and at most 1: {central_fraction}",
            )
        self.central_fraction = central_fraction

    def construct(self, image: Tensor) -> Tensor:
        if image.ndim not in (3, 4):
            raise fail(
                ShapeError,
                f"CentralCrop got an input of shape {list(image.shape)}",
                why="it takes (c, h, w) or (n, c, h, w)",
            )
        top, left = (int((n - n * self.central_fraction) / 2) for n in image.shape[-2:])
        rows, columns = image.shape[-2:]
        return image[..., top : rows - top, left : columns - left]


class ImageGradients(Cell):
    """Differences to the next row and to the next column, (n, c, h, w) each; 0 at the end.

    >>> rows, columns = nn.ImageGradients()(ops.arange(4.0).reshape(1, 1, 2, 2))
    >>> rows.tolist(), columns.tolist()
    ([[[[2.0, 2.0], [0.0, 0.0]]]], [[[[1.0, 0.0], [1.0, 0.0]]]])
    """

    def construct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if images.ndim != 4:
            raise fail(
                ShapeError,
                f"ImageGradients got an input of shape {list(images.shape)}",
                why="it takes (n, c, h, w)",
            )
        rows = images[:, :, 1:] - images[:, :, :-1]
        columns = images[..., 1:] - images[..., :-1]
        return ops.pad(rows, (0, 0, 0, 1)), ops.pad(columns, (0, 1))


class PixelShuffle(Cell):
    """(…, c * r², h, w) to (…, c, h * r, w * r).

    >>> nn.PixelShuffle(2)(ops.ones((1, 4, 2, 2))).shape
    (1, 1, 4, 4)
    """

    def __init__(self, upscale_factor: int):
        super().__init__()
        self.upscale_factor = single("PixelShuffle", "upscale_factor", upscale_factor)

    def construct(self, x: Tensor) -> Tensor:
        return ops.pixel_shuffle(x, self.upscale_factor)


class PixelUnshuffle(Cell):
    """(…, c, h * r, w * r) to (…, c * r², h, w).

    >>> nn.PixelUnshuffle(2)(ops.ones((1, 1, 4, 4))).shape
    (1, 4, 2, 2)
    """

    def __init__(self, downscale_factor: int):
        super().__init__()
        self.downscale_factor = single("PixelUnshuffle", "downscale_factor", downscale_factor)

    def construct(self, x: Tensor) -> Tensor:
        return ops.pixel_unshuffle(x, self.downscale_factor)


class Upsample(Cell):
    """Images (n, c, …) resized to `size` or by `scale_factor`; modes as in `ops.interpolate`.

    >>> nn.Upsample(size=(4, 4))(ops.ones((1, 1, 2, 2))).shape
    (1, 1, 4, 4)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ):
        super().__init__()
        if (size is None) == (scale_factor is None):
            raise fail(ArgumentError, "Upsample takes size or scale_factor")
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def construct(self, x: Tensor) -> Tensor:
        return ops.interpolate(
            *(x, self.size, self.scale_factor, self.mode, self.align_corners),
            self.recompute_scale_factor,
        )


class ResizeBilinear(Cell):
    """Images (n, c, h, w) resized by linear interpolation, to `size` or by `scale_factor`.

    Without `half_pixel_centers` and `align_corners` the first pixel stays where it is.

    >>> nn.ResizeBilinear()(Tensor([[[[1.0, 3.0]]]]), size=(1, 4)).tolist()
    [[[[1.0, 2.0, 3.0, 3.0]]]]
    """

    def __init__(self, half_pixel_centers: bool = False):
        super().__init__()
        if not isinstance(half_pixel_centers, bool):
            kind = type(half_pixel_centers).__name__
            raise fail(DTypeError, f"ResizeBilinear: half_pixel_centers must be a bool, not {kind}")
        self.half_pixel_centers = half_pixel_centers

    def construct(
        self, x: Tensor, size: Any = None, scale_factor: Any = None, align_corners: bool = False
    ) -> Tensor:
        if (size is None) == (scale_factor is None):
            raise fail(ArgumentError, "ResizeBilinear takes a size or a scale_factor")
        targets = size or [int(n * scale_factor) for n in x.shape[2:]]
        where = CORNERS if align_corners else HALF if self.half_pixel_centers else ""
        return resized(x, targets, "bilinear", where)


class ChannelShuffle(Cell):
    """Channels (n, c, …) of `groups` groups, dealt out one from each in turn.

    >>> nn.ChannelShuffle(2)(ops.arange(4).reshape(1, 4, 1, 1)).ravel().tolist()
    [0, 2, 1, 3]
    """

    def __init__(self, groups: int):
        super().__init__()
        self.groups = single("ChannelShuffle", "groups", groups)

    def construct(self, x: Tensor) -> Tensor:
        return ops.channel_shuffle(x, self.groups)


class Unfold(Cell):
    """All windows of images, their values as channels: (n, c, h, w) to (n, rows * columns * c,
    h', w').

    ksizes, strides and rates (the gaps within a window) are written (1, rows, columns, 1); padding
    is "valid" or "same". Channels run over rows, columns and input channels, the last fastest.

    >>> nn.Unfold([1, 2, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1])(ops.ones((1, 1, 3, 3))).shape
    (1, 4, 2, 2)
    """

    def __init__(self, ksizes: Any, strides: Any, rates: Any, padding: str = "valid"):
        super().__init__()
        given = {"ksizes": ksizes, "strides": strides, "rates": rates}
        for name, value in given.items():
            if not isinstance(value, (tuple, list)):
                raise fail(DTypeError, f"Unfold: {name} must be a tuple or a list, got {value!r}")
            if len(value) != 4 or value[0] != 1 or value[3] != 1:
                raise fail(ArgumentError, f"Unfold: {name} is (1, rows, columns, 1), not {value!r}")
        self._kernel, self._stride, self._gaps = (
            pair("Unfold", name, tuple(value[1:3])) for name, value in given.items()
        )
        self.padding = padding.lower()
        if self.padding not in ("valid", "same"):
            raise fail(ArgumentError, f"Unfold: padding must be valid or same, got {padding!r}")

    def construct(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise fail(ShapeError, f"Unfold takes (n, c, h, w), got {list(x.shape)}")
        settings = (self._kernel, self._stride, self._gaps)
        top, bottom, left, right = paddings("Unfold", self.padding, 0, x.shape[2:], *settings)
        x = ops.pad(x, (left, right, top, bottom))
        size = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], *settings)]
        y = ops.unfold(x, self._kernel, self._gaps, 0, self._stride)
        y = ops.reshape(y, (x.shape[0], x.shape[1], -1, *size))
        return ops.reshape(ops.transpose(y, (0, 2, 1, 3, 4)), (x.shape[0], -1, *size))


class Fold(Cell):
    """The adjoint of `ops.unfold`: windows (n, c * kernel, l) added up where they overlap, to
    images (n, c, *output_size).

    >>> nn.Fold(3, 2)(ops.ones((1, 4, 4))).shape
    (1, 1, 3, 3)
    """

    def __init__(
        self,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
    ):
        super().__init__()
        self._settings = (output_size, kernel_size, dilation, padding, stride)

    def construct(self, x: Tensor) -> Tensor:
        return ops.fold(x, *self._settings)


class _MaxUnpool(Cell):
    """Maxima back at their places, which `return_indices` of a pooling gave; zeros elsewhere."""

    spatial: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        super().__init__()
        self._kernel, self._pads = self._each(kernel_size), self._each(padding)
        self._stride = self._kernel if stride is None else self._each(stride)

    def _each(self, value: Any) -> tuple[int, ...]:
        return (value,) * self.spatial if isinstance(value, int) else tuple(value)

    def construct(self, x: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        if x.shape != indices.shape or x.ndim not in (self.spatial + 1, self.spatial + 2):
            raise fail(
                ShapeError,
                f"{self.cls_name} got values of shape {list(x.shape)} and indices of"
                f" {list(indices.shape)}",
                why=f"they have one shape, of {self.spatial} axes behind examples and channels",
            )
        lead, places = x.shape[: x.ndim - self.spatial], x.shape[x.ndim - self.spatial :]
        size = tuple(
            (n - 1) * s - 2 * p + k
            for n, s, p, k in zip(places, self._stride, self._pads, self._kernel)
        )
        if output_size is not None:
            size = tuple(output_size)[-self.spatial :]
        rows, count = int(np.prod(lead)), int(np.prod(size))
        first = Tensor((np.arange(rows) * count)[:, None])
        at = ops.reshape(ops.reshape(indices, (rows, -1)) + first, (-1,))
        flat = ops.zeros((rows * count,), x.dtype)
        y = ops.tensor_scatter_elements(flat, at, ops.reshape(x, (-1,)), 0)
        return ops.reshape(y, (*lead, *size))


class MaxUnpool1d(_MaxUnpool):
    """The inverse of `MaxPool1d` with `return_indices`: (n, c, l) to (n, c, l').

    >>> nn.MaxUnpool1d(2)(Tensor([[[5.0]]]), Tensor([[[1]]])).tolist()
    [[[0.0, 5.0]]]
    """

    spatial = 1


class MaxUnpool2d(_MaxUnpool):
    """The inverse of `MaxPool2d` with `return_indices`: (n, c, h, w) to (n, c, h', w').

    >>> nn.MaxUnpool2d(2)(Tensor([[[[5.0]]]]), Tensor([[[[3]]]])).tolist()
    [[[[0.0, 0.0], [0.0, 5.0]]]]
    """

    spatial = 2


class MaxUnpool3d(_MaxUnpool):
    """The inverse of pooling of volumes, places counted over the volume.

    >>> nn.MaxUnpool3d(2)(Tensor([[[[[5.0]]]]]), Tensor([[[[[3]]]]])).shape
    (1, 1, 2, 2, 2)
    """

    spatial = 3
