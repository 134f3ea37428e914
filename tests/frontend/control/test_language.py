"""Python's statements, one program each: in a trace they mean what they mean eagerly."""

from __future__ import annotations

import contextlib
import functools
import math

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops

POINTS = [(Tensor(v, ms.float32),) for v in (0.5, 3.0, -1.5, 0.0)]
PAIRS = [(Tensor(a, ms.float32), Tensor(b, ms.float32)) for a, b in ((0.5, 2.0), (3.0, -1.0))]
VECTORS = [(Tensor(np.array(v, np.float32)),) for v in ([1.0, 2.0, 3.0], [-1.0, 0.5, -4.0])]


def elif_chain(x):
    if x > 2:
        y = x * 2.0
    elif x > 0:
        y = x * x
    elif x == 0:
        y = x + 1.0
    else:
        y = -x
    return y


def nested_ifs(x):
    y = x
    if x > 0:
        if x > 1:
            y = y * 3.0
        y = y + 1.0
    else:
        y = y - 1.0
        if x < -1:
            y = y * y
    return y


def ternaries(x):
    return (x if x > 0 else -x) * (2.0 if x > 1 else 0.5)


def boolean_operators(x):
    y = x
    if (x > 0 and x < 2) or not x > -1:
        y = y * 10.0
    flag = x > 0 and True
    return y + (1.0 if flag else 2.0)


def chained(x):
    return x * 2.0 if -1.0 < x <= 0.5 < 4 else x


def membership(x):
    return x * 2.0 if x in (0.5, 3.0) else x + 1.0


def early_return(x):
    if x > 2:
        return x * 2.0
    if x > 0:
        return x * x
    y = x + 1.0
    if y < 0:
        return -y
    return y


def maybe_returns_inside(x):
    y = x
    if x > 0:
        if x > 2:
            return x * 100.0
        y = y * 2.0
    y = y + 1.0
    return y * y


def counts_in_while(x):
    n = 0
    while x < 10.0:
        x = x * 2.0 + 3.0
        n = n + 1
    return x * n


def while_else(x):
    n = 0.0
    while x > 0.1:
        x = x / 2.0
        n = n + 1.0
        if n > 3:
            break
    else:
        x = x - 100.0
    return x + n


def for_else(x):
    for i in range(5):
        if x * i > 4.0:
            break
        x = x + 1.0
    else:
        x = x * 10.0
    return x


def return_in_nested_loops(x):
    for i in range(4):
        for j in range(3):
            x = x + i * j * 0.1
            if x > 3.2:
                return x * 100.0
        if x < -10:
            break
    return x


def continue_and_break(x):
    s = x * 0.0
    for i in range(12):
        if i % 3 == 0:
            continue
        if s > 20.0:
            break
        s = s + x * x * i
    return s


def long_loop(x):
    y = x * 0.0
    for i in range(100):
        y = y * 0.9 + x * i
    return y


def long_loop_of_scalars(x):
    t, y = 0.0, x
    for _ in range(50):
        t = t + 0.1
        y = y + x * t * 0.1
    return y


def scalar_becomes_tensor(x):
    s = 0.0
    k = 1
    for _ in range(20):
        s = s + x * 0.5
        k = k * 2
    return s * 0.001 * k


def loop_variable_afterwards(x):
    for i in range(30):
        x = x * 0.5 + 0.1
    return x * i


def rows(x):
    s = 0.0
    for row in x:
        s = s + row * row
    return s


def while_walrus(x):
    n = 0
    while (y := x * 0.5) > 0.3:
        x = y
        n += 1
    return x + n


def walrus_that_counts(x):
    n = 0
    while (y := x * 2.0) < 10.0 and (n := n + 1) < 20:
        x = y + 0.1
    z = 1.0 if x > 3.0 else (y := x * n)
    return x * n + y * z


def walrus_in_condition(x):
    if (y := x * 2.0) > 1.0 and (z := y + 1.0) > 2.0:
        return y + z
    return y


def nonlocal_counter(x):
    total = x

    def add(v):
        nonlocal total
        if v > 0:
            total = total + v
        else:
            total = total - 2.0 * v

    add(x)
    add(-x)
    return total


def nonlocal_and_return(x):
    a, b = x * 2.0, x * 3.0

    def swap(p):
        nonlocal a, b
        for i in range(2):
            if p > i:
                return a
            a, b = b, a * p
        return b

    return swap(x) + a - 2.0 * b


def read_by_a_function_that_outlives(x):
    def make(p):
        factor = p

        def scaled(q):
            return q * factor

        if p > 0:
            factor = p * 2.0
            return scaled
        factor = p * 3.0
        return scaled

    return make(x)(x)


def late_binding(x):
    functions = []
    for i in range(3):
        functions.append(lambda v: v * i)
    return functions[0](x) + functions[1](x)


def comprehensions(x):
    found = [x * i for i in range(4) if i % 2]
    table = {k: x + k for k in range(3)}
    return sum(found) + table[2] + sum(v if v > 0 else -v for v in found)


def lists_and_dicts(x):
    values = [x, x + 1.0]
    table = {"a": x}
    if x > 0:
        values[0] = x * 10.0
        table["a"] = x * 3.0
    else:
        values[1] = x * 7.0
    return values[0] * values[1] + table["a"]


def list_grows(x):
    values = [x]
    if x > 0:
        values.append(x * 2.0)
    return sum(values)


def list_grows_in_loop(x):
    values = []
    for i in range(20):
        values.append(x * i)
    return ops.stack(values).sum()


def tuple_swap(x):
    a, b = x, x + 1.0
    for _ in range(25):
        a, b = b * 0.5, a + 0.1
    return a * b


def with_and_try(x):
    with contextlib.nullcontext(2.0) as factor:
        if x > 0:
            return x * factor
    try:
        y = x + 1.0
        int("no number")
    except ValueError:
        y = x - 1.0
    finally:
        z = 1.0
    return y * z


def try_with_returns(x):
    for i in range(3):
        try:
            if i == 2:
                return x * i
            if i == 1:
                continue
            raise KeyError(i)
        except KeyError:
            x = x * 3.0
        else:
            x = x + 100.0
    return x


def deletes(x):
    y = x * 2.0
    if x > 0:
        z = y
        del z
    del y
    return x


def matches(x):
    kind = "square" if x.ndim == 0 else "other"
    match kind:
        case "square":
            y = x * x
        case _:
            y = x
    match y:
        case 0.25:
            return y * 100.0
        case 9.0 | 10.0:
            return y * 10.0
        case other if other > 1:
            return other
    return y


def augmented(x):
    y = x * 1.0
    y += 2.0
    for _ in range(10):
        y *= 0.5
        y -= x
    return y


def python_recursion(x, n=4):
    return x if n == 0 else python_recursion(x * 1.5, n - 1)


def tensor_recursion(x):
    if x < 1.0:
        return x
    return tensor_recursion(x / 2.0) + 1.0


def different_shapes(x):
    if x > 0:
        return ops.stack([x, x])
    return x


def different_types(x):
    return None if x > 1 else x


def one_branch_only(x):
    if x > 0:
        z = x * 2.0
    if x > 0:
        return z
    return x


def unbound(x):
    if x > 0:
        z = x * 2.0
    return z


def asserts(x):
    assert x > 0, "not positive"
    return x * 2.0


def raises(x):
    if x > 2:
        raise ValueError("too large")
    for i in range(3):
        if x < -1:
            raise KeyError(i)
    return x


def mathematics(x):
    return np.sin(x) + np.exp(x) if x > 0 else math.sqrt(2.0) * x


def extremes(x):
    return max(x, 0.5) + min(x * 2.0, x, 1.0)


def any_and_all(x):
    values = [x, x + 1.0]
    return x if any(v > 3.5 for v in values) and all(v > 0 for v in values) else -x


def partials(x):
    def scaled(v, by):
        return v * by if v > 0 else v

    return functools.partial(scaled, by=3.0)(x) + functools.reduce(scaled, [x, 2.0, 3.0])


def maps(x):
    return sum(map(lambda v: v if v > 0 else -v, [x, -x])) + sorted([3, 1, 2], key=lambda v: -v)[0]


def nested_while(x):
    total = x * 0.0
    i = 0
    while i < 3:
        y = x
        while y < 5.0:
            y = y + 1.0 + i
        total = total + y
        i += 1
    return total


def while_of_tensor_counter(x):
    i = Tensor(0, ms.int32)
    s = x
    while i < 20:
        s = s + x * i
        i = i + 1
    return s, i


def dict_carry(x):
    state = {"position": x, "velocity": x * 0.0}
    while state["position"] > -1.0:
        state = {
            "position": state["position"] + 0.1 * state["velocity"] - 0.05,
            "velocity": state["velocity"] - 0.1,
        }
    return state


def dict_in_place(x):
    state = {"position": x, "steps": 0}
    while state["position"] > -1.0:
        state["position"] = state["position"] - 0.3
        state["steps"] += 1
    return state["position"] * state["steps"]


SCALAR = [
    elif_chain, nested_ifs, ternaries, boolean_operators, chained, membership, early_return,
    maybe_returns_inside, counts_in_while, while_else, for_else, return_in_nested_loops,
    continue_and_break, long_loop, long_loop_of_scalars, scalar_becomes_tensor,
    loop_variable_afterwards, while_walrus, walrus_that_counts, walrus_in_condition,
    nonlocal_counter, nonlocal_and_return, read_by_a_function_that_outlives, late_binding,
    comprehensions, lists_and_dicts, list_grows, list_grows_in_loop, tuple_swap, with_and_try,
    try_with_returns, deletes, matches, augmented, python_recursion, tensor_recursion,
    different_shapes, different_types, one_branch_only, unbound, asserts, raises, mathematics,
    extremes, any_and_all, partials, maps, nested_while, while_of_tensor_counter, dict_carry,
    dict_in_place,
]  # fmt: skip


@pytest.mark.parametrize("program", SCALAR, ids=lambda f: f.__name__)
def test_scalar_programs(program, same) -> None:
    same(program, *POINTS)


def writes_elements(x):
    y = ops.zeros_like(x)
    for i in range(3):
        y[i] = x[i] * x[2 - i]
    return y


def writes_in_a_branch(x):
    y = x * 1.0
    if x.sum() > 0:
        y[0] = 10.0
    else:
        y[1] = x[0] * 2.0
    return y * x


def prefix_sums(x):
    y = ops.zeros((40,))
    y[0] = x[0]
    for i in range(1, 40):
        y[i] = y[i - 1] * 0.5 + x[1] * i
    return y


def writes_in_while(x):
    y = x * 1.0
    i = Tensor(0, ms.int32)
    while i < 3:
        y[i] = y[i] * 2.0 + i
        i = i + 1
    return y


def traced_bounds(x):
    n = (x > 0).sum() + 10
    s = x[0] * 0.0
    for i in range(1, n):
        s = s + x[1] * i
    return s


VECTOR = [rows, writes_elements, writes_in_a_branch, prefix_sums, writes_in_while, traced_bounds]


@pytest.mark.parametrize("program", VECTOR, ids=lambda f: f.__name__)
def test_vector_programs(program, same) -> None:
    same(program, *VECTORS)


def looks_at_its_index(x):
    table, names = {i: i * 0.5 for i in range(5, 30)}, {f"w{i}": i for i in range(20)}
    values = [x * i for i in range(40)]
    for i in range(20):
        x = x + table.get(i, 0.25) + names[f"w{i}"] * 0.01
        x = x + values[i] * 0.001
    return x


def asks_for_types(x):
    t = 0.0
    for i in range(20):
        t = t + 0.5
        if isinstance(i, int) and type(t) is float and not isinstance(i, float):
            x = x + i * t
    return x


@pytest.mark.parametrize("program", [looks_at_its_index, asks_for_types])
def test_python_numbers_in_loops(program, same) -> None:
    same(program, *POINTS[:2])


def smooth_loop(x):
    y = x
    while y < 50.0:
        y = y * y * 0.3 + x + 1.0
    return y


def smooth_branches(x):
    y = x * x * x
    for i in range(20):
        if y > 1.0:
            y = ops.sin(y) * 0.3
            continue
        y = y * 0.5 + 0.1 * i * x
    return y


@pytest.mark.parametrize("program", [smooth_loop, smooth_branches, prefix_sums])
def test_second_order(program, same) -> None:
    if program is prefix_sums:
        same(ms.grad(lambda x: (prefix_sums(x) ** 3).sum()), VECTORS[0])
    else:
        same(ms.grad(program), *POINTS[:2])
