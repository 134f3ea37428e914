"""Reading and writing elements by index, composed of `take` and `scatter`: the many forms that
NumPy, PyTorch and ONNX know.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from jitgrad.errors import ShapeError, fail
from jitgrad.ir.node import Node
from jitgrad.ir.types import int64
from jitgrad.primitives.index import INT32_MAX, combined, scatter, take
from jitgrad.primitives.shape import broadcast, cast, iota_of, reshape, slice_, transpose


def gather_at(x: Node, indices: Sequence[Node]) -> Node:
    """x[i0, i1, …] of NumPy: index nodes of one shape and dtype for the leading axes."""
    count = len(indices)
    extents = x.shape[:count]
    return take(
        reshape(x, shape=(math.prod(extents), *x.shape[count:])), combined(indices, extents)
    )


def scatter_at(x: Node, indices: Sequence[Node], updates: Node, mode: str) -> Node:
    """`scatter` into x[i0, i1, …]."""
    count = len(indices)
    extents = x.shape[:count]
    rows = reshape(x, shape=(math.prod(extents), *x.shape[count:]))
    return reshape(scatter(rows, combined(indices, extents), updates, mode=mode), shape=x.shape)


def _columns(idx: Node) -> list[Node]:
    """The index tuples along the last axis, axis by axis."""
    lead_shape, ones = idx.shape[:-1], (1,) * idx.ndim
    starts = (0,) * len(lead_shape)
    return [
        reshape(
            slice_(idx, starts=(*starts, k), stops=(*lead_shape, k + 1), steps=ones),
            shape=lead_shape,
        )
        for k in range(idx.shape[-1])
    ]


def gather_nd(x: Node, idx: Node) -> Node:
    """x[idx[..., 0], idx[..., 1], …]: x, idx[*M, K] -> [*M, *x.shape[K:]]."""
    return gather_at(x, _columns(idx)) if idx.shape[-1] else lead_all(x, idx.shape[:-1])


def scatter_nd(base: Node, idx: Node, updates: Node, mode: str) -> Node:
    """`scatter` by index tuples: idx[*M, K], updates[*M, *base.shape[K:]]."""
    return scatter_at(base, _columns(idx), updates, mode)


def lead_all(x: Node, shape: tuple[int, ...]) -> Node:
    """Repeat along several new leading axes."""
    full_shape = (*shape, *x.shape)
    return broadcast(x, shape=full_shape, dims=tuple(range(len(shape), len(full_shape))))


def take_axis(x: Node, idx: Node, axis: int) -> Node:
    """numpy.take(x, idx, axis): the axes of idx stand in the place of `axis`."""
    front = (axis, *(a for a in range(x.ndim) if a != axis))
    rows = take(transpose(x, perm=front) if axis else x, idx)
    inner = idx.ndim
    order = (*range(inner, inner + axis), *range(inner), *range(inner + axis, rows.ndim))
    return transpose(rows, perm=order) if axis else rows


def _elements(x: Node, idx: Node, axis: int, trusted: bool) -> Node:
    """For each element of idx, where it points to in x flattened."""
    fits = idx.ndim == x.ndim and all(
        n <= extent for a, (n, extent) in enumerate(zip(idx.shape, x.shape)) if a != axis
    )
    if not fits:
        raise fail(
            ShapeError,
            f"indices {idx.type} along axis {axis} do not fit {x.type}",
            why="they must have as many axes, and no larger extent along the others",
        )
    dtype = int64 if x.type.size > INT32_MAX else idx.dtype
    idx = cast(idx, dtype=dtype) if idx.dtype is not dtype else idx
    axes = [idx if a == axis else iota_of(idx.shape, a, dtype) for a in range(x.ndim)]
    return combined(axes, x.shape, trusted)


def gather_elements(x: Node, idx: Node, axis: int, trusted: bool = False) -> Node:
    """out[i, j, …] = x[i, …, idx[i, j, …], …] with the index in the place of `axis`: NumPy's
    take_along_axis and PyTorch's gather. `trusted` indices are known to be inside.
    """
    return take(reshape(x, shape=(x.type.size,)), _elements(x, idx, axis, trusted))


def scatter_elements(
    base: Node, idx: Node, updates: Node, axis: int, mode: str, trusted: bool = False
) -> Node:
    """The adjoint of `gather_elements`: NumPy's put_along_axis, PyTorch's scatter_reduce."""
    flat = reshape(base, shape=(base.type.size,))
    into = scatter(flat, _elements(base, idx, axis, trusted), updates, mode=mode)
    return reshape(into, shape=base.shape)


def take_along_axis(x: Node, idx: Node, axis: int, trusted: bool = False) -> Node:
    """numpy.take_along_axis: all extents but those along `axis` must agree."""
    if idx.ndim != x.ndim or any(
        n != extent for a, (n, extent) in enumerate(zip(idx.shape, x.shape)) if a != axis
    ):
        raise fail(
            ShapeError,
            f"take_along_axis got {x.type} and indices {idx.type} for axis {axis}",
            why="all extents but those along the axis must agree",
        )
    return gather_elements(x, idx, axis, trusted)


__all__ = [
    "gather_at", "gather_elements", "gather_nd", "lead_all", "scatter_at", "scatter_elements",
    "scatter_nd", "take_along_axis", "take_axis",
]  # fmt: skip
