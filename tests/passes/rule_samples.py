"""Nodes that the rules of shape and reduction apply to: rule name -> (shape of x, node of x)."""

from __future__ import annotations

import numpy as np

from jitgrad.ir.node import Node, constant, full
from jitgrad.ir.types import TensorType, bool_, float32, float64, int8, int32, uint8
from jitgrad.primitives.elementwise import less, less_equal, logical_and, select
from jitgrad.primitives.index import scatter, take
from jitgrad.primitives.reduce import (
    reduce_all,
    reduce_any,
    reduce_max,
    reduce_min,
    reduce_prod,
    reduce_sum,
)
from jitgrad.primitives.shape import (
    broadcast,
    cast,
    concat,
    flip,
    pad,
    reshape,
    slice_,
    transpose,
)


def _slice(x: Node, *triples: tuple[int, int, int]) -> Node:
    starts, stops, steps = zip(*triples)
    return slice_(x, starts=starts, stops=stops, steps=steps)


def _pad(x: Node, *widths: tuple[int, int, int]) -> Node:
    low, high, interior = zip(*widths)
    return pad(x, low=low, high=high, interior=interior)


def _spread(x: Node) -> Node:
    return broadcast(x, shape=(5, *x.shape), dims=tuple(range(1, x.ndim + 1)))


def _number(x: Node, value: float, shape: tuple[int, ...]) -> Node:
    return full(value, TensorType(x.dtype, shape))


LAYOUT = {
    "reshape that keeps the type": [((2, 3), lambda x: reshape(x, shape=(2, 3)))],
    "broadcast that keeps the type": [
        ((2, 3), lambda x: broadcast(x, shape=(2, 3), dims=(0, 1))),
        ((), lambda x: broadcast(x, shape=(), dims=())),
    ],
    "slice that keeps the type": [
        ((2, 3), lambda x: _slice(x, (0, 2, 1), (0, 3, 1))),
        ((1, 3), lambda x: _slice(x, (0, 1, 4), (0, 3, 1))),
    ],
    "pad that keeps the type": [
        ((2, 3), lambda x: _pad(x, (0, 0, 0), (0, 0, 0))),
        ((1, 3), lambda x: _pad(x, (0, 0, 2), (0, 0, 0))),
    ],
    "cast that keeps the type": [((2, 3), lambda x: cast(x, dtype=x.dtype))],
    "transpose of unit axes": [
        ((2, 3), lambda x: transpose(x, perm=(0, 1))),
        ((1, 2, 1, 3), lambda x: transpose(x, perm=(1, 3, 0, 2))),
        ((), lambda x: transpose(x, perm=())),
    ],
    "flip of unit axes": [
        ((2, 1, 3), lambda x: flip(x, axes=(1,))),
        ((2, 1, 3), lambda x: flip(x, axes=(0, 1))),
        ((2, 3), lambda x: flip(x, axes=())),
        ((2, 0), lambda x: flip(x, axes=(1,))),
    ],
    "broadcast along unit axes": [
        ((2, 3), lambda x: broadcast(x, shape=(1, 2, 1, 3), dims=(1, 3))),
    ],
    "reshape of reshape": [
        ((2, 3), lambda x: reshape(reshape(x, shape=(6,)), shape=(3, 2))),
    ],
    "transpose of transpose": [
        (
            (2, 3, 4),
            lambda x: transpose(transpose(x, perm=(1, 2, 0)), perm=(0, 2, 1)),
        ),
        ((2, 3), lambda x: transpose(transpose(x, perm=(1, 0)), perm=(1, 0))),
    ],
    "flip of flip": [
        ((2, 3, 4), lambda x: flip(flip(x, axes=(0, 1)), axes=(1, 2))),
        ((2, 3), lambda x: flip(flip(x, axes=(0,)), axes=(0,))),
    ],
    "broadcast of broadcast": [
        (
            (3,),
            lambda x: broadcast(
                broadcast(x, shape=(2, 3), dims=(1,)), shape=(5, 2, 4, 3), dims=(1, 3)
            ),
        ),
    ],
    "slice of slice": [
        ((9, 5), lambda x: _slice(_slice(x, (1, 9, 2), (0, 5, 1)), (1, 4, 2), (2, 5, 1))),
        ((9, 5), lambda x: _slice(_slice(x, (1, 9, 2), (0, 5, 1)), (1, 1, 2), (0, 5, 3))),
        ((3,), lambda x: _slice(_slice(x, (3, 3, 1)), (0, 0, 1))),
    ],
    "broadcast of new axes": [
        (
            (2, 3),
            lambda x: broadcast(reshape(x, shape=(2, 1, 3)), shape=(2, 1, 4, 3), dims=(0, 1, 3)),
        ),
        (
            (3,),
            lambda x: broadcast(reshape(x, shape=(1, 3, 1)), shape=(1, 3, 5, 1), dims=(0, 1, 3)),
        ),
        (
            (1, 3),
            lambda x: broadcast(reshape(x, shape=(1, 1, 3)), shape=(1, 1, 3, 2), dims=(0, 1, 2)),
        ),
    ],
    "new axes of broadcast": [
        (
            (3,),
            lambda x: reshape(broadcast(x, shape=(2, 3), dims=(1,)), shape=(2, 1, 3, 1)),
        ),
        (
            (3,),
            lambda x: reshape(broadcast(x, shape=(2, 1, 3), dims=(2,)), shape=(2, 3)),
        ),
    ],
    "transpose of broadcast": [
        (
            (2, 3),
            lambda x: transpose(broadcast(x, shape=(2, 5, 3), dims=(0, 2)), perm=(1, 0, 2)),
        ),
        (
            (2, 3, 4),
            lambda x: transpose(
                broadcast(x, shape=(2, 5, 3, 4), dims=(0, 2, 3)), perm=(3, 1, 0, 2)
            ),
        ),
    ],
    "slice of broadcast": [
        (
            (4, 3),
            lambda x: _slice(
                broadcast(x, shape=(4, 5, 3), dims=(0, 2)), (1, 4, 2), (2, 4, 1), (0, 2, 1)
            ),
        ),
    ],
    "slice of pad": [
        ((2, 3), lambda x: _slice(_pad(x, (1, 2, 0), (0, 1, 1)), (1, 3, 1), (0, 5, 2))),
        ((2, 3), lambda x: _slice(_pad(x, (1, 2, 0), (2, 1, 0)), (0, 4, 1), (1, 4, 1))),
        ((2, 3), lambda x: _slice(_pad(x, (1, 2, 0), (2, 1, 0)), (2, 3, 1), (2, 3, 1))),
        ((2, 3), lambda x: _slice(_pad(x, (1, 2, 0), (2, 1, 0)), (0, 1, 1), (1, 4, 1))),
        ((2, 3), lambda x: _slice(_pad(x, (1, 2, 0), (2, 1, 0)), (1, 1, 1), (1, 4, 1))),
        ((0, 3), lambda x: _slice(_pad(x, (1, 2, 0), (0, 0, 0)), (0, 2, 1), (1, 3, 1))),
        ((1, 3), lambda x: _slice(_pad(x, (1, 2, 2), (0, 0, 0)), (1, 2, 3), (0, 3, 1))),
    ],
    "pad of zeros": [((3,), lambda x: _pad(_number(x, 0, (2,)), (1, 0, 2)))],
    "pad of pad": [
        ((2, 3), lambda x: _pad(_pad(x, (1, 0, 0), (0, 2, 0)), (1, 1, 0), (3, 0, 0))),
    ],
    "concat of few or equal": [
        ((2, 3), lambda x: concat(x, axis=0)),
        ((2, 3), lambda x: concat(x, _slice(x, (1, 1, 1), (0, 3, 1)), axis=0)),
        ((0, 3), lambda x: concat(x, x, axis=0)),
        ((2, 3), lambda x: concat(concat(x, x, axis=1), x, axis=1)),
        ((2,), lambda x: concat(_number(x, 1, (2,)), _number(x, 1, (3,)), axis=0)),
    ],
    "concat of neighbours": [
        (
            (5, 3),
            lambda x: concat(
                _slice(x, (0, 2, 1), (0, 3, 1)),
                _slice(x, (2, 3, 1), (0, 3, 1)),
                _slice(x, (0, 1, 1), (0, 3, 1)),
                axis=0,
            ),
        ),
        (
            (5, 3),
            lambda x: concat(
                _slice(x, (0, 5, 1), (0, 1, 1)), _slice(x, (0, 5, 1), (1, 3, 1)), axis=1
            ),
        ),
    ],
    "slice of concat": [
        ((2, 3), lambda x: _slice(concat(x, flip(x, axes=(0,)), axis=0), (2, 4, 1), (1, 3, 2))),
        ((2, 3), lambda x: _slice(concat(x, flip(x, axes=(0,)), axis=0), (0, 2, 2), (0, 3, 1))),
    ],
}

CASTS = [
    *((int8, int32, float32), (int8, float32, float64), (uint8, int32, float64)),
    *((float32, float64, float32), (float32, float64, bool_), (bool_, uint8, float64)),
    *((int8, int32, uint8), (int8, int32, int8), (uint8, float32, int32), (int32, float64, int32)),
]
CASTS_TO_KEEP = [
    *((float64, float32, float64), (int32, float32, int32), (float32, float64, int8)),
    *((int32, float64, int8), (int8, uint8, int32), (float64, int32, float64)),
    *((int8, float32, uint8), (int32, bool_, int32)),
]


def _reductions() -> dict:
    found = {}
    for op in (reduce_sum, reduce_prod, reduce_max, reduce_min, reduce_any, reduce_all):
        found[f"{op.name} over unit axes"] = [
            ((2, 3), lambda x, op=op: op(x, axes=())),
            ((2, 1, 3, 1), lambda x, op=op: op(x, axes=(1, 3))),
            ((0, 1), lambda x, op=op: op(x, axes=(1,))),
        ]
        found[f"{op.name} of itself"] = [
            ((2, 3, 4), lambda x, op=op: op(op(x, axes=(1,)), axes=(1,))),
            ((2, 3, 4, 5), lambda x, op=op: op(op(x, axes=(0, 2)), axes=(0, 1))),
        ]
        found[f"{op.name} of broadcast"] = [
            ((2, 3), lambda x, op=op: op(broadcast(x, shape=(2, 5, 3), dims=(0, 2)), axes=(2,))),
        ]
        if op is not reduce_prod:  # nothing is known of n factors alike
            found[f"{op.name} of broadcast"] += [
                ((2, 3), lambda x, op=op: op(_spread(x), axes=(0,))),
                ((2, 3), lambda x, op=op: op(_spread(x), axes=(0, 2))),
            ]
        found[f"{op.name} of one number"] = [
            ((3,), lambda x, op=op: op(_number(x, 1, (2, 3)), axes=(1,))),
        ]
    found["reduce_sum of one number"] += [
        ((), lambda x, value=value: reduce_sum(_number(x, value, (2, 3)), axes=(0, 1)))
        for value in (0, 2, -3, 0.5, 1.75, 100)
    ]
    found["sum of negations"] = [((2, 3), lambda x: reduce_sum(-x, axes=(1,)))]
    found["reduce_sum of one number"] += [
        ((), lambda x: reduce_sum(_number(x, -1, (2, 0)), axes=(1,))),
    ]
    return found


REDUCTION = _reductions()


def _positions(lines: list, labels: list, step: int = 1, width: int = 0) -> Node:
    """Where the labels are in lines that start there; -1 for those outside of `width`."""
    label = constant(np.array(labels, np.int32))
    at = (label if step == 1 else label * step) + constant(np.array(lines, np.int32))
    if not width:
        return at
    none, end = full(0, label.type), full(width, label.type)
    inside = logical_and(less_equal(none, label), less(label, end))
    return select(inside, at, full(-1, at.type))


ROWS = _positions([0, 4, 8], [3, 0, 2])
COLUMNS = _positions([[[0, 1]], [[6, 7]]], [[[2, 0]], [[1, 1]]], step=2, width=3)

PICKS = {
    "one of each line": [
        ((3, 4), lambda x: take(reshape(x + x, shape=(12,)), ROWS)),
        ((2, 3, 2), lambda x: take(reshape(x + x, shape=(12,)), COLUMNS)),
    ],
    "into one of each line": [
        ((3,), lambda x: scatter(_number(x, 2, (12,)), ROWS, x, mode="add")),
        ((2, 1, 2), lambda x: scatter(_number(x, 0, (12,)), COLUMNS, x, mode="set")),
        ((12,), lambda x: scatter(x + x, ROWS, _number(x, 3, (3,)), mode="add")),
    ],
}
