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


def chosen_and_written(x):
    y, z = x * 1.0, x * 2.0
    chosen = y if x > 0 else z
    chosen += 1.0
    return y + z * 2.0


def bound_and_written_after(x):
    y, z = x * 1.0, x * 2.0
    chosen = x
    if x > 0:
        chosen = y
    else:
        chosen = z
    chosen += 1.0
    return y + z * 2.0


def other_name_written(x):
    y, z = x * 1.0, x * 2.0
    if x > 0:
        z = y
    y += 1.0
    return z


def copy_of_one(x):
    y, z = x * 1.0, x * 2.0
    other = y.copy()
    if x > 0:
        z = other
    else:
        z = y
    y += 1.0
    return z


def chain_of_choices(x):
    a, b, c = x * 1.0, x * 2.0, x * 3.0
    y = a if x > 0 else b
    z = y if x > 1 else c
    z += 1.0
    a += 5.0
    y *= 2.0
    return a + 10.0 * b + 100.0 * c + 1000.0 * y + 1e4 * z


def named_in_each_turn(x):
    y, z = x * 1.0, x * 2.0
    for _ in range(20):
        z = y
    y += 1.0
    return z


def named_if_there_is_a_turn(x):
    y, z = x * 1.0, x * 2.0
    while z < 1.0:
        z = y + 1.0
        y = z
    y += 1.0
    return z + 10.0 * y


def written_before_another_name(x):
    v, w = ops.stack([x, -x]), ops.stack([x, x]) * 0.5
    if x > 0:
        v = w
    else:
        v[v > 0.7] = 0.5
    return v.sum() + 10.0 * w.sum()


def lists_in_branches(x):
    items = [x * 0.5, x * 1.5]
    if x > 0:
        items[0], items[1] = items[1], x * 3.0
    else:
        items = [x * 7.0, x * 1.0]
    items[0] += 1.0
    return items[0] + 10.0 * items[1]


def an_item_is_another_name(x):
    first, items = x * 1.0, [x * 2.0, x * 3.0]
    if x > 0:
        items[0] = first
    first += 1.0
    return items[0] + 10.0 * items[1]


def an_item_is_written_in_a_loop(x):
    items = [x * 1.0, x * 2.0]
    first = items[0]
    for _ in range(20):
        items[0] += 0.1
        items[1] = items[1] * 0.9
    return first + 10.0 * items[1]


def bound_by_an_inner_function(x):
    total = x * 1.0

    def add(value):
        nonlocal total
        total = total + value

    if x > 0:
        add(x)
    for _ in range(20):
        add(x * 0.1)
    return total


def read_after_continue(x):
    c = x * 1.0
    for v in (x, x * 2.0):
        c = c * 0.5
        if x < 10.0:
            if v > 1.0:
                continue
            c = x * 3.0
        c = c + 1.0
    return c


def in_nested_branches(x):
    y = x * 1.0
    z = x * 0.5
    if x > 0:
        if x > 1:
            z = y
    y *= 0.9
    return y * z


def in_nested_branches_of_an_inner_loop(x):
    y, z = x * 1.0, x * 0.5
    for i in range(2):
        for j in range(2):
            if x > 0:
                if x > i:
                    z = y
        y += j
    return y * z


PROGRAMS = [
    in_nested_branches, in_nested_branches_of_an_inner_loop,
    in_a_long_loop, rebound_after_writing, rebound_before_writing, named_in_the_loop,
    named_after_the_loop, in_a_list, in_a_branch, counted_conditionally,
    rebound_and_written_in_a_branch, rebound_and_written_in_a_loop, chosen_and_written,
    bound_and_written_after, other_name_written, copy_of_one, chain_of_choices,
    named_in_each_turn, named_if_there_is_a_turn, written_before_another_name, lists_in_branches,
    an_item_is_another_name, an_item_is_written_in_a_loop, bound_by_an_inner_function,
    read_after_continue,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_aliases(program) -> None:
    for value in (0.5, -1.0, 2.0):
        if value > 0 or "while" not in program.__name__:
            x = Tensor(abs(value) if "named" in program.__name__ else value)
            check_equal(interpreted(program)(x), program(x))
            slope = ms.grad(program)
            check_equal(interpreted(slope)(x), slope(x))


def test_an_argument_is_written_in_a_loop() -> None:
    def f(x):
        y = x
        for _ in range(20):
            y += 0.5
        return y * 1.0

    a, b = Tensor(1.0), Tensor(1.0)
    check_equal(interpreted(f)(a), f(b))
    assert a.item() == b.item() == 11.0


def test_an_argument_that_may_be_one_of_two_is_written() -> None:
    def f(x, z):
        y = x
        if (z > 2.0).all():
            y = z
        y += 1.0
        return y * 2.0

    for value in (1.0, 3.0):
        ours, theirs = [(Tensor([0.5, 1.0]), Tensor([value, value])) for _ in range(2)]
        check_equal(interpreted(f)(*ours), f(*theirs))
        check_equal(ours, theirs)


def test_what_nobody_knows_is_not_written() -> None:
    def f(x):
        y, z = x * 1.0, x * 2.0
        for i in range(20):
            if x * i > 3.0:
                z = y
        y += 1.0
        return z

    def g(x):
        values, others = [x, x * 2.0], [x * 3.0, x * 4.0]
        chosen = values if x > 0 else others
        chosen[0] = x * 0.5
        return values[0] + others[0]

    def still_named_after_a_break(x):
        y = x * 1.0
        z = y
        for _ in range(3):
            if y < 1.1:
                break
            z = y * 0.8
        y += 1.0
        return y + z

    for program in (f, still_named_after_a_break):
        with pytest.raises(TraceError, match="f32\\[\\] that may be one of two is written in"):
            ms.jit(program)(Tensor(1.0))
    with pytest.raises(TraceError, match="a list that may be one of two is changed"):
        ms.jit(g)(Tensor(1.0))


def reversed_and_made_anew(a, b):
    items = [a, b]
    for _ in range(12):
        items.reverse()
        items = [a, b]
    return items[0] * 10 + items[1]


def written_and_made_anew(a, b):
    items = [a, b]
    first = items
    for _ in range(12):
        items[0] = b
        last = items
        items = [a, b]
    return items[0] * 10 + items[1] + 100 * first[0] + 1000 * last[0]


def numbers_written_and_made_anew(a, b):
    items = [1, 2]
    for _ in range(12):
        items[0] = 5
        a = a + items[0]
        items = [1, 2]
    return a * items[0] + b * items[1]


def a_dict_made_anew(a, b):
    d = {"x": a, "y": b}
    i = 0
    while i < 12:
        d["x"] = d["y"] * 3
        b = b + d["x"]
        d = {"x": a, "y": b}
        i += 1
    return d["x"] * 10 + d["y"]


MADE_ANEW = [
    reversed_and_made_anew,
    written_and_made_anew,
    numbers_written_and_made_anew,
    a_dict_made_anew,
]


@pytest.mark.parametrize("program", MADE_ANEW)
def test_a_loop_that_writes_to_a_list_and_makes_another(program) -> None:
    a, b = Tensor(1.5), Tensor(2.0)
    check_equal(interpreted(program)(a, b), program(a, b))
    gradient = ms.grad(program, (0, 1))
    check_equal(interpreted(gradient)(a, b), gradient(a, b))


def shifted(a, b):
    """After two turns, both are names of c."""
    c, u, v = a * 2.0, a * 1.0, b * 1.0
    for _ in range(12):
        u = v
        v = c
    u += 1.0
    return u + 10 * v + 100 * c


def a_window(a, b):
    c, items = a * 2.0, [a * 1.0, b * 1.0]
    for _ in range(12):
        items = [items[1], c]
    items[1] += 1.0
    return items[0] + 10 * items[1] + 100 * c


@pytest.mark.parametrize("program", [shifted, a_window])
def test_what_moves_on_from_turn_to_turn_may_be_the_same(program) -> None:
    with pytest.raises(TraceError, match="that may be one of two is written in place"):
        interpreted(program)(Tensor(1.0), Tensor(5.0))


def swapped(a, b):
    u, v = a * 1.0, b * 1.0
    for _ in range(11):
        u, v = v, u
    u += 1.0
    return u + 10 * v


def test_what_only_changes_places_is_never_the_same() -> None:
    a, b = Tensor(1.0), Tensor(5.0)
    check_equal(interpreted(swapped)(a, b), swapped(a, b))
