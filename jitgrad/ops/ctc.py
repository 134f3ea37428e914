"""The loss of sequences without alignment (CTC), and the most likely labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jitgrad.errors import ShapeError, fail
from jitgrad.ir.types import int64
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.creation import arange, full_like, ones
from jitgrad.ops.gathering import gather, gather_elements
from jitgrad.ops.joining import concat, stack
from jitgrad.ops.loops import scan
from jitgrad.ops.loss import reduce_loss
from jitgrad.ops.promote import cast, constant, floating, one_of, tensor
from jitgrad.ops.shaping import expand_dims, moveaxis, reshaped
from jitgrad.ops.sorting import cumsum
from jitgrad.ops.special import logaddexp
from jitgrad.ops.splitting import pad
from jitgrad.tensor import Tensor

NEVER = -1e30  # the logarithm of a probability of zero, of which differences can be taken


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean",
             zero_infinity=False):  # fmt: skip
    """-log of the probability of a sequence of labels, over all its alignments in time.

    An alignment repeats labels and puts `blank` between them. Graves et al. (2006).

    Args:
        log_probs: logarithms of probabilities of the classes [T, N, C], or [T, C].
        targets: labels [N, S], or all of them one after the other.
        input_lengths, target_lengths: [N].
        reduction: "none", "mean" (of losses over target lengths) or "sum".
        zero_infinity: makes the loss of targets that do not fit, and its gradient, zero.

    Returns the loss, and the logarithms of the probabilities of all beginnings
    [N, T, 2 S + 1], as a tuple.

    >>> print(ops.ctc_loss(ops.log_softmax(ops.zeros((2, 3))), Tensor([1]), Tensor(2),
    ...     Tensor(1))[0])
    1.0986123
    """
    one_of("ctc_loss", "reduction", reduction, ("none", "mean", "sum"))
    x = floating("ctc_loss", log_probs)
    single = x.ndim == 2
    x = expand_dims(x, 1) if single else x
    if x.ndim != 3 or not 0 <= blank < x.shape[2]:
        raise fail(
            ShapeError,
            f"CTCLoss got log_probs of shape {list(tensor('ctc_loss', log_probs).shape)} "
            f"with blank={blank}",
            why="they are (time, n, c), and blank is one of the c classes",
        )
    steps, count = (_lengths(v) for v in (input_lengths, target_lengths))
    targets = tensor("ctc_loss", targets)
    if targets.ndim == 1:
        targets = expand_dims(targets, 0) if single else _rows(targets, count)
    loss, alpha = _of_rows(x, targets, steps, count, blank)
    loss = c.where(c.lt(loss, -NEVER / 2), loss, 0.0 if zero_infinity else math.inf)
    inside = c.le(arange(alpha.shape[2]), reshaped("ctc_loss", e.mul(count, 2), (-1, 1, 1)))
    alpha = c.where(c.logical_and(inside, c.gt(alpha, NEVER / 2)), alpha, -math.inf)
    if reduction == "mean":
        return r.mean(e.div(loss, e.maximum(cast(count, loss.dtype), 1.0))), alpha
    loss = reduce_loss("ctc_loss", loss, reduction)
    return (reshaped("ctc_loss", loss, ()) if single else loss), alpha


def _lengths(value: Any) -> Tensor:
    lengths = value if isinstance(value, Tensor) else Tensor(value)
    return reshaped("ctc_loss", cast(lengths, int64), (-1,))


def _rows(targets: Tensor, count: Tensor) -> Tensor:
    """Targets one after the other as rows; as wide as all of them, what is behind an end is 0."""
    size = targets.shape[0]
    at = e.add(expand_dims(e.sub(cumsum(count, 0), count), 1), arange(size))
    inside = c.lt(arange(size), expand_dims(count, 1))
    return c.where(inside, gather(targets, e.minimum(at, size - 1), 0), 0)


def _of_rows(x: Tensor, targets: Tensor, steps: Tensor, count: Tensor, blank: int) -> tuple:
    """x [T, N, C], targets [N, S]: the losses [N], and the scores of all beginnings."""
    n, width = targets.shape[0], 2 * targets.shape[1] + 1
    # Labels with blanks around them, and where an alignment may step over a blank.
    labels = stack((full_like(targets, blank), targets), 2)
    labels = pad(reshaped("ctc_loss", labels, (n, width - 1)), (0, 1), value=blank)
    before = pad(labels[:, :-2], (2, 0), value=blank)
    skips = c.logical_and(c.ne(labels, blank), c.ne(labels, before))
    ahead = e.minimum(e.add(e.mul(expand_dims(count, 1), 2), 1), 2)
    first = c.where(c.lt(arange(width), ahead), 0.0, NEVER)
    scores = e.add(cast(first, x.dtype), gather_elements(x[0], 1, labels))

    def step(carry: Any, row: Tensor) -> tuple[Any, Tensor]:
        score, time = carry
        one = pad(score[:, :-1], (1, 0), value=NEVER)
        two = c.where(skips, pad(score[:, :-2], (2, 0), value=NEVER), NEVER)
        sums = logaddexp(logaddexp(score, one), two)
        sums = e.maximum(e.add(sums, gather_elements(row, 1, labels)), NEVER)
        new = c.where(expand_dims(c.gt(steps, time), 1), sums, score)
        return (new, e.add(time, 1)), new

    alpha = expand_dims(scores, 0)
    if x.shape[0] > 1:
        (scores, _), rest = scan(step, (scores, ones((), steps.dtype)), x[1:])
        alpha = concat((alpha, rest), 0)
    last = e.mul(expand_dims(count, 1), 2)
    ends = gather_elements(scores, 1, e.maximum(concat((last, e.sub(last, 1)), 1), 0))
    other = c.where(c.gt(count, 0), ends[:, 1], NEVER)
    return e.neg(logaddexp(ends[:, 0], other)), moveaxis(alpha, 0, 1)


def ctc_greedy_decoder(inputs, sequence_length, merge_repeated=True):
    """The most likely class at each time, without blanks (the last class). Not in a trace.

    Args:
        inputs: scores of the classes [T, N, C].
        sequence_length: [N], how many of the T count.
        merge_repeated: whether equal classes that follow each other are one label.

    Returns, as a tuple: places (example, number) of the labels [L, 2] (int64), the labels [L]
    (int64), the size [N, longest] (int64), and minus the sum of the largest scores [N, 1].

    >>> ops.ctc_greedy_decoder(ops.eye(3).reshape(3, 1, 3), Tensor([3]))[1].tolist()
    [0, 1]
    """
    x = tensor("ctc_greedy_decoder", inputs)
    if x.ndim != 3:
        raise fail(ShapeError, f"ctc_greedy_decoder of {x._type}", why="it takes [T, N, C]")
    values = x._array("decoded")
    lengths = tensor("ctc_greedy_decoder", sequence_length)._array("decoded")
    best, blank = values.argmax(2), x.shape[2] - 1
    rows = []
    for row, length in zip(best.T, lengths, strict=True):
        row = row[:length]
        kept = row != blank
        if merge_repeated:
            kept[1:] &= row[1:] != row[:-1]
        rows.append(row[kept])
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    inside = np.arange(x.shape[0])[:, None] < lengths
    total = -np.where(inside, values.max(2), 0).sum(0, keepdims=True).T
    size = (len(rows), max((len(row) for row in rows), default=0))
    return (
        constant(np.array(places, np.int64).reshape(-1, 2)),
        constant(np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int64)),
        constant(np.array(size, np.int64)),
        constant(total.astype(values.dtype)),
    )


__all__ = ["ctc_greedy_decoder", "ctc_loss"]
