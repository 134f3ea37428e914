"""Loops that are traced again, in the turns of a loop around them, begin with what they carried."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad import Tensor, ops
from jitgrad.frontend.control.roll import Roll

V = Tensor(np.linspace(-1.0, 1.5, 24).astype(np.float32))


def sweeps(v):
    a = v * 1.0
    for _ in range(4):
        for i in range(1, 20):
            for k in range(1, 12):
                a[i] = (a[i - 1] + a[i + 1] * a[k]) * 0.25
    return a


def other_things_change(v):
    """What one sweep carries the next one does not."""
    a, b, n, x = v * 1.0, v * 2.0, 0, v[0]
    for s in range(5):
        for i in range(1, 20):
            if s % 2:
                a[i] = a[i - 1] * 0.5 + x
            else:
                b[i] = b[i] + a[i] * n
            if s == 2:
                n = n + 1
                x = ops.sin(x)
        x = x + n
    return a, b, x, v[: n // 10 + 1]


def the_same_function(v):
    def smooth(y, count):
        for i in range(1, 20):
            for _ in range(10):
                y[i] = (y[i - 1] + y[i]) * 0.5
            if count:
                count = count + 1
        return count

    a, b = v * 1.0, ops.exp(v)
    return a, b, a[smooth(a, 0)], b[smooth(b, 1)], ops.stack((a, b))


@pytest.mark.parametrize("program", [sweeps, other_things_change, the_same_function])
def test_programs_with_loops_in_loops(program, same) -> None:
    same(program, (V,))


def test_what_was_carried_is_not_found_again(same, monkeypatch) -> None:
    turns = []
    turn = Roll.turn
    monkeypatch.setattr(Roll, "turn", lambda roll: (turns.append(roll), turn(roll))[1])
    same(sweeps, (V,), gradient=False)
    outer = 2 + 1 + 1 + 1
    assert len(turns) == outer + 2 + (outer - 1)
