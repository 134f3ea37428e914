"""Shapes: rearranging, joining, splitting, repeating and padding. All of it is linear."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ops.promote import (
    apply,
    axes_of,
    axis_of,
    fresh,
    shape_of,
    spellings,
    static,
    structure,
    tensor,
)
from jitgrad.ops.views import viewing
from jitgrad.tensor import Tensor

# --- what a view is written back as -------------------------------------------------------------


def _reshaped_back(view, base, *rest, **keywords):
    return reshaped("writing to a view", view, base.shape)


def _flattened_back(view, base, order="C", **keywords):
    if order == "C":
        return reshaped("writing to a view", view, base.shape)
    turned = reshaped("writing to a view", view, base.shape[::-1])
    return permuted("writing to a view", turned, range(base.ndim)[::-1])


def _permuted_back(view, base, order):
    perm = [a % base.ndim for a in shape_of("writing to a view", order)]
    return permuted("writing to a view", view, sorted(range(base.ndim), key=perm.__getitem__))


# --- one shape to another -----------------------------------------------------------------------


@viewing(_reshaped_back)
def reshape(input, shape):
    """The same elements in C order under another shape; one extent may be -1.

    >>> from jitgrad import Tensor, ops
    >>> ops.reshape(Tensor([[1, 2], [3, 4]]), (-1,)).tolist()
    [1, 2, 3, 4]
    """
    x = tensor("reshape", input)
    return reshaped("reshape", x, shape_of("reshape", shape))


def reshaped(name: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Reshape with -1 filled in; ShapeError if the elements do not fill the shape."""
    if x.shape == shape:
        return x
    size, rest = x._type.size, math.prod(extent for extent in shape if extent != -1)
    unknown = shape.count(-1)
    if unknown == 1 and rest > 0 and size % rest == 0:
        shape = tuple(size // rest if extent == -1 else extent for extent in shape)
    elif unknown or rest != size or builtins.any(extent < 0 for extent in shape):
        raise fail(
            ShapeError,
            f"{name} of {x._type} to {shape}",
            why=f"its {size} elements do not fill that shape",
        )
    return apply(structure.reshape, x, shape=shape)


def view(input, shape):
    """As `reshape`.

    >>> ops.view(Tensor([1, 2, 3, 4]), (2, 2)).tolist()
    [[1, 2], [3, 4]]
    """
    return reshape(input, shape)


@spellings
@viewing(_reshaped_back)
def squeeze(input, axis=None):
    """Without axes of extent 1: all of them, or those named, if their extent is 1.

    >>> ops.squeeze(Tensor([[[1, 2]]])).tolist()
    [1, 2]
    """
    x = tensor("squeeze", input)
    axes = axes_of("squeeze", axis, x.ndim)
    shape = tuple(n for a, n in enumerate(x.shape) if n != 1 or a not in axes)
    return reshaped("squeeze", x, shape)


@spellings
@viewing(_reshaped_back)
def unsqueeze(input, dim):
    """With a new axis of extent 1 at `dim`.

    >>> ops.unsqueeze(Tensor([1, 2]), 1).tolist()
    [[1], [2]]
    """
    x = tensor("unsqueeze", input)
    at = axis_of("unsqueeze", dim, x.ndim, insert=True)
    return reshaped("unsqueeze", x, (*x.shape[:at], 1, *x.shape[at:]))


@spellings
@viewing(_reshaped_back)
def expand_dims(input_x, axis):
    """With a new axis of extent 1 at `axis`, or at several.

    >>> ops.expand_dims(Tensor([1, 2]), 0).tolist()
    [[1, 2]]
    """
    x = tensor("expand_dims", input_x)
    if isinstance(axis, (tuple, list)):
        total = x.ndim + len(axis)
        at = {axis_of("expand_dims", a, total) for a in axis}
        rest = iter(x.shape)
        shape = tuple(1 if a in at else next(rest) for a in range(total))
        return reshaped("expand_dims", x, shape)
    return unsqueeze(x, axis)


@viewing(_flattened_back)
def flatten(input, order="C", *, start_dim=1, end_dim=-1):
    """Axes start_dim to end_dim joined into one. By default all but the first, the batch.

    >>> ops.flatten(ops.zeros((2, 3, 4))).shape
    (2, 12)
    """
    x = tensor("flatten", input)
    if order not in ("C", "F"):
        raise fail(ArgumentError, f"flatten got order={order!r}", why="it is 'C' or 'F'")
    if order == "F":
        x = transpose(x, tuple(reversed(range(x.ndim))))
    if x.ndim == 0:
        return reshaped("flatten", x, (1,))
    first = axis_of("flatten", builtins.min(start_dim, x.ndim - 1), x.ndim)
    last = axis_of("flatten", end_dim, x.ndim)
    if last < first:
        if x.ndim == 1:
            return x
        raise fail(
            ArgumentError,
            f"flatten of {x._type} from axis {start_dim} to {end_dim}",
            why="the first must not come after the last",
        )
    joined = math.prod(x.shape[first : last + 1])
    return reshaped("flatten", x, (*x.shape[:first], joined, *x.shape[last + 1 :]))


@viewing(_reshaped_back)
def ravel(input):
    """All elements in one axis.

    >>> ops.ravel(Tensor([[1, 2], [3, 4]])).tolist()
    [1, 2, 3, 4]
    """
    x = tensor("ravel", input)
    return reshaped("ravel", x, (x._type.size,))


# --- axes in another order ----------------------------------------------------------------------


def permuted(name: str, x: Tensor, order: Sequence[int]) -> Tensor:
    """Axes in the order given, which must name each once."""
    perm = tuple(axis_of(name, a, x.ndim) for a in order)
    if sorted(perm) != list(range(x.ndim)):
        raise fail(
            ArgumentError,
            f"{name} of {x._type} by {tuple(order)}",
            why=f"each of its {x.ndim} axes must be named once",
        )
    return x if perm == tuple(range(x.ndim)) else apply(structure.transpose, x, perm=perm)


@viewing(_permuted_back)
def transpose(input, dims):
    """Axes in the order of `dims`: axis i of the result is axis dims[i] of the input.

    >>> from jitgrad import Tensor, ops
    >>> ops.transpose(Tensor([[1, 2], [3, 4]]), (1, 0)).tolist()
    [[1, 3], [2, 4]]
    """
    return permuted("transpose", tensor("transpose", input), shape_of("transpose", dims))


@viewing(_permuted_back)
def permute(input, axis):
    """Axes in the order of `axis`, as `transpose`.

    >>> ops.permute(ops.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return permuted("permute", tensor("permute", input), shape_of("permute", axis))


@viewing(lambda view, base, axis0, axis1: swapaxes(view, axis0, axis1))
def swapaxes(input, axis0, axis1):
    """Two axes exchanged.

    >>> ops.swapaxes(Tensor([[1, 2], [3, 4]]), 0, 1).tolist()
    [[1, 3], [2, 4]]
    """
    x = tensor("swapaxes", input)
    a, b = axis_of("swapaxes", axis0, x.ndim), axis_of("swapaxes", axis1, x.ndim)
    order = list(range(x.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return permuted("swapaxes", x, order)


def swapdims(input, dim0, dim1):
    """Two axes exchanged.

    >>> ops.swapdims(ops.zeros((2, 3)), 0, 1).shape
    (3, 2)
    """
    return swapaxes(input, dim0, dim1)


@viewing(lambda view, base, source, destination: movedim(view, destination, source))
def movedim(x, source, destination):
    """Axes moved to other places, the rest staying in order.

    >>> ops.movedim(ops.zeros((2, 3, 4)), 0, 2).shape
    (3, 4, 2)
    """
    x = tensor("movedim", x)
    given = [a if isinstance(a, (tuple, list)) else (a,) for a in (source, destination)]
    sources, targets = ([axis_of("movedim", a, x.ndim) for a in axes] for axes in given)
    if len(set(sources)) != len(sources) or len(set(targets)) != len(sources):
        raise fail(
            ArgumentError,
            f"movedim of {x._type} from {source} to {destination}",
            why="each axis is named once, and there are as many places as axes",
        )
    order = [a for a in range(x.ndim) if a not in sources]
    for target, origin in sorted(zip(targets, sources)):
        order.insert(target, origin)
    return permuted("movedim", x, order)


def moveaxis(x, source, destination):
    """Axes moved to other places, the rest staying in order.

    >>> ops.moveaxis(ops.zeros((2, 3, 4)), 2, 0).shape
    (4, 2, 3)
    """
    return movedim(x, source, destination)


@viewing(lambda view, base: t(view))
def t(input):
    """The transpose of a matrix; vectors and scalars stay what they are.

    >>> ops.t(Tensor([[1, 2], [3, 4]])).tolist()
    [[1, 3], [2, 4]]
    """
    x = tensor("t", input)
    if x.ndim > 2:
        raise fail(
            ShapeError,
            f"t of {x._type}",
            why="it takes at most two dimensions",
            instead="ops.swapaxes(x, -1, -2), or ops.transpose(x, order)",
        )
    return permuted("t", x, tuple(reversed(range(x.ndim))))


def flipped(name: str, input, axes: Any) -> Tensor:
    """`flip` under the name of the function that was called."""
    x = tensor(name, input)
    found = axes_of(name, axes, x.ndim)
    return apply(structure.flip, x, axes=found) if found and axes != () else x


@spellings
@fresh
def flip(input, dims):
    """The order reversed along axes.

    >>> ops.flip(Tensor([[1, 2], [3, 4]]), (0,)).tolist()
    [[3, 4], [1, 2]]
    """
    return flipped("flip", input, dims)


@spellings
@fresh
def reverse(x, axis):
    """The order reversed along axes.

    >>> ops.reverse(Tensor([1, 2, 3]), [0]).tolist()
    [3, 2, 1]
    """
    return flipped("reverse", x, axis)


@fresh
def fliplr(input):
    """Columns in reverse order (axis 1).

    >>> ops.fliplr(Tensor([[1, 2], [3, 4]])).tolist()
    [[2, 1], [4, 3]]
    """
    return flipped("fliplr", input, (1,))


@fresh
def flipud(input):
    """Rows in reverse order (axis 0).

    >>> ops.flipud(Tensor([[1, 2], [3, 4]])).tolist()
    [[3, 4], [1, 2]]
    """
    return flipped("flipud", input, (0,))


@fresh
def rot90(input, k=1, dims=(0, 1)):
    """Turned by 90 degrees k times, in the plane of two axes, from the first towards the second.

    >>> ops.rot90(Tensor([[1, 2], [3, 4]]), 1, (0, 1)).tolist()
    [[2, 4], [1, 3]]
    """
    x = tensor("rot90", input)
    first, second = (axis_of("rot90", a, x.ndim) for a in dims)
    if k % 4 == 0:
        return x
    if k % 4 == 2:
        return apply(structure.flip, x, axes=tuple(sorted((first, second))))
    turned = (second,) if k % 4 == 1 else (first,)
    return swapaxes(apply(structure.flip, x, axes=turned), first, second)


@spellings
@fresh
def roll(input, shifts, dims=None):
    """Elements shifted along axes, those that leave entering at the other end.

    dims None shifts the flattened Tensor.

    >>> ops.roll(Tensor([1, 2, 3, 4]), 1).tolist()
    [4, 1, 2, 3]
    """
    x = tensor("roll", input)
    if dims is None:
        return reshaped("roll", roll(ravel(x), shifts, 0), x.shape)
    shifts = shifts if isinstance(shifts, (tuple, list)) else (shifts,)
    dims = dims if isinstance(dims, (tuple, list)) else (dims,)
    if len(shifts) != len(dims):
        raise fail(ArgumentError, f"roll got {len(shifts)} shifts for {len(dims)} axes")
    for shift, dim in zip(shifts, dims):
        axis = axis_of("roll", dim, x.ndim)
        extent = x.shape[axis]
        at = -static("roll", "shift", shift) % extent if extent else 0
        if at:
            parts = sliced(x, axis, at, extent), sliced(x, axis, 0, at)
            x = apply(structure.concat, *parts, axis=axis)
    return x


def fftshift(input, dim=None):
    """Axes (all of them by default) turned so that what is first comes to the middle.

    >>> ops.fftshift(ops.arange(5)).tolist()
    [3, 4, 0, 1, 2]
    """
    return _shifted("fftshift", input, dim, lambda extent: extent // 2)


def ifftshift(input, dim=None):
    """The inverse of `fftshift`.

    >>> ops.ifftshift(Tensor([3, 4, 0, 1, 2])).tolist()
    [0, 1, 2, 3, 4]
    """
    return _shifted("ifftshift", input, dim, lambda extent: -(extent // 2))


def _shifted(name: str, input, dim, amount) -> Tensor:
    x = tensor(name, input)
    axes = axes_of(name, tuple(range(x.ndim)) if dim is None else dim, x.ndim)
    return roll(x, [amount(x.shape[axis]) for axis in axes], list(axes))


def sliced(x: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
    """The elements start, start + step, … before stop along one axis, which fit."""
    if start == 0 and step == 1 and stop == x.shape[axis]:
        return x
    starts, stops, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return apply(structure.slice_, x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))


__all__ = [
    "expand_dims", "fftshift", "flatten", "flip", "fliplr", "flipped", "flipud", "ifftshift",
    "moveaxis", "movedim", "permute", "permuted", "ravel", "reshape", "reshaped", "reverse",
    "roll", "rot90", "sliced", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unsqueeze",
    "view",
]  # fmt: skip
