"""Sums of padded parts: joins of them, or a few rows that are added where they belong."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad
from jitgrad import Tensor, ops

STEPS, SERIES = 40, 300


def smoothed(x):
    """A recursion that starts from the first row, which gets a second gradient for that."""
    s, total = x[0], 0.0
    for t in range(STEPS):
        s = 0.7 * s + 0.3 * ops.tanh(x[t])
        total = total + (s * s).sum()
    return total


def weighted_ends(x):
    y = ops.exp(x)
    return (y * y).sum() + 3.0 * y[-2:].sum()


@pytest.mark.parametrize("loss", [smoothed, weighted_ends])
def test_a_few_rows_are_added_in_place(loss) -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((STEPS, SERIES)))
    gradient = jitgrad.jit(jitgrad.value_and_grad(loss))
    for ours, want in zip(gradient(x), jitgrad.value_and_grad(loss)(x), strict=True):
        np.testing.assert_allclose(ours.asnumpy(), want.asnumpy(), rtol=1e-11, atol=1e-12)
    steps = gradient.lower(x).plan.steps
    (added,) = [s for s in steps if s.node is not None and s.node.op.name == "scatter"]
    assert added.reads[0].whole is added.writes[0]  # nothing is copied
    assert not any(s.node is not None and s.node.op.name == "pad" for s in steps)


def test_parts_that_are_most_of_a_sum_are_not_scattered() -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((STEPS, SERIES)))
    gradient = jitgrad.jit(jitgrad.grad(lambda x: ops.exp(x[1:] - x[:-1]).sum() + (x * x).sum()))
    names = [s.node.op.name for s in gradient.lower(x).plan.steps if s.node is not None]
    assert "scatter" not in names
