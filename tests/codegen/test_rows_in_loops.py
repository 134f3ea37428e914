"""Loops that write rows of an array, and gradients of loops that read rows, touch these rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops

ROWS, WIDE = 12, 20  # rows too long to be held in variables


def read(x: Tensor) -> Tensor:
    row = x[0]
    for i in range(1, ROWS):
        row = x[i] + ops.minimum(row, row * row) * 0.9
    return row.sum()


def written(x: Tensor) -> Tensor:
    y = x * 1.0
    for i in range(1, ROWS):
        y[i] = y[i] * 0.5 + y[i - 1] * 0.4
    return (y * y).sum()


def moved(x: Tensor) -> Tensor:
    y = x * 1.0
    for i in range(1, ROWS):
        y[i] += y[i - 1]
        y[i - 1] = y[i]
    return (y * y).sum()


def overlapping(x: Tensor) -> Tensor:
    """What is written overlaps with what is read."""
    y = x.reshape(-1) * 1.0
    for i in range(1, 30):
        y[i : i + WIDE] = y[i + 7 : i + 7 + WIDE]
    return (y * y).sum()


@pytest.mark.parametrize("program", [read, written, moved, overlapping])
def test_gradients_of_loops_over_rows(program: Callable) -> None:
    x = Tensor(np.random.default_rng(0).random((ROWS, WIDE)))
    gradient = ms.value_and_grad(program)
    value, slope = ms.jit(gradient)(x)
    expected, slopes = gradient(x)
    np.testing.assert_allclose(value.asnumpy(), expected.asnumpy(), rtol=1e-12)
    np.testing.assert_allclose(slope.asnumpy(), slopes.asnumpy(), rtol=1e-12)


@pytest.mark.parametrize("program", [read, written])
def test_no_iteration_copies_the_array(program: Callable) -> None:
    """A loop that called the kernel that scatters rows would first copy the array it writes to."""
    x = Tensor(np.ones((ROWS, WIDE)))
    texts = [k.source for k in ms.jit(ms.value_and_grad(program)).lower(x).kernels]
    assert not [text for text in texts if "for k0" in text and "call_kernel" in text]


# --- what becomes of another carry ---


def delayed(x: Tensor) -> Tensor:
    """A filter: its line of delays moves on by one with each row."""
    a = b = c = 0.0 * x[0]
    total = 0.0 * x[0]
    for i in range(ROWS):
        new = x[i] + 0.5 * a - 0.2 * b * c
        total += new * new
        a, b, c = new, a, b
    return total.sum()


def exchanged(x: Tensor) -> Tensor:
    a, b = x[0], x[1]
    for i in range(ROWS):
        a, b = b * 0.9, a + x[i] * b
    return (a * b).sum()


def turned(x: Tensor) -> Tensor:
    """None of the three is new."""
    a, b, c = x[0], x[1], x[2]
    total = 0.0 * x[0]
    for i in range(ROWS):
        total += a * b - c * x[i]
        a, b, c = b, c, a
    return total.sum()


@pytest.mark.parametrize("program", [delayed, exchanged, turned])
def test_carries_that_become_each_other(program: Callable) -> None:
    test_gradients_of_loops_over_rows(program)


def test_a_line_of_delays_is_not_copied() -> None:
    """The loop nest that reads the line stores it one place on: no loop of it is only copies."""
    x = Tensor(np.ones((ROWS, WIDE)))
    (text,) = [k.source for k in ms.jit(delayed).lower(x).kernels if "for k0" in k.source]
    inside = text[text.index("for k0") :]
    assert inside.count("\n        for ") == 1
