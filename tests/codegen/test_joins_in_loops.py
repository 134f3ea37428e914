"""Parts of joins and paddings in a loop's body are written where they belong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops

STEPS, ROWS, COLUMNS = 20, 24, 40
X = np.random.default_rng(0).normal(size=(ROWS, COLUMNS))


def rolled(x: Tensor) -> Tensor:
    return ops.roll(x, 1, 0) + ops.roll(x, -1, 0) + ops.roll(x, 1, 1) + ops.roll(x, -1, 1)


def padded(x: Tensor) -> Tensor:
    inside = x[1:-1, 2:] * 2
    return ops.pad(inside, (1, 1, 1, 1))


def read_twice(x: Tensor) -> Tensor:
    top = x[: ROWS // 2] * 0.5
    return ops.cat((top, top), 0) + x


def kept(x: Tensor) -> Tensor:
    """What is joined is carried, and its parts read the old value."""
    return ops.cat((x[ROWS // 2 :] + x[: ROWS // 2], x[: ROWS // 2]), 0)


def step_of(turn: Callable) -> Callable:
    def f(x: Tensor) -> Tensor:
        for _ in range(STEPS):
            x = turn(x) * 0.25
        return (x * x).sum()

    return f


@pytest.mark.parametrize("turn", [rolled, padded, read_twice, kept])
def test_loops_with_joins(turn: Callable) -> None:
    f = step_of(turn)
    x = Tensor(X)
    value, gradient = ms.jit(ms.value_and_grad(f))(x)
    eager, expected = ms.value_and_grad(f)(x)
    np.testing.assert_allclose(value.asnumpy(), eager.asnumpy(), rtol=1e-12)
    scale = np.abs(expected.asnumpy()).max()
    np.testing.assert_allclose(gradient.asnumpy(), expected.asnumpy(), rtol=0, atol=1e-12 * scale)


def test_nothing_is_copied_for_a_join() -> None:
    texts = [k.source for k in ms.jit(step_of(rolled)).lower(Tensor(X)).kernels]
    (loop,) = [text for text in texts if "for k0" in text]
    assert "call_kernel" not in loop
