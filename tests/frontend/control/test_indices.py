"""Indices that only the running program knows: slices that move, items of lists and tuples."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.errors import TraceError
from tests.frontend.control.conftest import interpreted

ROW = np.arange(1.0, 9.0)
GRID = ROW[:, None] * np.cos(ROW)


def windows(x, i):
    return x[i : i + 2].sum() * x[i - 2 : i].prod() + x[2 * i : (i + 1) * 2].sum()


def steps(x, i):
    return x[i : i + 5 : 2] * 3.0, x[-i - 1 : -i][0], x[i:i], x[i - 1 : 3 + (i - 4)]


def blocks(x, i):
    m = ops.outer(x, x)
    return m[i : i + 2, i + 1 : i + 3] @ m[..., i : i + 2][:2], m[:, i : i + 1, None].sum()


def written(x, i):
    x = x * 1.0
    x[i : i + 2] = x[:2] * 0.5
    x[i : i + 3] *= 2.0
    m = ops.outer(x, x)
    m[1:, i : i + 2] += m[i, i : i + 2]
    return x, m


def seen_through(x, i):
    """A slice is a view."""
    x = x * 1.0
    part = x[i : i + 3]
    part *= 2.0
    x[i] += 1.0
    return x, part


def in_a_loop(x, i):
    total = x[0] * 0.0
    for k in range(i):
        part = x[k : k + 3]
        total = total + (part * part).sum() * x[k + 1]
        x = x * 0.9
        x[k : k + 2] = part[1:]
    return total, x


def over_many(x, i):
    smooth = ops.zeros_like(x)
    for k in range(1, len(x) - 1):
        smooth[k] = x[k - 1 : k + 2].mean()
    return smooth * i


MOVING = [windows, steps, blocks, written, seen_through, in_a_loop, over_many]


@pytest.mark.parametrize("program", MOVING, ids=lambda f: f.__name__)
def test_slices_that_move(same, program) -> None:
    x = Tensor(ROW)
    same(program, (x, Tensor(2)), (x, Tensor(3)))


TAPS = 20


def filtered(x, taps):
    """Taps of a filter: slices at known places are views, and all are one kernel."""
    total, samples = 0.0, x.shape[1] - TAPS
    for k in range(TAPS):
        total = total + taps[k] * x[:, k : k + samples]
    return (total * total).sum()


def filtered_where_positive(x, taps):
    total, samples = 0.0 * x[:, TAPS:], x.shape[1] - TAPS
    for k in range(TAPS):
        if taps[k] > 0:
            total = total + taps[k] * x[:, k : k + samples]
    return (total * total).sum()


@pytest.mark.parametrize(
    ("program", "samples", "loops"),
    [(filtered, 500, False), (filtered, 5, True), (filtered_where_positive, 500, True)],
)
def test_large_slices_that_move_with_a_short_loop_are_written_out(program, samples, loops) -> None:
    """But not if the loop chooses by data: each choice would be a path."""
    rng = np.random.default_rng(0)
    x, taps = Tensor(rng.standard_normal((12, samples + TAPS))), Tensor(rng.standard_normal(TAPS))
    compiled = ms.jit(program)
    np.testing.assert_allclose(compiled(x, taps).asnumpy(), program(x, taps).asnumpy(), rtol=1e-12)
    assert (" = loop(" in str(compiled.lower(x, taps))) == loops


def test_a_slice_that_moves_stays_within_its_axis() -> None:
    x = Tensor(ROW)
    for jitted in (interpreted, ms.jit):
        f = jitted(lambda x, i: x[i : i + 3])
        for place in (0, 5, -4):
            np.testing.assert_array_equal(
                f(x, Tensor(place)).asnumpy(), ROW[place:][:3], err_msg=str(place)
            )
        for place in (6, 8, -1, -3, -9, 2**40):
            with pytest.raises(IndexError, match="extent 8|out of bounds"):
                f(x, Tensor(place))


def test_a_slice_of_unknown_length() -> None:
    def f(x, i):
        return x[:i].sum()

    for slope in (f, ms.grad(f)):
        with pytest.raises(TraceError) as error:
            interpreted(slope)(Tensor(ROW), Tensor(3))
        first, source, *rest = str(error.value).split("\n")
        assert first.endswith("a slice of f64[8] has traced bounds, and its length is not known")
        assert source.strip() == "return x[:i].sum()"
        assert rest[-2:] == [
            "  because shapes are known when a function is compiled",
            "  instead: x[i:i + n] with an int n, or ops.where with a mask for every element",
        ]


# --- lists and tuples -----------------------------------------------------------------------------


def read(x, i):
    items, weights = [x[0] * 2.0, x[1], x[2] * x[3]], (0.5, 1.5, 2.5)
    return items[i] * weights[i], items[-i] + (3, 5, 9)[i - 1] * x[4]


def replaced(x, i):
    items = [x[0] * 2.0, x[1], x[2] * x[3]]
    items[i] = items[i - 1] * 3.0
    items[-i] *= 2.0
    return items


def names_of_one(x, i):
    """An item stays what it is: a write to it reaches the list."""
    items = [x[0] * 2.0, x[1] * 1.0, x[2] * x[3]]
    first, picked = items[0], items[i]
    picked += 1.0
    first *= 2.0
    return items, picked, first


def table(x, i):
    squares, total = [float(k * k) for k in range(20)], x[0] * 0.0
    for k in range(20):
        total = total + x[k % 8] * squares[k] + squares[i]
    return total


def bins(x, i):
    sums = [x[0] * 0.0] * 4
    for k in range(12):
        sums[k % 4] = sums[k % 4] + x[k % 8] * (k + i)
    return sums


def nested(x, i):
    rows = [[x[0], x[1] * 2.0], [x[2], x[3]], [x[4], x[5]]]
    return rows[i][1 - i] * rows[i][i % 2]


ITEMS = [read, replaced, names_of_one, table, bins, nested]


@pytest.mark.parametrize("program", ITEMS, ids=lambda f: f.__name__)
def test_items_by_traced_indices(same, program) -> None:
    x = Tensor(ROW)
    same(program, (x, Tensor(1)), (x, Tensor(2)))


def test_items_that_are_not_there() -> None:
    f = interpreted(lambda x, i: [x, x * 2.0, x * 3.0][i])
    for place in (3, -4, 9):
        with pytest.raises(IndexError, match="extent 3"):
            f(Tensor(1.0), Tensor(place))


def test_a_list_that_may_be_one_of_two_is_not_changed() -> None:
    def f(x, i):
        rows = [[x], [x * 2.0]]
        rows[i][0] = x * 7.0
        return rows

    with pytest.raises(TraceError, match="a list that may be one of two is changed"):
        interpreted(f)(Tensor(1.0), Tensor(1))


def test_sums_of_sums_are_read_once() -> None:
    """Twenty-five doublings are as many nodes, not 2^25 paths."""

    def f(x, k):
        n = k
        for _ in (0,) * 25:
            n = n + n
        return x[n - n : n - n + 2].sum()

    x, k = Tensor([1.0, 2.0, 4.0]), Tensor(1)
    assert ms.jit(f)(x, k).item() == f(x, k).item() == 3.0
