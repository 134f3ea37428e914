"""Taking Tensors apart, repeating and padding them, and the shapes of joined ones."""

from __future__ import annotations

import builtins
import itertools
import math
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.ir.types import bool_
from jitgrad.ops.compare import where
from jitgrad.ops.indexing import along, getitem
from jitgrad.ops.joining import atleast, concat, stack
from jitgrad.ops.promote import (
    apply,
    axis_of,
    fresh,
    is_number,
    one_of,
    shape_of,
    spellings,
    splat,
    static,
    structure,
    tensor,
)
from jitgrad.ops.shaping import expand_dims, flipped, ravel, reshaped, sliced
from jitgrad.tensor import Tensor

# --- splitting ----------------------------------------------------------------------------------


def _cut(x: Tensor, axis: int, at: list[int]) -> tuple[Tensor, ...]:
    """The pieces between the places in `at`, clipped to the extent as NumPy does."""
    extent = x.shape[axis]
    places = [builtins.min(p + extent if p < 0 else p, extent) for p in at]
    edges = [0, *(builtins.max(p, 0) for p in places), extent]
    return tuple(getitem(x, along(axis, slice(a, b))) for a, b in itertools.pairwise(edges))


@spellings
def split(tensor, split_size_or_sections, axis=0):
    """Pieces of a size along an axis (the last may be smaller), or of the sizes in a list.

    >>> from jitgrad import Tensor, ops
    >>> [p.tolist() for p in ops.split(Tensor([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    x = _operand("split", tensor)
    at, sizes = axis_of("split", axis, x.ndim), static("split", "size", split_size_or_sections)
    extent = x.shape[at]
    if isinstance(sizes, (int, np.integer)) and not isinstance(sizes, bool):
        if sizes <= 0:
            raise fail(ArgumentError, f"split got the size {sizes}", why="it must be positive")
        count = builtins.max(math.ceil(extent / sizes), 1)
        return _cut(x, at, [sizes * (i + 1) for i in range(count - 1)])
    sizes = shape_of("split", sizes)
    if builtins.sum(sizes) != extent or builtins.any(n < 0 for n in sizes):
        raise fail(
            ArgumentError,
            f"split of {x._type} along axis {axis} into sizes {sizes}",
            why=f"they must add up to {extent}",
        )
    return _cut(x, at, [int(p) for p in np.cumsum(sizes)[:-1]])


def _operand(name: str, value: Any) -> Tensor:
    return tensor(name, value)


@spellings
def chunk(input, chunks, axis=0):
    """At most `chunks` pieces along an axis, all but the last of one size.

    >>> [v.tolist() for v in ops.chunk(Tensor([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    x = tensor("chunk", input)
    if chunks <= 0:
        raise fail(ArgumentError, f"chunk got {chunks} chunks", why="there must be at least one")
    at = axis_of("chunk", axis, x.ndim)
    return split(x, builtins.max(math.ceil(x.shape[at] / chunks), 1), at)


@spellings
def tensor_split(input, indices_or_sections, axis=0):
    """Pieces along an axis: a number of them, as equal as can be, or cut at a list of places.

    >>> [v.tolist() for v in ops.tensor_split(Tensor([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    x = tensor("tensor_split", input)
    at = axis_of("tensor_split", axis, x.ndim)
    cuts = static("tensor_split", "places", indices_or_sections)
    if isinstance(cuts, (int, np.integer)):
        if cuts <= 0:
            raise fail(ArgumentError, f"tensor_split got {cuts} sections", why="at least one")
        each, more = divmod(x.shape[at], int(cuts))
        sizes = [each + 1] * more + [each] * (int(cuts) - more)
        return _cut(x, at, [int(p) for p in np.cumsum(sizes)[:-1]])
    return _cut(x, at, list(shape_of("tensor_split", cuts)))


def hsplit(input, indices_or_sections):
    """Pieces along axis 1 (axis 0 of a vector), as `tensor_split`.

    >>> [v.tolist() for v in ops.hsplit(Tensor([[1, 2], [3, 4]]), 2)]
    [[[1], [3]], [[2], [4]]]
    """
    x = tensor("hsplit", input)
    return tensor_split(x, indices_or_sections, 0 if x.ndim == 1 else 1)


def vsplit(input, indices_or_sections):
    """Pieces along axis 0, as `tensor_split`.

    >>> [v.tolist() for v in ops.vsplit(Tensor([[1, 2], [3, 4]]), 2)]
    [[[1, 2]], [[3, 4]]]
    """
    return tensor_split(input, indices_or_sections, 0)


def dsplit(input, indices_or_sections):
    """Pieces along axis 2, as `tensor_split`.

    >>> [v.shape for v in ops.dsplit(ops.zeros((1, 2, 4)), 2)]
    [(1, 2, 2), (1, 2, 2)]
    """
    return tensor_split(input, indices_or_sections, 2)


@spellings
def narrow(input, axis, start, length):
    """The `length` elements from `start` along an axis.

    >>> ops.narrow(Tensor([1, 2, 3, 4]), 0, 1, 2).tolist()
    [2, 3]
    """
    x = tensor("narrow", input)
    at = axis_of("narrow", axis, x.ndim)
    start = start + x.shape[at] if start < 0 else start
    if not 0 <= start <= start + length <= x.shape[at]:
        raise fail(
            ArgumentError,
            f"narrow of {x._type} along axis {axis} from {start}, {length} elements",
            why=f"the axis has {x.shape[at]}",
        )
    return getitem(x, along(at, slice(start, start + length)))


@spellings
def unbind(input, dim=0):
    """The Tensors along an axis, as a tuple; the axis disappears.

    >>> [v.tolist() for v in ops.unbind(Tensor([[1, 2], [3, 4]]))]
    [[1, 2], [3, 4]]
    """
    x = tensor("unbind", input)
    if x.ndim == 0:
        raise fail(ShapeError, f"unbind of {x._type}", why="a scalar has no axis to take apart")
    at = axis_of("unbind", dim, x.ndim)
    return tuple(getitem(x, along(at, i)) for i in range(x.shape[at]))


@spellings
def unstack(input_x, axis=0):
    """The Tensors along an axis, as a tuple; the inverse of `stack`.

    >>> [v.tolist() for v in ops.unstack(Tensor([[1, 2], [3, 4]]), 1)]
    [[1, 3], [2, 4]]
    """
    return unbind(input_x, axis)


# --- repeating ----------------------------------------------------------------------------------


@spellings
def repeat_interleave(input, repeats, axis=None):
    """Each element repeated, along an axis or (None) in the flattened Tensor.

    Args:
        repeats: an int, or one int an element of the axis.

    >>> from jitgrad import Tensor, ops
    >>> ops.repeat_interleave(Tensor([1, 2]), 2).tolist()
    [1, 1, 2, 2]
    """
    x = tensor("repeat_interleave", input)
    if axis is None:
        x, axis = ravel(x), 0
    at = axis_of("repeat_interleave", axis, x.ndim)
    counts = static("repeat_interleave", "repeats", repeats)
    counts = counts[0] if isinstance(counts, (list, tuple)) and len(counts) == 1 else counts
    if isinstance(counts, (list, tuple)):
        return _repeat_each(x, [int(n) for n in counts], at)
    if counts < 0:
        raise fail(ArgumentError, f"repeat_interleave got {counts}", why="it is not negative")
    shape = (*x.shape[: at + 1], counts, *x.shape[at + 1 :])
    dims = tuple(a if a <= at else a + 1 for a in range(x.ndim))
    out = apply(structure.broadcast, x, shape=shape, dims=dims)
    joined = x.shape[at] * counts
    return reshaped("repeat_interleave", out, (*x.shape[:at], joined, *x.shape[at + 1 :]))


def _repeat_each(x: Tensor, counts: list[int], axis: int) -> Tensor:
    if len(counts) != x.shape[axis] or builtins.any(n < 0 for n in counts):
        raise fail(
            ArgumentError,
            f"repeat_interleave of {x._type} along axis {axis} got {len(counts)} counts",
            why=f"it needs {x.shape[axis]} counts that are not negative",
        )
    return getitem(x, along(axis, np.repeat(np.arange(len(counts)), counts)))


def repeat_elements(x, rep, axis=0):
    """Each element along an axis repeated `rep` times.

    >>> ops.repeat_elements(Tensor([1, 2]), 2).tolist()
    [1, 1, 2, 2]
    """
    return repeat_interleave(x, rep, axis)


# --- padding ------------------------------------------------------------------------------------


@fresh
def pad(input_x, padding, mode="constant", value=None):
    """Padded around its edges, or (by negative amounts) cut.

    Args:
        padding: (before, after) of the last axis, then of the second-last, and so on.
        mode: "constant", "reflect" (the edge not repeated), "replicate" (the edge repeated) or
            "circular".
        value: the constant, 0 by default.

    >>> from jitgrad import Tensor, ops
    >>> ops.pad(Tensor([1, 2]), (1, 2)).tolist()
    [0, 1, 2, 0, 0]
    """
    x = tensor("pad", input_x)
    one_of("pad", "mode", mode, ("constant", "reflect", "replicate", "circular", "symmetric"))
    amounts = shape_of("pad", padding)
    if len(amounts) % 2 or len(amounts) > 2 * x.ndim:
        raise fail(
            ArgumentError,
            f"pad of {x._type} by {amounts}",
            why="it takes a pair for each axis, last axis first",
        )
    pairs = [(0, 0)] * (x.ndim - len(amounts) // 2)
    pairs += list(zip(amounts[::2], amounts[1::2]))[::-1]
    return padded(x, pairs, mode, 0 if value is None else value)


def padded(x: Tensor, pairs: list[tuple[int, int]], mode: str, value: Any = 0) -> Tensor:
    """Padded by a pair an axis, first axis first."""
    for axis, (low, high) in enumerate(pairs):
        if low < 0 or high < 0:
            start, stop = builtins.max(-low, 0), x.shape[axis] - builtins.max(-high, 0)
            x = sliced(x, axis, start, builtins.max(start, stop))
    pairs = [(builtins.max(low, 0), builtins.max(high, 0)) for low, high in pairs]
    if mode == "constant":
        return _constant_pad(x, pairs, value)
    for axis, (low, high) in enumerate(pairs):
        if low or high:
            x = concat(_edges(x, axis, low, high, mode), axis)
    return x


def _constant_pad(x: Tensor, pairs: list[tuple[int, int]], value: Any) -> Tensor:
    if not builtins.any(low or high for low, high in pairs):
        return x
    low, high = (tuple(amounts) for amounts in zip(*pairs))
    widths = {"low": low, "high": high, "interior": (0,) * x.ndim}
    out = apply(structure.pad, x, **widths)
    if is_number(value) and value == 0:
        return out
    inside = apply(structure.pad, splat(True, x._type.with_dtype(bool_)), **widths)
    filled = where(inside, out, value)
    if filled.dtype is not x.dtype:
        raise fail(
            DTypeError, f"pad of {x._type} with {value!r}", why="the value does not fit the dtype"
        )
    return filled


def _edges(x: Tensor, axis: int, low: int, high: int, mode: str) -> list[Tensor]:
    """What stands before the axis, the Tensor itself, and what comes after."""
    extent = x.shape[axis]
    most = {"reflect": extent - 1, "replicate": None, "circular": extent, "symmetric": extent}[mode]
    if extent == 0 or (most is not None and builtins.max(low, high) > most):
        raise fail(
            ArgumentError,
            f"pad of {x._type} along axis {axis} by ({low}, {high}) in mode {mode!r}",
            why=f"the axis has {extent} elements to take from",
        )
    if mode == "replicate":
        before = repeat_interleave(sliced(x, axis, 0, 1), low, axis)
        after = repeat_interleave(sliced(x, axis, extent - 1, extent), high, axis)
    elif mode == "circular":
        before, after = sliced(x, axis, extent - low, extent), sliced(x, axis, 0, high)
    else:
        skip = 1 if mode == "reflect" else 0
        before = flipped("pad", sliced(x, axis, skip, low + skip), (axis,))
        after = flipped("pad", sliced(x, axis, extent - high - skip, extent - skip), (axis,))
    return [part for part, count in ((before, low), (x, 1), (after, high)) if count]


# --- joined shapes ------------------------------------------------------------------------------


@fresh
def atleast_1d(inputs):
    """With at least one axis; a tuple or list gives a tuple.

    >>> ops.atleast_1d(Tensor(1.0)).tolist()
    [1.0]
    """
    return atleast(1, inputs)


@fresh
def atleast_2d(inputs):
    """With at least two axes; a tuple or list gives a tuple.

    >>> ops.atleast_2d(Tensor([1, 2])).tolist()
    [[1, 2]]
    """
    return atleast(2, inputs)


@fresh
def atleast_3d(inputs):
    """With at least three axes; a tuple or list gives a tuple.

    >>> ops.atleast_3d(Tensor([1, 2])).shape
    (1, 2, 1)
    """
    return atleast(3, inputs)


def hstack(tensors):
    """Joined along axis 1, vectors along axis 0.

    >>> ops.hstack((Tensor([1]), Tensor([2]))).tolist()
    [1, 2]
    """
    parts = atleast_1d(list(tensors))
    return concat(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(inputs):
    """Joined along axis 0, vectors as rows.

    >>> ops.vstack((Tensor([1]), Tensor([2]))).tolist()
    [[1], [2]]
    """
    return concat(atleast_2d(list(inputs)), 0)


def row_stack(tensors):
    """Joined along axis 0, vectors as rows.

    >>> ops.row_stack((Tensor([1]), Tensor([2]))).tolist()
    [[1], [2]]
    """
    return vstack(tensors)


def dstack(tensors):
    """Joined along axis 2.

    >>> ops.dstack((Tensor([1]), Tensor([2]))).tolist()
    [[[1, 2]]]
    """
    return concat(atleast_3d(list(tensors)), 2)


def column_stack(tensors):
    """Joined along axis 1, vectors as columns.

    >>> ops.column_stack((Tensor([1, 2]), Tensor([3, 4]))).tolist()
    [[1, 3], [2, 4]]
    """
    parts = atleast_1d(list(tensors))
    return concat([expand_dims(x, 1) if x.ndim == 1 else x for x in parts], 1)


def meshgrid(*inputs, indexing="xy"):
    """Grids of coordinates: one Tensor an input, all of the shape of the grid.

    Args:
        indexing: "xy" swaps the first two axes, as a picture has them; "ij" does not.

    >>> [v.tolist() for v in ops.meshgrid(Tensor([1, 2]), Tensor([3]))]
    [[[1, 2]], [[3, 3]]]
    """
    one_of("meshgrid", "indexing", indexing, ("xy", "ij"))
    if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)):
        inputs = tuple(inputs[0])
    vectors = [ravel(tensor("meshgrid", x)) for x in inputs]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(order) > 1:
        order[0], order[1] = 1, 0
    shape = tuple(vectors[i].shape[0] for i in order)
    return tuple(
        apply(structure.broadcast, x, shape=shape, dims=(order.index(i),))
        for i, x in enumerate(vectors)
    )


def block_diag(*inputs):
    """Matrices along the diagonal of one matrix, zeros elsewhere.

    >>> ops.block_diag(Tensor([[1]]), Tensor([[2, 3]])).tolist()
    [[1, 0, 0], [0, 2, 3]]
    """
    parts = [atleast_2d(x) for x in inputs]
    width, rows, at = builtins.sum(x.shape[1] for x in parts), [], 0
    for x in parts:
        rows.append(padded(x, [(0, 0), (at, width - at - x.shape[1])], "constant"))
        at += x.shape[1]
    return concat(rows, 0)


def cartesian_prod(*inputs):
    """All combinations of the elements of vectors, as rows.

    >>> ops.cartesian_prod(Tensor([1, 2]), Tensor([3])).tolist()
    [[1, 3], [2, 3]]
    """
    if len(inputs) == 1:
        return tensor("cartesian_prod", inputs[0])
    return stack([ravel(grid) for grid in meshgrid(*inputs, indexing="ij")], 1)


__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "chunk",
    "column_stack", "dsplit", "dstack", "hsplit", "hstack", "meshgrid", "narrow", "pad", "padded",
    "repeat_elements", "repeat_interleave", "row_stack", "split", "tensor_split", "unbind",
    "unstack", "vsplit", "vstack",
]  # fmt: skip
