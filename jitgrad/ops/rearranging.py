"""Blocks between space, batch and depth; diagonals of batches of matrices; and other moves."""

from __future__ import annotations

import math

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.types import bool_, int32
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import reduce as r
from jitgrad.ops.gathering import gather, index_add, unsorted_segment_sum
from jitgrad.ops.image import fold
from jitgrad.ops.joining import concat, stack
from jitgrad.ops.linalg import diagonal, matmul
from jitgrad.ops.promote import (
    axis_of,
    cast,
    constant,
    expand,
    fill,
    like,
    static,
    tensor,
)
from jitgrad.ops.searching import unique
from jitgrad.ops.shaping import permuted, reshaped, sliced
from jitgrad.ops.sorting import sort, topk
from jitgrad.ops.splitting import padded
from jitgrad.ops.state import assign
from jitgrad.tensor import Parameter, Tensor

# --- blocks -------------------------------------------------------------------------------------


def _image(name: str, value) -> Tensor:
    x = tensor(name, value)
    if x.ndim != 4:
        raise fail(ShapeError, f"{name} of {x._type}", why="it takes [N, C, H, W]")
    return x


def space_to_depth(x, block_size):
    """Blocks of an image as channels: [N, C, H, W] -> [N, C b b, H / b, W / b].

    >>> ops.space_to_depth(ops.arange(4).reshape(1, 1, 2, 2), 2).shape
    (1, 4, 1, 1)
    """
    x, b = _image("space_to_depth", x), block_size
    n, channels, height, width = x.shape
    x = reshaped("space_to_depth", x, (n, channels, height // b, b, width // b, b))
    x = permuted("space_to_depth", x, [0, 3, 5, 1, 2, 4])
    return reshaped("space_to_depth", x, (n, channels * b * b, height // b, width // b))


def depth_to_space(x, block_size):
    """Channels as blocks of an image: the inverse of `space_to_depth`.

    >>> ops.depth_to_space(ops.arange(4).reshape(1, 4, 1, 1), 2).tolist()
    [[[[0, 1], [2, 3]]]]
    """
    x, b = _image("depth_to_space", x), block_size
    n, channels, height, width = x.shape
    x = reshaped("depth_to_space", x, (n, b, b, channels // (b * b), height, width))
    x = permuted("depth_to_space", x, [0, 3, 4, 1, 5, 2])
    return reshaped("depth_to_space", x, (n, channels // (b * b), height * b, width * b))


def _blocks(block, count: int) -> list[int]:
    return [block] * count if isinstance(block, int) else [int(b) for b in block]


def space_to_batch_nd(input_x, block_size, paddings):
    """Blocks of the last axes, padded before, moved into the first axis.

    >>> ops.space_to_batch_nd(ops.arange(4).reshape(1, 1, 2, 2), 2, [[0, 0], [0,
    ...     0]]).ravel().tolist()
    [0, 1, 2, 3]
    """
    x = tensor("space_to_batch_nd", input_x)
    pairs = [(int(low), int(high)) for low, high in paddings]
    sizes, lead = _blocks(block_size, len(pairs)), x.ndim - len(pairs)
    x = padded(x, [(0, 0)] * lead + pairs, "constant")
    split = [n for extent, b in zip(x.shape[lead:], sizes, strict=True) for n in (extent // b, b)]
    x = reshaped("space_to_batch_nd", x, (*x.shape[:lead], *split))
    outer = [lead + 2 * i for i in range(len(sizes))]
    x = permuted("space_to_batch_nd", x, [*(a + 1 for a in outer), *range(lead), *outer])
    kept = x.shape[len(sizes) + 1 :]
    return reshaped("space_to_batch_nd", x, (math.prod(x.shape[: len(sizes) + 1]), *kept))


def batch_to_space_nd(input_x, block_size, crops):
    """The first axis moved into blocks of the last axes, cropped after: the inverse of
    `space_to_batch_nd`.

    >>> ops.batch_to_space_nd(ops.arange(4).reshape(4, 1, 1, 1), 2, [[0, 0], [0, 0]]).tolist()
    [[[[0, 1], [2, 3]]]]
    """
    x = tensor("batch_to_space_nd", input_x)
    pairs = [(int(low), int(high)) for low, high in crops]
    sizes, count = _blocks(block_size, len(pairs)), len(pairs)
    lead = x.ndim - count
    x = reshaped("batch_to_space_nd", x, (*sizes, x.shape[0] // math.prod(sizes), *x.shape[1:]))
    order = list(range(count, count + lead))
    for i in range(count):
        order += [count + lead + i, i]
    x = permuted("batch_to_space_nd", x, order)
    extents = [x.shape[lead + 2 * i] * x.shape[lead + 2 * i + 1] for i in range(count)]
    x = reshaped("batch_to_space_nd", x, (*x.shape[:lead], *extents))
    for axis, (low, high) in enumerate(pairs, lead):
        x = sliced(x, axis, low, x.shape[axis] - high)
    return x


def col2im(input_x, output_size, kernel_size, dilation, padding_value, stride):
    """Columns [N, C, k, L] added up into images: the adjoint of taking windows.

    >>> ops.col2im(ops.ones((1, 1, 4, 4)), Tensor([3, 3]), [2, 2], [1, 1], [0, 0], [1, 1])[0,
    ...     0, 1].tolist()
    [2.0, 4.0, 2.0]
    """
    x = tensor("col2im", input_x)
    x = reshaped("col2im", x, (x.shape[0], x.shape[1] * x.shape[2], x.shape[3]))
    size = tuple(static("col2im", "output_size", output_size))
    return fold(x, size, kernel_size, dilation, padding_value, stride)


# --- diagonals ----------------------------------------------------------------------------------


def _offsets(k) -> tuple[int, int]:
    k = static("matrix_diag", "k", k)
    low, high = (k, k) if isinstance(k, int) else (k[0], k[-1])
    return int(low), int(high)


def matrix_diag(x, k=0, num_rows=-1, num_cols=-1, padding_value=0, align="RIGHT_LEFT"):
    """Vectors as diagonals k (or a band k[0] to k[1]) of matrices.

    >>> ops.matrix_diag(Tensor([1, 2])).tolist()
    [[1, 0], [0, 2]]
    """
    x = tensor("matrix_diag", x)
    low, high = _offsets(k)
    n = x.shape[-1]
    known_rows, known_columns = int(num_rows), int(num_cols)
    rows = known_rows if known_rows > 0 else n + max(-high, 0)
    columns = known_columns if known_columns > 0 else n + max(low, 0)
    lead = x.shape[:-1] if low == high else x.shape[:-2]
    base = expand(like("matrix_diag", padding_value, x), (*lead, rows, columns))
    return matrix_set_diag(base, x, k, align)


def _band(rows: int, columns: int, offset: int, longest: int, align: str) -> tuple:
    """Of a diagonal: its rows, its columns, and the places of its elements in a padded row."""
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    i = np.arange(length)
    side = align.split("_")[0 if offset > 0 else 1]
    return i - min(offset, 0), i + max(offset, 0), i + (longest - length) * (side == "RIGHT")


def _longest(rows: int, columns: int, low: int, high: int) -> int:
    return min(rows + min(high, 0), columns - max(low, 0))


def matrix_diag_part(x, k, padding_value=0, align="RIGHT_LEFT"):
    """The diagonals k (or a band of them, as rows) of matrices.

    >>> ops.matrix_diag_part(Tensor([[1, 2], [3, 4]]), 1).tolist()
    [2]
    """
    x = tensor("matrix_diag_part", x)
    low, high = _offsets(k)
    rows, columns = x.shape[-2:]
    if low == high:
        return diagonal(x, low, -2, -1)
    longest = _longest(rows, columns, low, high)
    parts = np.zeros((high - low + 1, longest), np.int64)
    inside = np.zeros(parts.shape, bool)
    for line, offset in enumerate(range(high, low - 1, -1)):
        at_row, at_column, at = _band(rows, columns, offset, longest, align)
        parts[line, at], inside[line, at] = at_row * columns + at_column, True
    flat = reshaped("matrix_diag_part", x, (*x.shape[:-2], rows * columns))
    return c.where(constant(inside), gather(flat, constant(parts), -1), padding_value)


def matrix_set_diag(x, diagonal, k=0, align="RIGHT_LEFT"):
    """Matrices with diagonals k (or a band of them) replaced.

    >>> ops.matrix_set_diag(ops.zeros((2, 2)), Tensor([1.0, 2.0])).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = tensor("matrix_set_diag", x)
    values = like("matrix_set_diag", diagonal, x)
    low, high = _offsets(k)
    rows, columns = x.shape[-2:]
    longest = _longest(rows, columns, low, high)
    places, inside = np.zeros((rows, columns), np.int64), np.zeros((rows, columns), bool)
    for line, offset in enumerate(range(high, low - 1, -1)):
        at_row, at_column, at = _band(rows, columns, offset, longest, align)
        places[at_row, at_column] = line * longest + at
        inside[at_row, at_column] = True
    lead = values.shape[:-1] if low == high else values.shape[:-2]
    flat = reshaped("matrix_set_diag", values, (*lead, (high - low + 1) * longest))
    return c.where(constant(inside), gather(flat, constant(places), -1), x)


def fill_diagonal(input, value, wrap=False):
    """A copy of a matrix with a value on its diagonal; `wrap` goes on below, in tall matrices.

    >>> ops.fill_diagonal(ops.zeros((2, 3)), 5.0).tolist()
    [[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]]
    """
    x = tensor("fill_diagonal", input)
    mask = np.zeros(x.shape, bool)
    np.fill_diagonal(mask, True, wrap)
    return c.where(constant(mask), like("fill_diagonal", value, x), x)


def batch_dot(x1, x2, axes=None):
    """Products summed over one axis of each, for every example of the first axis.

    >>> ops.batch_dot(ops.ones((2, 1, 3)), ops.ones((2, 3, 1))).tolist()
    [[[3.0]], [[3.0]]]
    """
    a, b = tensor("batch_dot", x1), tensor("batch_dot", x2)
    if axes is None:
        axes = (a.ndim - 1, max(b.ndim - 2, 1))
    pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
    left, right = axis_of("batch_dot", pair[0], a.ndim), axis_of("batch_dot", pair[1], b.ndim)
    if 0 in (left, right):
        raise fail(ArgumentError, f"batch_dot got axes={axes}", why="the first axis is the batch")
    rest = [v for v in range(1, a.ndim) if v != left], [v for v in range(1, b.ndim) if v != right]
    shapes = [a.shape[v] for v in rest[0]], [b.shape[v] for v in rest[1]]
    a = permuted("batch_dot", a, [0, *rest[0], left])
    b = permuted("batch_dot", b, [0, right, *rest[1]])
    a = reshaped("batch_dot", a, (a.shape[0], math.prod(shapes[0]), a.shape[-1]))
    b = reshaped("batch_dot", b, (b.shape[0], b.shape[1], math.prod(shapes[1])))
    out = matmul(a, b)
    shape = (out.shape[0], *shapes[0], *shapes[1])
    return reshaped("batch_dot", out, shape if len(shape) > 1 else (shape[0], 1))


# --- counting and choosing ----------------------------------------------------------------------


def mode(input, dim=-1, keepdim=False):
    """The most frequent value along an axis, the smallest of several, and where it is last.

    >>> [v.item() for v in ops.mode(Tensor([1, 2, 2]))]
    [2, 2]
    """
    x = tensor("mode", input)
    axis = axis_of("mode", dim, x.ndim)
    x = permuted("mode", x, [*(a for a in range(x.ndim) if a != axis), axis])
    values = sort(x, -1)[0]
    n = x.shape[-1]
    wide = (*values.shape, n)
    same = c.eq(
        expand(reshaped("mode", values, (*values.shape, 1)), wide),
        expand(reshaped("mode", values, (*values.shape[:-1], 1, n)), wide),
    )
    count = r.sum(cast(same, int32), -1)
    best = r.argmax(count, -1, True)
    value = r.sum(c.where(c.eq(constant(np.arange(n)), best), values, _nothing(values)), -1, True)
    at = c.eq(x, value)
    place = r.amax(c.where(at, constant(np.arange(n)), -1), -1, True)
    results = [cast(value, x.dtype), place]
    if keepdim:
        order = list(range(x.ndim - 1))
        order.insert(axis, x.ndim - 1)
        return tuple(permuted("mode", v, order) for v in results)
    return tuple(reshaped("mode", v, v.shape[:-1]) for v in results)


def _nothing(x: Tensor):
    return False if x.dtype is bool_ else 0


def intopk(x1, x2, k):
    """Whether each target class is among the k largest of its row.

    >>> ops.intopk(Tensor([[1.0, 5.0, 3.0]]), Tensor([2]), 2).tolist()
    [True]
    """
    x, target = tensor("intopk", x1), tensor("intopk", x2)
    best = topk(x, k)[1]
    return r.any(c.eq(best, reshaped("intopk", target, (*target.shape, 1))), -1)


def unique_with_pad(x, pad_num):
    """The different elements in the order of their first place, padded; and where each went.

    >>> [v.tolist() for v in ops.unique_with_pad(Tensor([3, 1, 3]), 0)]
    [[3, 1, 0], [0, 1, 0]]
    """
    values, inverse = unique(x)
    full = tensor("unique_with_pad", x)
    missing = full._type.size - values.shape[0]
    filled = expand(like("unique_with_pad", pad_num, full), (missing,))
    return concat((values, filled), 0), inverse


def sparse_segment_mean(x, indices, segment_ids):
    """Means of rows picked by index, over segments of ids in ascending order.

    >>> ops.sparse_segment_mean(Tensor([[1.0], [3.0]]), Tensor([0, 1]), Tensor([0, 0])).tolist()
    [[2.0]]
    """
    x, ids = tensor("sparse_segment_mean", x), tensor("sparse_segment_mean", segment_ids)
    count = int(np.asarray(static("sparse_segment_mean", "segment_ids", ids)).max(initial=-1)) + 1
    rows = gather(x, indices, 0)
    ones = fill(1, rows._type.with_shape((rows.shape[0], *(1,) * (rows.ndim - 1))))
    sums, sizes = (unsorted_segment_sum(v, ids, count) for v in (rows, ones))
    return e.div(sums, e.maximum(sizes, 1))


def inplace_index_add(var, indices, updates, axis):
    """Add slices at indices of an axis to a Parameter, which is returned, or to a copy of a Tensor.

    >>> ops.inplace_index_add(ops.zeros(2), Tensor([1]), Tensor([5.0]), 0).tolist()
    [0.0, 5.0]
    """
    out = index_add(var, indices, updates, axis)
    return assign(var, out) if isinstance(var, Parameter) else out


def padding(x, pad_dim_size=8):
    """The last axis, of extent 1, padded with zeros to an extent.

    >>> ops.padding(Tensor([[1.0], [2.0]]), 3).tolist()
    [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
    """
    x = tensor("padding", x)
    return padded(x, [(0, 0)] * (x.ndim - 1) + [(0, pad_dim_size - x.shape[-1])], "constant")


def scalar_cast(input_x, input_y):
    """A number as a Python number of another dtype: an int, a float or a bool.

    >>> ops.scalar_cast(2.9, ms.int32)
    2
    """
    return dtype_of(input_y).numpy.type(static("scalar_cast", "input_x", input_x)).item()


def invert_permutation(input_x):
    """Where each number of a permutation stands: a tuple of ints for a tuple.

    >>> ops.invert_permutation((2, 0, 1))
    (1, 2, 0)
    """
    order = np.argsort(np.asarray(static("invert_permutation", "input_x", input_x)))
    return tuple(order.tolist()) if isinstance(input_x, (tuple, list)) else constant(order)


def unravel_index(indices, dims):
    """Places in a flat Tensor as coordinates of a shape: [ndim, …].

    >>> ops.unravel_index(Tensor([1, 5]), (2, 3)).tolist()
    [[0, 1], [1, 2]]
    """
    at, parts = tensor("unravel_index", indices), []
    for extent in reversed([int(d) for d in static("unravel_index", "dims", dims)]):
        parts.append(e.remainder(at, extent))
        at = e.floor_divide(at, extent)
    return stack(parts[::-1], 0)


__all__ = [
    "batch_dot", "batch_to_space_nd", "col2im", "depth_to_space", "fill_diagonal",
    "inplace_index_add", "intopk", "invert_permutation", "matrix_diag", "matrix_diag_part",
    "matrix_set_diag", "mode", "padding", "scalar_cast", "space_to_batch_nd", "space_to_depth",
    "sparse_segment_mean", "unique_with_pad", "unravel_index",
]  # fmt: skip
