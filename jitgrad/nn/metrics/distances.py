"""Metrics of numbers: errors, overlaps, and the loss itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.nn.metrics.base import Metric, arrays, rearrange_inputs


class Loss(Metric):
    """The mean of the losses of all batches.

    >>> metric = nn.Loss()
    >>> metric.update(Tensor(3.0))
    >>> float(metric.eval())
    3.0
    """

    def clear(self) -> None:
        self._sum, self._count = 0.0, 0

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        (loss,) = arrays(self, 1, inputs)
        if loss.size != 1:
            raise fail(ShapeError, f"Loss takes one value, got shape {list(loss.shape)}")
        self._sum += float(loss.reshape(()))
        self._count += 1

    def eval(self) -> float:
        self._some(self._count)
        return np.float64(self._sum / self._count)


class _Difference(Metric):
    """A sum over all values of an error, divided by the number of examples."""

    def clear(self) -> None:
        self._sum, self._count = 0.0, 0

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        y_pred, y = arrays(self, 2, inputs)
        if y_pred.size != y.size:
            raise fail(
                ShapeError,
                f"{type(self).__name__} got shapes {list(y_pred.shape)} and {list(y.shape)}",
            )
        gap = y.reshape(y_pred.shape).astype(np.float64) - y_pred
        self._sum += self._error(gap)
        self._count += len(y) if y.ndim else 1

    def _error(self, gap: np.ndarray) -> float:
        raise NotImplementedError

    def eval(self) -> float:
        self._some(self._count)
        return np.float64(self._sum / self._count)


class MAE(_Difference):
    """The sum of |prediction - truth| over the number of examples.

    >>> metric = nn.MAE()
    >>> metric.update(Tensor([1.0, 2.0]), Tensor([2.0, 4.0]))
    >>> float(metric.eval())
    1.5
    """

    def _error(self, gap: np.ndarray) -> float:
        return float(np.abs(gap).sum())


class MSE(_Difference):
    """The sum of (prediction - truth)² over the number of examples.

    >>> metric = nn.MSE()
    >>> metric.update(Tensor([1.0, 2.0]), Tensor([2.0, 4.0]))
    >>> float(metric.eval())
    2.5
    """

    def _error(self, gap: np.ndarray) -> float:
        return float(np.square(gap).sum())


class Dice(Metric):
    """2 Σ x y / (Σ x² + Σ y² + smooth), summed over batches, over the number of examples.

    >>> metric = nn.Dice()
    >>> metric.update(Tensor([[1.0, 0.0]]), Tensor([[1.0, 0.0]]))
    >>> round(metric.eval(), 3)
    1.0
    """

    def __init__(self, smooth: float = 1e-5):
        if smooth <= 0:
            raise fail(ArgumentError, f"Dice: smooth must be above 0, got {smooth!r}")
        self.smooth = smooth
        super().__init__()

    def clear(self) -> None:
        self._sum, self._count = 0.0, 0

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        x, y = (v.astype(np.float64) for v in arrays(self, 2, inputs))
        if x.shape != y.shape:
            raise fail(ShapeError, f"Dice got shapes {list(x.shape)} and {list(y.shape)}")
        both, each = (x * y).sum(), (x * x).sum() + (y * y).sum()
        self._sum += float(2 * both / (each + self.smooth))
        self._count += len(y)

    def eval(self) -> float:
        self._some(self._count)
        return self._sum / self._count


class CosineSimilarity(Metric):
    """Cosines (similarity "cosine") or products ("dot") of all pairs of rows, reduced along the
    last axis by "mean" or "sum", or not at all; each row with itself counts 0 if `zero_diagonal`.

    >>> metric = nn.CosineSimilarity()
    >>> metric.update(np.eye(2))
    >>> metric.eval().tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """

    def __init__(
        self, similarity: str = "cosine", reduction: str = "none", zero_diagonal: bool = True
    ):
        if similarity not in ("cosine", "dot"):
            raise fail(ArgumentError, f"CosineSimilarity: no such similarity: {similarity!r}")
        if reduction not in ("none", "mean", "sum"):
            raise fail(ArgumentError, f"CosineSimilarity: no such reduction: {reduction!r}")
        self.similarity, self.reduction = similarity, reduction
        self.zero_diagonal = zero_diagonal
        super().__init__()

    def clear(self) -> None:
        self._pairs: np.ndarray | None = None

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        (rows,) = arrays(self, 1, inputs)
        if self.similarity == "cosine":
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        self._pairs = rows @ rows.T
        if self.zero_diagonal:
            np.fill_diagonal(self._pairs, 0)

    def eval(self) -> np.ndarray:
        self._some(self._pairs is not None)
        assert self._pairs is not None
        if self.reduction == "none":
            return self._pairs
        return self._pairs.mean(-1) if self.reduction == "mean" else self._pairs.sum(-1)
