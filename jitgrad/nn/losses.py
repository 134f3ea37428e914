"""Losses as Cells over `ops`. Each returns a 0-d Tensor with reduction "mean" or "sum", and one
value for each element (or example) with "none".
"""

from __future__ import annotations

from typing import Any

from jitgrad import ops
from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.nn.cell import Cell
from jitgrad.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def reduced(value: Tensor, reduction: str) -> Tensor:
    """The mean, the sum, or all of it."""
    if reduction == "none":
        return value
    return ops.mean(value) if reduction == "mean" else ops.sum(value)


class LossBase(Cell):
    """Base of losses: checks `reduction` and applies it."""

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        if reduction is None:
            reduction = "none"
        if not isinstance(reduction, str) or reduction.lower() not in REDUCTIONS:
            raise fail(
                ArgumentError,
                f"{type(self).__name__}: reduction must be one of {REDUCTIONS}, got {reduction!r}",
            )
        self.reduction = reduction.lower()

    def get_loss(self, x: Tensor, weights: Any = 1.0) -> Tensor:
        """The reduced x * weights."""
        unit = isinstance(weights, (int, float)) and weights == 1
        return reduced(x if unit else x * weights, self.reduction)

    def get_axis(self, x: Tensor) -> tuple[int, ...]:
        """The numbers of all axes."""
        return tuple(range(x.ndim))

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a prediction."""
        raise NotImplementedError(f"{type(self).__name__} does not define construct")


def _same_shape(name: str, x: Tensor, y: Tensor) -> None:
    if tuple(x.shape) != tuple(y.shape):
        raise fail(
            ShapeError,
            f"{name} got shapes {list(x.shape)} and {list(y.shape)}",
            why="it compares element by element",
            instead="reshape or broadcast one of them",
        )


# --- distances ----------------------------------------------------------------------------------


class L1Loss(LossBase):
    """|x - y|; the shapes broadcast.

    >>> nn.L1Loss()(Tensor([1.0, 2.0]), Tensor([3.0, 2.0])).item()
    1.0
    """

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.l1_loss(logits, labels, self.reduction)


class MAELoss(L1Loss):
    """|x - y|."""


class MSELoss(LossBase):
    """(x - y)²; the shapes broadcast.

    >>> nn.MSELoss()(Tensor([1.0, 2.0]), Tensor([3.0, 2.0])).item()
    2.0
    """

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.mse_loss(logits, labels, self.reduction)


class RMSELoss(LossBase):
    """The square root of the mean square difference."""

    def __init__(self) -> None:
        super().__init__("mean")

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.sqrt(self.get_loss(ops.square(logits - labels)))


class SmoothL1Loss(LossBase):
    """d² / (2 beta) where d = |x - y| < beta, d - beta / 2 elsewhere.

    >>> nn.SmoothL1Loss()(Tensor([1.0, 2.0]), Tensor([3.0, 2.5])).tolist()
    [1.5, 0.125]
    """

    def __init__(self, beta: float = 1.0, reduction: str = "none"):
        super().__init__(reduction)
        if beta < 0:
            raise fail(ArgumentError, f"SmoothL1Loss: beta must be at least 0, got {beta!r}")
        self.beta = beta

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        _same_shape("SmoothL1Loss", logits, labels)
        return ops.smooth_l1_loss(logits, labels, self.beta, self.reduction)


class HuberLoss(LossBase):
    """d² / 2 where d = |x - y| <= delta, delta * (d - delta / 2) elsewhere.

    >>> nn.HuberLoss()(Tensor([1.0, 2.0]), Tensor([3.0, 2.0])).item()
    0.75
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction)
        if delta <= 0:
            raise fail(ArgumentError, f"HuberLoss: delta must be above 0, got {delta!r}")
        self.delta = delta

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.huber_loss(logits, labels, self.reduction, self.delta)


# --- classes ------------------------------------------------------------------------------------


class CrossEntropyLoss(LossBase):
    """-log(softmax(x)) at the target class.

    logits (n, c) or (n, c, d1, …), or (c,); labels are class numbers (n, d1, …), where
    `ignore_index` counts for nothing, or probabilities of the logits' shape. `weight` (c,) scales
    the classes; the mean is weighted by it. `label_smoothing` gives that share of the target to
    all classes.

    >>> print(nn.CrossEntropyLoss()(Tensor([[0.0, 0.0]]), Tensor([1])).asnumpy().round(4))
    0.6931
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(reduction)
        if not 0 <= label_smoothing <= 1:
            raise fail(ArgumentError, f"label_smoothing must be in [0, 1]: {label_smoothing!r}")
        self.weight, self.ignore_index = weight, ignore_index
        self.label_smoothing = label_smoothing

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.cross_entropy(
            *(logits, labels, self.weight, self.ignore_index, self.reduction),
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(LossBase):
    """-x at the target class, for log-probabilities x; arguments as in `CrossEntropyLoss`.

    >>> nn.NLLLoss()(Tensor([[-1.0, -2.0]]), Tensor([1])).item()
    2.0
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ):
        super().__init__(reduction)
        self.weight, self.ignore_index = weight, ignore_index

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.nll_loss(logits, labels, self.weight, self.ignore_index, self.reduction)


class SoftmaxCrossEntropyWithLogits(LossBase):
    """Cross entropy of logits (n, c) with labels: class numbers (n,) if `sparse`, or (n, c).

    IndexError for a number that is no class.

    >>> nn.SoftmaxCrossEntropyWithLogits(sparse=True)(ops.zeros((2, 3)), Tensor([0, 2])).shape
    (2,)
    """

    def __init__(self, sparse: bool = False, reduction: str = "none"):
        super().__init__(reduction)
        if not isinstance(sparse, bool):
            raise fail(DTypeError, f"sparse must be a bool, got {sparse!r}")
        self.sparse = sparse

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.sparse:
            if labels.dtype.kind not in "iu":
                raise fail(
                    DTypeError,
                    f"labels have dtype {labels.dtype}, but sparse=True takes class numbers",
                    instead="use sparse=False, or labels of an integer dtype",
                )
            rows = ops.reshape(logits, (-1, logits.shape[-1]))
            losses = ops.cross_entropy(rows, labels.reshape(-1), None, None, "none")
            return self.get_loss(ops.reshape(losses, logits.shape[:-1]))
        _same_shape("SoftmaxCrossEntropyWithLogits", logits, labels)
        return self.get_loss(-ops.sum(labels * ops.log_softmax(logits, -1), -1))


class KLDivLoss(LossBase):
    """y * (log(y) - x) for log-probabilities x; 0 where y is 0. Also reduction "batchmean".

    >>> nn.KLDivLoss()(Tensor([0.0]), Tensor([1.0])).item()
    0.0
    """

    def __init__(self, reduction: str = "mean"):
        super().__init__("sum" if reduction == "batchmean" else reduction)
        self.per_example = reduction == "batchmean"

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        _same_shape("KLDivLoss", logits, labels)
        return ops.kl_div(logits, labels, "batchmean" if self.per_example else self.reduction)


# --- yes or no ----------------------------------------------------------------------------------


class BCELoss(LossBase):
    """-(y log(p) + (1 - y) log(1 - p)) for probabilities p, with logs of at least -100.

    >>> print(nn.BCELoss()(Tensor([0.5, 0.5]), Tensor([1.0, 0.0])).asnumpy().round(4))
    0.6931
    """

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__(reduction)
        self.weight = weight

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.binary_cross_entropy(logits, labels, self.weight, self.reduction)


class BCEWithLogitsLoss(LossBase):
    """BCELoss of sigmoid(x), without overflow; `pos_weight` scales the positive part.

    >>> print(nn.BCEWithLogitsLoss()(Tensor([0.0]), Tensor([1.0])).asnumpy().round(4))
    0.6931
    """

    def __init__(
        self,
        reduction: str = "mean",
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
    ):
        super().__init__(reduction)
        self.weight, self.pos_weight = weight, pos_weight

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.binary_cross_entropy_with_logits(
            logits, labels, self.weight, self.pos_weight, self.reduction
        )


class SoftMarginLoss(LossBase):
    """log(1 + exp(-y x)) for y of 1 or -1."""

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.soft_margin_loss(logits, labels, self.reduction)


class HingeEmbeddingLoss(LossBase):
    """x where y is 1, max(0, margin - x) where y is -1."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.margin = margin

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.hinge_embedding_loss(logits, labels, self.margin, self.reduction)


class CosineEmbeddingLoss(LossBase):
    """1 - cos(x1, x2) where y is 1, max(0, cos(x1, x2) - margin) where y is -1; (n, d) and (n,).

    >>> nn.CosineEmbeddingLoss()(Tensor([[1.0, 0.0]]), Tensor([[0.0, 1.0]]), Tensor([1])).item()
    1.0
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean"):
        super().__init__(reduction)
        if not -1 <= margin <= 1:
            raise fail(ArgumentError, f"margin must be between -1 and 1, got {margin!r}")
        self.margin = margin

    def construct(self, logits_x1: Tensor, logits_x2: Tensor, labels: Tensor) -> Tensor:
        _same_shape("CosineEmbeddingLoss", logits_x1, logits_x2)
        return ops.cosine_embedding_loss(logits_x1, logits_x2, labels, self.margin, self.reduction)


class MarginRankingLoss(LossBase):
    """max(0, -y * (x1 - x2) + margin).

    >>> nn.MarginRankingLoss()(Tensor([1.0]), Tensor([2.0]), Tensor([1.0])).item()
    1.0
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.margin = margin

    def construct(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return ops.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class TripletMarginLoss(LossBase):
    """max(0, |x - positive| - |x - negative| + margin) in the p-norm over the last axis."""

    def __init__(
        self,
        p: float = 2,
        swap: bool = False,
        eps: float = 1e-6,
        reduction: str = "mean",
        margin: float = 1.0,
    ):
        super().__init__(reduction)
        self.p, self.swap, self.eps, self.margin = p, swap, eps, margin

    def construct(self, x: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return ops.triplet_margin_loss(
            *(x, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction)
        )


class TripletMarginWithDistanceLoss(LossBase):
    """max(0, d(x, positive) - d(x, negative) + margin) for a distance d, by default the Euclidean
    over the last axis. `swap` takes the distance of positive and negative where that is smaller.
    """

    def __init__(
        self,
        distance_function: Any = None,
        swap: bool = False,
        reduction: str = "mean",
        margin: float = 1.0,
    ):
        super().__init__(reduction)
        self.distance_function = distance_function or _euclidean
        self.swap, self.margin = swap, margin

    def construct(self, x: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        near, far = self.distance_function(x, positive), self.distance_function(x, negative)
        if self.swap:
            far = ops.minimum(far, self.distance_function(positive, negative))
        return self.get_loss(ops.relu(near - far + self.margin))


def _euclidean(x: Tensor, y: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(x - y), -1))


# --- likelihoods --------------------------------------------------------------------------------


class PoissonNLLLoss(LossBase):
    """exp(x) - y x, or x - y log(x + eps) without `log_input`; `full` adds Stirling's term."""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: str = "mean",
    ):
        super().__init__(reduction)
        if eps <= 0:
            raise fail(ArgumentError, f"PoissonNLLLoss: eps must be above 0, got {eps!r}")
        self.log_input, self.full, self.eps = log_input, full, eps

    def construct(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.poisson_nll_loss(
            input, target, self.log_input, self.full, self.eps, self.reduction
        )


class GaussianNLLLoss(LossBase):
    """(log(v) + (x - y)² / v) / 2 with v = max(var, eps); `full` adds log(2 pi) / 2.

    >>> nn.GaussianNLLLoss()(Tensor([1.0]), Tensor([3.0]), Tensor([1.0])).item()
    2.0
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(reduction)
        if eps <= 0:
            raise fail(ArgumentError, f"GaussianNLLLoss: eps must be above 0, got {eps!r}")
        self.full, self.eps = full, eps

    def construct(self, logits: Tensor, labels: Tensor, var: Tensor) -> Tensor:
        if var.ndim == logits.ndim - 1:
            var = ops.expand_dims(var, -1)
        return ops.gaussian_nll_loss(logits, labels, var, self.full, self.eps, self.reduction)


class DiceLoss(LossBase):
    """1 - 2 (Σ x y + smooth / 2) / (Σ x² + Σ y² + smooth).

    >>> nn.DiceLoss()(ops.ones((2, 2)), ops.ones((2, 2))).shape
    ()
    """

    def __init__(self, smooth: float = 1e-5):
        super().__init__("mean")
        if smooth <= 0:
            raise fail(ArgumentError, f"DiceLoss: smooth must be above 0, got {smooth!r}")
        self.smooth = smooth

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        _same_shape("DiceLoss", logits, labels)
        both = ops.sum(logits * labels)
        each = ops.sum(logits * logits) + ops.sum(labels * labels)
        return 1 - (2 * both + self.smooth) / (each + self.smooth)


__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "DiceLoss",
    "GaussianNLLLoss", "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "LossBase",
    "MAELoss", "MSELoss", "MarginRankingLoss", "NLLLoss", "PoissonNLLLoss", "RMSELoss",
    "SmoothL1Loss", "SoftMarginLoss", "SoftmaxCrossEntropyWithLogits", "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]  # fmt: skip
