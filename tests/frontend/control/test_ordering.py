"""`min`, `max`, `sorted` and `list.sort` of what depends on data."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import TraceError

V = Tensor(np.array([3.0, -1.0, 2.5, 0.25, -1.0], np.float32))
W = Tensor(np.array([0.5, 2.0, -3.0, 2.0, 1.0], np.float32))


def extremes(v):
    pairs = [(v[i] * 2.0, {"row": v[i : i + 2], "place": i}) for i in range(4)]
    best = max(pairs, key=lambda p: p[0])
    least = min(range(5), key=lambda i: v[i])
    near = min(v[0], v[1], v[2], key=lambda x: abs(x - 2.0))
    best = best[0], best[1]["row"], v[best[1]["place"]]
    largest = max([2, 7, 3], key=abs)
    return best, v[least], near, max(v[0], 2.6) * v[1], min([v[3]], default=None), largest


def in_order(v):
    items = [v[i] for i in range(5)]
    items.sort(key=lambda x: x * x, reverse=True)
    return items, sorted([v[0], v[2], v[1]]), sorted([3, 1, 2]), sorted("hello", reverse=True)


def nests(v):
    beams = [(v[i] * 1.0, [i, v[i : i + 1]]) for i in range(5)]
    for _ in range(2):
        more = [(s * 0.5 + v[i] * i, [i, row]) for s, (_, row) in beams for i in range(3)]
        beams = sorted(more, key=lambda beam: beam[0], reverse=True)[:3]
    return [(s, row) for s, (_, row) in beams]


def ties_keep_their_order(v):
    items = [(v[i], v[(i + 1) % 5]) for i in range(5)]
    low = sorted(items, key=lambda p: (p[0] > 0) * 1.0)
    high = sorted(items, key=lambda p: (p[0] > 0) * 1.0, reverse=True)
    return low, high


def in_a_loop(v):
    total = v[0]
    for t in range(12):
        a, b, c = sorted([v[t % 5], total * 0.5, v[(t + 2) % 5]])
        total = total * 0.25 + b - 0.1 * max([a, c], key=lambda x: x * t)
    return total


def names(v):
    """What cannot be rows is put in order as these arguments are."""
    pairs = sorted([(v[0], "a"), (v[1], "b"), (v[2], "c")], key=lambda p: p[0])
    return [p[1] for p in pairs], min("xyz", key=lambda s: v["xyz".index(s)])


@pytest.mark.parametrize(
    "program", [extremes, in_order, nests, ties_keep_their_order, in_a_loop, names]
)
def test_order_is_what_it_is_eagerly(program, same) -> None:
    same(program, (V,), (W,), gradient=program not in (extremes, names))


def test_what_was_put_in_order_is_not_written_to() -> None:
    def program(v):
        items = [v[0] * 1.0, v[1] * 1.0]
        least = sorted(items)[0]
        items[0] += 1.0
        return least

    with pytest.raises(TraceError, match="written in place"):
        ms.jit(program)(V)


def test_gradients_go_to_what_was_first() -> None:
    def program(v):
        return (ops.stack(sorted(v)) * Tensor([1.0, 2.0, 3.0, 4.0, 5.0])).sum()

    np.testing.assert_array_equal(ms.jit(ms.grad(program))(V).asnumpy(), [5.0, 1.0, 4.0, 3.0, 2.0])
