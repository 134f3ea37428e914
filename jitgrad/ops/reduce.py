"""Reductions over axes.

``axis`` is an int, a tuple of ints, or None (or an empty tuple) for all axes; `keepdims` keeps the
reduced axes with extent 1. Keywords may be spelled ``dim``, ``keepdim`` and ``keep_dims`` too.
"""

from __future__ import annotations

import builtins
import math

from jitgrad.errors import ArgumentError, fail
from jitgrad.frontend.composed import composed
from jitgrad.ir.op import Op
from jitgrad.ir.types import DType, TensorType, bool_, float16, float32, int32, int64
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.promote import (
    apply,
    axes_of,
    axis_of,
    cast,
    expand,
    fill,
    floating,
    named,
    scalar,
    spellings,
    splat,
    structure,
    tensor,
)
from jitgrad.primitives import reduce as primitive
from jitgrad.primitives import sort as order
from jitgrad.tensor import Tensor


def reduced(op: Op, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """Apply a reduction op over non-negative sorted axes."""
    out = apply(op, x, axes=axes)
    if not keepdims or not axes:
        return out
    return apply(structure.reshape, out, shape=kept_shape(x.shape, axes))


def kept_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with extent 1 on the reduced axes."""
    return tuple(1 if a in axes else n for a, n in enumerate(shape))


def count_of(x: Tensor, axes: tuple[int, ...]) -> int:
    """How many elements a reduction joins into one."""
    return math.prod(x.shape[a] for a in axes)


def back(out: Tensor, x: Tensor) -> Tensor:
    """A reduction with kept axes, repeated to the shape it was made of."""
    return expand(out, x.shape)


_INDEX = TensorType(int64, ())

# --- sums and products --------------------------------------------------------------------------


def _wide(x: Tensor, dtype: DType | None) -> Tensor:
    """The operand of a sum or product: integers and bools count in int64."""
    if dtype is not None:
        return e.to_dtype("sum", x, dtype)
    return x if x.dtype.is_float else cast(x, int64)


@composed
@spellings
def sum(input, dim=None, keepdim=False, *, dtype=None):
    """Sum over axes. Integers and bools sum to int64, unless `dtype` says otherwise.

    >>> ops.sum(Tensor([[1, 2], [3, 4]]), 0).tolist()
    [4, 6]
    """
    x = tensor("sum", input)
    return reduced(primitive.reduce_sum, _wide(x, dtype), axes_of("sum", dim, x.ndim), keepdim)


@spellings
def prod(input, axis=None, keep_dims=False, dtype=None):
    """Product over axes; its gradient is right where elements are zero. Integers give int64.

    >>> ops.prod(Tensor([2, 3, 4])).item()
    24
    """
    x = tensor("prod", input)
    axes = axes_of("prod", axis, x.ndim)
    return reduced(primitive.reduce_prod, _wide(x, dtype), axes, keep_dims)


@composed
@spellings
def mean(x, axis=None, keep_dims=False):
    """Arithmetic mean over axes. Integers give a float32; of no elements it is nan.

    >>> ops.mean(Tensor([[1.0, 2.0], [3.0, 4.0]]), 0).tolist()
    [2.0, 3.0]
    """
    x = floating("mean", x)
    return _mean(x, axes_of("mean", axis, x.ndim), keep_dims)


def _mean(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if x.dtype is float16:  # whose sums overflow at 65504
        return cast(_mean(cast(x, float32), axes, keepdims), float16)
    total = reduced(primitive.reduce_sum, x, axes, keepdims)
    return apply(scalar.div, total, splat(count_of(x, axes), total._type)) if axes else total


# --- spread -------------------------------------------------------------------------------------


def _variance(name: str, input, axis, ddof, keepdims: bool) -> tuple[Tensor, Tensor]:
    """Variance and mean in two passes: the squares are of what is left after the mean."""
    x = floating(name, input)
    axes = axes_of(name, axis, x.ndim)
    half = x.dtype is float16
    wide = cast(x, float32) if half else x
    centre = _mean(wide, axes, True)
    off = apply(scalar.sub, wide, back(centre, wide))
    total = reduced(primitive.reduce_sum, apply(scalar.mul, off, off), axes, keepdims)
    freedom = builtins.max(count_of(x, axes) - ddof, 0)
    out = apply(scalar.div, total, splat(freedom, total._type))
    if not keepdims:
        centre = apply(structure.reshape, centre, shape=out.shape)
    return (cast(out, float16), cast(centre, float16)) if half else (out, centre)


@spellings
def var(input, axis=None, ddof=0, keepdims=False):
    """Variance: the sum of squares around the mean over (count - ddof).

    >>> ops.var(Tensor([1.0, 2.0, 3.0])).item()
    0.6666666865348816
    """
    return _variance("var", input, axis, ddof, keepdims)[0]


@spellings
def std(input, axis=None, ddof=0, keepdims=False):
    """Standard deviation: the root of the variance with divisor count - ddof.

    >>> ops.std(Tensor([1.0, 2.0, 3.0])).item()
    0.8164966106414795
    """
    return e.sqrt(_variance("std", input, axis, ddof, keepdims)[0])


@spellings
def var_mean(input, axis=None, ddof=0, keepdims=False):
    """Variance and mean, as a tuple.

    >>> [v.item() for v in ops.var_mean(Tensor([1.0, 2.0, 3.0]))]
    [0.6666666865348816, 2.0]
    """
    return _variance("var_mean", input, axis, ddof, keepdims)


@spellings
def std_mean(input, axis=None, ddof=0, keepdims=False):
    """Standard deviation and mean, as a tuple.

    >>> [v.item() for v in ops.std_mean(Tensor([1.0, 2.0, 3.0]))]
    [0.8164966106414795, 2.0]
    """
    variance, centre = _variance("std_mean", input, axis, ddof, keepdims)
    return e.sqrt(variance), centre


# --- extremes -----------------------------------------------------------------------------------


def _extreme(name: str, op: Op, identity: str, input, axis, keepdims, initial, where) -> Tensor:
    x = tensor(name, input)
    axes = axes_of(name, axis, x.ndim)
    if where is not None:
        if initial is None:
            raise fail(
                ArgumentError,
                f"{name} got where without initial",
                why="an empty choice needs a value",
                instead=f"add initial={identity}",
            )
        x = c.where(where, x, initial)
    if x.dtype is bool_:
        op = primitive.reduce_any if op is primitive.reduce_max else primitive.reduce_all
    if initial is None and axes and count_of(x, axes) == 0:
        raise fail(
            ArgumentError,
            f"{name} of {x._type} over axes {axes}",
            why="there is nothing to choose from",
            instead=f"give a value for that, as in initial={identity}",
        )
    if initial is not None and count_of(x, axes) == 0:
        kept = kept_shape(x.shape, axes)
        shape = kept if keepdims else tuple(n for a, n in enumerate(kept) if a not in axes)
        return fill(initial, x._type.with_shape(shape))
    out = reduced(op, x, axes, keepdims)
    if initial is None:
        return out
    return (e.maximum if op is primitive.reduce_max else e.minimum)(out, initial)


@spellings
def amax(input, axis=None, keepdims=False, *, initial=None, where=None):
    """Largest over axes; nan if any is. Ties share the gradient equally.

    Args:
        initial: a lower limit of the result, needed when there are no elements.
        where: bool Tensor that chooses the elements; needs `initial`.

    >>> ops.amax(Tensor([[1, 5], [7, 2]]), 1).tolist()
    [5, 7]
    """
    return _extreme("amax", primitive.reduce_max, "-inf", input, axis, keepdims, initial, where)


@spellings
def amin(input, axis=None, keepdims=False, *, initial=None, where=None):
    """Smallest over axes; nan if any is. Ties share the gradient equally.

    >>> ops.amin(Tensor([[1, 5], [7, 2]]), 0).tolist()
    [1, 2]
    """
    return _extreme("amin", primitive.reduce_min, "inf", input, axis, keepdims, initial, where)


def argument(name: str, op: Op, input, axis, keepdims: bool, dtype: DType = int64) -> Tensor:
    """Where the extreme is along an axis; None: in the flattened Tensor."""
    x = tensor(name, input)
    ndim = x.ndim
    if axis is None or ndim == 0:
        if axis is not None:
            axis_of(name, axis, ndim)
        flat = apply(structure.reshape, x, shape=(math.prod(x.shape),))
        at = _argument(name, op, flat, 0, dtype)
        return apply(structure.reshape, at, shape=(1,) * ndim) if keepdims and ndim else at
    axis = axis_of(name, axis, ndim)
    at = _argument(name, op, x, axis, dtype)
    shape = kept_shape(x.shape, (axis,))
    return apply(structure.reshape, at, shape=shape) if keepdims else at


def _argument(name: str, op: Op, x: Tensor, axis: int, dtype: DType) -> Tensor:
    if x.shape[axis] == 0:
        raise fail(
            ArgumentError, f"{name} of {x._type} along axis {axis}", why="the axis has no elements"
        )
    return apply(op, x, axis=axis, dtype=dtype)


@spellings
def argmax(input, dim=None, keepdim=False):
    """Where the largest is first attained along an axis (int64); None: in the flattened Tensor.

    >>> ops.argmax(Tensor([[1, 5], [7, 2]]), 1).tolist()
    [1, 0]
    """
    return argument("argmax", order.argmax, input, dim, keepdim)


@spellings
def argmin(input, axis=None, keepdims=False):
    """Where the smallest is first attained along an axis (int32); None: in the flattened Tensor.

    >>> ops.argmin(Tensor([3, 1, 2])).item()
    1
    """
    return argument("argmin", order.argmin, input, axis, keepdims, int32)


def _with_index(name: str, value, op: Op, input, axis, keepdims, initial, where):
    if axis is None:
        return value(input, None, keepdims, initial=initial, where=where), fill(0, _INDEX)
    values = value(input, axis, keepdims, initial=initial, where=where)
    return values, argument(name, op, input, axis, keepdims)


@spellings
def max(input, axis=None, keepdims=False, *, initial=None, where=None):
    """The largest along one axis and where it is (int64), as a tuple.

    With axis None it is the largest of all, and an index of 0. Ties share the gradient equally.

    >>> values, indices = ops.max(Tensor([[1.0, 3.0], [4.0, 2.0]]), 1)
    >>> values.tolist(), indices.tolist()
    ([3.0, 4.0], [1, 0])
    """
    return _with_index("max", amax, order.argmax, input, axis, keepdims, initial, where)


@spellings
def min(input, axis=None, keepdims=False, *, initial=None, where=None):
    """The smallest along one axis and where it is (int64), as a tuple; as `max`.

    >>> [v.tolist() for v in ops.min(Tensor([[1, 5], [7, 2]]), 1)]
    [[1, 2], [0, 1]]
    """
    return _with_index("min", amin, order.argmin, input, axis, keepdims, initial, where)


@spellings
def aminmax(input, *, axis=0, keepdims=False):
    """Smallest and largest along an axis, as a tuple.

    >>> [v.item() for v in ops.aminmax(Tensor([3, 1, 2]))]
    [1, 3]
    """
    return amin(input, axis, keepdims), amax(input, axis, keepdims)


@spellings
def ptp(input, axis=None, keepdims=False):
    """Largest minus smallest over axes.

    >>> ops.ptp(Tensor([3, 1, 7])).item()
    6
    """
    return e.sub(amax(input, axis, keepdims), amin(input, axis, keepdims))


# --- truth and counts ---------------------------------------------------------------------------


@spellings
def any(input, axis=None, keep_dims=False):
    """Whether any element is true (not 0) over axes: a bool Tensor.

    >>> ops.any(Tensor([[True, False], [False, False]]), 1).tolist()
    [True, False]
    """
    x = c.truth("any", input)
    return reduced(primitive.reduce_any, x, axes_of("any", axis, x.ndim), keep_dims)


@spellings
def all(input, axis=None, keep_dims=False):
    """Whether all elements are true (not 0) over axes: a bool Tensor.

    >>> ops.all(Tensor([True, False])).item()
    False
    """
    x = c.truth("all", input)
    return reduced(primitive.reduce_all, x, axes_of("all", axis, x.ndim), keep_dims)


@spellings
def count_nonzero(x, axis=(), keep_dims=False, dtype=int32):
    """How many elements are not 0 over axes, in `dtype`.

    >>> ops.count_nonzero(Tensor([0, 3, 0, 5])).item()
    2
    """
    counts = cast(c.truth("count_nonzero", x), int64)
    return e.to_dtype("count_nonzero", sum(counts, axis, keep_dims), dtype)


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close, as `isclose` has it: a 0-d bool Tensor.

    >>> bool(ops.allclose(Tensor([1.0]), Tensor([1.0 + 1e-9])))
    True
    """
    return all(c.isclose(input, other, rtol, atol, equal_nan))


# --- with logarithms and nans -------------------------------------------------------------------


@spellings
def logsumexp(input, dim=None, keepdim=False):
    """log(sum(exp(x))) over axes, shifted by the largest so that nothing overflows.

    >>> ops.logsumexp(Tensor([1000.0, 1000.0]), 0).tolist()
    1000.6931762695312
    """
    x = floating("logsumexp", input)
    axes = axes_of("logsumexp", dim, x.ndim)
    if count_of(x, axes) == 0:
        return e.log(reduced(primitive.reduce_sum, x, axes, keepdim))
    top = shift_of(x, axes)
    powers = apply(scalar.exp, apply(scalar.sub, x, back(top, x)))
    total = apply(scalar.log, reduced(primitive.reduce_sum, powers, axes, keepdim))
    if not keepdim:
        top = apply(structure.reshape, top, shape=total.shape)
    return apply(scalar.add, total, top)


def shift_of(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The largest over axes (kept) as a constant; 0 where it is infinite and would make nans."""
    top = reduced(primitive.reduce_max, apply(scalar.stop_gradient, x), axes, True)
    return apply(scalar.select, apply(scalar.isfinite, top), top, splat(0, top._type))


@spellings
def nansum(input, axis=None, keepdims=False, *, dtype=None):
    """Sum over axes in which nan counts as 0.

    >>> ops.nansum(Tensor([1.0, float("nan"), 2.0])).item()
    3.0
    """
    x = tensor("nansum", input)
    return sum(c.where(c.isnan(x), 0, x), axis, keepdims, dtype=dtype)


@spellings
def nanmean(input, axis=None, keepdims=False, *, dtype=None):
    """Mean over axes of what is not nan.

    >>> ops.nanmean(Tensor([1.0, float("nan"), 2.0])).item()
    1.5
    """
    x = floating("nanmean", input)
    present = cast(c.logical_not(c.isnan(x)), x.dtype)
    out = e.div(nansum(x, axis, keepdims), sum(present, axis, keepdims))
    return out if dtype is None else e.to_dtype("nanmean", out, dtype)


# --- older names --------------------------------------------------------------------------------


def _older(name: str, function, doc: str, keeps_dtype: bool = False):
    def call(x, axis=(), keep_dims=False):
        x = tensor(name, x)
        return function(x, axis, keep_dims, **({"dtype": x.dtype} if keeps_dtype else {}))

    return named(call, name, doc)


reduce_sum = _older("reduce_sum", sum, "Sum over axes, in the input's dtype.", True)
reduce_prod = _older("reduce_prod", prod, "Product over axes, in the input's dtype.", True)
reduce_mean = _older("reduce_mean", mean, "Arithmetic mean over axes.")
reduce_max = _older("reduce_max", amax, "Largest over axes.")
reduce_min = _older("reduce_min", amin, "Smallest over axes.")
reduce_all = _older("reduce_all", all, "Whether all elements are true over axes.")
reduce_any = _older("reduce_any", any, "Whether any element is true over axes.")

__all__ = [
    "all", "allclose", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero",
    "logsumexp", "max", "mean", "min", "nanmean", "nansum", "prod", "ptp", "reduce_all",
    "reduce_any", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum", "std",
    "std_mean", "sum", "var", "var_mean",
]  # fmt: skip
