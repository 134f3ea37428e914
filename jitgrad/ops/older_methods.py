"""Methods of Tensor that MindSpore keeps from its older releases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, fail
from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import (
    gathering,
    image,
    random,
    rearranging,
    reduce,
    shaping,
    slicing,
    sorting,
    special,
    state,
)
from jitgrad.ops.promote import constant, shape_of, tensor
from jitgrad.tensor import Tensor


def argmax_with_value(self, axis=0, keep_dims=False):
    """The largest along an axis, and where it is."""
    return reduce.max(self, axis, keep_dims)


def argmin_with_value(self, axis=0, keep_dims=False):
    """The smallest along an axis, and where it is."""
    return reduce.min(self, axis, keep_dims)


def as_strided(self, size, stride, storage_offset=None):
    """Elements in steps of the flat Tensor: element [i, j] is the one at i s0 + j s1 + offset."""
    size, at = shape_of("as_strided", size), np.array(storage_offset or 0)
    for extent, step in zip(size, stride, strict=True):
        at = at[..., None] + np.arange(extent) * step
    return gathering.take(shaping.reshape(self, (-1,)), constant(at.astype(np.int64)))


def assign_value(self, value):
    """The values of another Tensor written into this one."""
    return state.assign(self, value)


def choose(self, choices, mode="clip"):
    """Of several Tensors, elementwise, the one of the number that this one holds."""
    if mode not in ("clip", "wrap"):
        raise fail(ArgumentError, f"choose got mode={mode!r}", why="it is 'clip' or 'wrap'")
    parts, out = [tensor("choose", x) for x in choices], None
    last = len(parts) - 1
    at = c.clamp(self, 0, last) if mode == "clip" else e.remainder(self, last + 1)
    for i, part in enumerate(parts):
        out = part if out is None else c.where(c.eq(at, i), part, out)
    return out


def fold(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Columns added up into images."""
    return image.fold(self, output_size, kernel_size, dilation, padding, stride)


def from_numpy(array):
    """A Tensor of the values of an array."""
    return Tensor(array)


def has_init(self):
    """Whether values are still to be made: never."""
    return False


def is_signed(self):
    """Whether the dtype has negative numbers."""
    return self.dtype.kind in "if"


def itemset(self, *args):
    """A copy with one element changed: ``itemset(value)`` or ``itemset(place, value)``."""
    value, place = args[-1], args[0] if len(args) > 1 else 0
    if isinstance(place, int):
        place = tuple(int(i) for i in np.unravel_index(place, self.shape))
    out = state.deepcopy(self)
    out[place] = value
    return out


def put_along_axis(self, indices, values, axis, reduce="assign"):
    """A copy with values written at places along an axis, or combined there."""
    how = {"assign": "none", "add": "add", "multiply": "mul", "mul": "mul"}[reduce]
    at = tensor("put_along_axis", indices)
    return gathering.tensor_scatter_elements(
        self, at, shaping.reshape(tensor("put", values), (-1,)).expand(at.shape)
        if tensor("put", values).size == 1 else values, axis, how,
    )  # fmt: skip


def random_categorical(self, num_sample, seed=0, dtype="int64"):
    """Classes drawn with the logits of each row.

    >>> ops.random_categorical(Tensor([[-1e9, 0.0]]), 3).tolist()
    [[1, 1, 1]]
    """
    return random.random_categorical(self, num_sample, seed, dtype)


def resize(self, *new_shape):
    """The elements in order under another shape, cut off or followed by zeros."""
    shape = shape_of("resize", new_shape[0] if len(new_shape) == 1 else new_shape)
    flat, count = shaping.reshape(self, (-1,)), math.prod(shape)
    flat = flat[:count] if flat.shape[0] >= count else _followed(flat, count)
    return shaping.reshape(flat, shape)


def _followed(flat: Tensor, count: int) -> Tensor:
    from jitgrad.ops.splitting import padded

    return padded(flat, [(0, count - flat.shape[0])], "constant")


def _scattered(name: str) -> Any:
    function = getattr(gathering, f"tensor_scatter_{name}")

    def method(self, indices, updates):
        return function(self, indices, updates)

    method.__name__, method.__doc__ = f"scatter_{name}", function.__doc__
    return method


def sum_to_size(self, *size):
    """Sums over axes so that the shape is the given one, which broadcasts to this one."""
    shape = shape_of("sum_to_size", size[0] if len(size) == 1 else size)
    lead = self.ndim - len(shape)
    axes = [a for a in range(self.ndim) if a < lead or (shape[a - lead] == 1 != self.shape[a])]
    out = reduce.sum(self, tuple(axes), True, dtype=self.dtype) if axes else self
    return shaping.reshape(out, shape)


def to_tensor(self, *args, **keywords):
    """The Tensor itself."""
    return self


METHODS: dict[str, Any] = {
    "approximate_equal": special.approximate_equal, "argmax_with_value": argmax_with_value,
    "argmin_with_value": argmin_with_value, "as_strided": as_strided,
    "assign_value": assign_value, "choose": choose, "col2im": rearranging.col2im,
    "cov": slicing.cov, "fold": fold, "from_numpy": staticmethod(from_numpy),
    "has_init": property(has_init), "inplace_update": slicing.inplace_update,
    "is_signed": is_signed, "itemset": itemset, "nanmedian": sorting.nanmedian,
    "put_along_axis": put_along_axis, "random_categorical": random_categorical, "resize": resize,
    "sum_to_size": sum_to_size, "to_tensor": to_tensor,
    "unique_with_pad": rearranging.unique_with_pad,
    **{f"scatter_{name}": _scattered(name) for name in ("div", "max", "min", "mul", "sub")},
}  # fmt: skip

__all__ = ["METHODS"]
