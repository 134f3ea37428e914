"""How much two images are like each other: (n, c, h, w) and the same again to (n,)."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.ir.types import float32
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Tensor


class _Similarity(Cell):
    def __init__(self, max_val: float):
        super().__init__()
        if isinstance(max_val, bool) or not isinstance(max_val, (int, float)):
            raise fail(DTypeError, f"{self.cls_name}: max_val must be a number, got {max_val!r}")
        if max_val <= 0:
            raise fail(ArgumentError, f"{self.cls_name}: max_val must be above 0, got {max_val}")
        self.max_val = max_val

    def _images(self, img1: Tensor, img2: Tensor) -> tuple[Tensor, Tensor]:
        """Both in float32; ShapeError and TypeError for others than two images of one kind."""
        if img1.ndim != 4 or img1.shape != img2.shape:
            raise fail(
                ShapeError,
                f"{self.cls_name} got images of shapes {list(img1.shape)} and {list(img2.shape)}",
                why="it takes two of shape (n, c, h, w)",
            )
        if img1.dtype is not img2.dtype:
            raise fail(DTypeError, f"{self.cls_name} got images of {img1.dtype} and {img2.dtype}")
        return ops.cast(img1, float32), ops.cast(img2, float32)


class PSNR(_Similarity):
    """The peak ratio of signal to noise in decibels: 10 log10(max_val² / mean squared error).

    >>> print(nn.PSNR()(ops.ones((1, 1, 2, 2)), ops.zeros((1, 1, 2, 2))))
    [0.]
    """

    def __init__(self, max_val: float = 1.0):
        super().__init__(max_val)

    def construct(self, img1: Tensor, img2: Tensor) -> Tensor:
        img1, img2 = self._images(img1, img2)
        error = ops.mean(ops.square(img1 - img2), (1, 2, 3))
        return 10 * ops.log10(self.max_val**2 / error)


class SSIM(_Similarity):
    """The structural similarity, at most 1. Wang et al. (2004).

    `filter_size` and `filter_sigma` are those of the Gaussian window that means, variances and the
    covariance are taken over; (k1 * max_val)² and (k2 * max_val)² are added to their products.

    >>> image = ops.arange(256.0).reshape(1, 1, 16, 16) / 255
    >>> print(nn.SSIM()(image, image))
    [1.]
    """

    def __init__(
        self,
        max_val: float = 1.0,
        filter_size: int = 11,
        filter_sigma: float = 1.5,
        k1: float = 0.01,
        k2: float = 0.03,
    ):
        super().__init__(max_val)
        if filter_size < 1 or filter_sigma <= 0:
            raise fail(
                ArgumentError,
                f"{self.cls_name}: filter_size={filter_size}, filter_sigma={filter_sigma}",
                why="both must be above 0",
            )
        places = np.arange(filter_size) - (filter_size - 1) / 2
        row = np.exp(-(places**2) / (2 * filter_sigma**2))
        window = np.outer(row, row) / row.sum() ** 2
        self.filter_size, self._window = filter_size, Tensor(window.astype(np.float32))
        self._constants = (k1 * max_val) ** 2, (k2 * max_val) ** 2

    def _compared(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Similarity, and that of contrast and structure alone, of each channel: (n, c)."""
        channels, size = x.shape[1], self.filter_size
        if min(x.shape[2:]) < size:
            raise fail(
                ShapeError,
                f"{self.cls_name} got images of {x.shape[2]} by {x.shape[3]}",
                why=f"they must be as large as its filter_size={size}",
            )
        weight = ops.broadcast_to(self._window, (channels, 1, size, size))

        def mean(v: Tensor) -> Tensor:
            return ops.conv2d(v, weight, pad_mode="valid", groups=channels)

        c1, c2 = self._constants
        mx, my = mean(x), mean(y)
        product, squares = mx * my, mx * mx + my * my
        covariance, variances = mean(x * y) - product, mean(x * x + y * y) - squares
        structure = (2 * covariance + c2) / (variances + c2)
        whole = (2 * product + c1) / (squares + c1) * structure
        return ops.mean(whole, (2, 3)), ops.mean(structure, (2, 3))

    def construct(self, img1: Tensor, img2: Tensor) -> Tensor:
        return ops.mean(self._compared(*self._images(img1, img2))[0], 1)


class MSSSIM(SSIM):
    """`SSIM` over several scales, each half as fine as the one before: the product of their
    structures and the last similarity, each to its power. Wang, Simoncelli, Bovik (2003).

    >>> image = ops.arange(1024.0).reshape(1, 1, 32, 32) / 1023
    >>> print(nn.MSSSIM(power_factors=(0.5, 0.5))(image, image))
    [1.]
    """

    def __init__(
        self,
        max_val: float = 1.0,
        power_factors: Any = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),
        filter_size: int = 11,
        filter_sigma: float = 1.5,
        k1: float = 0.01,
        k2: float = 0.03,
    ):
        super().__init__(max_val, filter_size, filter_sigma, k1, k2)
        self.power_factors = tuple(power_factors)

    def construct(self, img1: Tensor, img2: Tensor) -> Tensor:
        x, y = self._images(img1, img2)
        total: Any = 1.0
        for k, power in enumerate(self.power_factors):
            whole, structure = self._compared(x, y)
            last = k == len(self.power_factors) - 1
            total = total * ops.relu(whole if last else structure) ** power
            x, y = (ops.avg_pool2d(v, 2, 2) for v in (x, y))
        return ops.mean(total, 1)


__all__ = ["MSSSIM", "PSNR", "SSIM"]
