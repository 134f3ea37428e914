"""Methods of Tensor that choose elements, or write to some of a copy."""

from __future__ import annotations

from typing import Any

from jitgrad.ops import compare as c
from jitgrad.ops import elementwise as e
from jitgrad.ops import (
    gathering,
    indexing,
    joining,
    rearranging,
    searching,
    shaping,
    sorting,
    state,
)
from jitgrad.ops.promote import copied, expand, fill, is_number, tensor
from jitgrad.tensor import Tensor


def where(self, condition, y):
    """The Tensor where the condition holds, else y."""
    return c.where(condition, self, y)


def gather_(self, dim=None, index=None, batch_dims=0, *, input_indices=None, axis=None):
    """``gather(dim, index)``: elements along an axis, as PyTorch; ``gather(indices, axis)``:
    slices along it, as MindSpore.
    """
    dim, index = (
        (dim if input_indices is None else input_indices),
        (index if axis is None else axis),
    )
    if isinstance(dim, Tensor) or not is_number(dim):
        return gathering.gather(self, dim, index, batch_dims)
    return gathering.gather_elements(self, dim, index)


def take(self, indices, axis=None, mode="clip"):
    """Elements of the flattened Tensor, or slices along an axis.

    >>> ops.take(Tensor([[1, 2], [3, 4]]), Tensor([0, 3])).tolist()
    [1, 4]
    """
    return gathering.take(self, indices, axis)


def select(self, dim, index):
    """The slice at an index along an axis, which disappears.

    ``t.select(condition, y)``: the Tensor where the condition holds, else y.
    """
    if isinstance(dim, Tensor):
        return c.where(dim, self, index)
    at = dim % self.ndim
    return indexing.getitem(self, indexing.along(at, index))


def scatter_add(self, dim, index, src):
    """A copy with `src` added at places along an axis."""
    return gathering.tensor_scatter_elements(self, index, src, dim, "add")


def index_add(self, dim, index=None, source=None, axis=None, *, alpha=1, **keywords):
    """A copy with slices, times alpha, added along an axis: ``index_add(dim, index, source)``, or
    ``index_add(indices, y, axis)`` as the function of that name.

    >>> ops.index_add(ops.zeros(3), Tensor([2, 2]), Tensor([1.0, 4.0]), 0).tolist()
    [0.0, 0.0, 5.0]
    """
    if not is_number(dim):
        return gathering.index_add(self, dim, index, source if axis is None else axis, **keywords)
    source = source if alpha == 1 else e.mul(source, alpha)
    return gathering.index_add(self, index, source, dim)


def index_put(self, indices, values, accumulate=False):
    """A copy with values written (or added) at index arrays, one for each axis."""
    mode = "add" if accumulate else "update"
    return gathering.combine("index_put", self, tuple(indices), values, mode)


def index_copy(self, dim, index, source):
    """A copy with slices written along an axis."""
    at = dim % self.ndim
    return gathering.combine("index_copy", self, indexing.along(at, index), source, "update")


def put(self, index, source, accumulate=False):
    """A copy with elements of the flattened Tensor written (or added)."""
    flat = shaping.ravel(self)
    mode = "add" if accumulate else "update"
    return shaping.reshape(gathering.combine("put", flat, (index,), source, mode), self.shape)


def fill_value(self, value):
    """One value in the shape and dtype of the Tensor."""
    return fill(value, self._type) if is_number(value) else expand(
        tensor("fill", value).astype(self.dtype), self.shape
    )  # fmt: skip


def zero(self):
    """Zeros of the shape and dtype."""
    return fill(0, self._type)


def copy_from(self, src, non_blocking=False):
    """The values of another Tensor, broadcast to this one's shape and cast to its dtype."""
    src = tensor("copy_", src)
    return copied(joining.broadcasted("copy_", state.cast(src, self.dtype), self.shape))


def fill_diagonal(self, fill_value, wrap=False):
    """A copy with one value on the diagonal; `wrap` goes on below, in tall matrices.

    >>> ops.fill_diagonal(ops.zeros((2, 3)), 5.0).tolist()
    [[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]]
    """
    return rearranging.fill_diagonal(self, fill_value, wrap)


def searchsorted(self, v, side="left", sorter=None):
    """Where values would be inserted to keep the last axis sorted (int32)."""
    return searching.searchsorted(self, v, out_int32=True, side=side, sorter=sorter)


def cumsum(self, axis=None, dtype=None):
    """Running sum along an axis; None: of all elements in order."""
    return sorting.cumsum(shaping.ravel(self) if axis is None else self, axis or 0, dtype)


METHODS: dict[str, Any] = {
    "cumsum": cumsum, "searchsorted": searchsorted,
    "fill": fill_value, "fill_diagonal": fill_diagonal, "gather": gather_, "index_add": index_add,
    "index_put": index_put, "put": put, "scatter_add": scatter_add, "select": select,
    "take": take, "where": where,
}  # fmt: skip

# What the methods in place compute, where that is no method of its own.
FOR_WRITING: dict[str, Any] = {"copy": copy_from, "index_copy": index_copy, "zero": zero}

__all__ = ["FOR_WRITING", "METHODS"]
