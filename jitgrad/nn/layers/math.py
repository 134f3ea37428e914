"""Functions of `ops` as Cells, as older MindSpore programs write them."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.ir.types import float16, float32
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Tensor


class ClipByNorm(Cell):
    """x * clip_norm / max(norm of x, clip_norm), the norm over `axis`, or over all axes.

    >>> print(nn.ClipByNorm()(Tensor([3.0, 4.0]), Tensor(1.0)))
    [0.6 0.8]
    """

    def __init__(self, axis: Any = None):
        super().__init__()
        self.axis = axis

    def construct(self, x: Tensor, clip_norm: Tensor) -> Tensor:
        wide = ops.cast(x, float32) if x.dtype is float16 else x
        total = ops.sum(ops.square(wide), self.axis, True)
        norm = ops.where(total > 0, ops.sqrt(ops.where(total > 0, total, 1.0)), total)
        return ops.cast(wide * clip_norm / ops.maximum(norm, clip_norm), x.dtype)


class Norm(Cell):
    """The Euclidean norm over `axis`, or over all axes.

    >>> print(nn.Norm(axis=1)(Tensor([[3.0, 4.0]])))
    [5.]
    """

    def __init__(self, axis: Any = (), keep_dims: bool = False):
        super().__init__()
        if not isinstance(keep_dims, bool):
            raise fail(DTypeError, f"Norm: keep_dims must be a bool, got {keep_dims!r}")
        self.axis, self.keep_dims = axis, keep_dims

    def construct(self, x: Tensor) -> Tensor:
        return ops.sqrt(ops.sum(ops.square(x), self.axis or None, self.keep_dims))

    def extend_repr(self) -> str:
        return f"axis={self.axis}, keep_dims={self.keep_dims}"


class OneHot(Cell):
    """Classes as vectors of `depth` along `axis`: `on_value` at the class, else `off_value`.

    >>> print(nn.OneHot(depth=3)(Tensor([0, 2])))
    [[1. 0. 0.]
     [0. 0. 1.]]
    """

    def __init__(
        self,
        axis: int = -1,
        depth: int = 1,
        on_value: float = 1.0,
        off_value: float = 0.0,
        dtype: Any = float32,
    ):
        super().__init__()
        self.axis, self.depth, self.dtype = axis, depth, dtype
        self.on_value, self.off_value = on_value, off_value

    def construct(self, indices: Tensor) -> Tensor:
        on, off = (Tensor(v, self.dtype) for v in (self.on_value, self.off_value))
        return ops.one_hot(indices, self.depth, on, off, self.axis)


class Range(Cell):
    """The numbers from `start` to `limit`, or from 0 to `start`, in steps of `delta`.

    >>> print(nn.Range(1, 6, 2)())
    [1 3 5]
    """

    def __init__(self, start: float, limit: float | None = None, delta: float = 1):
        super().__init__()
        if delta == 0:
            raise fail(ArgumentError, "Range: delta must not be 0")
        first, last = (0, start) if limit is None else (start, limit)
        whole = all(isinstance(v, int) for v in (first, last, delta))
        self._numbers = Tensor(np.arange(first, last, delta, np.int32 if whole else np.float32))

    def construct(self) -> Tensor:
        return self._numbers


class Tril(Cell):
    """The part of matrices on and below the diagonal `k`; the rest is 0.

    >>> print(nn.Tril()(ops.ones((2, 2))))
    [[1. 0.]
     [1. 1.]]
    """

    def construct(self, x: Tensor, k: int = 0) -> Tensor:
        return ops.tril(x, k)


class Triu(Cell):
    """The part of matrices on and above the diagonal `k`; the rest is 0.

    >>> print(nn.Triu()(ops.ones((2, 2))))
    [[1. 1.]
     [0. 1.]]
    """

    def construct(self, x: Tensor, k: int = 0) -> Tensor:
        return ops.triu(x, k)


class Roll(Cell):
    """Elements moved on by `shift` along `axis`, those at the end to the beginning.

    >>> print(nn.Roll(1, 0)(Tensor([1, 2, 3])))
    [3 1 2]
    """

    def __init__(self, shift: Any, axis: Any):
        super().__init__()
        self.shift, self.axis = shift, axis

    def construct(self, input_x: Tensor) -> Tensor:
        return ops.roll(input_x, self.shift, self.axis)


class L1Regularizer(Cell):
    """scale * Σ|w|, to add to a loss.

    >>> nn.L1Regularizer(0.5)(Tensor([1.0, -3.0])).item()
    2.0
    """

    def __init__(self, scale: float):
        super().__init__()
        if isinstance(scale, bool) or not isinstance(scale, (int, float)) or scale <= 0:
            raise fail(ArgumentError, f"L1Regularizer: scale must be above 0, got {scale!r}")
        self.scale = float(scale)

    def construct(self, weights: Tensor) -> Tensor:
        return self.scale * ops.sum(ops.abs(weights))


class Moments(Cell):
    """Mean and variance over `axis`, or over all axes.

    >>> mean, variance = nn.Moments()(Tensor([1.0, 3.0]))
    >>> mean.item(), variance.item()
    (2.0, 1.0)
    """

    def __init__(self, axis: Any = None, keep_dims: bool | None = None):
        super().__init__()
        self.axis, self.keep_dims = axis, bool(keep_dims)

    def construct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        axis = None if self.axis == () else self.axis
        return ops.mean(x, axis, self.keep_dims), ops.var(x, axis, 0, self.keep_dims)


class ReduceLogSumExp(Cell):
    """log Σ exp(x) over `axis`.

    >>> round(nn.ReduceLogSumExp(0)(ops.zeros(4)).item(), 4)
    1.3863
    """

    def __init__(self, axis: Any, keep_dims: bool = False):
        super().__init__()
        self.axis, self.keep_dims = axis, keep_dims

    def construct(self, x: Tensor) -> Tensor:
        return ops.logsumexp(x, self.axis, self.keep_dims)


class MatMul(Cell):
    """`ops.matmul`, with the last two axes of an operand exchanged where that is asked.

    >>> nn.MatMul(transpose_x2=True)(ops.ones((2, 3)), ops.ones((4, 3))).shape
    (2, 4)
    """

    def __init__(self, transpose_x1: bool = False, transpose_x2: bool = False):
        super().__init__()
        self.transpose_x1, self.transpose_x2 = transpose_x1, transpose_x2

    def construct(self, x1: Tensor, x2: Tensor) -> Tensor:
        x1 = ops.swapaxes(x1, -1, -2) if self.transpose_x1 and x1.ndim > 1 else x1
        x2 = ops.swapaxes(x2, -1, -2) if self.transpose_x2 and x2.ndim > 1 else x2
        return ops.matmul(x1, x2)


class LGamma(Cell):
    """log |Γ(x)|.

    >>> nn.LGamma()(Tensor([1.0])).tolist()
    [0.0]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.lgamma(x)


class DiGamma(Cell):
    """The derivative of log Γ(x).

    >>> print(nn.DiGamma()(Tensor([1.0])).asnumpy().round(4))
    [-0.5772]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.digamma(x)


class IGamma(Cell):
    """The lower incomplete gamma function P(a, x), between 0 and 1.

    >>> print(nn.IGamma()(Tensor([1.0]), Tensor([1.0])).asnumpy().round(4))
    [0.6321]
    """

    def construct(self, a: Tensor, x: Tensor) -> Tensor:
        return ops.igamma(a, x)


class LBeta(Cell):
    """log B(x, y), the beta function.

    >>> print(nn.LBeta()(Tensor([2.0]), Tensor([3.0])).asnumpy().round(4))
    [-2.4849]
    """

    def construct(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.betaln(x, y)


class MatInverse(Cell):
    """The inverse of matrices.

    >>> nn.MatInverse()(Tensor([[2.0]])).tolist()
    [[0.5]]
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.inverse(x)


class MatDet(Cell):
    """The determinant of matrices.

    >>> nn.MatDet()(Tensor([[2.0]])).item()
    2.0
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.det(x)


__all__ = [
    "ClipByNorm", "DiGamma", "IGamma", "L1Regularizer", "LBeta", "LGamma", "MatDet", "MatInverse",
    "MatMul", "Moments", "Norm", "OneHot", "Range", "ReduceLogSumExp", "Roll", "Tril", "Triu",
]  # fmt: skip
