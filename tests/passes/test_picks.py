"""Elements picked by label are compared with, where what they are picked from is computed."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad
from jitgrad import Tensor, ops
from jitgrad.errors import BoundsError

X = np.linspace(-2, 2, 24, dtype=np.float32).reshape(4, 6)


def by_key(x, label):
    return (ops.tanh(x)[np.arange(4), label] ** 2).sum()


def by_gathering(x, label):
    return (ops.gather_elements(ops.tanh(x), 1, label.reshape(-1, 1)) ** 2).sum()


def across(x, label):
    """One element of each column."""
    return (ops.gather_elements(ops.tanh(x.T), 0, label.reshape(1, -1)) ** 2).sum()


@pytest.mark.parametrize("loss", [by_key, by_gathering, across])
def test_values_gradients_and_plans(loss) -> None:
    label = np.array([5, 0, -6, 3])
    gradient = jitgrad.jit(jitgrad.value_and_grad(loss))
    value, dx = gradient(Tensor(X), Tensor(label))
    y = np.tanh(X.astype(np.float64))
    picked = y[np.arange(4), label]
    want = np.zeros_like(y)
    want[np.arange(4), label] = 2 * picked * (1 - picked**2)
    np.testing.assert_allclose(value.asnumpy(), (picked**2).sum(), rtol=1e-6)
    np.testing.assert_allclose(dx.asnumpy(), want, rtol=1e-5, atol=1e-7)
    steps = gradient.lower(Tensor(X), Tensor(label)).plan.steps
    assert "scatter" not in [s.node.op.name for s in steps if s.node is not None]


@pytest.mark.parametrize("loss", [by_key, by_gathering, across])
def test_a_label_outside_is_an_error(loss) -> None:
    with pytest.raises(BoundsError, match="index 6 is out of bounds for an axis of extent 6"):
        jitgrad.jit(loss)(Tensor(X), Tensor(np.array([0, 6, 1, 2])))
