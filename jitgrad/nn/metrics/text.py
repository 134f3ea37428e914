"""Metrics of texts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.nn.metrics.base import Metric, arrays, rearrange_inputs

Words = Sequence[str]


class Perplexity(Metric):
    """exp of the mean of -log(p) over all labels, p being the probability that was given to them.

    Probabilities (…, c) and class numbers (…); `ignore_label` counts for nothing.

    >>> metric = nn.Perplexity()
    >>> metric.update(Tensor([[0.5, 0.5]]), Tensor([0]))
    >>> round(metric.eval(), 3)
    2.0
    """

    def __init__(self, ignore_label: int | None = None):
        self.ignore_label = ignore_label
        super().__init__()

    def clear(self) -> None:
        self._sum, self._count = 0.0, 0

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        p, labels = arrays(self, 2, inputs)
        if p.shape[:-1] != labels.shape:
            raise fail(ShapeError, f"Perplexity got {list(p.shape)} for {list(labels.shape)}")
        p, labels = p.reshape(-1, p.shape[-1]), labels.reshape(-1).astype(np.int64)
        counts = labels != self.ignore_label
        chosen = p[counts, labels[counts]].astype(np.float64)
        self._sum -= float(np.log(np.maximum(chosen, 1e-10)).sum())
        self._count += int(counts.sum())

    def eval(self) -> float:
        self._some(self._count)
        return math.exp(self._sum / self._count)


class BleuScore(Metric):
    """How many runs of up to `n_gram` words candidates share with references. Papineni et al.
    (2002). `smooth` adds one to all counts but those of single words.

    `update(candidates, references)`: lists of words, and for each candidate several references.

    >>> metric = nn.BleuScore()
    >>> metric.update([["a", "b", "c", "d"]], [[["a", "b", "c", "d"]]])
    >>> float(metric.eval())
    1.0
    """

    def __init__(self, n_gram: int = 4, smooth: bool = False):
        if isinstance(n_gram, bool) or not isinstance(n_gram, int) or n_gram < 1:
            raise fail(ArgumentError, f"BleuScore: n_gram must be an int above 0, got {n_gram!r}")
        self.n_gram, self.smooth = n_gram, smooth
        super().__init__()

    def clear(self) -> None:
        self._hits, self._total = np.zeros(self.n_gram), np.zeros(self.n_gram)
        self._length, self._reference = 0, 0

    @rearrange_inputs
    def update(self, *inputs: Any) -> None:
        candidates, references = inputs
        if len(candidates) != len(references):
            raise fail(
                ShapeError,
                f"BleuScore got {len(candidates)} candidates and {len(references)} references",
            )
        for words, others in zip(candidates, references, strict=True):
            self._length += len(words)
            self._reference += min((abs(len(o) - len(words)), len(o)) for o in others)[1]
            largest: Counter = Counter()
            for other in others:
                largest |= _runs(other, self.n_gram)
            found = _runs(words, self.n_gram)
            for run, count in (found & largest).items():
                self._hits[len(run) - 1] += count
            for run, count in found.items():
                self._total[len(run) - 1] += count

    def eval(self) -> float:
        self._some(self._length)
        if not self._hits.all() and not self.smooth:
            return 0.0
        extra = np.append(0, np.ones(self.n_gram - 1)) if self.smooth else np.zeros(self.n_gram)
        shares = (self._hits + extra) / (self._total + extra)
        if not shares.all():
            return 0.0
        short = min(0.0, 1 - self._reference / self._length)
        return np.float64(math.exp(short + np.log(shares).mean()))


def _runs(words: Words, longest: int) -> Counter:
    sizes = range(1, longest + 1)
    return Counter(tuple(words[i : i + n]) for n in sizes for i in range(len(words) - n + 1))
