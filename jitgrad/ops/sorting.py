"""Order: sorting, ranks, running totals, quantiles, and what depends on sorted values."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.types import bool_, float32, int32, int64
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.gathering import combine, gather_elements
from jitgrad.ops.indexing import getitem
from jitgrad.ops.joining import concat
from jitgrad.ops.promote import (
    apply,
    axis_of,
    cast,
    constant,
    expand,
    fill,
    floating,
    is_number,
    one_of,
    scalar,
    spellings,
    splat,
    tensor,
)
from jitgrad.ops.shaping import ravel, reshaped, sliced
from jitgrad.primitives import scan
from jitgrad.primitives import sort as primitive
from jitgrad.primitives.declare import NUMBER
from jitgrad.tensor import Tensor

# --- sorting ------------------------------------------------------------------------------------


def _sorted(name: str, x: Tensor, axis: Any, descending: bool, dtype=int32):
    axis = axis_of(name, axis, x.ndim)
    if x.ndim == 0:
        return x, fill(0, x._type.with_dtype(dtype))
    return apply(primitive.sort, x, axis=axis, descending=bool(descending), dtype=dtype)


@spellings
def sort(input_x, axis=-1, descending=False):
    """Values in order along an axis, and where they came from (int32), as a tuple.

    Equal values keep their order; nan comes last.

    >>> from jitgrad import Tensor, ops
    >>> values, indices = ops.sort(Tensor([3, 1, 2]))
    >>> values.tolist(), indices.tolist()
    ([1, 2, 3], [1, 2, 0])
    """
    return _sorted("sort", tensor("sort", input_x), axis, descending)


@spellings
def argsort(input, axis=-1, descending=False):
    """Where the values in order along an axis are (int32)."""
    return _sorted("argsort", tensor("argsort", input), axis, descending)[1]


def msort(input):
    """Values in order along the first axis."""
    return sort(input, 0)[0]


@spellings
def topk(input, k, dim=None, largest=True, sorted=True):
    """The k largest (or smallest) along an axis, the last by default, and where they are (int32).

    They come in order whether `sorted` or not.
    """
    x = tensor("topk", input)
    axis = axis_of("topk", -1 if dim is None else dim, x.ndim)
    extent = x.shape[axis] if x.ndim else 1
    if not 0 <= k <= extent:
        raise fail(
            ArgumentError,
            f"topk of {x._type} along axis {axis} got k={k}",
            why=f"there are {extent} elements",
        )
    values, at = _sorted("topk", x, axis, largest)
    return (sliced(values, axis, 0, k), sliced(at, axis, 0, k)) if x.ndim else (values, at)


@spellings
def kthvalue(input, k, dim=-1, keepdim=False):
    """The k-th smallest (k from 1) along an axis, and where it is (int64), as a tuple."""
    x = tensor("kthvalue", input)
    axis = axis_of("kthvalue", dim, x.ndim)
    extent = x.shape[axis] if x.ndim else 1
    if not 1 <= k <= extent:
        raise fail(ArgumentError, f"kthvalue of {x._type} got k={k}", why=f"it is 1 to {extent}")
    values, at = _sorted("kthvalue", x, axis, False, int64)
    return tuple(_pick(part, axis, k - 1, keepdim) for part in (values, at))


def _pick(x: Tensor, axis: int, at: int, keepdim: bool) -> Tensor:
    if x.ndim == 0:
        return x
    out = sliced(x, axis, at, at + 1)
    return out if keepdim else reshaped("indexing", out, (*x.shape[:axis], *x.shape[axis + 1 :]))


@spellings
def median(input, axis=-1, keepdims=False):
    """The lower median along an axis, and where it is (int64), as a tuple."""
    x = tensor("median", input)
    extent = x.shape[axis_of("median", axis, x.ndim)] if x.ndim else 1
    values, at = kthvalue(x, (extent + 1) // 2, axis, keepdims)
    if x.dtype.is_float:
        missing = r.any(c.isnan(x), axis, keepdims)
        values = c.where(missing, math.nan, values)
    return values, at


@spellings
def quantile(input, q, axis=None, keepdims=False):
    """The q-quantiles along an axis, interpolated linearly; nan if any element is.

    Args:
        q: a number in [0, 1], or a vector of them, which becomes the first axis.
        axis: None takes all elements.
    """
    return _quantile("quantile", "running_product", "running_sum", input, q, axis, keepdims, False)


@spellings
def nanquantile(input, q, axis=None, keepdims=False):
    """As `quantile`, leaving out what is nan."""
    return _quantile("nanquantile", input, q, axis, keepdims, True)


def _quantile(name: str, input, q, axis, keepdims: bool, skip: bool) -> Tensor:
    x = floating(name, input)
    kept = r.kept_shape(x.shape, tuple(range(x.ndim)))
    if axis is None:
        x, at = ravel(x), 0
    else:
        at = axis_of(name, axis, x.ndim)
        kept = r.kept_shape(x.shape, (at,))
    if x._type.size == 0:
        raise fail(ArgumentError, f"{name} of {x._type}", why="there are no elements")
    q = cast(tensor(name, q), x.dtype)
    values, _ = _sorted(name, x if x.ndim else reshaped(name, x, (1,)), at, False)
    missing = c.isnan(x if x.ndim else reshaped(name, x, (1,)))
    count = cast(r.sum(c.logical_not(missing), at, True), x.dtype)
    last = e.sub(count if skip else splat(values.shape[at], count._type), 1)
    parts = [_interpolated(values, at, e.mul(last, part)) for part in _each(q)]
    if not skip:
        parts = [c.where(r.any(missing, at, True), math.nan, part) for part in parts]
    shape = (
        kept if keepdims else tuple(n for a, n in enumerate(kept) if axis is not None and a != at)
    )
    parts = [reshaped(name, part, shape) for part in parts]
    if q.ndim == 0:
        return parts[0]
    return concat([reshaped(name, part, (1, *shape)) for part in parts], 0)


def _each(q: Tensor) -> list[Tensor]:
    return [q] if q.ndim == 0 else [getitem(q, i) for i in range(q.shape[0])]


def _interpolated(values: Tensor, axis: int, place: Tensor) -> Tensor:
    """Sorted values at a fractional place, which has extent 1 along the axis."""
    low = e.floor(place)
    lower, upper = (
        gather_elements(values, axis, cast(c.clamp(p, 0), int64)) for p in (low, e.ceil(place))
    )
    return e.add(lower, e.mul(e.sub(place, low), e.sub(upper, lower)))


# --- running totals -----------------------------------------------------------------------------


def _running(name: str, op, x: Tensor, axis: Any, exclusive=False, reverse=False) -> Tensor:
    axis = axis_of(name, axis, x.ndim)
    if x.ndim == 0:
        return x
    out = apply(op, x, axis=axis, reverse=bool(reverse))
    return _shifted(out, axis, reverse, 1 if op is scan.cumprod else 0) if exclusive else out


def _shifted(x: Tensor, axis: int, reverse: bool, first: int) -> Tensor:
    """What a running total was one step before."""
    extent = x.shape[axis]
    if extent == 0:
        return x
    edge = fill(first, x._type.with_shape(r.kept_shape(x.shape, (axis,))))
    if reverse:
        return concat((sliced(x, axis, 1, extent), edge), axis)
    return concat((edge, sliced(x, axis, 0, extent - 1)), axis)


@spellings
def cumsum(x, axis, dtype=None):
    """Running sum along an axis, in the input's dtype or in `dtype`.

    >>> from jitgrad import Tensor, ops
    >>> ops.cumsum(Tensor([1, 2, 3]), 0).tolist()
    [1, 3, 6]
    """
    x = tensor("cumsum", x)
    x = cast(x, int64) if x.dtype is bool_ else x
    x = x if dtype is None else e.to_dtype("cumsum", x, dtype)
    return _running("cumsum", scan.cumsum, x, axis)


def running_sum(x, axis, exclusive=False, reverse=False):
    """Running sum, from the end or without the element itself."""
    return _running("CumSum", scan.cumsum, tensor("CumSum", x), axis, exclusive, reverse)


def running_product(x, axis, exclusive=False, reverse=False):
    """Running product, from the end or without the element itself."""
    return _running("CumProd", scan.cumprod, tensor("CumProd", x), axis, exclusive, reverse)


@spellings
def cumprod(input, dim, dtype=None):
    """Running product along an axis; integers give int64."""
    x = tensor("cumprod", input)
    x = x if x.dtype.is_float else cast(x, int64)
    x = x if dtype is None else e.to_dtype("cumprod", x, dtype)
    return _running("cumprod", scan.cumprod, x, dim)


def _running_extreme(name: str, op, input, axis):
    x = tensor(name, input, NUMBER)
    axis = axis_of(name, axis, x.ndim)
    if x.ndim == 0:
        return x, fill(0, x._type.with_dtype(int64))
    return apply(op, x, axis=axis, dtype=int64)


@spellings
def cummax(input, axis):
    """Running maximum along an axis, and where it was attained last (int64), as a tuple."""
    return _running_extreme("cummax", scan.cummax, input, axis)


@spellings
def cummin(input, axis):
    """Running minimum along an axis, and where it was attained last (int64), as a tuple."""
    return _running_extreme("cummin", scan.cummin, input, axis)


@spellings
def logcumsumexp(input, axis):
    """log of the running sum of exponentials along an axis."""
    x = floating("logcumsumexp", input)
    axis = axis_of("logcumsumexp", axis, x.ndim)
    if x._type.size == 0 or x.ndim == 0:
        return x
    top = expand(r.shift_of(x, (axis,)), x.shape)
    powers = apply(scalar.exp, apply(scalar.sub, x, top))
    total = apply(scan.cumsum, powers, axis=axis, reverse=False)
    return apply(scalar.add, apply(scalar.log, total), top)


@spellings
def diff(x, n=1, axis=-1, prepend=None, append=None):
    """Differences of neighbours along an axis, taken n times."""
    x = tensor("diff", x)
    axis = axis_of("diff", axis, x.ndim)
    if x.ndim == 0:
        raise fail(ShapeError, "diff of a scalar", why="it has no neighbours")
    parts = [part for part in (prepend, x, append) if part is not None]
    x = concat(parts, axis) if len(parts) > 1 else x
    for _ in range(n):
        extent = x.shape[axis]
        after, before = (
            sliced(x, axis, builtins.min(1, extent), extent),
            sliced(x, axis, 0, builtins.max(extent - 1, 0)),
        )
        x = c.ne(after, before) if x.dtype is bool_ else e.sub(after, before)
    return x


@spellings
def trapz(y, x=None, *, dx=1.0, dim=-1):
    """Integral along an axis by the trapezoidal rule, over places x or at distances dx."""
    y = floating("trapz", y)
    axis = axis_of("trapz", dim, y.ndim)
    extent = y.shape[axis]
    pairs = e.add(sliced(y, axis, 1, extent), sliced(y, axis, 0, extent - 1))
    if x is not None:
        x = tensor("trapz", x)
        dx = diff(x, axis=-1 if x.ndim == 1 else axis)
        if x.ndim == 1:
            dx = reshaped("trapz", dx, (-1,) + (1,) * (y.ndim - axis - 1))
    return r.sum(e.mul(e.mul(pairs, dx), 0.5), axis)


# --- what depends on values: not in a trace -----------------------------------------------------


def unique(input):
    """The different elements in order of first appearance, and for each element which it is.

    The number of them depends on values: no trace.
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


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements (or slices along `dim`) that differ from the one before."""
    x = tensor("unique_consecutive", input)
    axis = 0 if dim is None else axis_of("unique_consecutive", dim, x.ndim)
    x, shape = (ravel(x), x.shape) if dim is None else (x, (x.shape[axis],))
    values = np.moveaxis(x._array("searched by unique_consecutive"), axis, 0)
    rows = values.reshape(len(values), math.prod(values.shape[1:]))
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]).any(1)
    first = np.flatnonzero(new)
    results = [getitem(x, (*[slice(None)] * axis, first))]
    if return_inverse:
        results.append(constant((np.cumsum(new) - 1).reshape(shape)))
    if return_counts:
        results.append(constant(np.diff(np.append(first, len(rows)))))
    return tuple(results) if len(results) > 1 else results[0]


def nonzero(input, *, as_tuple=False):
    """The coordinates of the elements that are not 0 (int64): a matrix of rows, or a tuple.

    How many depends on values: no trace.
    """
    found = np.nonzero(np.atleast_1d(tensor("nonzero", input)._array("searched by nonzero")))
    if as_tuple:
        return tuple(constant(part) for part in found)
    return constant(np.ascontiguousarray(np.stack(found, 1)))


def argwhere(input):
    """The coordinates of the elements that are not 0, as rows (int64)."""
    return nonzero(input)


# --- places in sorted values --------------------------------------------------------------------


def searchsorted(sorted_sequence, values, *, out_int32=False, right=False, side=None, sorter=None):
    """Where values would be inserted to keep the last axis sorted (int64 or int32).

    Args:
        right: after equal elements instead of before; so does side="right".
        sorter: indices that sort the sequence.
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
    """Which of the intervals between sorted boundaries each element lies in (int32)."""
    return searchsorted(boundaries, input, right=right, out_int32=True)


def histc(input, bins=100, min=0.0, max=0.0):
    """Counts of elements in equal bins between min and max (of the elements, if both are 0)."""
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
    "argsort", "argwhere", "bucketize", "cummax", "cummin", "cumprod", "cumsum", "diff", "histc",
    "kthvalue", "logcumsumexp", "median", "msort", "nanquantile", "nonzero", "quantile", "running_product",
    "running_sum",
    "searchsorted", "sort", "topk", "trapz", "unique", "unique_consecutive",
]  # fmt: skip
