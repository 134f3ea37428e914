"""Reductions over a set of axes; the axes disappear from the shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from jitgrad.errors import ArgumentError, ShapeError, fail
from jitgrad.ir.node import Node, full
from jitgrad.ir.op import Attrs, Op, Sample, register
from jitgrad.ir.types import DType, Type
from jitgrad.primitives.declare import BOOL, NUMBER, REAL, tensor_type
from jitgrad.primitives.elementwise import div, equal, floordiv
from jitgrad.primitives.shape import broadcast, cast, concat, reshape, slice_, transpose


def kept_axes(ndim: int, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that a reduction leaves."""
    return tuple(a for a in range(ndim) if a not in axes)


def expand(x: Node, shape: tuple[int, ...], axes: tuple[int, ...]) -> Node:
    """Undo a reduction's change of shape: repeat along the reduced axes."""
    return broadcast(x, shape=shape, dims=kept_axes(len(shape), axes))


def _declare(name: str, policy: str, numpy: Callable, vjp: Callable, jvp: Callable, doc: str) -> Op:
    def infer(types: tuple[Type, ...], attrs: Attrs) -> Type:
        x, axes = tensor_type(name, types[0], policy), attrs["axes"]
        if list(axes) != sorted(set(axes)) or any(not 0 <= a < x.ndim for a in axes):
            raise fail(ShapeError, f"{name} of {x} over axes {axes}")
        shape = tuple(x.shape[a] for a in kept_axes(x.ndim, axes))
        if name in ("reduce_max", "reduce_min") and x.size == 0 and 0 not in shape:
            raise fail(
                ArgumentError, f"{name} of {x} over axes {axes}", why="nothing has no largest value"
            )
        return x.with_shape(shape)

    def batch(node: Node, inputs, batched, size: int) -> Node:
        return node.op(inputs[0], axes=tuple(a + 1 for a in node.attrs["axes"]))

    def samples(dtype: DType) -> Iterable[Sample]:
        if dtype.kind not in policy:
            return
        x = (np.arange(24) * 7 % 24 / 6 - (0 if dtype.kind == "u" else 1.9)).reshape(2, 3, 4)
        x = x.astype(dtype.numpy)
        for axes in ((2,), (0,), (1,), (0, 2), (0, 1, 2), (1, 2), ()):
            yield Sample((x,), {"axes": axes})
        yield Sample((x[:, :0],), {"axes": (0,)})

    return register(Op(name, "reduce", infer, numpy, vjp, jvp, batch, samples=samples, doc=doc))


def _sum_numpy(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.add.reduce(x, axes, x.dtype)


def _sum_vjp(node: Node, g: Node) -> tuple[Node]:
    return (expand(g, node.inputs[0].shape, node.attrs["axes"]),)


def _sum_jvp(node: Node, tangents) -> Node | None:
    return reduce_sum(tangents[0], **node.attrs) if tangents[0] is not None else None


reduce_sum = _declare(
    "reduce_sum", NUMBER, _sum_numpy, _sum_vjp, _sum_jvp, "Sum over axes, in the input's dtype."
)


def _extreme_weights(node: Node) -> Node:
    """The share of each element in the extreme: equal among ties, 0 elsewhere."""
    (x,), axes = node.inputs, node.attrs["axes"]
    hit = cast(equal(x, expand(node, x.shape, axes)), dtype=x.dtype)
    count = expand(reduce_sum(hit, axes=axes), x.shape, axes)
    return div(hit, count) if x.dtype.is_float else floordiv(hit, count)


def _extreme_vjp(node: Node, g: Node) -> tuple[Node]:
    return (expand(g, node.inputs[0].shape, node.attrs["axes"]) * _extreme_weights(node),)


def _extreme_jvp(node: Node, tangents) -> Node | None:
    if tangents[0] is None:
        return None
    return reduce_sum(tangents[0] * _extreme_weights(node), **node.attrs)


def _max_numpy(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.maximum.reduce(x, axes)


def _min_numpy(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.minimum.reduce(x, axes)


reduce_max = _declare(
    "reduce_max",
    REAL,
    _max_numpy,
    _extreme_vjp,
    _extreme_jvp,
    "Largest over axes; nan if any is. Ties share the gradient equally.",
)
reduce_min = _declare(
    "reduce_min",
    REAL,
    _min_numpy,
    _extreme_vjp,
    _extreme_jvp,
    "Smallest over axes; nan if any is. Ties share the gradient equally.",
)


def _prod_numpy(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.multiply.reduce(x, axes, x.dtype)


def _others(node: Node) -> Node:
    """For every element the product of all others: right also where an element is zero.

    Halving products: the product of the other half, times the product of the others in one's own.
    """
    (x,), axes = node.inputs, node.attrs["axes"]
    kept = kept_axes(x.ndim, axes)
    moved = transpose(x, perm=(*kept, *axes))
    shape = tuple(x.shape[a] for a in kept)
    count = 1
    for a in axes:
        count *= x.shape[a]
    rest = _exclusive(reshape(moved, shape=(*shape, count)))
    back = reshape(rest, shape=moved.shape)
    return transpose(back, perm=tuple(int(p) for p in np.argsort((*kept, *axes))))


def _exclusive(x: Node) -> Node:
    count, last = x.shape[-1], x.ndim - 1
    if count <= 1:
        return full(1, x.type)
    middle = count // 2
    ones, zeros = (1,) * x.ndim, (0,) * last
    left = slice_(x, starts=(*zeros, 0), stops=(*x.shape[:-1], middle), steps=ones)
    right = slice_(x, starts=(*zeros, middle), stops=(*x.shape[:-1], count), steps=ones)
    of_left = reduce_prod(left, axes=(last,))
    of_right = reduce_prod(right, axes=(last,))
    return concat(
        _exclusive(left) * expand(of_right, left.shape, (last,)),
        _exclusive(right) * expand(of_left, right.shape, (last,)),
        axis=last,
    )


def _prod_vjp(node: Node, g: Node) -> tuple[Node]:
    return (expand(g, node.inputs[0].shape, node.attrs["axes"]) * _others(node),)


def _prod_jvp(node: Node, tangents) -> Node | None:
    if tangents[0] is None:
        return None
    return reduce_sum(tangents[0] * _others(node), **node.attrs)


reduce_prod = _declare(
    "reduce_prod", NUMBER, _prod_numpy, _prod_vjp, _prod_jvp, "Product over axes."
)


def _none_vjp(node: Node, g: Node) -> tuple[None]:
    return (None,)


def _none_jvp(node: Node, tangents) -> None:
    return None


def _any_numpy(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.any(x, axes)


def _all_numpy(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.all(x, axes)


reduce_any = _declare("reduce_any", BOOL, _any_numpy, _none_vjp, _none_jvp, "Whether any is true.")
reduce_all = _declare("reduce_all", BOOL, _all_numpy, _none_vjp, _none_jvp, "Whether all are true.")

__all__ = [
    "expand", "kept_axes", "reduce_all", "reduce_any", "reduce_max", "reduce_min", "reduce_prod",
    "reduce_sum",
]  # fmt: skip
