"""Batches: all examples once an epoch, one order for one seed, errors where they arise."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from jitgrad.data import Batches, background

X = np.arange(10)


def values(batches: Batches) -> list[list[int]]:
    return [b.tolist() for b in batches]


def flat(epoch: list[list[int]]) -> list[int]:
    return [value for batch in epoch for value in batch]


@pytest.mark.parametrize("prefetch", [0, 2])
def test_epochs(prefetch: int) -> None:
    batches = Batches(X, 4, shuffle=True, seed=5, prefetch=prefetch)
    first, second = values(batches), values(batches)
    assert [len(b) for b in first] == [4, 4, 2]
    assert sorted(flat(first)) == sorted(flat(second)) == X.tolist()
    assert first != second
    again = Batches(X, 4, shuffle=True, seed=5, prefetch=prefetch)
    again.epoch = 1
    assert values(again) == second
    assert len(batches) == 3
    assert len(Batches(X, 4, drop_remainder=True)) == 2
    assert values(Batches(X, 4, drop_remainder=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_nests_and_transforms() -> None:
    source = {"x": X, "y": (X[:, None] * 2.0,)}
    batches = Batches(source, 5, transform=lambda b: {**b, "x": b["x"] + 1})
    found = list(batches)
    assert found[1]["x"].tolist() == [6, 7, 8, 9, 10]
    assert found[1]["y"][0].shape == (5, 1)


def test_streams() -> None:
    batches = Batches(lambda: ((n, np.full(2, n)) for n in range(7)), 3)
    found = [(a.tolist(), b.shape) for a, b in batches]
    assert found == [([0, 1, 2], (3, 2)), ([3, 4, 5], (3, 2)), ([6], (1, 2))]
    assert len(list(batches)) == 3  # the function begins anew
    with pytest.raises(TypeError, match="no length"):
        len(batches)
    mixed = Batches(lambda: iter(range(50)), 10, shuffle=True, buffer=8, drop_remainder=True)
    first, second = values(mixed), values(mixed)
    assert sorted(flat(first)) == list(range(50))
    assert first != second


def test_errors_arrive() -> None:
    def broken():
        yield 1
        raise RuntimeError("the disk is gone")

    batches = Batches(broken, 1)
    iterator = iter(batches)
    assert next(iterator).tolist() == [1]
    with pytest.raises(RuntimeError, match="the disk is gone"):
        next(iterator)


def test_an_iteration_that_stops_early_ends_the_thread() -> None:
    before = threading.active_count()
    for number in background(iter(range(1000)), 2):
        if number == 3:
            break
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Batches(X, 0), ValueError, "batch_size must be at least 1"),
        (lambda: Batches(X, 2.0), TypeError, "batch_size must be an int"),
        (lambda: Batches(3), TypeError, "Batches of a int"),
        (lambda: Batches((X, X[:3]), 2), ValueError, "have one extent"),
        (lambda: Batches(X, 2, prefetch=-1), ValueError, "prefetch"),
    ],
)
def test_bad_input(make, error, text) -> None:
    with pytest.raises(error, match=text):
        make()
