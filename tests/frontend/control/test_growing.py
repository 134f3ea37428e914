"""Lists that a loop appends to: one region whose records become their items."""

from __future__ import annotations

import re

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, config, ops
from jitgrad.errors import LimitError

V = Tensor(np.linspace(-1.0, 1.5, 24).astype(np.float32))
M = Tensor(np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32))


def states(v):
    h, out = v[:3], []
    for t in range(20):
        h = ops.tanh(h * v[t])
        out.append(h)
    return ops.stack(out), out[-1] * 2.0, len(out), out[3]


def stacked_elsewhere(v):
    h, out = v[:3], [v[3:6]]
    for t in range(20):
        h = h * v[t]
        out.append(h)
    return ops.stack(out, 1), ops.concat(out), ops.concat(out[2:9], -1), ops.stack(out[::2])


def several(v):
    pairs, flat, seen = [], [], {"sums": []}
    for t in range(12):
        a, b = v[t] * 2.0, v[t + 1] - 1.0
        pairs.append((a, {"b": b}))
        flat.append(a)
        flat.append(b * a)
        seen["sums"].append(a + b)
    return pairs[4], pairs[-1][1]["b"], ops.stack(flat), sum(seen["sums"]), len(seen["sums"])


def last_one(v):
    xs = [v[0], v[1]]
    for t in range(2, 20):
        xs.append(ops.sin(xs[-1]) + xs[t - 2] * xs[len(xs) - 1])
    return ops.stack(xs)


def last_ones(v):
    xs = [v[0], v[1], v[2]]
    for _ in range(15):
        xs += [(ops.stack(xs[-3:]) * v[:3]).sum()]
    return ops.stack(xs), xs[0]


def rebound(v):
    xs = []
    for i, x in enumerate(v):
        xs = xs + [x * i]
    return ops.stack(xs)


def nested(v):
    table = []
    for i in range(10):
        line = []
        for j in range(11):
            line.append(v[i] * v[j] + j)
        table.append(line)
    return ops.stack([ops.stack(line) for line in table]), table[3][4]


def flattened(v):
    out = []
    for i in range(10):
        for j in range(9):
            out.append(v[i] * v[j])
    return ops.stack(out)


def gone_through(v):
    out, total, best = [], v[0] * 0.0, v[0]
    for t in range(12):
        out.append(ops.exp(v[t]))
    for i, (x, y) in enumerate(zip(out, v)):
        total = total + x * y * i
    for x in out:
        best = ops.maximum(best, x)
    return total, best, sum(x * x for x in out)


def comprehensions(v):
    squares = [x * x for x in v]
    mixed = [a * b + i for i, (a, b) in enumerate(zip(squares, v))]
    table = ops.stack([ops.stack([x * y for y in v]) for x in v])
    return ops.stack(mixed), table.sum(), sum(v[i] * i for i in range(20))


def of_numbers(v):
    """Python's numbers stay what Python knows."""
    times, t, places, kept = [], 0.5, [i * 2 for i in range(10)], []
    for k in range(12):
        t = t * 1.25 + 0.1 * k
        times.append(t)
        kept.append(("k", None, v[k] * t))
    shape = [n + 1 for n in places][1]
    return v[: places[3]], times[-1], times[2], ops.ones((shape,)), kept[-1], kept[0][:2]


def written_later(v):
    """The last item is the Tensor that the loop carried, and the first ones are what they were."""
    h, out = v[:3] * 1.0, []
    for t in range(10):
        h = h * v[t]
        out.append(h)
    h += 1.0
    out[2] += 5.0
    return ops.stack(out), h


def written_meanwhile(v):
    h, out = v[:3] * 1.0, []
    for t in range(10):
        h += v[t]
        out.append(h)
    return ops.stack(out)


def of_views(v):
    state, out = ops.stack((v[:3], v[3:6])), []
    for t in range(10):
        state = state * v[t]
        out.append(state[0])
    return ops.stack(out)


def of_lists(v):
    """The same list again is no new one."""
    one, out = [v[0]], []
    for t in range(9):
        one.append(v[t])
        out.append(one)
    out[0][0] = v[5]
    return [len(x) for x in out], out[-1][0]


def of_a_shared_list(v):
    one, out = [v[0]], []
    for t in range(9):
        out.append((v[t] * 2.0, one))
    out[2][1][0] = v[5]
    return out[-1]


def copied(v):
    out, lengths = [], []
    for t in range(9):
        lengths.append(len(list(out)))
        out.append(v[t])
    return lengths, ops.stack(out)


def asked_for_its_truth(v):
    out, total = [], v[0]
    for t in range(9):
        total = total * v[t] if out else total + v[t]
        out.append(total)
    return ops.stack(out)


def compared(v):
    out, total = [], v[0]
    for t in range(9):
        total = total + v[t] if out == [] else total * v[t]
        out.append(total)
    return ops.stack(out)


def counted(v):
    out, total = [], v[0]
    for t in range(9):
        total = total + sum([1 for _ in out])
        for _ in zip(out, [1, 2, 3]):
            total = total * 2.0
        out.append(total + v[t])
    return ops.stack(out)


def emptied(v):
    out, total = [], v[0] * 0.0
    for t in range(12):
        out.append(v[t])
        if len(out) == 5:
            total = total + sum(out)
            out.clear()
    return total, len(out)


PROGRAMS = [
    states, stacked_elsewhere, several, last_one, last_ones, rebound, nested, flattened,
    gone_through, comprehensions, of_numbers, written_later,
]  # fmt: skip
UNROLLED = [
    written_meanwhile, of_views, of_lists, of_a_shared_list, copied, asked_for_its_truth, compared,
    counted, emptied,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS + UNROLLED, ids=lambda f: f.__name__)
def test_lists_are_what_they_are_eagerly(program, same) -> None:
    same(program, (V,))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_they_are_loops(program) -> None:
    assert "unrolled" not in str(ms.explain(program)(V))


def test_the_number_of_turns_changes_nothing_in_the_graph() -> None:
    """Compile time does not depend on it."""
    sizes = set()
    for count in (20, 200):

        def program(v):
            h, out = v[0], []
            for _ in range(count):
                h = ops.sin(h) * v[1]
                out.append(h)
            return ops.stack(out).sum()

        shown = str(ms.explain(ms.grad(program))(V))
        sizes.add(re.search(r"graph: +(.*)", shown).group(1))  # type: ignore[union-attr]
    assert len(sizes) == 1


def test_a_list_that_is_no_record_is_unrolled_up_to_a_limit() -> None:
    def program(v):
        out = []
        for t in range(30):
            out.append(v[t % 20])
            if out:
                out.append(ops.stack(out).sum())
        return out[-1]

    assert "it looks at all items of a list" in str(ms.explain(program)(V))
    with config.override(unroll_limit=20), pytest.raises(LimitError) as caught:
        ms.jit(program)(V)
    assert (
        str(caught.value).splitlines()[0].endswith("a loop was unrolled 20 times and is not over")
    )
