"""Short programs with loops and branches, as somebody who comes from NumPy, PyTorch or JAX writes
them on the first day: values and gradients are the same in both modes.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops

A, K = Tensor(np.float64(0.8)), Tensor(3)
X = Tensor(np.array([0.3, -1.2, 2.5, 0.7]))
CELLS = Tensor((np.arange(25).reshape(5, 5) % 3 == 0).astype(np.int32))
PROGRAMS: list[tuple[Callable, tuple]] = []


def given(*args: Any) -> Callable:
    """Makes a function one of the programs, with its arguments."""

    def add(program: Callable) -> Callable:
        PROGRAMS.append((program, args))
        return program

    return add


@given(CELLS)
def game_of_life(g):
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    for _ in range(3):
        n = sum(ops.roll(ops.roll(g, i, 0), j, 1) for i, j in around)
        g = ((n == 3) | ((g == 1) & (n == 2))).astype(ms.int32)
    return g


@given(CELLS)
def game_of_life_cell_by_cell(g):
    new = ops.zeros_like(g)
    for i in range(1, 4):
        for j in range(1, 4):
            n = g[i - 1 : i + 2, j - 1 : j + 2].sum() - g[i, j]
            if n == 3 or (g[i, j] == 1 and n == 2):
                new[i, j] = 1
    return new


@given(A)
def bisection(c):
    low, high = c * 0.0, c * 0.0 + 2.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        if middle * middle > c:
            high = middle
        else:
            low = middle
    return low


@given(A)
def newton(a):
    x = a * 1.0
    for _ in range(50):
        dx = (x**3 - 2 * x - 5) / (3 * x**2 - 2)
        x = x - dx
        if abs(dx) < 1e-12:
            break
    else:
        x = x * 0
    return x


@given(X)
def sorting_network(x):
    x = x.copy()
    for i, j in [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)]:
        if x[i] > x[j]:
            x[i], x[j] = x[j], x[i]
    return x


@given(X)
def bubble_sort(x):
    v = list(x)
    for i in range(len(v)):
        for j in range(len(v) - 1 - i):
            if v[j] > v[j + 1]:
                v[j], v[j + 1] = v[j + 1], v[j]
    return ops.stack(v)


@given(X, "tanh,scale:2,relu")
def text_that_says_what(x, steps):
    for step in steps.split(","):
        name, _, arg = step.partition(":")
        if name == "tanh":
            x = ops.tanh(x)
        elif name == "scale":
            x = x * float(arg)
        elif name == "relu":
            x = ops.relu(x)
        else:
            raise ValueError(f"unknown {name!r}")
    return x


@dataclasses.dataclass
class Ball:
    height: Any
    speed: Any
    hits: int = 0

    def moved(self, dt):
        speed = self.speed - dt * 9.8
        return dataclasses.replace(self, height=self.height + dt * self.speed, speed=speed)


@given(A)
def a_dataclass(h):
    ball = Ball(h, h * 0.0)
    for _ in range(30):
        ball = ball.moved(0.05)
        if ball.height < 0:
            ball = Ball(-ball.height, -ball.speed * 0.9, ball.hits)
            ball.hits += 1
    return ball.height, ball.speed * ball.hits


@given(A)
def a_dataclass_changed_in_a_branch(a):
    ball = Ball(a, a * 2)
    for _ in range(3):
        if ball.height > 0.5:
            ball = Ball(-ball.height, ball.speed)
            ball.hits = 5
            ball.speed *= 0.5
    return ball.height * ball.speed * ball.hits


def windows(x, n) -> Iterator:
    for i in range(len(x) - n + 1):
        yield x[i : i + n]


@given(X)
def generators(x):
    return ops.stack([w.mean() for w in windows(x, 2)]) * sum(w.max() for w in windows(x, 3))


@given(X)
def keys_made_of_text(x):
    d = {f"k{i}": v for i, v in enumerate(x)}
    return d["k0"] + d[f"k{len(d) - 1}"]


@given(A)
def try_finally(a):
    log = []
    try:
        y = a * 2
        if a > 0.5:
            y = y * 3
        log.append("ok")
    finally:
        y = y + len(log)
    return y


@given(X, X * 2)
def zip_strict(x, y):
    total = x[0] * 0
    for a, b in zip(x, y, strict=True):
        total += a * b if a > b else a - b
    return total


@given(A, A * 2, "add")
def match_on_a_tuple(a, b, how):
    match a, b, how:
        case (p, q, "add") if p > q:
            return p - q
        case (p, q, "add"):
            return p + q
        case (p, q, "mul"):
            return p * q
        case _:
            raise ValueError(how)


@given(K, A)
def match_on_data(k, a):
    match k, a:
        case (1 | 2, _):
            return a
        case (3, q) if q > 1:
            return q * 2
        case (3, q):
            return q * 3
        case _:
            return a * 0


@given(A, X)
def names_of_patterns_and_comprehensions(a, x):
    if a > 0.9:
        a = sum([q * 0.8 for q in x])
    else:
        match a, x[0]:
            case (q, r) if q > r:
                a = q * r
    return a


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@given(A, Color.BLUE)
def match_on_an_enum(a, color):
    match color:
        case Color.RED:
            return a
        case Color.BLUE:
            return a * 2


@given({"w": A, "b": A * 3})
def a_dict_of_parameters(p):
    new = {}
    for k, v in p.items():
        if v > 1:
            new[k] = v - 0.1 * v
        else:
            new[k] = v + 1.0
    for k in list(new):
        new[k] *= 2
    return new


@given(X)
def enumerate_from_one(x):
    total = x[0] * 0
    for i, v in enumerate(x, start=1):
        total += v / i
    return total


@given(X, K)
def slices_that_move(x, k):
    total = x[0] * 0
    x = x * 1.0
    for i in range(k):
        total += (x[i : i + 2] ** 2).sum()
    x[k - 1 : k + 1] = total
    return x


@given(A)
def while_true(a):
    n = 0
    while True:
        a = a * 1.5
        n += 1
        if a > 10:
            break
        if n >= 50:
            raise RuntimeError("it does not grow")
    return a * n


@given(A, 8)
def a_memo(a, n):
    memo = {0: a * 0, 1: a}

    def fib(k):
        if k not in memo:
            memo[k] = fib(k - 1) + fib(k - 2)
        return memo[k]

    return fib(n)


@given(X)
def reduce_and_partial(x):
    double = functools.partial(operator.mul, 2.0)
    return functools.reduce(lambda p, q: p * 0.5 + double(q), x)


@given(X)
def iterators(x):
    s = sum(a * b for a, b in itertools.product(x, repeat=2))
    highest = list(itertools.accumulate(x, lambda p, q: ops.maximum(p, q)))
    steps = [b - a for a, b in itertools.pairwise(x)]
    pairs = sum(a * b for a, b in itertools.combinations(x, 2))
    return s, highest, steps, pairs, list(itertools.chain([x[0]], x[2:]))


@given(A)
def math_of_numbers(a):
    return math.sin(1.0) * a + math.pi + math.floor(2.7) * a + math.hypot(3, 4)


@given(A)
def a_chain_of_ternaries(a):
    return a * 2 if a > 1 else a * 3 if a > 0.5 else -a if a < -1 else a


@given(K, X)
def collatz(n, x):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return x * steps


@given(X)
def builtins_of_tensors(x):
    most = max(x[0], 0.5, x[1]) * x[2]
    least = min([*x], default=0)
    rest = divmod(x, 2)[1]
    return min(x), max(x), sum(x), abs(x), round(x), rest, pow(x, 2), most, least


@given(X)
def any_and_all(x):
    if any(v > 2 for v in x) and all(v > -5 for v in x):
        x = x * 2
    return x if any(x > 2) and not all(x > 0) else -x


@given(X)
def a_queue(x):
    q = collections.deque(x, maxlen=3)
    q.append(q[0] * 2)
    q.appendleft(q.popleft() * 3)
    return sum(q)


@given(X)
def a_defaultdict(x):
    sums = collections.defaultdict(float)
    for i, v in enumerate(x):
        sums["odd" if i % 2 else "even"] += v
    return dict(sums)


@given(X)
def swapped_rows(x):
    m = ops.outer(x, x)
    for i in range(3):
        m[[i, i + 1]] = m[[i + 1, i]]
    return m


@given(ops.eye(4, 4, ms.float64) * 3 + 0.3)
def determinant_by_elimination(m):
    n, a = m.shape[0], m.copy()
    for k in range(n):
        for i in range(k + 1, n):
            a[i, k:] -= a[i, k] / a[k, k] * a[k, k:]
    d = a[0, 0] * 0 + 1
    for i in range(n):
        d *= a[i, i]
    return d


@given(X, K)
def masked_mean(x, k):
    m = ops.arange(4) < k
    return ops.where(m, x, 0.0).sum() / m.sum()


@given(X)
def starred(x):
    first, *middle, last = x
    return first * last + sum(middle)


@given(X)
def sorted_by_key(x):
    points = [(2, x[0]), (1, x[1]), (3, x[2])]
    return [v for _, v in sorted(points, key=lambda p: p[0])]


@given(X)
def the_highest_and_where(x):
    best, where = x[0], 0
    for i in range(1, len(x)):
        if x[i] > best:
            best, where = x[i], i
    return best * where


@given(X)
def a_counter_in_a_closure(x):
    def scaled(s):
        total = x[0] * 0

        def add(v):
            nonlocal total
            total += v * s
            return total if total > 1 else -total

        return [add(v) for v in x]

    return scaled(2.0)


@given(X)
def softmax_by_hand(x):
    m = x[0]
    for v in x:
        m = ops.maximum(m, v)
    e = [ops.exp(v - m) for v in x]
    s = sum(e)
    return [v / s for v in e]


@given(A)
def with_statements(a):
    with contextlib.suppress(KeyError):
        {}["x"]
    with contextlib.nullcontext(a * 2) as b:
        if b > 1:
            return b
    return a


@given(X)
def edit_distance(x):
    d = ops.zeros((5, 5), ms.float64)
    d[0, :] = d[:, 0] = ops.arange(5).astype(ms.float64)
    for i in range(1, 5):
        for j in range(1, 5):
            change = abs(x[i - 1] - x[j - 1] * 1.1)
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + change)
    return d[4, 4]


def _settled(x, k):
    n = Tensor(0, ms.int32)
    while n < 11 and x.sum() > n:
        n += 1
        x = x * 0.9 if n > k else x * 1.1
    return x


@given(X, K)
def a_loop_recomputed(x, k):
    return ms.recompute(_settled)(x, k) * 2.0


@given(X, K)
def a_lookup_table(x, k):
    table, rows = [0.1, 0.2, 0.4, 0.8], (x, x * 2, x * 3, x * 4)
    return rows[k] * table[k] + table[k - 1]


@pytest.mark.parametrize(("program", "args"), PROGRAMS, ids=lambda p: getattr(p, "__name__", ""))
def test_programs(same, program, args) -> None:
    same(program, args)
