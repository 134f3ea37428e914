"""Parts of Tensors by begin and size, copies with a part replaced, and bands of matrices."""

from __future__ import annotations

import math

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.complex_numbers import conj
from jitgrad.ops.gathering import combine, indices_of
from jitgrad.ops.indexing import along, getitem, updated
from jitgrad.ops.linalg import diagonal_places
from jitgrad.ops.norms import vector_norm
from jitgrad.ops.promote import (
    axis_of,
    constant,
    fresh,
    shape_of,
    spellings,
    splat,
    static,
    tensor,
)
from jitgrad.ops.shaping import permuted, reshape, reshaped, swapaxes
from jitgrad.ops.splitting import padded
from jitgrad.primitives.declare import FLOAT

# --- parts --------------------------------------------------------------------------------------


@fresh
def slice_(input_x, begin, size):
    """The block that begins at `begin` and has the extents `size`; -1 goes to the end.

    >>> ops.slice(Tensor([[1, 2, 3], [4, 5, 6]]), (0, 1), (2, 2)).tolist()
    [[2, 3], [5, 6]]
    """
    x = tensor("slice", input_x)
    begin, size = shape_of("slice", begin), shape_of("slice", size)
    if len(begin) != x.ndim or len(size) != x.ndim:
        raise fail(
            ShapeError,
            f"slice of {x._type} from {begin} with size {size}",
            why=f"it takes {x.ndim} numbers each",
        )
    spans = []
    for axis, (start, count, extent) in enumerate(zip(begin, size, x.shape)):
        count = extent - start if count == -1 else count
        if not 0 <= start <= start + count <= extent:
            raise fail(
                ArgumentError,
                f"slice of {x._type} from {begin} with size {size}",
                why=f"axis {axis} has {extent} elements",
            )
        spans.append(slice(start, start + count))
    return getitem(x, tuple(spans))


@fresh
def strided_slice(input_x, begin, end, strides=None, begin_mask=0, end_mask=0, ellipsis_mask=0,
                  new_axis_mask=0, shrink_axis_mask=0):  # fmt: skip
    """x[begin[0]:end[0]:strides[0], …]. Bit i of a mask changes what item i means.

    Args:
        begin_mask, end_mask: the item's begin or end is left open.
        ellipsis_mask, new_axis_mask: the item is '...', or makes a new axis.
        shrink_axis_mask: the item is the index begin[i], and its axis disappears.

    >>> ops.strided_slice(Tensor([1, 2, 3, 4]), (0,), (4,), (2,)).tolist()
    [1, 3]
    """
    x = tensor("strided_slice", input_x)
    begin, end = shape_of("strided_slice", begin), shape_of("strided_slice", end)
    strides = (1,) * len(begin) if strides is None else shape_of("strided_slice", strides)
    key: list = []
    for i, (start, stop, step) in enumerate(zip(begin, end, strides)):
        bit = 1 << i
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(start)
        else:
            first, last = None if begin_mask & bit else start, None if end_mask & bit else stop
            key.append(slice(first, last, step))
    return getitem(x, tuple(key))


def adjoint(x):
    """The last two axes exchanged, complex numbers conjugated.

    >>> ops.adjoint(Tensor([[1, 2], [3, 4]])).tolist()
    [[1, 3], [2, 4]]
    """
    return swapaxes(conj(x), -1, -2)


def view_as(input, other):
    """The same elements under the shape of another Tensor.

    >>> ops.view_as(Tensor([1, 2]), ops.zeros((2, 1))).tolist()
    [[1], [2]]
    """
    return reshape(tensor("view_as", input), tensor("view_as", other).shape)


# --- copies with a part replaced ----------------------------------------------------------------


@spellings
def select_scatter(input, src, axis, index):
    """A copy with the slice at an index along an axis replaced.

    >>> ops.select_scatter(ops.zeros((2, 2)), ops.ones(2), 0, 1).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    x = tensor("select_scatter", input)
    key = along(axis_of("select_scatter", axis, x.ndim), index)
    return updated(x, key, src)


@spellings
def slice_scatter(input, src, axis=0, start=None, end=None, step=1):
    """A copy with the slices start, start + step, … before end along an axis replaced.

    >>> ops.slice_scatter(ops.zeros(4), ops.ones(2), 0, 1, 3).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    x = tensor("slice_scatter", input)
    at = axis_of("slice_scatter", axis, x.ndim)
    return updated(x, along(at, slice(start, end, step)), src)


def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy with a diagonal of two axes replaced.

    >>> ops.diagonal_scatter(ops.zeros((2, 2)), Tensor([1.0, 2.0])).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = tensor("diagonal_scatter", input)
    a, b = (axis_of("diagonal_scatter", d, x.ndim) for d in (dim1, dim2))
    order = [*(v for v in range(x.ndim) if v not in (a, b)), a, b]
    moved = permuted("diagonal_scatter", x, order)
    places = diagonal_places(moved.shape[-2], moved.shape[-1], offset)
    back = [order.index(v) for v in range(x.ndim)]
    return permuted("diagonal_scatter", updated(moved, (..., *places), src), back)


def inplace_update(x, v, indices):
    """A copy of x with slices of the first axis replaced.

    >>> ops.inplace_update(ops.zeros(3), Tensor([5.0]), (1,)).tolist()
    [0.0, 5.0, 0.0]
    """
    return combine("inplace_update", tensor("inplace_update", x), _rows(indices), v, "update")


def inplace_add(x, v, indices):
    """A copy of x with values added to slices of the first axis.

    >>> ops.inplace_add(ops.ones(3), Tensor([5.0]), (1,)).tolist()
    [1.0, 6.0, 1.0]
    """
    return combine("inplace_add", tensor("inplace_add", x), _rows(indices), v, "add")


def inplace_sub(x, v, indices):
    """A copy of x with values subtracted from slices of the first axis.

    >>> ops.inplace_sub(ops.ones(3), Tensor([5.0]), (1,)).tolist()
    [1.0, -4.0, 1.0]
    """
    return combine("inplace_sub", tensor("inplace_sub", x), _rows(indices), v, "sub")


def _rows(indices) -> tuple:
    at = static("inplace", "indices", indices)
    return (np.atleast_1d(np.asarray(at, np.int64)),)


def reverse_sequence(x, seq_lengths, seq_dim, batch_dim=0):
    """For each example, its first seq_lengths[i] elements along an axis in reverse order.

    >>> ops.reverse_sequence(Tensor([[1, 2, 3]]), Tensor([2]), 1).tolist()
    [[2, 1, 3]]
    """
    x, lengths = tensor("reverse_sequence", x), indices_of("reverse_sequence", seq_lengths)
    seq, batch = (axis_of("reverse_sequence", a, x.ndim) for a in (seq_dim, batch_dim))
    if seq == batch or lengths.shape != (x.shape[batch],):
        raise fail(
            ShapeError,
            f"reverse_sequence of {x._type} got lengths {lengths._type}",
            why=f"there is one length for each of axis {batch}, which is not axis {seq}",
        )
    places = constant(np.arange(x.shape[seq]))
    column = reshaped("reverse_sequence", lengths, (-1, 1))
    turned = e.sub(e.sub(column, 1), places)
    at = c.where(c.lt(places, column), turned, places)
    at = at if batch < seq else swapaxes(at, 0, 1)
    shape = [x.shape[a] if a in (seq, batch) else 1 for a in range(x.ndim)]
    key: list = []
    for axis, extent in enumerate(x.shape):
        line = [-1 if a == axis else 1 for a in range(x.ndim)]
        steps = np.arange(extent).reshape(line)
        key.append(reshaped("reverse_sequence", at, tuple(shape)) if axis == seq else steps)
    return getitem(x, tuple(key))


# --- matrices -----------------------------------------------------------------------------------


def matrix_band_part(x, lower, upper):
    """Zeros outside of a band of the last two axes; negative widths keep the whole triangle.

    >>> ops.matrix_band_part(ops.ones((3, 3)), 0, 1).tolist()
    [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    """
    x = tensor("matrix_band_part", x)
    low, high = (int(static("matrix_band_part", "width", v)) for v in (lower, upper))
    rows, columns = x.shape[-2:]
    away = np.arange(columns) - np.arange(rows)[:, None]
    kept = ((low < 0) | (-away <= low)) & ((high < 0) | (away <= high))
    return c.where(constant(kept), x, splat(0, x._type))


def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables in rows, with observations in columns.

    Args:
        correction: what the number of observations is lessened by.
        fweights, aweights: how often each observation counts, and how much.

    >>> ops.cov(Tensor([[1.0, 3.0], [3.0, 1.0]])).tolist()
    [[2.0, -2.0], [-2.0, 2.0]]
    """
    x = tensor("cov", input)
    if x.ndim > 2:
        raise fail(ShapeError, f"cov of {x._type}", why="it takes rows of observations")
    x = reshaped("cov", x, (-1, x.shape[-1] if x.ndim else 1))
    weights = [tensor("cov", w).astype(x.dtype) for w in (fweights, aweights) if w is not None]
    weight = weights[0] if weights else splat(1, x._type.with_shape(x.shape[-1:]))
    weight = e.mul(*weights) if len(weights) == 2 else weight
    total = r.sum(weight)
    centred = e.sub(x, e.div(r.sum(e.mul(x, weight), 1, True), total))
    if aweights is None:
        freedom = e.sub(total, correction)
    else:
        freedom = e.sub(total, e.div(e.mul(r.sum(e.mul(weight, weights[-1])), correction), total))
    product = e.div(e.mul(centred, weight) @ swapaxes(centred, 0, 1), e.maximum(freedom, 0))
    return product if tensor("cov", input).ndim > 1 else reshaped("cov", product, ())


def pdist(input, p=2.0):
    """The p-norm distances between all pairs of rows, in order: [n * (n - 1) / 2].

    >>> ops.pdist(Tensor([[0.0, 0.0], [3.0, 4.0]])).tolist()
    [5.0]
    """
    x = tensor("pdist", input)
    first, second = np.triu_indices(x.shape[-2], 1)
    return vector_norm(e.sub(getitem(x, (..., first, slice(None))),
                             getitem(x, (..., second, slice(None)))), p, -1)  # fmt: skip


@spellings
def renorm(input, p, axis, maxnorm):
    """Slices along an axis scaled down so that their p-norm is at most `maxnorm`.

    >>> print(ops.renorm(Tensor([[3.0, 4.0]]), 2, 0, 1.0).asnumpy().round(3))
    [[0.6 0.8]]
    """
    x = tensor("renorm", input)
    at = axis_of("renorm", axis, x.ndim)
    others = tuple(a for a in range(x.ndim) if a != at)
    size = vector_norm(x, p, others, True)
    factor = c.where(c.gt(size, maxnorm), e.div(maxnorm, e.add(size, 1e-7)), 1.0)
    return e.mul(x, factor)


def fills(x, value):
    """One value in the shape and dtype of x.

    >>> ops.fills(Tensor([1, 2]), 7).tolist()
    [7, 7]
    """
    from jitgrad.ops.creation import full_like

    return full_like(x, value)


def mirror_pad(input_x, paddings, mode):
    """Padded with what is inside, mirrored with ("SYMMETRIC") or without ("REFLECT") the edge.

    >>> ops.mirror_pad(Tensor([1, 2, 3]), [[1, 1]], "REFLECT").tolist()
    [2, 1, 2, 3, 2]
    """
    x = tensor("mirror_pad", input_x)
    pairs = [tuple(pair) for pair in static("mirror_pad", "paddings", paddings)]
    return padded(x, pairs, mode.lower())


def swiglu(input, dim=-1):
    """One half along an axis through silu, times the other.

    >>> ops.swiglu(Tensor([0.0, 0.0, 3.0, 4.0])).tolist()
    [0.0, 0.0]
    """
    from jitgrad.ops.activation import silu
    from jitgrad.ops.splitting import chunk

    first, second = chunk(input, 2, dim)
    return e.mul(silu(first), second)


def eps(x):
    """The smallest number that added to 1 makes a difference, in the shape and dtype of x.

    >>> ops.eps(Tensor([1.0])).tolist()
    [1.1920928955078125e-07]
    """
    x = tensor("eps", x, FLOAT)
    return fills(x, float(np.finfo(x.dtype.numpy).eps))


def lp_pool2d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The norm of each window: [N, C, H, W].

    >>> ops.lp_pool2d(ops.ones((1, 1, 2, 2)), 2, 2).tolist()
    [[[[2.0]]]]
    """
    from jitgrad.ops.conv import avg_pool2d, pair

    kernel = pair("lp_pool2d", "kernel_size", kernel_size)
    powers = e.pow(tensor("lp_pool2d", x), float(norm_type))
    steps = kernel if stride is None else stride
    means = avg_pool2d(powers, kernel, steps, 0, ceil_mode, False)
    return e.pow(e.mul(means, math.prod(kernel)), 1 / float(norm_type))


__all__ = [
    "adjoint", "cov", "diagonal_scatter", "eps", "fills", "inplace_add", "inplace_sub",
    "inplace_update", "lp_pool2d", "matrix_band_part", "mirror_pad", "pdist", "renorm",
    "reverse_sequence", "select_scatter", "slice_", "slice_scatter", "strided_slice", "swiglu",
    "view_as",
]  # fmt: skip
