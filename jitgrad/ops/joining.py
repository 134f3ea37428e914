"""Several Tensors to one, and one repeated: joining, stacking, broadcasting and tiling."""

from __future__ import annotations

import builtins
import itertools
from typing import Any

from jitgrad.errors import ArgumentError, DTypeError, ShapeError, fail
from jitgrad.frontend import rows
from jitgrad.frontend.composed import composed
from jitgrad.ops.promote import (
    apply,
    axis_of,
    broadcast_shape,
    cast,
    convert,
    copied,
    describe,
    expand,
    fresh,
    result_dtype,
    shape_of,
    spellings,
    structure,
    tensor,
)
from jitgrad.ops.shaping import permuted, reshape, reshaped
from jitgrad.tensor import Tensor

# --- joining ------------------------------------------------------------------------------------


def _joined(name: str, tensors: Any) -> list[Tensor]:
    """Several operands as Tensors of one dtype."""
    if isinstance(tensors, Tensor) and tensors.ndim:
        tensors = tuple(tensors)
    if not isinstance(tensors, (tuple, list)) or not tensors:
        raise fail(
            DTypeError if tensors != () and tensors != [] else ArgumentError,
            f"{name} got {tensors!r}" if not tensors else f"{name} got {type(tensors).__name__}",
            why="it takes a tuple or list of at least one Tensor",
        )
    operands = [convert(name, x) for x in tensors]
    dtype = result_dtype(operands)
    return [cast(tensor(name, x), dtype) for x in operands]


@composed
@spellings
def concat(tensors, axis=0):
    """Tensors joined along an axis; their other extents must agree. dtypes are promoted.

    >>> from jitgrad import Tensor, ops
    >>> ops.concat((Tensor([1, 2]), Tensor([3]))).tolist()
    [1, 2, 3]
    """
    return _concat("concat", tensors, axis)


def _concat(name: str, tensors: Any, axis: int) -> Tensor:
    parts = _joined(name, tensors)
    first = parts[0]
    at = axis_of(name, axis, first.ndim)
    frames = {(*x.shape[:at], *x.shape[at + 1 :]) for x in parts}
    if len(frames) > 1 or first.ndim == 0 or builtins.any(x.ndim != first.ndim for x in parts):
        raise fail(
            ShapeError,
            f"{name} got {describe(parts)} along axis {axis}",
            why="all extents but those along the axis must agree"
            if first.ndim
            else "a scalar has no axis to join along",
            instead="" if first.ndim else "ops.stack(tensors)",
        )
    if rows.are_rows(parts):  # [rows, …, axis, …] to […, rows * axis, …]
        whole = _moved(name, rows.joined(parts), at)
        return reshaped(name, whole, (*first.shape[:at], -1, *first.shape[at + 1 :]))
    return apply(structure.concat, *parts, axis=at) if len(parts) > 1 else copied(first)


def _moved(name: str, whole: Tensor, to: int) -> Tensor:
    """The first axis at another place."""
    rest = range(1, whole.ndim)
    return permuted(name, whole, (*rest[:to], 0, *rest[to:]))


@composed
@spellings
def cat(tensors, axis=0):
    """Tensors joined along an axis; as `concat`.

    >>> ops.cat((Tensor([1]), Tensor([2, 3]))).tolist()
    [1, 2, 3]
    """
    return _concat("cat", tensors, axis)


@composed
@spellings
def stack(tensors, axis=0):
    """Tensors of one shape joined along a new axis.

    >>> from jitgrad import Tensor, ops
    >>> ops.stack((Tensor([1, 2]), Tensor([3, 4])), 1).tolist()
    [[1, 3], [2, 4]]
    """
    parts = _joined("stack", tensors)
    if len({x.shape for x in parts}) > 1:
        raise fail(
            ShapeError,
            f"stack got {describe(parts)}",
            why="all must have one shape",
            instead="ops.concat(tensors, axis) joins along an axis that is there",
        )
    at = axis_of("stack", axis, parts[0].ndim, insert=True)
    if rows.are_rows(parts):
        return _moved("stack", rows.joined(parts), at)
    shape = parts[0].shape
    widened = [reshaped("stack", x, (*shape[:at], 1, *shape[at:])) for x in parts]
    return apply(structure.concat, *widened, axis=at) if len(parts) > 1 else widened[0]


def atleast(ndim: int, inputs):
    """Tensors with at least 1, 2 or 3 axes, new ones as NumPy places them."""
    if isinstance(inputs, (tuple, list)):
        return tuple(atleast(ndim, x) for x in inputs)
    x = tensor(f"atleast_{ndim}d", inputs)
    if x.ndim >= ndim:
        return reshape(x, x.shape)
    if ndim == 3 and x.ndim == 2:
        return reshape(x, (*x.shape, 1))
    if ndim == 3 and x.ndim == 1:
        return reshape(x, (1, *x.shape, 1))
    return reshape(x, (1,) * (ndim - x.ndim) + x.shape)


@fresh
def broadcast_to(input, shape):
    """Repeated to a shape by NumPy's rules; -1 keeps an extent.

    >>> from jitgrad import Tensor, ops
    >>> ops.broadcast_to(Tensor([1, 2]), (2, 2)).tolist()
    [[1, 2], [1, 2]]
    """
    return broadcasted("broadcast_to", tensor("broadcast_to", input), shape)


def broadcasted(name: str, x: Tensor, shape: Any) -> Tensor:
    """`broadcast_to` under another name."""
    shape = shape_of(name, shape)
    lead = len(shape) - x.ndim
    if lead >= 0:
        shape = tuple(
            x.shape[a - lead] if n == -1 and a >= lead else n for a, n in enumerate(shape)
        )
    fits = lead >= 0 and builtins.all(n in (1, shape[lead + a]) for a, n in enumerate(x.shape))
    if not fits or builtins.any(n < 0 for n in shape):
        raise fail(
            ShapeError,
            f"{name} of {x._type} to {shape}",
            why="only axes of extent 1 can be repeated, and new axes come first",
        )
    return expand(x, shape)


def expand_as(input, other):
    """Repeated to the shape of another Tensor.

    >>> ops.expand_as(Tensor([[1], [2]]), ops.zeros((2, 2))).tolist()
    [[1, 1], [2, 2]]
    """
    return broadcast_to(input, tensor("expand_as", other).shape)


def broadcast_tensors(*tensors):
    """The Tensors repeated to their common shape.

    >>> [v.tolist() for v in ops.broadcast_tensors(Tensor([1, 2]), Tensor([[3]]))]
    [[[1, 2]], [[3, 3]]]
    """
    parts = [tensor("broadcast_tensors", x) for x in tensors]
    shape = broadcast_shape("broadcast_tensors", parts)
    return tuple(expand(x, shape) if x.shape != shape else copied(x) for x in parts)


@fresh
def tile(input, dims):
    """The whole repeated dims[i] times along axis i, counted from the last axis.

    >>> from jitgrad import Tensor, ops
    >>> ops.tile(Tensor([1, 2]), (2, 2)).tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    x = tensor("tile", input)
    dims = shape_of("tile", dims)
    if builtins.any(n < 0 for n in dims):
        raise fail(ArgumentError, f"tile got {dims}", why="counts are not negative")
    ndim = builtins.max(x.ndim, len(dims))
    extents = (1,) * (ndim - x.ndim) + x.shape
    counts = (1,) * (ndim - len(dims)) + dims
    spread = tuple(itertools.chain.from_iterable(zip(counts, extents)))
    at = tuple(2 * a + 1 for a in range(ndim - x.ndim, ndim))
    out = apply(structure.broadcast, x, shape=spread, dims=at) if set(counts) - {1} else x
    return reshaped("tile", out, tuple(c * n for c, n in zip(counts, extents)))


__all__ = [
    "atleast", "broadcast_tensors", "broadcast_to", "broadcasted", "cat", "concat", "expand_as",
    "stack", "tile",
]  # fmt: skip
