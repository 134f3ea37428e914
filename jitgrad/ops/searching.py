"""Finding elements: different ones, those that are not 0, places in sorted values, counts."""

from __future__ import annotations

import math

import numpy as np

from jitgrad.errors import ShapeError, fail
from jitgrad.ir.types import float32, int32, int64
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.gathering import combine, gather_elements
from jitgrad.ops.indexing import along, getitem
from jitgrad.ops.promote import (
    axis_of,
    cast,
    constant,
    fill,
    is_number,
    one_of,
    splat,
    tensor,
)
from jitgrad.ops.shaping import ravel, reshaped
from jitgrad.primitives.declare import NUMBER

# --- what depends on values: not in a trace -----------------------------------------------------


def unique(input):
    """The different elements in order of first appearance, and for each element which it is.

    The number of them depends on values: no trace.

    >>> [v.tolist() for v in ops.unique(Tensor([3, 1, 3]))]
    [[3, 1], [0, 1, 0]]
    """
    x = tensor("unique", input)
    values = x._array("searched by unique").reshape(-1)
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    index = np.int64 if x.dtype is int64 else np.int32
    at = rank[inverse].reshape(x.shape).astype(index)
    return getitem(ravel(x), first[order]), constant(at)


def distinct(input, return_inverse=False, return_counts=False, dim=None):
    """The different elements (or slices along `dim`) in ascending order; for each element which it
    is, and how often each is there, if asked. The number of them depends on values: no trace.
    """
    x = tensor("unique", input)
    x, axis = (ravel(x), None) if dim is None else (x, axis_of("unique", dim, x.ndim))
    values = x._array("searched by unique")
    _, first, inverse, counts = np.unique(values, True, True, True, axis=axis)
    results = [getitem(x, along(axis or 0, first))]
    if return_inverse:
        shape = tensor("unique", input).shape if dim is None else (x.shape[axis],)
        results.append(constant(inverse.reshape(shape).astype(np.int64)))
    if return_counts:
        results.append(constant(counts.astype(np.int64)))
    return tuple(results) if len(results) > 1 else results[0]


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements (or slices along `dim`) that differ from the one before.

    >>> ops.unique_consecutive(Tensor([1, 1, 2, 1])).tolist()
    [1, 2, 1]
    """
    x = tensor("unique_consecutive", input)
    axis = 0 if dim is None else axis_of("unique_consecutive", dim, x.ndim)
    x, shape = (ravel(x), x.shape) if dim is None else (x, (x.shape[axis],))
    values = np.moveaxis(x._array("searched by unique_consecutive"), axis, 0)
    rows = values.reshape(len(values), math.prod(values.shape[1:]))
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]).any(1)
    first = np.flatnonzero(new)
    results = [getitem(x, along(axis, first))]
    if return_inverse:
        results.append(constant((np.cumsum(new) - 1).reshape(shape)))
    if return_counts:
        results.append(constant(np.diff(np.append(first, len(rows)))))
    return tuple(results) if len(results) > 1 else results[0]


def nonzero(input, *, as_tuple=False):
    """The coordinates of the elements that are not 0 (int64): a matrix of rows, or a tuple.

    How many depends on values: no trace.

    >>> ops.nonzero(Tensor([[0, 2], [3, 0]])).tolist()
    [[0, 1], [1, 0]]
    """
    found = np.nonzero(np.atleast_1d(tensor("nonzero", input)._array("searched by nonzero")))
    if as_tuple:
        return tuple(constant(part) for part in found)
    return constant(np.ascontiguousarray(np.stack(found, 1)))


def argwhere(input):
    """The coordinates of the elements that are not 0, as rows (int64).

    >>> ops.argwhere(Tensor([0, 2, 3])).tolist()
    [[1], [2]]
    """
    return nonzero(input)


# --- places in sorted values --------------------------------------------------------------------


def searchsorted(sorted_sequence, values, *, out_int32=False, right=False, side=None, sorter=None):
    """Where values would be inserted to keep the last axis sorted (int64 or int32).

    Args:
        right: after equal elements instead of before; so does side="right".
        sorter: indices that sort the sequence.

    >>> ops.searchsorted(Tensor([1, 3, 5]), Tensor([3, 6])).tolist()
    [1, 3]
    """
    name = "searchsorted"
    one_of(name, "side", side, (None, "left", "right"))
    right = right or side == "right"
    line = tensor(name, sorted_sequence)
    if sorter is not None:
        line = gather_elements(line, -1, sorter)
    given = (
        tensor(name, values) if not is_number(values) else splat(values, line._type.with_shape(()))
    )
    if line.ndim > 1 and line.shape[:-1] != given.shape[:-1]:
        raise fail(
            ShapeError,
            f"{name} of {given._type} in {line._type}",
            why="all axes but the last must agree",
        )
    shape = line.shape if line.ndim == 1 else (*line.shape[:-1], 1, line.shape[-1])
    line, given = reshaped(name, line, shape), reshaped(name, given, (*given.shape, 1))
    smaller = c.le(line, given) if right else c.lt(line, given)
    return r.sum(smaller, -1, dtype=int32 if out_int32 else int64)


def bucketize(input, boundaries, *, right=False):
    """Which of the intervals between sorted boundaries each element lies in (int32).

    >>> ops.bucketize(Tensor([0.5, 2.5]), [1, 2, 3]).tolist()
    [0, 2]
    """
    return searchsorted(boundaries, input, right=right, out_int32=True)


def histc(input, bins=100, min=0.0, max=0.0):
    """Counts of elements in equal bins between min and max (of the elements, if both are 0).

    >>> ops.histc(Tensor([0.0, 1.0, 1.5, 4.0]), 2, 0.0, 4.0).tolist()
    [3.0, 1.0]
    """
    x = ravel(tensor("histc", input, NUMBER))
    low, high = min, max
    if low == 0 and high == 0 and x._type.size:
        low, high = r.amin(x), r.amax(x)
        same = c.eq(low, high)
        low, high = c.where(same, e.sub(low, 1), low), c.where(same, e.add(high, 1), high)
    place = e.floor(e.div(e.mul(e.sub(cast(x, float32), low), bins), e.sub(high, low)))
    inside = c.logical_and(c.ge(x, low), c.le(x, high))
    at = cast(c.where(inside, c.clamp(place, 0, bins - 1), 0), int32)
    counts = fill(0, x._type.with_shape((bins,)))
    return combine("histc", counts, (at,), cast(inside, x.dtype), "add")


__all__ = [
    "argwhere", "bucketize", "distinct", "histc", "nonzero", "searchsorted", "unique",
    "unique_consecutive",
]  # fmt: skip
