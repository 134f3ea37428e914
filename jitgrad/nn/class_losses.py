"""Losses of several classes at once, and of sequences without alignment."""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.nn.activations import as_activation
from jitgrad.nn.losses import DiceLoss, LossBase
from jitgrad.tensor import Tensor


def _classes(owner: str, x: Tensor, labels: Tensor, ndim: int) -> None:
    if x.ndim != 2 or labels.ndim != ndim or labels.shape[0] != x.shape[0]:
        raise fail(
            ShapeError,
            f"{owner} got shapes {list(x.shape)} and {list(labels.shape)}",
            why=f"it takes scores (n, c) and labels {'(n,)' if ndim == 1 else '(n, c)'}",
        )
    if labels.dtype.kind not in "iu":
        raise fail(
            DTypeError, f"{owner} got labels of {labels.dtype}", why="they are class numbers"
        )


class MultiMarginLoss(LossBase):
    """Σ max(0, margin - x[y] + x[i])^p / c over the classes i but y, for scores (n, c) and class
    numbers (n,); `weight` (c,) scales by class.

    >>> nn.MultiMarginLoss()(Tensor([[1.0, 0.5]]), Tensor([0])).item()
    0.25
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ):
        super().__init__(reduction)
        if p not in (1, 2):
            raise fail(ArgumentError, f"MultiMarginLoss: p must be 1 or 2, got {p!r}")
        self.p, self.margin, self.weight = p, margin, weight

    def construct(self, x: Tensor, target: Tensor) -> Tensor:
        _classes(self.cls_name, x, target, 1)
        settings = (self.p, self.margin, self.weight, self.reduction)
        return ops.multi_margin_loss(x, target, *settings)


class MultilabelMarginLoss(LossBase):
    """Σ max(0, 1 - x[y] + x[i]) / c over the labels y and the classes i that are no label.

    Scores (n, c); a row of labels (n, c) ends at its first -1.

    >>> nn.MultilabelMarginLoss()(Tensor([[1.0, 0.5]]), Tensor([[0, -1]])).item()
    0.25
    """

    def construct(self, x: Tensor, target: Tensor) -> Tensor:
        _classes(self.cls_name, x, target, 2)
        if tuple(target.shape) != tuple(x.shape):
            raise fail(
                ShapeError,
                f"{self.cls_name} got shapes {list(x.shape)} and {list(target.shape)}",
                why="there are as many places for labels as classes",
            )
        return ops.multilabel_margin_loss(x, target, self.reduction)


class MultiLabelSoftMarginLoss(LossBase):
    """The mean over classes of BCEWithLogitsLoss, for scores and labels 0 or 1 (n, c).

    >>> print(nn.MultiLabelSoftMarginLoss()(ops.zeros((1, 2)), Tensor([[1.0,
    ...     0.0]])).asnumpy().round(4))
    0.6931
    """

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__(reduction)
        self.weight = weight

    def construct(self, x: Tensor, target: Tensor) -> Tensor:
        return ops.multilabel_soft_margin_loss(x, target, self.weight, self.reduction)


class FocalLoss(LossBase):
    """-(1 - p)^gamma log(p) for the probability p = softmax(x) of the label. Lin et al. (2017).

    Scores (n, c, …); labels (n, 1, …) are class numbers, or have the scores' shape and are 0 or 1.
    `weight` (c,) scales by class.

    >>> nn.FocalLoss()(Tensor([[2.0, 1.0]]), Tensor([[0]])).shape
    ()
    """

    def __init__(self, weight: Tensor | None = None, gamma: float = 2.0, reduction: str = "mean"):
        super().__init__(reduction)
        if isinstance(gamma, bool) or not isinstance(gamma, (int, float)):
            raise fail(DTypeError, f"FocalLoss: gamma must be a number, got {gamma!r}")
        if weight is not None and not isinstance(weight, Tensor):
            raise fail(DTypeError, f"FocalLoss: weight must be a Tensor, got {weight!r}")
        if weight is not None and weight.ndim != 1:
            raise fail(ArgumentError, f"FocalLoss: weight must have one axis: {list(weight.shape)}")
        self.weight, self.gamma = weight, float(gamma)

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        fits = logits.ndim == labels.ndim and (1, *logits.shape[2:]) == (1, *labels.shape[2:])
        if not fits or labels.shape[1] not in (1, logits.shape[1]):
            raise fail(
                ShapeError,
                f"FocalLoss got shapes {list(logits.shape)} and {list(labels.shape)}",
                why="labels have the shape of the scores, or one class",
            )
        log_p = ops.log_softmax(logits, 1)
        focused = -ops.pow(1 - ops.exp(log_p), self.gamma) * log_p
        if self.weight is not None:
            column = (1, -1, *(1,) * (logits.ndim - 2))
            focused = focused * ops.reshape(self.weight, column).astype(logits.dtype)
        if labels.shape[1] == 1 and logits.shape[1] != 1:
            return self.get_loss(ops.gather_elements(focused, 1, labels))
        marked = focused * ops.cast(labels, logits.dtype)
        if self.reduction == "mean":
            return ops.mean(ops.sum(marked, 1))
        return self.get_loss(marked)


class MultiClassDiceLoss(LossBase):
    """The mean of `DiceLoss` over classes, axis 1; `weights` (c,) scales them, `ignore_indiex`
    leaves one out, and `activation` is applied to the scores first.

    >>> nn.MultiClassDiceLoss()(ops.ones((2, 2)), ops.ones((2, 2))).shape
    ()
    """

    def __init__(
        self,
        weights: Tensor | None = None,
        ignore_indiex: int | None = None,
        activation: Any = "softmax",
    ):
        super().__init__()
        self.binary, self.weights, self.ignored = DiceLoss(1e-5), weights, ignore_indiex
        self.activation = as_activation(self.cls_name, activation)

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        if tuple(logits.shape) != tuple(labels.shape) or logits.ndim < 2:
            raise fail(
                ShapeError,
                f"{self.cls_name} got shapes {list(logits.shape)} and {list(labels.shape)}",
                why="both are (n, c, …)",
            )
        x = logits if self.activation is None else self.activation(logits)
        total = 0.0
        for i in range(labels.shape[1]):
            if i != self.ignored:
                loss = self.binary(x[:, i], labels[:, i])
                total = total + (loss if self.weights is None else loss * self.weights[i])
        return total / labels.shape[1]


class CTCLoss(LossBase):
    """-log of the probability of a sequence of labels, over all its alignments in time.

    log_probs (time, n, c), or (time, c); targets (n, s), or all of them one after the other;
    input_lengths and target_lengths (n,). An alignment repeats labels and puts `blank` between
    them. The mean is of losses over target lengths. `zero_infinity` makes the loss of targets that
    do not fit, and its gradient, zero. Graves et al. (2006).

    >>> nn.CTCLoss()(ops.log_softmax(ops.zeros((4, 1, 3)), -1), Tensor([[1]]), Tensor([4]),
    ...     Tensor([1])).shape
    ()
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        super().__init__(reduction)
        if isinstance(blank, bool) or not isinstance(blank, int):
            raise fail(DTypeError, f"CTCLoss: blank must be an int, got {blank!r}")
        if not isinstance(zero_infinity, bool):
            raise fail(DTypeError, f"CTCLoss: zero_infinity must be a bool, got {zero_infinity!r}")
        self.blank, self.zero_infinity = blank, zero_infinity

    def construct(
        self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        lengths = (input_lengths, target_lengths)
        how = (self.blank, self.reduction, self.zero_infinity)
        return ops.ctc_loss(log_probs, targets, *lengths, *how)[0]


class SampledSoftmaxLoss(LossBase):
    """The cross entropy of the true classes (n, num_true) against `num_sampled` sampled ones.

    It takes weights (num_classes, d), biases (num_classes,), the true classes, and the inputs of
    the last layer (n, d). Logits are less the logarithms of how often a class is expected in the
    sample. `sampled_values` are what a candidate sampler returned, by default that of
    `ops.uniform_candidate_sampler` at each call. `remove_accidental_hits` leaves out sampled
    classes that are true ones of a row.

    >>> nn.SampledSoftmaxLoss(3, 9)(ops.ones((9, 2)), ops.zeros(9), Tensor([[1]]),
    ...     ops.ones((1, 2))).shape
    (1,)
    """

    def __init__(
        self,
        num_sampled: int,
        num_classes: int,
        num_true: int = 1,
        sampled_values: Any = None,
        remove_accidental_hits: bool = True,
        seed: int = 0,
        reduction: str = "none",
    ):
        super().__init__(reduction)
        if not 1 <= num_true <= num_classes or not 1 <= num_sampled <= num_classes:
            raise fail(
                ArgumentError,
                f"SampledSoftmaxLoss got num_sampled={num_sampled}, num_true={num_true}",
                why=f"there are {num_classes} classes",
            )
        self.num_sampled, self.num_classes, self.num_true = num_sampled, num_classes, num_true
        self.sampled_values, self.seed = sampled_values, seed
        self.remove_accidental_hits = remove_accidental_hits

    def construct(self, weights: Tensor, biases: Tensor, labels: Tensor, logits: Tensor) -> Tensor:
        labels = ops.reshape(labels, (-1, self.num_true))
        sampled, expected_true, expected = self.sampled_values or ops.uniform_candidate_sampler(
            labels, self.num_true, self.num_sampled, True, self.num_classes, self.seed
        )
        rows = ops.gather(weights, labels, 0)
        true = ops.sum(rows * ops.expand_dims(logits, 1), -1) + ops.gather(biases, labels, 0)
        rows = ops.gather(weights, sampled, 0)
        other = ops.matmul(logits, rows.T) + ops.gather(biases, sampled, 0)
        true, other = true - ops.log(expected_true), other - ops.log(expected)
        if self.remove_accidental_hits:
            hits = ops.any(ops.expand_dims(labels, 2) == sampled, 1)
            other = ops.where(hits, -1e37, other)
        shares = ops.log_softmax(ops.concat((true, other), 1), 1)
        return self.get_loss(-ops.mean(shares[:, : self.num_true], 1))


__all__ = [
    "CTCLoss", "FocalLoss", "MultiClassDiceLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss",
    "MultilabelMarginLoss", "SampledSoftmaxLoss",
]  # fmt: skip
