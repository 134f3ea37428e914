"""Order: sorting, ranks, running totals, quantiles, and what depends on sorted values."""

from __future__ import annotations

import builtins
import math
from typing import Any

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.types import bool_, int32, int64
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.gathering import gather_elements
from jitgrad.ops.indexing import getitem
from jitgrad.ops.joining import concat
from jitgrad.ops.promote import (
    apply,
    axis_of,
    cast,
    copied,
    expand,
    fill,
    floating,
    fresh,
    inexact,
    like,
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
        return copied(x), fill(0, x._type.with_dtype(dtype))
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
    """Where the values in order along an axis are (int32).

    >>> ops.argsort(Tensor([3, 1, 2])).tolist()
    [1, 2, 0]
    """
    return _sorted("argsort", tensor("argsort", input), axis, descending)[1]


def msort(input):
    """Values in order along the first axis.

    >>> ops.msort(Tensor([3, 1, 2])).tolist()
    [1, 2, 3]
    """
    return sort(input, 0)[0]


@spellings
def topk(input, k, dim=None, largest=True, sorted=True):
    """The k largest (or smallest) along an axis, the last by default, and where they are (int32).

    They come in order whether `sorted` or not.

    >>> [v.tolist() for v in ops.topk(Tensor([3, 1, 2]), 2)]
    [[3, 2], [0, 2]]
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


def top_k(input_x, k, sorted=True):
    """The k largest along the last axis in order, and where they are (int32).

    >>> [v.tolist() for v in ops.top_k(Tensor([3, 1, 2]), 2)]
    [[3, 2], [0, 2]]
    """
    return topk(input_x, k)


@spellings
def kthvalue(input, k, dim=-1, keepdim=False):
    """The k-th smallest (k from 1) along an axis, and where it is (int64), as a tuple.

    >>> [v.item() for v in ops.kthvalue(Tensor([3, 1, 2]), 2)]
    [2, 2]
    """
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
    """The lower median along an axis, and where it is (int64), as a tuple.

    >>> [v.item() for v in ops.median(Tensor([3.0, 1.0, 2.0]))]
    [2.0, 2]
    """
    x = tensor("median", input)
    extent = x.shape[axis_of("median", axis, x.ndim)] if x.ndim else 1
    values, at = kthvalue(x, (extent + 1) // 2, axis, keepdims)
    if x.dtype.is_float:
        missing = r.any(c.isnan(x), axis, keepdims)
        values = c.where(missing, math.nan, values)
    return values, at


@spellings
def nanmedian(input, axis=-1, keepdims=False):
    """The lower median along an axis of what is not nan, and where it is (int64), as a tuple.

    >>> [v.item() for v in ops.nanmedian(Tensor([3.0, float("nan"), 2.0]))]
    [2.0, 2]
    """
    x = floating("nanmedian", input)
    at = axis_of("nanmedian", axis, x.ndim)
    if x.ndim == 0:
        return copied(x), fill(0, x._type.with_dtype(int64))
    values, places = _sorted("nanmedian", x, at, False, int64)
    count = r.sum(c.logical_not(c.isnan(x)), at, True)
    middle = c.clamp(e.floor_divide(e.sub(count, 1), 2), 0)
    found = (gather_elements(part, at, middle) for part in (values, places))
    shape = x.shape[:at] + x.shape[at + 1 :]
    return tuple(part if keepdims else reshaped("nanmedian", part, shape) for part in found)


@spellings
def quantile(input, q, axis=None, keepdims=False):
    """The q-quantiles along an axis, interpolated linearly; nan if any element is.

    Args:
        q: a number in [0, 1], or a vector of them, which becomes the first axis.
        axis: None takes all elements.

    >>> ops.quantile(Tensor([1.0, 2.0, 3.0]), 0.25).item()
    1.5
    """
    return _quantile("quantile", input, q, axis, keepdims, False)


@spellings
def nanquantile(input, q, axis=None, keepdims=False):
    """As `quantile`, leaving out what is nan.

    >>> ops.nanquantile(Tensor([1.0, float("nan"), 3.0]), 0.5).item()
    2.0
    """
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
    q = like(name, q, x)
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
        return copied(x)
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
    """Running product along an axis; integers give int64.

    >>> ops.cumprod(Tensor([1, 2, 3]), 0).tolist()
    [1, 2, 6]
    """
    x = tensor("cumprod", input)
    x = x if x.dtype.is_float else cast(x, int64)
    x = x if dtype is None else e.to_dtype("cumprod", x, dtype)
    return _running("cumprod", scan.cumprod, x, dim)


def _running_extreme(name: str, op, input, axis, dtype):
    x = tensor(name, input, NUMBER)
    axis = axis_of(name, axis, x.ndim)
    if x.ndim == 0:
        return copied(x), fill(0, x._type.with_dtype(dtype))
    return apply(op, x, axis=axis, dtype=dtype)


@spellings
def cummax(input, axis):
    """Running maximum along an axis, and where it was attained last (int64), as a tuple.

    >>> [v.tolist() for v in ops.cummax(Tensor([1, 3, 2]), 0)]
    [[1, 3, 3], [0, 1, 1]]
    """
    return _running_extreme("cummax", scan.cummax, input, axis, int64)


@spellings
def cummin(input, axis):
    """Running minimum along an axis, and where it was attained last (int32), as a tuple.

    >>> [v.tolist() for v in ops.cummin(Tensor([3, 1, 2]), 0)]
    [[3, 1, 1], [0, 1, 1]]
    """
    return _running_extreme("cummin", scan.cummin, input, axis, int32)


@spellings
def logcumsumexp(input, axis):
    """log of the running sum of exponentials along an axis.

    >>> print(ops.logcumsumexp(Tensor([0.0, 0.0]), 0).asnumpy().round(4))
    [0.     0.6931]
    """
    x = floating("logcumsumexp", input)
    axis = axis_of("logcumsumexp", axis, x.ndim)
    if x._type.size == 0 or x.ndim == 0:
        return copied(x)
    top = expand(r.shift_of(x, (axis,)), x.shape)
    powers = apply(scalar.exp, apply(scalar.sub, x, top))
    total = apply(scan.cumsum, powers, axis=axis, reverse=False)
    return apply(scalar.add, apply(scalar.log, total), top)


@spellings
@fresh
def diff(x, n=1, axis=-1, prepend=None, append=None):
    """Differences of neighbours along an axis, taken n times.

    >>> ops.diff(Tensor([1, 4, 9])).tolist()
    [3, 5]
    """
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
def _trapezoids(name: str, y: Any, x: Any, dx: Any, dim: Any) -> tuple[Tensor, int]:
    """The area between each two neighbours along an axis, and the axis."""
    y = inexact(name, y)
    axis = axis_of(name, dim, y.ndim)
    extent = y.shape[axis]
    pairs = e.add(sliced(y, axis, 1, extent), sliced(y, axis, 0, extent - 1))
    if x is not None:
        x = tensor(name, x)
        dx = diff(x, axis=-1 if x.ndim == 1 else axis)
        if x.ndim == 1:
            dx = reshaped(name, dx, (-1,) + (1,) * (y.ndim - axis - 1))
    return e.mul(e.mul(pairs, dx), 0.5), axis


def trapz(y, x=None, *, dx=1.0, dim=-1):
    """Integral along an axis by the trapezoidal rule, over places x or at distances dx.

    >>> ops.trapz(Tensor([1.0, 2.0, 3.0])).item()
    4.0
    """
    return r.sum(*_trapezoids("trapz", y, x, dx, dim))


def cumulative_trapezoid(y, x=None, *, dx=1.0, dim=-1):
    """The running integral along an axis, as `trapz`.

    >>> ops.cumulative_trapezoid(Tensor([1.0, 2.0, 3.0])).tolist()
    [1.5, 4.0]
    """
    return cumsum(*_trapezoids("cumulative_trapezoid", y, x, dx, dim))


__all__ = [
    "argsort", "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff",
    "kthvalue", "logcumsumexp", "median", "msort", "nanmedian", "nanquantile", "quantile",
    "running_product", "running_sum", "sort", "top_k", "topk", "trapz",
]  # fmt: skip
