"""Metrics of classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.nn.metrics.base import Metric, arrays, rearrange_inputs

Array = np.ndarray
TYPES = ("classification", "multilabel")


def _numbers(owner: Metric, y_pred: Array, y: Array) -> tuple[Array, Array]:
    """Scores (n, c, …) and class numbers (n, …), of which one-hot labels are made such."""
    if y.ndim == y_pred.ndim and y.shape == y_pred.shape and y.ndim > 1:
        y = y.argmax(1)
    if y_pred.ndim != y.ndim + 1 or (y_pred.shape[0], *y_pred.shape[2:]) != y.shape:
        raise fail(
            ShapeError,
            f"{type(owner).__name__} got predictions of shape {list(y_pred.shape)} for labels of"
            f" {list(y.shape)}",
            why="they are scores (n, c, …) and class numbers (n, …), or one-hot labels",
        )
    if y.size and (y.min() < 0 or y.max() >= y_pred.shape[1]):
        raise fail(
            ArgumentError,
            f"{type(owner).__name__} got labels from {y.min()} to {y.max()}",
            why=f"there are {y_pred.shape[1]} classes",
        )
    return y_pred, y


def _marks(owner: Metric, y_pred: Array, y: Array) -> tuple[Array, Array]:
    """Labels 0 or 1 (n, c, …) of both, as (c, examples)."""
    if y_pred.shape != y.shape or y.ndim < 2:
        raise fail(
            ShapeError,
            f"{type(owner).__name__} got shapes {list(y_pred.shape)} and {list(y.shape)}",
            why="predictions and labels of several classes are 0 or 1, both (n, c, …)",
        )
    for values in (y_pred, y):
        if not np.isin(values, (0, 1)).all():
            raise fail(ArgumentError, f"{type(owner).__name__}: labels must be 0 or 1")
    return tuple(np.swapaxes(v, 0, 1).reshape(v.shape[1], -1) > 0 for v in (y_pred, y))  # type: ignore[return-value]


class _OfClasses(Metric):
    """A metric whose `eval_type` says whether an example has one class or several."""

    def __init__(self, eval_type: str = "classification"):
        if eval_type not in TYPES:
            raise fail(
                ArgumentError,
                f"{type(self).__name__}: no such eval_type: {eval_type!r}; have {TYPES}",
            )
        self._type = eval_type
        super().__init__()

    def _both(self, inputs: Any) -> tuple[Array, Array]:
        """Predicted and true labels, as (c, examples) of bools."""
        y_pred, y = arrays(self, 2, inputs)
        if self._type == "multilabel":
            return _marks(self, y_pred, y)
        y_pred, y = _numbers(self, y_pred, y)
        every = np.arange(y_pred.shape[1])[:, None]
        return y_pred.argmax(1).reshape(-1) == every, y.reshape(-1) == every


class Accuracy(_OfClasses):
    """The share of examples that are right; of several labels all must be.

    >>> import numpy as np
    >>> float(Accuracy()(np.array([[0.2, 0.5], [0.3, 0.1], [0.9, 0.6]]), np.array([1, 0, 1])))
    0.6666666666666666
    """

    def clear(self) -> None:
        self._right, self._count = 0, 0

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        found, wanted = self._both(inputs)
        self._right += int((found == wanted).all(0).sum())
        self._count += found.shape[1]

    def eval(self) -> float:
        self._some(self._count)
        return np.float64(self._right / self._count)


class _Counts(_OfClasses):
    """True positives, and all predicted and all true members, by class."""

    def clear(self) -> None:
        self._hits = self._found = self._true = np.zeros(0)

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        found, wanted = self._both(inputs)
        if self._hits.size and len(found) != len(self._hits):
            raise fail(
                ShapeError,
                f"{type(self).__name__} got {len(found)} classes after {len(self._hits)}",
            )
        self._hits = self._added(self._hits, found & wanted)
        self._found = self._added(self._found, found)
        self._true = self._added(self._true, wanted)

    @staticmethod
    def _added(total: Array, marks: Array) -> Array:
        counts = marks.sum(1).astype(np.float64)
        return counts if not total.size else total + counts

    def _share(self, of: Array, average: bool) -> Any:
        self._some(self._hits.size)
        share = self._hits / (of + np.finfo(np.float64).eps)
        return float(share.mean()) if average else share


class Precision(_Counts):
    """Of what was predicted as a class, the share that is; an array by class, or its mean.

    >>> metric = nn.Precision()
    >>> metric.update(Tensor([[0.2, 0.8], [0.9, 0.1]]), Tensor([1, 1]))
    >>> metric.eval().tolist()
    [0.0, 0.9999999999999998]
    """

    def eval(self, average: bool = False) -> Any:
        return self._share(self._found, average)


class Recall(_Counts):
    """Of what is a class, the share that was predicted so; an array by class, or its mean.

    >>> metric = nn.Recall()
    >>> metric.update(Tensor([[0.2, 0.8], [0.9, 0.1]]), Tensor([1, 1]))
    >>> metric.eval().tolist()
    [0.0, 0.5]
    """

    def eval(self, average: bool = False) -> Any:
        return self._share(self._true, average)


class Fbeta(_Counts):
    """(1 + b²) P R / (b² P + R) of precision P and recall R: large betas favour recall.

    >>> metric = nn.Fbeta(1.0)
    >>> metric.update(Tensor([[0.2, 0.8], [0.9, 0.1]]), Tensor([1, 0]))
    >>> metric.eval().tolist()
    [1.0, 1.0]
    """

    def __init__(self, beta: float):
        if beta <= 0:
            raise fail(ArgumentError, f"{type(self).__name__}: beta must be above 0, got {beta!r}")
        self.beta = beta
        super().__init__()

    def eval(self, average: bool = False) -> Any:
        self._some(self._hits.size)
        weighted = self.beta**2 * self._true + self._found
        share = (1 + self.beta**2) * self._hits / (weighted + np.finfo(np.float64).eps)
        return float(share.mean()) if average else share


class F1(Fbeta):
    """The harmonic mean of precision and recall; an array by class, or its mean.

    >>> metric = nn.F1()
    >>> metric.update(Tensor([[0.2, 0.8], [0.9, 0.1]]), Tensor([1, 0]))
    >>> metric.eval().tolist()
    [1.0, 1.0]
    """

    def __init__(self) -> None:
        super().__init__(1.0)


class TopKCategoricalAccuracy(Metric):
    """The share of examples whose class is among the k of the highest scores.

    >>> metric = nn.TopKCategoricalAccuracy(2)
    >>> metric.update(Tensor([[0.2, 0.5, 0.3]]), Tensor([2]))
    >>> float(metric.eval())
    1.0
    """

    def __init__(self, k: int):
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise fail(ArgumentError, f"{type(self).__name__}: k must be an int above 0, got {k!r}")
        self.k = k
        super().__init__()

    def clear(self) -> None:
        self._right, self._count = 0, 0

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        y_pred, y = arrays(self, 2, inputs)
        y_pred, y = _numbers(self, y_pred, y)
        best = np.argsort(-y_pred, 1, kind="stable")[:, : self.k]
        self._right += int((best == y[:, None]).any(1).sum())
        self._count += y.size

    def eval(self) -> float:
        self._some(self._count)
        return np.float64(self._right / self._count)


class Top1CategoricalAccuracy(TopKCategoricalAccuracy):
    """The share of examples whose class has the highest score.

    >>> metric = nn.Top1CategoricalAccuracy()
    >>> metric.update(Tensor([[0.2, 0.8]]), Tensor([1]))
    >>> float(metric.eval())
    1.0
    """

    def __init__(self) -> None:
        super().__init__(1)


class Top5CategoricalAccuracy(TopKCategoricalAccuracy):
    """The share of examples whose class is among the five of the highest scores.

    >>> metric = nn.Top5CategoricalAccuracy()
    >>> metric.update(Tensor(np.eye(8)[:1]), Tensor([0]))
    >>> float(metric.eval())
    1.0
    """

    def __init__(self) -> None:
        super().__init__(5)


class ConfusionMatrix(Metric):
    """How many examples of each class (rows) were predicted as each class (columns).

    Predictions are scores (n, c), or class numbers or probabilities (n,), of which those of at
    least `threshold` mean class 1. `normalize` divides: "target" by rows, "prediction" by columns,
    "all" by everything.

    >>> metric = nn.ConfusionMatrix(2)
    >>> metric.update(Tensor([1, 0]), Tensor([1, 1]))
    >>> metric.eval().tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """

    def __init__(self, num_classes: int, normalize: str | None = "no_norm", threshold: float = 0.5):
        if normalize not in ("no_norm", "target", "prediction", "all", None):
            raise fail(ArgumentError, f"ConfusionMatrix: no such normalize: {normalize!r}")
        self.num_classes, self.normalize, self.threshold = num_classes, normalize, threshold
        super().__init__()

    def clear(self) -> None:
        self.confusion_matrix = np.zeros((self.num_classes, self.num_classes))
        self._seen = False

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        y_pred, y = arrays(self, 2, inputs)
        if y_pred.ndim == y.ndim + 1:
            y_pred = y_pred.argmax(1)
        elif y_pred.dtype.kind == "f" and not np.isin(y_pred, np.arange(self.num_classes)).all():
            y_pred = y_pred >= self.threshold
        pairs = np.stack((y.reshape(-1), y_pred.reshape(-1))).astype(np.int64)
        if pairs.size and (pairs.min() < 0 or pairs.max() >= self.num_classes):
            raise fail(
                ArgumentError,
                f"ConfusionMatrix got classes from {pairs.min()} to {pairs.max()}",
                why=f"num_classes is {self.num_classes}",
            )
        np.add.at(self.confusion_matrix, tuple(pairs), 1)
        self._seen = True

    def eval(self) -> Array:
        self._some(self._seen)
        matrix = self.confusion_matrix
        axis = {"target": 1, "prediction": 0, "all": None}.get(str(self.normalize), -1)
        if axis == -1:
            return matrix
        total = matrix.sum(axis, keepdims=True)
        return np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)


class ROC(Metric):
    """The curve of true over false positive rates, over all thresholds: (fpr, tpr, thresholds).

    Scores (n,) with the true class `pos_label` (1), or (n, class_num) for lists of three curves.

    >>> metric = nn.ROC(pos_label=1)
    >>> metric.update(Tensor([0.1, 0.9]), Tensor([0, 1]))
    >>> len(metric.eval())
    3
    """

    def __init__(self, class_num: int | None = None, pos_label: int | None = None):
        self.class_num, self.pos_label = class_num, pos_label
        super().__init__()

    def clear(self) -> None:
        self._scores: list[Array] = []
        self._labels: list[Array] = []

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        y_pred, y = arrays(self, 2, inputs)
        if self.class_num is None and y_pred.shape != y.shape:
            raise fail(
                ShapeError,
                f"ROC got scores of shape {list(y_pred.shape)} for labels of {list(y.shape)}",
                instead="ROC(class_num=…) takes scores (n, c)",
            )
        self._scores.append(y_pred)
        self._labels.append(y)

    def eval(self) -> tuple[Any, Any, Any]:
        self._some(self._scores)
        scores, labels = np.concatenate(self._scores), np.concatenate(self._labels)
        if self.class_num is None:
            positive = 1 if self.pos_label is None else self.pos_label
            return _curve(scores.reshape(-1), labels.reshape(-1) == positive)
        curves = [_curve(scores[:, k], labels == k) for k in range(self.class_num)]
        fpr, tpr, thresholds = (list(column) for column in zip(*curves, strict=True))
        return fpr, tpr, thresholds


def _curve(scores: Array, positive: Array) -> tuple[Array, Array, Array]:
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of each score
    right = np.cumsum(positive)[last]
    wrong = last + 1 - right
    if not right[-1] or not wrong[-1]:
        raise fail(ArgumentError, "ROC needs both positive and negative examples")
    tpr, fpr = (np.concatenate(([0.0], v / v[-1])) for v in (right, wrong))
    return fpr, tpr, np.concatenate(([scores[last[0]] + 1], scores[last]))


def auc(x: Any, y: Any, reorder: bool = False) -> float:
    """The area under a curve of rising (or falling) x, by trapezoids; `reorder` sorts it first.

    >>> float(auc([0.0, 0.5, 1.0], [0.0, 1.0, 1.0]))
    0.75
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size < 2:
        raise fail(ShapeError, f"auc got x of shape {list(x.shape)} and y of {list(y.shape)}")
    if reorder:
        order = np.lexsort((y, x))
        x, y = x[order], y[order]
    steps = np.diff(x)
    if (steps < 0).any() and (steps > 0).any():
        raise fail(ArgumentError, "auc: x neither rises nor falls", instead="reorder=True")
    return np.float64(abs(np.sum(steps * (y[1:] + y[:-1])) / 2))
