"""Loss functions. `reduction` is "mean", "sum" or "none"."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, BoundsError, ShapeError, fail
from jitgrad.ir.types import TensorType, bool_, float32, int64
from jitgrad.ops import activation as a
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.gathering import gather, gather_elements, indices_of
from jitgrad.ops.promote import align, cast, describe, floating, known, one_of, splat, tensor
from jitgrad.ops.shaping import reshaped
from jitgrad.primitives.declare import FLOAT
from jitgrad.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def reduce_loss(name: str, loss: Tensor, reduction: str) -> Tensor:
    """The mean, the sum, or the losses themselves."""
    one_of(name, "reduction", reduction, REDUCTIONS)
    return loss if reduction == "none" else {"mean": r.mean, "sum": r.sum}[reduction](loss)


def _pair(name: str, input: Any, target: Any) -> list[Tensor]:
    return align(name, input, target, integers_as=float32)


# --- regression ---------------------------------------------------------------------------------


def mse_loss(input, target, reduction="mean"):
    """The squared difference.

    >>> from jitgrad import Tensor, ops
    >>> ops.mse_loss(Tensor([1.0, 2.0]), Tensor([1.0, 4.0])).tolist()
    2.0
    """
    x, y = _pair("mse_loss", input, target)
    return reduce_loss("mse_loss", e.square(e.sub(x, y)), reduction)


def l1_loss(input, target, reduction="mean"):
    """The absolute difference.

    >>> ops.l1_loss(Tensor([1.0, 2.0]), Tensor([3.0, 2.0])).item()
    1.0
    """
    x, y = _pair("l1_loss", input, target)
    return reduce_loss("l1_loss", e.abs(e.sub(x, y)), reduction)


def smooth_l1_loss(input, target, beta=1.0, reduction="none"):
    """The absolute difference less beta / 2, below beta its square over 2 beta.

    >>> ops.smooth_l1_loss(Tensor([1.0, 2.0]), Tensor([3.0, 2.5])).tolist()
    [1.5, 0.125]
    """
    x, y = _pair("smooth_l1_loss", input, target)
    size = e.abs(e.sub(x, y))
    if beta < 0:
        raise fail(ArgumentError, f"smooth_l1_loss got beta={beta}", why="it is not negative")
    if beta > 0:
        near = e.div(e.mul(e.square(size), 0.5), beta)
        size = c.where(c.lt(size, beta), near, e.sub(size, 0.5 * beta))
    return reduce_loss("smooth_l1_loss", size, reduction)


def huber_loss(input, target, reduction="mean", delta=1.0):
    """Half the squared difference, above delta linear.

    >>> ops.huber_loss(Tensor([1.0, 2.0]), Tensor([3.0, 2.0])).item()
    0.75
    """
    x, y = _pair("huber_loss", input, target)
    if delta <= 0:
        raise fail(ArgumentError, f"huber_loss got delta={delta}", why="it must be positive")
    size = e.abs(e.sub(x, y))
    near, far = e.mul(e.square(size), 0.5), e.mul(e.sub(size, 0.5 * delta), delta)
    return reduce_loss("huber_loss", c.where(c.le(size, delta), near, far), reduction)


def gaussian_nll_loss(x, target, var, full=False, eps=1e-06, reduction="mean"):
    """The negative log likelihood of a normal distribution of mean x and variance var.

    >>> ops.gaussian_nll_loss(Tensor([1.0]), Tensor([3.0]), Tensor([1.0])).item()
    2.0
    """
    x, y, var = align("gaussian_nll_loss", x, target, var, integers_as=float32)
    # The variance is limited from below without touching its gradient, as in PyTorch.
    low = e.stop_gradient(e.sub(c.clamp(var, eps), var))
    var = e.add(var, low)
    loss = e.mul(e.add(e.log(var), e.div(e.square(e.sub(x, y)), var)), 0.5)
    loss = e.add(loss, 0.5 * math.log(2 * math.pi)) if full else loss
    return reduce_loss("gaussian_nll_loss", loss, reduction)


def poisson_nll_loss(input, target, log_input=True, full=False, eps=1e-08, reduction="mean"):
    """The negative log likelihood of a Poisson distribution, of rate exp(x) or (log_input False)
    x; `full` adds Stirling's term.

    >>> ops.poisson_nll_loss(Tensor([2.0]), Tensor([0.0]), log_input=False).item()
    2.0
    """
    x, y = _pair("poisson_nll_loss", input, target)
    if log_input:
        loss = e.sub(e.exp(x), e.mul(y, x))
    else:
        loss = e.sub(x, e.mul(y, e.log(e.add(x, eps))))
    if full:
        safe = c.where(c.gt(y, 1), y, 1.0)
        term = e.add(
            e.sub(e.mul(safe, e.log(safe)), safe), e.mul(e.log(e.mul(safe, 2 * math.pi)), 0.5)
        )
        loss = e.add(loss, c.where(c.gt(y, 1), term, 0.0))
    return reduce_loss("poisson_nll_loss", loss, reduction)


# --- two classes --------------------------------------------------------------------------------


def binary_cross_entropy(logits, labels, weight=None, reduction="mean"):
    """-(y log(p) + (1 - y) log(1 - p)) of probabilities; logarithms are cut off at -100.

    >>> print(ops.binary_cross_entropy(Tensor([0.5, 0.5]), Tensor([1.0,
    ...     0.0])).asnumpy().round(4))
    0.6931
    """
    x, y = align("binary_cross_entropy", logits, labels, integers_as=float32)

    def log(p):
        return c.clamp(e.log(p), -100.0)

    loss = e.neg(e.add(e.mul(y, log(x)), e.mul(e.sub(1, y), log(e.sub(1, x)))))
    loss = loss if weight is None else e.mul(loss, weight)
    return reduce_loss("binary_cross_entropy", loss, reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None,
                                     reduction="mean"):  # fmt: skip
    """The binary cross entropy of sigmoid(x), computed without it.

    Args:
        weight: factors of the losses.
        pos_weight: factors of the positive examples.

    >>> print(ops.binary_cross_entropy_with_logits(Tensor([0.0]),
    ...     Tensor([1.0])).asnumpy().round(4))
    0.6931
    """
    name = "binary_cross_entropy_with_logits"
    x, y = _pair(name, input, target)
    if pos_weight is None:
        loss = e.sub(a.log1pexp(x), e.mul(x, y))
    else:
        share = e.add(e.mul(e.sub(tensor(name, pos_weight), 1), y), 1)
        loss = e.add(e.mul(e.sub(1, y), x), e.mul(share, a.log1pexp(e.neg(x))))
    loss = loss if weight is None else e.mul(loss, weight)
    return reduce_loss(name, loss, reduction)


def soft_margin_loss(input, target, reduction="mean"):
    """log(1 + exp(-y x)) for labels y of 1 and -1.

    >>> print(ops.soft_margin_loss(Tensor([0.0]), Tensor([1.0])).asnumpy().round(4))
    0.6931
    """
    x, y = _pair("soft_margin_loss", input, target)
    return reduce_loss("soft_margin_loss", a.log1pexp(e.neg(e.mul(x, y))), reduction)


def hinge_embedding_loss(inputs, targets, margin=1.0, reduction="mean"):
    """x where the label is 1, max(0, margin - x) where it is -1.

    >>> ops.hinge_embedding_loss(Tensor([0.25, 0.5]), Tensor([1.0, -1.0])).item()
    0.375
    """
    x, y = _pair("hinge_embedding_loss", inputs, targets)
    far = c.clamp(e.sub(margin, x), 0.0)
    loss = e.add(c.where(c.ne(y, 1), far, 0.0), c.where(c.ne(y, -1), x, 0.0))
    return reduce_loss("hinge_embedding_loss", loss, reduction)


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """max(0, -y (x1 - x2) + margin) for labels y of 1 and -1.

    >>> ops.margin_ranking_loss(Tensor([1.0]), Tensor([2.0]), Tensor([1.0])).item()
    1.0
    """
    x1, x2, y = align("margin_ranking_loss", input1, input2, target, takes=FLOAT)
    loss = a.relu(e.add(e.neg(e.mul(y, e.sub(x1, x2))), margin))
    return reduce_loss("margin_ranking_loss", loss, reduction)


# --- distributions ------------------------------------------------------------------------------


def kl_div(logits, labels, reduction="mean"):
    """y (log(y) - x) for log-probabilities x and probabilities y; "batchmean" divides the sum by
    the first extent.

    >>> ops.kl_div(Tensor([0.0]), Tensor([1.0])).item()
    0.0
    """
    one_of("kl_div", "reduction", reduction, (*REDUCTIONS, "batchmean"))
    x, y = align("kl_div", logits, labels, integers_as=float32)
    loss = e.sub(xlogy(y, y), e.mul(y, x))
    if reduction == "batchmean":
        return e.div(r.sum(loss), x.shape[0] if x.ndim else 1)
    return reduce_loss("kl_div", loss, reduction)


def xlogy(input, other):
    """x log(y), and 0 where x is 0, whatever y is. Its derivative in x is log(y) there, too.

    >>> ops.xlogy(Tensor([0.0, 2.0]), Tensor([0.0, 1.0])).tolist()
    [0.0, 0.0]
    """
    x, y = align("xlogy", input, other, integers_as=float32)
    zero = c.logical_and(c.eq(x, 0), c.logical_or(c.le(y, 0), c.isinf(y)))
    safe = c.where(zero, 1.0, y)
    return e.mul(x, e.log(safe))


# --- many classes -------------------------------------------------------------------------------


def _class_weights(name: str, x: Tensor, weight: Any) -> Tensor | None:
    if weight is None:
        return None
    weight = cast(tensor(name, weight), x.dtype)
    classes = x.shape[1] if x.ndim > 1 else x.shape[0]
    if weight.shape != (classes,):
        raise fail(
            ShapeError,
            f"{name} of {x._type} got class weights {weight._type}",
            why=f"there is one weight for each of the {classes} classes",
        )
    return weight


def nll_loss(inputs, target, weight=None, ignore_index=-100, reduction="mean",
             label_smoothing=0.0):  # fmt: skip
    """The negative log-probability of the true class.

    Args:
        inputs: log-probabilities [N, C, …] or [C].
        target: Tensor of class indices [N, …] or [].
        weight: factors of the classes; the mean is weighted with them.
        ignore_index: the target of examples that do not count; None if all do.
        label_smoothing: share of the loss that is the mean over all classes.

    >>> ops.nll_loss(Tensor([[-1.0, -2.0], [-3.0, -4.0]]), Tensor([1, 0])).item()
    2.5
    """
    return _nll("nll_loss", inputs, target, weight, ignore_index, reduction, label_smoothing)


def _nll(name, inputs, target, weight, ignore_index, reduction, smoothing) -> Tensor:
    one_of(name, "reduction", reduction, REDUCTIONS)
    x, target = tensor(name, inputs, FLOAT), indices_of(name, target)
    axis = 1 if x.ndim > 1 else 0
    if x.ndim == 0 or target.shape != (*x.shape[:axis], *x.shape[axis + 1 :]):
        raise fail(
            ShapeError,
            f"{name} got {describe((x, target))}",
            why="the targets have the shape of the input without axis 1, the classes",
        )
    weight = _class_weights(name, x, weight)
    everyone = TensorType(bool_, target.shape)
    counted = splat(1, everyone) if ignore_index is None else c.ne(target, ignore_index)
    safe = _checked_classes(name, c.where(counted, target, 0), x.shape[axis])
    picked = _of_classes(name, x, safe, axis)
    share = None if weight is None else gather(weight, safe, 0)
    zero = splat(0, picked._type)
    loss = c.where(counted, e.neg(picked if share is None else e.mul(picked, share)), zero)
    if smoothing > 0:
        spread = (
            weight if weight is None else reshaped(name, weight, (-1,) + (1,) * (x.ndim - axis - 1))
        )
        every = r.sum(x if spread is None else e.mul(x, spread), axis)
        every = c.where(counted, e.neg(every), zero)
        classes = x.shape[axis]
        loss = e.add(e.mul(loss, 1 - smoothing), e.mul(every, smoothing / classes))
    if reduction != "mean":
        return reduce_loss(name, loss, reduction)
    total = cast(counted, x.dtype) if share is None else c.where(counted, share, zero)
    return e.div(r.sum(loss), r.sum(total))


def _of_classes(name: str, x: Tensor, classes: Tensor, axis: int) -> Tensor:
    """The element of each row that belongs to its class."""
    place = reshaped(name, classes, (*classes.shape[:axis], 1, *classes.shape[axis:]))
    return reshaped(name, gather_elements(x, axis, place), classes.shape)


def _checked_classes(name: str, target: Tensor, classes: int) -> Tensor:
    """The targets; BoundsError for one that is no class. A class does not count from the end: in a
    trace negative ones are moved out of range, and found when it runs.
    """
    values = known(target)
    if values is None:
        wide = np.iinfo(target.dtype.numpy).max >= classes
        target = target if wide else cast(target, int64)
        return c.where(c.lt(target, 0), classes, target)
    wrong = values[(values < 0) | (values >= classes)]
    if wrong.size:
        raise fail(
            BoundsError,
            f"{name} got the class {wrong.flat[0]}",
            why=f"there are {classes} classes, counted from 0",
            instead="ignore_index=… for examples that do not count",
        )
    return target


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean",
                  label_smoothing=0.0):  # fmt: skip
    """The cross entropy of softmax(input) and a target: class indices or probabilities.

    Args:
        input: logits [N, C, …] or [C].
        target: Tensor of class indices [N, …] or [], or of probabilities of the input's shape.
        weight: factors of the classes; the mean over indices is weighted with them.
        ignore_index: the target of examples that do not count; None if all do.
        reduction: "mean", "sum" or "none".
        label_smoothing: share of the target that is uniform over the classes.

    >>> from jitgrad import Tensor, ops
    >>> ops.cross_entropy(Tensor([[0.0, 0.0]]), Tensor([1])).tolist()
    0.6931471824645996
    """
    name = "cross_entropy"
    x, target = floating(name, input), tensor(name, target)
    if not 0 <= label_smoothing <= 1:
        raise fail(ArgumentError, f"{name} got label_smoothing={label_smoothing}", why="0 to 1")
    axis = 1 if x.ndim > 1 else 0
    log = a.log_softmax(x, axis)
    if not target.dtype.is_float:
        return _nll(name, log, target, weight, ignore_index, reduction, label_smoothing)
    one_of(name, "reduction", reduction, REDUCTIONS)
    if target.shape != x.shape:
        raise fail(
            ShapeError,
            f"{name} got {describe((x, target))}",
            why="probabilities have the shape of the logits; class indices are integers",
        )
    weight = _class_weights(name, x, weight)
    target = cast(target, x.dtype)
    if label_smoothing:
        uniform = label_smoothing / x.shape[axis]
        target = e.add(e.mul(target, 1 - label_smoothing), uniform)
    if weight is not None:
        log = e.mul(log, reshaped(name, weight, (-1,) + (1,) * (x.ndim - axis - 1)))
    loss = e.neg(r.sum(e.mul(log, target), axis))
    if reduction == "mean":
        examples = builtins.max(loss._type.size, 1)
        return e.div(r.sum(loss), examples)
    return reduce_loss(name, loss, reduction)


# --- vectors ------------------------------------------------------------------------------------


def cosine_similarity(x1, x2, dim=1, eps=1e-08):
    """The cosine of the angle between vectors along an axis.

    >>> ops.cosine_similarity(Tensor([[3.0, 4.0]]), Tensor([[4.0, -3.0]])).tolist()
    [0.0]
    """
    x, y = align("cosine_similarity", x1, x2, integers_as=float32)
    sizes = [e.sqrt(c.clamp(r.sum(e.square(v), dim), eps * eps)) for v in (x, y)]
    return e.div(r.sum(e.mul(x, y), dim), e.mul(*sizes))


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """1 - cosine where the label is 1, max(0, cosine - margin) where it is -1.

    >>> ops.cosine_embedding_loss(Tensor([[1.0, 0.0]]), Tensor([[0.0, 1.0]]),
    ...     Tensor([1])).item()
    1.0
    """
    cosine = cosine_similarity(input1, input2, -1)
    loss = c.where(c.eq(target, 1), e.sub(1, cosine), a.relu(e.sub(cosine, margin)))
    return reduce_loss("cosine_embedding_loss", loss, reduction)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-06, swap=False,
                        reduction="mean"):  # fmt: skip
    """max(0, distance to the positive - distance to the negative + margin), in the p-norm.

    >>> ops.triplet_margin_loss(ops.zeros((1, 2)), ops.zeros((1, 2)), 9 * ops.ones((1,
    ...     2))).item()
    0.0
    """
    from jitgrad.ops.norms import vector_norm

    def distance(x, y):
        return vector_norm(e.add(e.sub(x, y), eps), p, -1)

    near, far = distance(anchor, positive), distance(anchor, negative)
    far = e.minimum(far, distance(positive, negative)) if swap else far
    return reduce_loss("triplet_margin_loss", a.relu(e.add(e.sub(near, far), margin)), reduction)


__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "gaussian_nll_loss", "hinge_embedding_loss",
    "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse_loss", "nll_loss",
    "poisson_nll_loss", "reduce_loss", "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss",
    "xlogy",
]  # fmt: skip
