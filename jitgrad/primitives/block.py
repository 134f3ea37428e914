"""Blocks at computed positions. A start that would let the block stick out is clamped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.ir.node import Node, full
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, TensorType, Type, int64
from jitgrad.primitives.declare import structural, tensor_type, zeros
from jitgrad.primitives.elementwise import maximum, minimum
from jitgrad.primitives.index import combined, index_type, scatter, take
from jitgrad.primitives.shape import broadcast, iota_of, lead, reshape


def _check_block(name: str, x: TensorType, sizes: tuple[int, ...], starts: Sequence[Type]) -> None:
    kinds = [index_type(name, s) for s in starts]
    if any(s.ndim or s is not kinds[0] for s in kinds):
        listed = ", ".join(map(str, kinds))
        raise fail(
            DTypeError,
            f"{name} got starts {listed}",
            why="each start is a scalar, and all have one dtype",
        )
    fits = len(sizes) == x.ndim == len(kinds)
    if not fits or any(not 0 <= n <= extent for n, extent in zip(sizes, x.shape)):
        raise fail(
            ShapeError,
            f"{name}: a block {sizes} with {len(kinds)} starts does not fit {x}",
            why="it needs one start and one size an axis, no larger than the extent",
        )


def _window(shape: Sequence[int], sizes: Sequence[int], starts: Sequence[np.ndarray]) -> tuple:
    at = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, shape, sizes)]
    return tuple(slice(a, a + k) for a, k in zip(at, sizes))


@structural("call")
class dynamic_slice:
    """The block of `sizes` that starts at the scalars `starts`, one for each axis.

    at[d] = min(max(starts[d], 0), x.shape[d] - sizes[d])
    for i:  out[i] = x[at + i]     (i over sizes)
    """

    def infer(types, attrs) -> Type:
        x = tensor_type("dynamic_slice", types[0])
        _check_block("dynamic_slice", x, attrs["sizes"], types[1:])
        return x.with_shape(attrs["sizes"])

    def numpy(x, *starts, sizes):
        return x[_window(x.shape, sizes, starts)]

    def vjp(node: Node, g: Node):
        x, *starts = node.inputs
        return dynamic_update_slice(zeros(x.type), g, *starts), *[None] * len(starts)

    def jvp(node: Node, tangents):
        return (
            dynamic_slice(tangents[0], *node.inputs[1:], **node.attrs)
            if tangents[0] is not None
            else None
        )

    def batch(node: Node, inputs, batched, size: int):
        x, *starts = inputs
        sizes = node.attrs["sizes"]
        if not any(batched[1:]):
            first = full(0, TensorType(starts[0].dtype if starts else int64, ()))
            return dynamic_slice(x, first, *starts, sizes=(size, *sizes))
        x = x if batched[0] else lead(x, size)
        at = _positions(x.shape, sizes, starts, batched[1:])
        return take(reshape(x, shape=(x.type.size,)), at)

    def samples(dtype: DType) -> Iterable[Sample]:
        x = _values((4, 5), dtype)
        for a, b in ((1, 2), (-3, 4), (9, 0)):
            yield Sample((x, np.array(a, np.int32), np.array(b, np.int32)), {"sizes": (2, 3)})
        yield Sample((x[0], np.array(3)), {"sizes": (1,)})
        yield Sample((x[0], np.array(1)), {"sizes": (0,)})
        yield Sample((np.asarray(x[0, 0]),), {"sizes": ()})


@structural("call")
class dynamic_update_slice:
    """x with the block `update` in it that starts at the scalars `starts`, one for each axis.

    at[d] = min(max(starts[d], 0), x.shape[d] - update.shape[d])
    out = x;  for i:  out[at + i] = update[i]     (i over update.shape)
    """

    def infer(types, attrs) -> Type:
        x, update = (tensor_type("dynamic_update_slice", t) for t in types[:2])
        if x.dtype is not update.dtype:
            raise fail(
                DTypeError,
                f"dynamic_update_slice got {update} for {x}",
                why="both must have one dtype",
            )
        _check_block("dynamic_update_slice", x, update.shape, types[2:])
        return x

    def numpy(x, update, *starts):
        out = np.array(x)
        out[_window(x.shape, update.shape, starts)] = update
        return out

    def vjp(node: Node, g: Node):
        _, update, *starts = node.inputs
        into_x = dynamic_update_slice(g, zeros(update.type), *starts)
        return into_x, dynamic_slice(g, *starts, sizes=update.shape), *[None] * len(starts)

    def jvp(node: Node, tangents):
        tx, tu, *_ = tangents
        if tx is None and tu is None:
            return None
        x, update, *starts = node.inputs
        tx = zeros(x.type) if tx is None else tx
        return dynamic_update_slice(tx, zeros(update.type) if tu is None else tu, *starts)

    def batch(node: Node, inputs, batched, size: int):
        x, update, *starts = inputs
        x = x if batched[0] else lead(x, size)
        update = update if batched[1] else lead(update, size)
        if not any(batched[2:]):
            first = full(0, TensorType(starts[0].dtype if starts else int64, ()))
            return dynamic_update_slice(x, update, first, *starts)
        at = _positions(x.shape, update.shape[1:], starts, batched[2:])
        return reshape(
            scatter(reshape(x, shape=(x.type.size,)), at, update, mode="set"), shape=x.shape
        )

    def samples(dtype: DType) -> Iterable[Sample]:
        x, update = _values((4, 5), dtype), _values((2, 3), dtype, 50)
        for a, b in ((1, 2), (-3, 4), (9, 0)):
            yield Sample((x, update, np.array(a, np.int32), np.array(b, np.int32)))
        yield Sample((x[0], update[0], np.array(1)))
        yield Sample((np.asarray(x[0, 0]), np.asarray(update[0, 0])))


def _values(shape: tuple[int, ...], dtype: DType, start: int = 0) -> np.ndarray:
    return (np.arange(np.prod(shape, dtype=int)) + start).reshape(shape).astype(dtype.numpy)


def _positions(
    shape: tuple[int, ...], sizes: tuple[int, ...], starts: Sequence[Node], batched: Sequence[bool]
) -> Node:
    """Where each element of each example's block lies in x[batch, *shape] flattened."""
    whole = (shape[0], *sizes)
    dtype = starts[0].dtype
    indices = [iota_of(whole, 0, dtype)]
    for d, (start, is_batched) in enumerate(zip(starts, batched)):
        last = full(shape[d + 1] - sizes[d], start.type)
        at = minimum(maximum(start, zeros(start.type)), last)
        spread = broadcast(at, shape=whole, dims=(0,) if is_batched else ())
        indices.append(spread + iota_of(whole, d + 1, dtype))
    return combined(indices, shape, trusted=True)


__all__ = ["dynamic_slice", "dynamic_update_slice"]
