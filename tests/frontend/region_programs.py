"""Programs with loops and branches, written for the builders of regions: float64 in and out."""

from __future__ import annotations

import numpy as np

from jitgrad import Tensor, ops
from jitgrad.frontend import regions
from jitgrad.ir.types import float64, int64

ZERO = np.int64(0)


def newton(a):
    (x,) = regions.while_loop(
        lambda x: ops.abs(x * x - a) > 1e-9, lambda x: [(x + a / x) * 0.5], [a * 0.7]
    )
    return x


def branch(x, y):
    (r,) = regions.cond(x > y, lambda u: [ops.sin(u) * y], lambda u: [u * u * x], [x])
    return r


def branch_on_arrays(x, v):
    a, b = regions.cond(
        x > 0.5, lambda u, w: [u * 2.0, w + u], lambda u, w: [w.sum() * u, w * w], [x, v]
    )
    return (a * b).sum()


def powers(x):
    (r,) = regions.fori(0, 5, 1, lambda i, c: [c * x + ops.cast(i, float64)], [x])
    return r


def strided(x, v):
    (r,) = regions.fori(6, 0, -2, lambda i, c: [c * v[i] + x], [x])
    return r


def counted(x, v):
    """The number of iterations comes out of the data."""
    n = ops.cast(v.sum(), int64)
    (r,) = regions.fori(0, n, 1, lambda i, c: [ops.sin(c) * x + 0.1], [x])
    return r


def scanned(x, v):
    (c,), (y,) = regions.scan(lambda c, e: ([c * e + x], [c * c]), [x], [v], 7)
    return c + (y * y).sum()


def scanned_back(x, v):
    (c,), (y,) = regions.scan(lambda c, e: ([c * e + x], [c * e]), [x], [v], 7, reverse=True)
    return c + (y * v).sum()


def while_in_scan(x, v):
    def body(c, e):
        (d,) = regions.while_loop(lambda d: d < 10.0, lambda d: [d * d + x + 1], [c * e])
        return [d * 0.1], [d]

    (c,), (y,) = regions.scan(body, [x], [v], 7)
    return c + ops.sin(y).sum()


def while_in_while(x, v):
    def outer(i, c):
        _, d = regions.while_loop(
            lambda j, d: j < i, lambda j, d: [j + 1, d * x + 0.5], [Tensor(ZERO), c]
        )
        return [i + 1, d * 0.5]

    _, c = regions.while_loop(lambda i, c: i < 5, outer, [Tensor(ZERO), v[0]])
    return c


def branch_in_loop(x, v):
    def body(i, c):
        (r,) = regions.cond(
            v[i] > 0.55, lambda c: [c * v[i]], lambda c: [ops.exp(c * -0.5) + x], [c]
        )
        return [r]

    (c,) = regions.fori(0, 7, 1, body, [x])
    return c


def loop_in_branch(x, v):
    (r,) = regions.cond(
        x < 1.0,
        lambda c: regions.fori(0, 4, 1, lambda i, c: [c * c + v[i]], [c]),
        lambda c: [c * 3.0],
        [x],
    )
    return r


def swapped(x, v):
    a, b = regions.fori(0, 3, 1, lambda i, a, b: [b, a * x], [v, v * 2.0])
    return (a * b * b).sum()


def small_arrays(x, v):
    """A rotation of three numbers at a time."""

    def body(i, s):
        m = ops.stack([ops.stack([ops.cos(x), -x]), ops.stack([x, ops.cos(x)])])
        return [ops.matmul(m, s.reshape(2, 1)).reshape(2) + s[::-1] * 0.1]

    (s,) = regions.fori(0, 6, 1, body, [v[0:2]])
    return (s * s).sum()


def in_place(x, v):
    def body(i, a):
        a = a.copy()
        a[i] = ops.sin(a[i]) * x + a[i - 1] * a[i - 1]
        return [a]

    (a,) = regions.fori(1, 7, 1, body, [v])
    return (a * a).sum()


def in_place_grid(x, v):
    grid = v.reshape(1, 7) * ops.ones((5, 1), float64) + x

    def body(i, j, a):
        a = a.copy()
        a[i, j] = (a[i - 1, j] + a[i, j - 1] * x + a[i, j]) / 3.0
        return [a]

    (a,) = regions.fori(
        1, 5, 1, lambda i, a: regions.fori(1, 7, 1, lambda j, a: body(i, j, a), [a]), [grid]
    )
    return (a * a * v).sum()


def old_value_read_later(x, v):
    """What is overwritten is read afterwards, so it has to be copied."""
    wide = ops.concat([v, v * x, v + x])

    def body(i, a):
        b = a.copy()
        b[i] = a[i + 1] * x
        return [b + 0.0 * a if False else b], [a[i] * b[i + 2]]

    def step(i, a, total):
        (new,), (part,) = body(i, a)
        return [new, total + part]

    a, total = regions.fori(0, 19, 1, step, [wide, x])
    return total + (a * a).sum()


def accumulated(x, v):
    """A table that is read at computed places: its gradient is added up in place."""
    table = ops.concat([v, v * x, ops.sin(v)])

    def body(i, c):
        at = (i * 5) % 21
        return [c * 0.5 + table[at] * x]

    (c,) = regions.fori(0, 30, 1, body, [x])
    return c


def long_while(x):
    """More iterations than a tape has room for at first."""
    y, _ = regions.while_loop(
        lambda y, i: i < 1500, lambda y, i: [ops.sin(y) + x, i + 1], [x, Tensor(ZERO)]
    )
    return y


def never(x):
    (y,) = regions.while_loop(lambda y: y < -100.0, lambda y: [y * y], [x * x])
    return y


def empty(x):
    (y,) = regions.fori(3, 3, 1, lambda i, y: [y * y], [x * x])
    return y


def checkpointed(x, v):
    (c,), (y,) = regions.scan(
        lambda c, e: ([ops.sin(c * e) + x], [c * c]), [x], [v], 7, checkpoint=3
    )
    return c + (y * y).sum()


def checkpointed_back(x, v):
    (c,), (y,) = regions.scan(
        lambda c, e: ([ops.sin(c * e) + x], [c * e]), [x], [v], 7, reverse=True, checkpoint="sqrt"
    )
    return c + (y * v).sum()


def checkpointed_while(x):
    y, _ = regions.while_loop(
        lambda y, i: i < 25,
        lambda y, i: [ops.sin(y) * 1.1 + x, i + 1],
        [x, Tensor(ZERO)],
        checkpoint=4,
    )
    return y


def checkpointed_count(x, v):
    n = ops.cast(v.sum(), int64)
    (r,) = regions.fori(
        0, n, 1, lambda i, c: [ops.sin(c) * x + 0.1 * ops.cast(i, float64)], [x], checkpoint=2
    )
    return r


def revolved_back(x, v):
    (c,), (y,) = regions.scan(
        lambda c, e: ([ops.sin(c * e) + x], [c * e]), [x], [v], 7, reverse=True,
        checkpoint="binomial",
    )  # fmt: skip
    return c + (y * v).sum()


def revolved_count(x, v):
    """More steps than there are slots."""
    n = ops.cast(v.sum() * 20.5, int64)

    def body(i, c, w):
        return [ops.sin(c) * x + 0.01 * ops.cast(i, float64) * w[1], w * 0.9 + v[2] * 0.1]

    return regions.fori(0, n, 1, body, [x, v[:2]], checkpoint="binomial")[0]


def revolved_while(x):
    return regions.while_loop(
        lambda y: y < 2.0, lambda y: [y * 1.02 + 0.01 * ops.sin(x)], [x], checkpoint="binomial"
    )[0]


def begins_with_what_it_reads(x, v):
    """The loop changes what it was given, and reads what it was given: two arrays."""

    def grown(u):
        return regions.while_loop(lambda w: w.sum() < 40.0, lambda w: [w + x * u * (w @ u)], [u])

    (r,) = regions.cond(x > 0.5, grown, lambda u: [u], [v[:, None] * v])
    return (r * r).sum()


def read_after_a_branch(x, v):
    """Both sides could leave their results where the old value is, which the gradient records."""
    n = ops.cast(v.sum(), int64)

    def body(i, c):
        return regions.cond(x > 0.5, lambda u: [u * u], lambda u: [u * 1.01], [c])

    return regions.fori(0, n, 1, body, [v[:, None] + v])[0].sum() * x


def asked_for_products(x, v):
    """The test computes arrays of its own: what it asks about stays as it is."""

    def halved(i, c):
        (y,) = regions.while_loop(
            lambda y: ((y * 2.0) @ (y * 2.0)).sum() > 9.0, lambda y: [y * 0.5], [c * x]
        )
        return [c + y]

    return regions.fori(0, ops.cast(v.sum(), int64), 1, halved, [v[:, None] * v])[0].sum()


def placed_in_a_branch(x, v):
    """What goes into the large array is a number, repeated: a view."""

    def row(u, below):
        return [ops.pad(ops.broadcast_to(u, (1, 7)), (0, 0, 6 - below, below))]

    (r,) = regions.cond(x > 0.5, lambda u: row(u, 6), lambda u: row(u, 5), [x])
    return (r * v).sum()


def joined_in_a_branch(x, v):
    """A part of the join is small enough for variables."""
    grid, row = v[:, None] * v, v[None] * x

    def moved(u, r):
        return [ops.cat((u[1:], r * 0.5), 0)]

    (r,) = regions.cond(x > 0.5, moved, lambda u, r: [u * r], [grid, row])
    return (r * v).sum()


def integers(x, v):
    """Integers and bools are carried beside floats."""

    def body(i, n, odd, c):
        return [n + i, odd ^ (c > 0.37), c * 0.9 + ops.cast(n, float64) * 0.01]

    n, odd, c = regions.fori(0, 6, 1, body, [Tensor(np.int32(1)).astype(int64), x > 0.0, v[0]])
    return c * x + ops.cast(n, float64) + ops.cast(odd, float64)


ONE = {
    newton: 2.0, powers: 1.1, long_while: 0.3, never: 0.6, empty: 0.7, checkpointed_while: 0.4,
    revolved_while: 0.4,
}  # fmt: skip
TWO = (
    branch_on_arrays, strided, counted, scanned, scanned_back, while_in_scan, while_in_while,
    branch_in_loop, loop_in_branch, swapped, small_arrays, in_place, in_place_grid,
    old_value_read_later, accumulated, checkpointed, checkpointed_back, checkpointed_count,
    integers, revolved_back, revolved_count, begins_with_what_it_reads, read_after_a_branch,
    asked_for_products, placed_in_a_branch, joined_in_a_branch,
)  # fmt: skip
# Of these also second derivatives and batches are compiled.
COMPILED_TWICE = (
    newton,
    branch,
    scanned,
    while_in_scan,
    branch_in_loop,
    in_place,
    checkpointed_while,
)
VALUES = np.array([0.5, 0.9, 0.4, 0.7, 0.3, 0.8, 0.6])


def calls():
    """(program, arguments)"""
    for program, x in ONE.items():
        yield program, (np.float64(x),)
    for program in TWO:
        yield program, (np.float64(0.7), VALUES)
    yield branch, (np.float64(2.0), np.float64(1.0))
    yield branch, (np.float64(0.5), np.float64(1.0))
