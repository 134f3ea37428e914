"""Two names of one Tensor: what is written in place under one is seen under the other."""

from __future__ import annotations

import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import TraceError
from tests.frontend.control.conftest import check_equal, interpreted


def in_a_long_loop(x):
    y = x * 1.0
    z = y
    for _ in range(20):
        y += 0.5
    return y + z


def rebound_after_writing(x):
    y = x * 1.0
    z = y
    for _ in range(20):
        y += 0.5
        y = y * 0.9
    return y + z


def rebound_before_writing(x):
    y = x * 1.0
    z = y
    for _ in range(20):
        y = y * 0.9
        y += 0.5
    return y + z


def named_in_the_loop(x):
    y, z = x * 1.0, x * 2.0
    while y < 20.0:
        z = y
        y = y * 2.0
        z += 1.0
        y += z
    return y + z


def named_after_the_loop(x):
    y, z = x * 1.0, x * 2.0
    while y < 20.0:
        y = y * 2.0
        z = y
    z += 1.0
    return y + z


def in_a_list(x):
    values = [x * 1.0, x * 2.0]
    first = values[0]
    for _ in range(20):
        first += 0.1
    return values[0] + values[1]


def in_a_branch(x):
    y = x * 1.0
    z = y
    if x > 0:
        y += 2.0
    else:
        z += 3.0
    return y * z


def counted_conditionally(x):
    count = x * 0.0
    for i in range(20):
        if x * i > 3.0:
            count = count + 1.0
        count += 0.5
    return count


def rebound_and_written_in_a_branch(x):
    y, z = x * 1.0, x * 2.0
    if x > 0:
        z = y
        z += 1.0
    return y + 2.0 * z


def rebound_and_written_in_a_loop(x):
    y, z = x * 1.0, x * 2.0
    for _ in range(20):
        z = y
        z += 1.0
    return y + 2.0 * z


PROGRAMS = [
    in_a_long_loop, rebound_after_writing, rebound_before_writing, named_in_the_loop,
    named_after_the_loop, in_a_list, in_a_branch, counted_conditionally,
    rebound_and_written_in_a_branch, rebound_and_written_in_a_loop,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_aliases(program) -> None:
    for value in (0.5, -1.0, 2.0):
        if value > 0 or "while" not in program.__name__:
            x = Tensor(abs(value) if "named" in program.__name__ else value)
            check_equal(interpreted(program)(x), program(x))


def test_an_argument_is_written_in_a_loop() -> None:
    def f(x):
        y = x
        for _ in range(20):
            y += 0.5
        return y * 1.0

    a, b = Tensor(1.0), Tensor(1.0)
    check_equal(interpreted(f)(a), f(b))
    assert a.item() == b.item() == 11.0


def test_one_of_two_is_not_written() -> None:
    def f(x):
        y, z = x * 1.0, x * 2.0
        chosen = y if x > 0 else z
        chosen += 1.0
        return y + z

    def g(x):
        y, z = x * 1.0, x * 2.0
        chosen = x
        if x > 0:
            chosen = y
        else:
            chosen = z
        chosen += 1.0
        return y + z

    def other_name(x):
        y, z = x * 1.0, x * 2.0
        if x > 0:
            z = y
        y += 1.0
        return z

    def copied(x):
        y, z = x * 1.0, x * 2.0
        other = y.copy()
        if x > 0:
            z = other
        else:
            z = y
        y += 1.0
        return z

    def in_a_loop(x):
        y, z = x * 1.0, x * 2.0
        for _ in range(20):
            z = y
        y += 1.0
        return z

    for program in (g, other_name, copied, in_a_loop):
        with pytest.raises(TraceError, match="may be one of two is written in place"):
            ms.jit(program)(Tensor(1.0))
    with pytest.raises(TraceError, match="may be one of two is written in place"):
        ms.jit(f)(Tensor(1.0))
    assert ms.jit(lambda x: ops.where(x > 0, x, -x))(Tensor(1.0)).item() == 1.0
