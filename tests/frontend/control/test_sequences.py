"""Loops over `enumerate`, `zip` and `reversed`, and what Python makes of traced Tensors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import TapeError, TraceError
from tests.frontend.control.conftest import check_equal, interpreted

LONG = Tensor(np.linspace(-1.0, 2.0, 30).astype(np.float32))


def enumerated(v):
    total = v[0] * 0.0
    for i, x in enumerate(v, 3):
        total = total * 0.9 + x * i
    return total


def zipped(v):
    total = v[0] * 0.0
    for x, y, i in zip(v, v[::-1], range(5, 100, 3)):
        total = total + x * y * i
        if total > 500.0:
            break
    return total


def nested(v):
    total = v[0] * 0.0
    for i, (x, y) in enumerate(zip(v, v * 2.0)):
        total = total + x * y - i
    return total


def used_again(v):
    """An iterator goes on where a loop left it."""
    pairs, total = zip(v, range(6)), v[0] * 0.0
    for x, i in pairs:
        total = total + x * i
        if i == 2:
            break
    short = enumerate(v[:4])
    for i, x in short:
        total = total + i * x
    for i, x in short:
        total = total * 100.0
    for x, i in pairs:
        total = total - x * i * 0.5
    for x, i in pairs:
        total = total * 100.0
    return total


def backwards(v):
    total = v[0] * 0.0
    for i in reversed(range(2, 30)):
        total = total * 0.5 + v[i] * i
    return total


def numbered_backwards(v):
    total = v[0] * 0.0
    for i, k in enumerate(reversed(range(20))):
        total = total + v[k] * i
    return total


LOOPS = [enumerated, zipped, nested, backwards, numbered_backwards]


@pytest.mark.parametrize("program", LOOPS, ids=lambda f: f.__name__)
def test_they_are_loops(program) -> None:
    check_equal(interpreted(program)(LONG), program(LONG))
    check_equal(interpreted(ms.grad(program))(LONG), ms.grad(program)(LONG))
    assert "one loop" in str(ms.explain(program)(LONG))


def as_iterators(v):
    pairs = enumerate(v)
    first = next(pairs)
    table = dict(zip(range(3), [v[0], v[1], v[2]]))
    total = first[1] + table[2]
    for i, x in pairs:
        total = total + x * i
    for i, j in zip([1, 2], reversed([3, 4])):
        total = total + i * j
    backwards = list(reversed(range(4)))
    return total * backwards[0]


def broken_off(v):
    total = v[0] * 0.0
    for i in range(20):
        for x in [v[0], v[1] * i, v[2]]:
            total = total + x
            if total > 5.0:
                break
        else:
            total = total + 0.5
    return total


def as_numbers(v):
    total = v.sum()
    n = int(ops.stop_gradient(v[1]) * 3.0 + 5.0)
    for _ in range(n):
        total = total * 0.5
    match int(v[0] > 0):
        case 1:
            total = total + 1.0
        case _:
            total = total - 1.0
    return total + float(ops.stop_gradient(v[2]))


def with_conditions(v):
    return sum([x * x for x in v if x > 0.5], v[0])


class Mean:
    def __init__(self):
        self.total = 0.0
        self.count = 0

    def add(self, x):
        self.total = self.total + x
        self.count += 1

    @property
    def value(self):
        return self.total / self.count


def with_an_object(v):
    mean = Mean()
    for x in v:
        mean.add(x * x)
    return mean.value


PROGRAMS = [as_iterators, broken_off, as_numbers, with_conditions, with_an_object, used_again]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_programs(program) -> None:
    for v in (LONG[:12], LONG[10:22]):
        check_equal(interpreted(program)(v), program(v))
        check_equal(interpreted(ms.grad(program))(v), ms.grad(program)(v))


def test_an_iterator_that_data_may_have_left_anywhere() -> None:
    def f(v):
        pairs, total = enumerate(v), v[0] * 0.0
        for i, x in pairs:
            total = total + x * i
            if total > 3.0:
                break
        for i, x in pairs:
            total = total - x
        return total

    with pytest.raises(TraceError, match="used again after a loop that data may have ended early"):
        interpreted(f)(LONG)


def test_a_number_has_no_gradient() -> None:
    def f(v):
        return v.sum() * float(v[0])

    for gradient in (ms.grad(f), interpreted(ms.grad(f))):
        with pytest.raises(TapeError, match="its gradient would be lost"):
            gradient(LONG)
    check_equal(interpreted(f)(LONG), f(LONG))


def test_math_of_a_tensor() -> None:
    """Compiled it is the op. Python makes a number of a Tensor first, which a gradient forbids."""

    def f(v):
        return v.sum() * math.sin(v[0])

    check_equal(interpreted(f)(LONG), f(LONG))
    wanted = ms.grad(lambda v: v.sum() * ops.sin(v[0]))(LONG)
    check_equal(interpreted(ms.grad(f))(LONG), wanted)
    with pytest.raises(TapeError, match=r"instead: ops\.sin\(t\), or take the value of"):
        ms.grad(f)(LONG)


def test_lengths_must_agree_where_they_are_said_to() -> None:
    def f(v):
        return sum([x * y for x, y in zip(v, range(3), strict=True)], ops.zeros(()))

    with pytest.raises(ValueError, match="shorter|longer"):
        interpreted(f)(LONG)
