"""Data that ships with the package, for examples and tests; and `Batches` of any data."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from jitgrad.data.batches import Batches, background

Split = tuple[np.ndarray, np.ndarray]


def digits(test_fraction: float = 0.2, seed: int = 0) -> tuple[Split, Split]:
    """The UCI optical digits, shuffled and split: ``(x_train, y_train), (x_test, y_test)``.

    Images are float32 of shape (n, 1, 8, 8), from 0 (paper) to 1 (ink); labels are int32 of shape
    (n,), from 0 to 9; both parts together hold 1,797 of them. Each part has close to the same share
    of every digit. The same arguments give the same split on every machine. The arrays are new in
    each call and belong to the caller.

    `test_fraction` is the share of the test part, from 0 up to but without 1; ValueError otherwise.

    Source: E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository, DOI 10.24432/C50P49,
    CC BY 4.0; see ATTRIBUTION.md beside this file.

    >>> (x_train, y_train), (x_test, y_test) = digits()
    >>> x_train.shape, y_train.shape, x_test.shape
    ((1438, 1, 8, 8), (1438,), (359, 1, 8, 8))
    >>> x_train.dtype, y_train.dtype, float(x_train.max())
    (dtype('float32'), dtype('int32'), 1.0)
    """
    if not 0 <= test_fraction < 1:
        raise ValueError(f"test_fraction must be at least 0 and below 1, not {test_fraction!r}")
    with (files(__name__) / "digits.npz").open("rb") as file, np.load(file) as archive:
        images, labels = archive["images"], archive["labels"]
    x = (images / np.float32(16)).astype(np.float32)[:, None]
    y = labels.astype(np.int32)

    rng = np.random.default_rng(seed)
    rank = np.empty(len(y))  # where in its class, from 0 to 1, a shuffled image stands
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(y == digit))
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)
    order = np.argsort(rank, kind="stable")
    size = round(test_fraction * len(y))
    test, train = rng.permutation(order[:size]), rng.permutation(order[size:])
    return (x[train], y[train]), (x[test], y[test])


def verses() -> str:
    """Six sonnets of Shakespeare, 3,693 characters of plain ASCII; they are in the public domain.

    >>> verses()[:39]
    "Shall I compare thee to a summer's day?"
    """
    return (files(__name__) / "verses.txt").read_text("ascii")


__all__ = ["Batches", "background", "digits", "verses"]
