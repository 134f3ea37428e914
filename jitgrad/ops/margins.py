"""Losses of many classes at once: margins and multi-label losses."""

from __future__ import annotations

from jitgrad.errors import ArgumentError, fail
from jitgrad.ir.types import int64
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.activation import logsigmoid, relu
from jitgrad.ops.gathering import gather_elements, one_hot
from jitgrad.ops.loss import reduce_loss
from jitgrad.ops.promote import cast, floating, tensor
from jitgrad.ops.shaping import reshaped
from jitgrad.ops.sorting import running_product
from jitgrad.tensor import Tensor


def _rows(name: str, value) -> tuple[Tensor, bool]:
    """Examples by classes, and whether there was only one."""
    x = floating(name, value)
    return (reshaped(name, x, (1, x._type.size)), True) if x.ndim < 2 else (x, False)


def _reduced(name: str, loss: Tensor, reduction: str, single: bool) -> Tensor:
    if single and reduction == "none":
        return reshaped(name, loss, ())
    return reduce_loss(name, loss, reduction)


def multi_margin_loss(input, target, p=1, margin=1, weight=None, reduction="mean"):
    """The hinge loss of each class against the target: max(0, margin - x[y] + x[i])**p, averaged
    over the classes.

    >>> ops.multi_margin_loss(Tensor([[1.0, 0.5]]), Tensor([0])).item()
    0.25
    """
    x, single = _rows("multi_margin_loss", input)
    if p not in (1, 2):
        raise fail(ArgumentError, f"multi_margin_loss got p={p}", why="p is 1 or 2")
    target = reshaped("multi_margin_loss", tensor("multi_margin_loss", target), (x.shape[0], 1))
    right = gather_elements(x, 1, cast(target, int64))
    hinge = relu(e.add(e.sub(x, right), margin))
    hinge = hinge if p == 1 else e.square(hinge)
    if weight is not None:
        weights = reshaped("multi_margin_loss", tensor("multi_margin_loss", weight), (1, -1))
        own = r.sum(e.mul(_hot(target, x), weights), 1, True)
        hinge = e.mul(hinge, own)
    others = c.where(c.eq(_hot(target, x), 1), 0.0, hinge)
    loss = e.div(r.sum(others, 1), x.shape[1])
    return _reduced("multi_margin_loss", loss, reduction, single)


def _hot(target: Tensor, x: Tensor) -> Tensor:
    flat = reshaped("one_hot", target, (target.shape[0],))
    return cast(one_hot(flat, x.shape[1]), x.dtype)


def multilabel_margin_loss(input, target, reduction="mean"):
    """The hinge loss of each class that is no label against each that is; labels are the classes
    in a row of the target before the first -1.

    >>> ops.multilabel_margin_loss(Tensor([[1.0, 0.5]]), Tensor([[0, -1]])).item()
    0.25
    """
    x, single = _rows("multilabel_margin_loss", input)
    labels = cast(tensor("multilabel_margin_loss", target), int64)
    labels = reshaped("multilabel_margin_loss", labels, x.shape)
    valid = running_product(cast(c.ge(labels, 0), int64), 1)
    place = c.where(c.eq(valid, 1), labels, 0)
    marked = one_hot(c.where(c.eq(valid, 1), labels, x.shape[1]), x.shape[1] + 1)
    is_label = c.gt(r.sum(cast(marked, int64), 1), 0)
    is_label = is_label[:, : x.shape[1]]
    right = gather_elements(x, 1, place)
    n, classes = x.shape
    wide = e.sub(1, reshaped("margin", right, (n, classes, 1)))
    hinge = relu(e.add(wide, reshaped("margin", x, (n, 1, classes))))
    counts = c.logical_and(
        reshaped("margin", c.eq(valid, 1), (n, classes, 1)),
        reshaped("margin", c.logical_not(is_label), (n, 1, classes)),
    )
    loss = e.div(r.sum(c.where(counts, hinge, 0.0), (1, 2)), classes)
    return _reduced("multilabel_margin_loss", loss, reduction, single)


def multilabel_soft_margin_loss(input, target, weight=None, reduction="mean"):
    """The mean over the classes of their binary cross entropies, of scores before the sigmoid.

    >>> print(ops.multilabel_soft_margin_loss(Tensor([[0.0, 0.0]]), Tensor([[1.0,
    ...     0.0]])).asnumpy().round(4))
    0.6931
    """
    x, y = floating("multilabel_soft_margin_loss", input), tensor("target", target)
    loss = e.neg(e.add(e.mul(y, logsigmoid(x)), e.mul(e.sub(1, y), logsigmoid(e.neg(x)))))
    loss = loss if weight is None else e.mul(loss, weight)
    return reduce_loss("multilabel_soft_margin_loss", r.mean(loss, -1), reduction)


multi_label_margin_loss = multilabel_margin_loss

__all__ = [
    "multi_label_margin_loss", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
]  # fmt: skip
