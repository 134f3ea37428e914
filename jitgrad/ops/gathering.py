"""Reading, choosing and scattering elements by index or mask.

Negative indices count from the end; one outside its axis is a BoundsError (an IndexError).
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.ir.types import DType, TensorType, bool_, float32, int32
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops.indexing import getitem, scattered
from jitgrad.ops.promote import (
    apply,
    axis_of,
    cast,
    constant,
    convert,
    expand,
    fill,
    like,
    one_of,
    result_dtype,
    shape_of,
    spellings,
    splat,
    spread,
    static,
    tensor,
)
from jitgrad.ops.shaping import ravel, reshaped
from jitgrad.ops.splitting import unbind
from jitgrad.primitives import scan
from jitgrad.primitives.declare import INTEGER
from jitgrad.tensor import Tensor

ALL = slice(None)


def indices_of(name: str, value: Any) -> Tensor:
    """Integer indices as a Tensor; DTypeError for others."""
    value = np.asarray(value, np.int64) if isinstance(value, (list, tuple)) else value
    return tensor(name, value, INTEGER)


# --- reading ------------------------------------------------------------------------------------


@spellings
def gather(input_params, input_indices, axis, batch_dims=0):
    """Slices along an axis at given indices, which take the axis's place in the shape.

    Args:
        input_params: Tensor to read.
        input_indices: Tensor of ints.
        axis: the axis to index.
        batch_dims: how many leading axes are paired with those of the indices.

    >>> ops.gather(Tensor([[1, 2, 3], [4, 5, 6]]), Tensor([2, 0]), 1).tolist()
    [[3, 1], [6, 4]]
    """
    x, at = tensor("gather", input_params), indices_of("gather", input_indices)
    axis = axis_of("gather", axis, x.ndim)
    if not 0 <= batch_dims <= builtins.min(axis, at.ndim):
        raise fail(
            ArgumentError,
            f"gather got batch_dims={batch_dims} for axis {axis} and indices {at._type}",
            why="batch axes come before the axis, and the indices have them too",
        )
    lead = [_steps(x.shape[a], a, at.ndim) for a in range(batch_dims)]
    return getitem(x, (*lead, *[ALL] * (axis - batch_dims), at))


def _steps(extent: int, axis: int, ndim: int) -> np.ndarray:
    """0, 1, … along one axis of ndim."""
    return np.arange(extent).reshape([-1 if a == axis else 1 for a in range(ndim)])


@spellings
def index_select(input, axis, index):
    """Slices along an axis at the indices of a vector.

    >>> ops.index_select(Tensor([[1, 2], [3, 4]]), 1, Tensor([1, 0])).tolist()
    [[2, 1], [4, 3]]
    """
    x, at = tensor("index_select", input), indices_of("index_select", index)
    if at.ndim > 1:
        raise fail(ShapeError, f"index_select got indices {at._type}", why="it takes a vector")
    return getitem(x, (*[ALL] * axis_of("index_select", axis, x.ndim), ravel(at)))


def take(input, index, axis=None):
    """Elements of the flattened Tensor, or slices along an axis, at given indices.

    >>> ops.take(Tensor([[1, 2], [3, 4]]), Tensor([0, 3])).tolist()
    [1, 4]
    """
    x = tensor("take", input)
    return gather(ravel(x), index, 0) if axis is None else gather(x, index, axis)


@spellings
def gather_elements(input, dim, index):
    """out[i, j, …] = input[i, …, index[i, j, …], …], with the index in the place of `dim`.

    The index has as many axes as the input, and no larger extents along the others.

    >>> ops.gather_elements(Tensor([[1, 2], [3, 4]]), 1, Tensor([[1], [0]])).tolist()
    [[2], [3]]
    """
    x, at = tensor("gather_elements", input), indices_of("gather_elements", index)
    axis = axis_of("gather_elements", dim, x.ndim)
    if not x.ndim:  # a vector of one element
        x, flat = reshaped("gather_elements", x, (1,)), reshaped("gather_elements", at, (-1,))
        return reshaped("gather_elements", getitem(x, flat), at.shape)
    return getitem(x, _element_key("gather_elements", x, at, axis))


def gather_d(x, dim, index):
    """As `gather_elements`.

    >>> ops.gather_d(Tensor([[1, 2], [3, 4]]), 0, Tensor([[1, 0]])).tolist()
    [[3, 2]]
    """
    return gather_elements(x, dim, index)


def _element_key(name: str, x: Tensor, at: Tensor, axis: int) -> tuple:
    """The key of the elements that an index along one axis points to, place by place."""
    fits = at.ndim == x.ndim and builtins.all(
        n <= extent for a, (n, extent) in enumerate(zip(at.shape, x.shape)) if a != axis
    )
    if not fits:
        raise fail(
            ShapeError,
            f"{name} of {x._type} along axis {axis} got indices {at._type}",
            why="they need as many axes, and no larger extent along the others",
        )
    lines = [at if a == axis else _steps(n, a, at.ndim) for a, n in enumerate(at.shape)]
    return tuple(lines)


def gather_nd(input_x, indices):
    """input_x[indices[..., 0], indices[..., 1], …]: the last axis of the indices holds tuples.

    >>> ops.gather_nd(Tensor([[1, 2], [3, 4]]), Tensor([[0, 1], [1, 0]])).tolist()
    [2, 3]
    """
    x, at = tensor("gather_nd", input_x), indices_of("gather_nd", indices)
    return getitem(x, tuple(unbind(at, -1)))


# --- masks --------------------------------------------------------------------------------------


def _mask(name: str, mask: Any) -> Tensor:
    mask = tensor(name, mask)
    if mask.dtype is not bool_:
        raise fail(DTypeError, f"{name} got a mask {mask._type}", why="a mask is bool")
    return mask


def masked_fill(input_x, mask, value):
    """The input with a number (or 0-d Tensor) where the mask is true.

    >>> from jitgrad import Tensor, ops
    >>> ops.masked_fill(Tensor([1.0, 2.0]), Tensor([True, False]), 0.0).tolist()
    [0.0, 2.0]
    """
    x, mask = tensor("masked_fill", input_x), _mask("masked_fill", mask)
    return c.where(mask, like("masked_fill", value, x), x)


def masked_select(input, mask):
    """The elements where the mask is true, as a vector. Its length depends on values: no trace.

    >>> ops.masked_select(Tensor([1, 2, 3]), Tensor([True, False, True])).tolist()
    [1, 3]
    """
    x, mask = spread("masked_select", input, _mask("masked_select", mask))
    return getitem(x, mask)


def masked_scatter(input, mask, source):
    """The input with the elements of `source`, in order, where the mask is true.

    >>> ops.masked_scatter(Tensor([1, 2, 3]), Tensor([True, False, True]), Tensor([7,
    ...     8])).tolist()
    [7, 2, 8]
    """
    x, source = tensor("masked_scatter", input), tensor("masked_scatter", source)
    mask = expand(_mask("masked_scatter", mask), x.shape)
    if x._type.size == 0:
        return x
    order = apply(scan.cumsum, cast(ravel(mask), int32), axis=0, reverse=False)
    before = c.clamp(e.sub(order, 1), 0)
    before = c.where(ravel(mask), before, 0)
    values = getitem(ravel(cast(source, x.dtype)), before)
    return c.where(mask, reshaped("masked_scatter", values, x.shape), x)


# --- scattering ---------------------------------------------------------------------------------


def combine(name: str, x: Tensor, key: Any, updates: Any, mode: str) -> Tensor:
    """x with updates combined into x[key]: add, sub, mul, div, max, min, update."""
    one_of(name, "mode", mode, ("update", "add", "sub", "mul", "div", "max", "min"))
    updates = like(name, updates, x)
    if mode == "sub":
        return scattered(x, key, e.neg(updates), "add")
    if mode == "div":
        divisor = scattered(fill(1, x._type), key, updates, "mul")
        return e.div(x, divisor) if x.dtype.is_float else e.floor_divide(x, divisor)
    return scattered(x, key, updates, "set" if mode == "update" else mode)


def nd_key(name: str, indices: Any) -> tuple[Tensor, ...]:
    """The key of index tuples along the last axis."""
    return tuple(unbind(indices_of(name, indices), -1))


def scatter_nd(indices, updates, shape):
    """Zeros of a shape with updates added at index tuples; repeated ones add up.

    >>> from jitgrad import Tensor, ops
    >>> ops.scatter_nd(Tensor([[1], [1]]), Tensor([2.0, 3.0]), (3,)).tolist()
    [0.0, 5.0, 0.0]
    """
    updates = tensor("scatter_nd", updates)
    base = fill(0, TensorType(updates.dtype, shape_of("scatter_nd", shape)))
    return combine("scatter_nd", base, nd_key("scatter_nd", indices), updates, "add")


def _tensor_scatter(mode: str):
    name = f"tensor_scatter_{mode}"

    def function(input_x, indices, updates):
        return combine(name, tensor(name, input_x), nd_key(name, indices), updates, mode)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""A copy of the input with updates combined in at index tuples ({mode}).

    Args:
        input_x: Tensor of shape S.
        indices: Tensor of ints [..., K], tuples of K indices along the last axis.
        updates: Tensor of the shape of the indices without the last axis, then S[K:].
    """
    return function


tensor_scatter_update = _tensor_scatter("update")
tensor_scatter_add = _tensor_scatter("add")
tensor_scatter_sub = _tensor_scatter("sub")
tensor_scatter_mul = _tensor_scatter("mul")
tensor_scatter_div = _tensor_scatter("div")
tensor_scatter_max = _tensor_scatter("max")
tensor_scatter_min = _tensor_scatter("min")


@spellings
def tensor_scatter_elements(input_x, indices, updates, axis=0, reduction="none"):
    """A copy of the input with updates at input_x[…, indices[…], …] along an axis.

    Args:
        reduction: "none" (the last wins) or "add", "mul", "max", "min".

    >>> ops.tensor_scatter_elements(ops.zeros(3), Tensor([0, 0]), Tensor([1.0, 2.0]),
    ...     reduction="add").tolist()
    [3.0, 0.0, 0.0]
    """
    name = "tensor_scatter_elements"
    reduction = "mul" if reduction == "multiply" else reduction
    one_of(name, "reduction", reduction, ("none", "add", "mul", "max", "min"))
    x, at = tensor(name, input_x), indices_of(name, indices)
    axis = axis_of(name, axis, x.ndim)
    updates = tensor(name, updates)
    if not x.ndim:  # a vector of one element
        x, at, updates = (reshaped(name, v, (-1,)) for v in (x, at, updates))
        out = tensor_scatter_elements(x, at, updates, 0, reduction)
        return reshaped(name, out, ())
    key = _element_key(name, x, at, axis)
    if updates.ndim == at.ndim and updates.shape != at.shape:
        updates = getitem(updates, tuple(slice(n) for n in at.shape))
    return combine(name, x, key, updates, "update" if reduction == "none" else reduction)


@spellings
def scatter(input, axis, index, src, reduce="none"):
    """A copy of the input with `src` written at input[…, index[…], …] along an axis.

    >>> ops.scatter(ops.zeros((1, 3)), 1, Tensor([[2, 0]]), Tensor([[5.0, 6.0]])).tolist()
    [[6.0, 0.0, 5.0]]
    """
    return tensor_scatter_elements(input, index, src, axis, reduce)


@spellings
def index_add(x, indices, y, axis, use_lock=True, check_index_bound=True):
    """A copy of x with the slices of y added along an axis at the indices of a vector.

    >>> ops.index_add(ms.Parameter(ops.zeros(3)), Tensor([2, 2]), Tensor([1.0, 4.0]),
    ...     0).tolist()
    [0.0, 0.0, 5.0]
    """
    x, at = tensor("index_add", x), indices_of("index_add", indices)
    axis = axis_of("index_add", axis, x.ndim)
    return combine("index_add", x, (*[ALL] * axis, at), y, "add")


@spellings
def index_fill(x, axis, index, value):
    """A copy of x with a number in the slices along an axis at the indices of a vector.

    >>> ops.index_fill(Tensor([1, 2, 3]), 0, Tensor([0, 2]), 9).tolist()
    [9, 2, 9]
    """
    x, at = tensor("index_fill", x), indices_of("index_fill", index)
    axis = axis_of("index_fill", axis, x.ndim)
    return combine("index_fill", x, (*[ALL] * axis, ravel(at)), value, "update")


def _segments(mode: str, neutral):
    name = f"unsorted_segment_{ {'add': 'sum', 'mul': 'prod'}.get(mode, mode) }"

    def function(input_x, segment_ids, num_segments):
        x, ids = tensor(name, input_x), indices_of(name, segment_ids)
        count = int(static(name, "number of segments", num_segments))
        if x.shape[: ids.ndim] != ids.shape:
            raise fail(
                ShapeError,
                f"{name} got {x._type} and segment ids {ids._type}",
                why="the ids have the shape of the first axes",
            )
        empty = neutral(x.dtype)
        base = fill(empty, TensorType(x.dtype, (count, *x.shape[ids.ndim :])))
        counts = c.ge(ids, 0)
        ids = c.where(counts, ids, 0)
        lead = reshaped(name, counts, counts.shape + (1,) * (x.ndim - ids.ndim))
        return combine(name, base, (ids,), c.where(lead, x, splat(empty, x._type)), mode)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Slices of the input combined by the id of their segment ({mode}).

    Negative ids are left out. A segment without slices holds the neutral value.
    """
    return function


def _limit(of: str):
    def limit(dtype: DType):
        if dtype.is_float:
            return getattr(np.finfo(dtype.numpy), of).item()
        return getattr(np.iinfo(dtype.numpy), of)

    return limit


unsorted_segment_sum = _segments("add", lambda dtype: 0)
unsorted_segment_prod = _segments("mul", lambda dtype: 1)
unsorted_segment_max = _segments("max", _limit("min"))
unsorted_segment_min = _segments("min", _limit("max"))


# --- categories ---------------------------------------------------------------------------------


@spellings
def one_hot(indices, depth, on_value=1, off_value=0, axis=-1):
    """A new axis of extent `depth` with `on_value` at the index and `off_value` elsewhere.

    An index outside of 0 … depth - 1 gives `off_value` everywhere.

    >>> from jitgrad import Tensor, ops
    >>> ops.one_hot(Tensor([0, 2]), 3).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    at = indices_of("one_hot", indices)
    depth = int(static("one_hot", "depth", depth))
    axis = axis_of("one_hot", axis, at.ndim, insert=True)
    place = reshaped("one_hot", at, (*at.shape[:axis], 1, *at.shape[axis:]))
    places = constant(_steps(depth, axis, at.ndim + 1).astype(at.dtype.numpy))
    hit = c.eq(place, places)
    values = [convert("one_hot", v) for v in (on_value, off_value)]
    dtype = result_dtype(values)
    return cast(c.where(hit, *values), dtype)


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False):  # fmt: skip
    """Rows of a weight matrix at given indices.

    Args:
        input: Tensor of ints.
        weight: Tensor [rows, width].
        padding_idx: a row that gets no gradient.
        max_norm: rows longer than this are scaled down to it, in the norm of `norm_type`.

    >>> ops.embedding(Tensor([1, 0]), Tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[3.0, 4.0], [1.0, 2.0]]
    """
    if scale_grad_by_freq:
        raise fail(ArgumentError, "embedding does not know scale_grad_by_freq=True")
    at, weight = indices_of("embedding", input), tensor("embedding", weight)
    if padding_idx is not None:
        row = fill(False, TensorType(bool_, (weight.shape[0], 1)))
        row = scattered(row, (np.asarray([padding_idx]),), True, "set")
        weight = c.where(row, e.stop_gradient(weight), weight)
    out = getitem(weight, at)
    if max_norm is not None:
        from jitgrad.ops.norms import vector_norm

        size = vector_norm(out, norm_type, -1, True)
        out = c.where(c.gt(size, max_norm), e.mul(out, e.div(max_norm, e.add(size, 1e-7))), out)
    return out


@spellings
def bincount(input, weights=None, minlength=0):
    """How often each of 0, 1, … occurs (float32), or the sum of the weights there.

    The length depends on values: no trace.

    >>> ops.bincount(Tensor([0, 2, 2])).tolist()
    [1.0, 0.0, 2.0]
    """
    at = indices_of("bincount", input)
    values = at._array("counted by bincount")
    if values.ndim != 1 or (values.size and values.min() < 0):
        raise fail(
            ArgumentError, f"bincount of {at._type}", why="it takes a vector without negatives"
        )
    length = builtins.max(int(values.max()) + 1 if values.size else 0, minlength)
    weights = splat(1, TensorType(float32, at.shape)) if weights is None else weights
    weights = tensor("bincount", weights)
    return combine("bincount", fill(0, TensorType(weights.dtype, (length,))), (at,), weights, "add")


__all__ = [
    "bincount", "combine", "embedding", "gather", "gather_d", "gather_elements", "gather_nd",
    "index_add", "index_fill", "index_select", "indices_of", "masked_fill", "masked_scatter",
    "masked_select", "nd_key", "one_hot", "scatter", "scatter_nd", "take", "tensor_scatter_add",
    "tensor_scatter_div", "tensor_scatter_elements", "tensor_scatter_max", "tensor_scatter_min",
    "tensor_scatter_mul", "tensor_scatter_sub", "tensor_scatter_update", "unsorted_segment_max",
    "unsorted_segment_min", "unsorted_segment_prod", "unsorted_segment_sum",
]  # fmt: skip
