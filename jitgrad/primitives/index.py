"""Rows at computed positions: `take` reads them and `scatter` writes them.

Indices of these ops count from 0; negative ones are wrapped by the front end. An index outside its
axis is an error in both modes, also after batching: wherever several axes are flattened into one,
`combined` sends an index that is outside its own axis outside the flattened one as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from jitgrad.errors import ArgumentError, BoundsError, DTypeError, ShapeError, fail
from jitgrad.ir.node import Node, constant_op, full
from jitgrad.ir.op import Sample
from jitgrad.ir.types import DType, TensorType, Type, int32, int64
from jitgrad.primitives.declare import ANY, NUMBER, REAL, structural, tensor_type, zeros
from jitgrad.primitives.elementwise import div, equal, floordiv, maximum, select
from jitgrad.primitives.shape import (
    broadcast,
    cast,
    iota,
    iota_of,
    lead,
    reshape,
)

INDEX = (int32, int64)
INT32_MAX = 2**31 - 1
MODES = ("add", "set", "max", "min", "mul")


def index_type(name: str, type: Type) -> TensorType:
    """The type itself, checked to be a tensor of int32 or int64."""
    if not isinstance(type, TensorType) or type.dtype not in INDEX:
        raise fail(
            DTypeError,
            f"{name} got indices of type {type}",
            why="indices are int32 or int64",
            instead="cast them first, as in i.astype(jitgrad.int64)",
        )
    return type


def check_bounds(name: str, idx: np.ndarray, extent: int) -> None:
    """BoundsError if an index is outside of an axis."""
    if idx.size == 0 or (idx.min() >= 0 and idx.max() < extent):
        return
    value = idx[(idx < 0) | (idx >= extent)].flat[0]
    raise fail(
        BoundsError,
        f"{name} got the index {value} for an axis of extent {extent}",
        why="the axis is empty" if extent == 0 else f"indices there go from 0 to {extent - 1}",
    )


def _draw(shape: tuple[int, ...], dtype: DType, seed: int = 5) -> np.ndarray:
    """Values for samples: distinct where the dtype has as many, floats also between seeds."""
    size = math.prod(shape)
    values = np.random.default_rng(seed).permutation(size) + 1
    if dtype.kind == "b":
        return (values % 2 == 0).reshape(shape)
    low = 0 if dtype.kind == "u" else size // 2
    values = values - low
    return (
        (values * 0.25 + seed * 0.01 if dtype.is_float else values)
        .reshape(shape)
        .astype(dtype.numpy)
    )


# --- rows ---------------------------------------------------------------------------------------


@structural("call")
class take:
    """Rows of x by index: x[N, *rest], idx[*M] -> [*M, *rest].

    for m, r:  out[m, r] = x[idx[m], r]     (m over prod M, r over prod rest)

    An index outside 0..N-1 raises BoundsError.
    """

    def infer(types, attrs) -> Type:
        x, idx = tensor_type("take", types[0]), index_type("take", types[1])
        if x.ndim == 0:
            raise fail(ShapeError, f"take got {x}", why="a scalar has no axis to take along")
        return x.with_shape((*idx.shape, *x.shape[1:]))

    def numpy(x, idx):
        check_bounds("take", idx, x.shape[0])
        return x[idx]

    def vjp(node: Node, g: Node):
        x, idx = node.inputs
        return scatter(zeros(x.type), idx, g, mode="add"), None

    def jvp(node: Node, tangents):
        return take(tangents[0], node.inputs[1]) if tangents[0] is not None else None

    def batch(node: Node, inputs, batched, size: int):
        x, idx = inputs
        if not batched[0]:
            return take(x, idx)
        return take(_merge_rows(x), _batch_rows(idx, batched[1], size, x.shape[1]))

    def samples(dtype: DType) -> Iterable[Sample]:
        yield Sample((_draw((4, 3), dtype), np.array([2, 0, 2, 3, 1], np.int32)))
        yield Sample((_draw((5,), dtype), np.array([[4, 1, 1], [0, 3, 4]])))
        yield Sample((_draw((2, 3, 2), dtype), np.array(1, np.int32)))
        yield Sample((_draw((3, 2), dtype), np.zeros((0, 2), np.int32)))
        yield Sample((_draw((3, 0), dtype), np.array([2, 0])))


@structural("call")
class scatter:
    """base[N, *rest] with updates[*M, *rest] combined into the rows idx[*M], in the order of m.

    out = base;  for m, r:  out[idx[m], r] = f(out[idx[m], r], updates[m, r])

    f(o, u) is o + u for mode "add", u for "set" (the last write wins), max, min (nan if either is)
    or o * u for "mul". An index outside 0..N-1 raises BoundsError.

    Derivatives: "set" passes gradient to the last writer of a row only, so it is exact with
    repeated indices too (for which it makes one more scatter). "max" and "min" share the gradient
    equally among ties. That of "mul" is exact, but next to factors that are zero it counts as
    constant: the second derivative misses terms there.
    """

    def infer(types, attrs) -> Type:
        mode = attrs["mode"]
        if mode not in MODES:
            raise fail(ArgumentError, f"scatter got mode {mode!r}", why=f"it knows {MODES}")
        policy = {"set": ANY, "add": NUMBER}.get(mode, REAL)
        base, updates = (tensor_type("scatter", types[i], policy) for i in (0, 2))
        idx = index_type("scatter", types[1])
        if base.dtype is not updates.dtype:
            raise fail(
                DTypeError,
                f"scatter got {updates} for {base}",
                why="both must have one dtype",
                instead="cast the updates first",
            )
        if base.ndim == 0 or updates.shape != (*idx.shape, *base.shape[1:]):
            raise fail(
                ShapeError,
                f"scatter got updates {updates} for rows of {base} at indices {idx}",
                why="the updates' shape must be that of the indices, then that of a row",
            )
        return base

    def numpy(base, idx, updates, mode):
        check_bounds("scatter", idx, base.shape[0])
        out = np.array(base)
        if updates.size == 0:
            return out
        flat, rows = idx.reshape(-1), updates.reshape(idx.size, -1)
        if mode == "set":
            last = np.full(base.shape[0], -1, np.int64)
            np.maximum.at(last, flat, np.arange(idx.size))  # NumPy promises no order for out[i] = v
            written = last >= 0
            out[written] = updates.reshape(idx.size, *base.shape[1:])[last[written]]
            return out
        at = (flat[:, None] * np.int64(rows.shape[1]) + np.arange(rows.shape[1])).reshape(-1)
        into, values = out.reshape(-1), rows.reshape(-1)
        ufunc = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[mode]
        ufunc.at(into, at, values)
        return out

    def vjp(node: Node, g: Node):
        base_part, updates_part = _SCATTER_VJP[node.attrs["mode"]](node, g)
        return base_part, None, updates_part

    def jvp(node: Node, tangents):
        tb, _, tu = tangents
        if tb is None and tu is None:
            return None
        base, _, updates = node.inputs
        tb = zeros(base.type) if tb is None else tb
        tu = zeros(updates.type) if tu is None else tu
        return _SCATTER_JVP[node.attrs["mode"]](node, tb, tu)

    def batch(node: Node, inputs, batched, size: int):
        base, idx, updates = inputs
        base = base if batched[0] else lead(base, size)
        updates = updates if batched[2] else lead(updates, size)
        rows = _batch_rows(idx, batched[1], size, base.shape[1])
        return reshape(scatter(_merge_rows(base), rows, updates, **node.attrs), shape=base.shape)

    def samples(dtype: DType) -> Iterable[Sample]:
        for mode in MODES if dtype.kind != "b" else ("set",):
            base = _draw((4, 3), dtype)
            once, twice = np.array([3, 0], np.int32), np.array([2, 0, 2])
            yield Sample((base, once, _draw((2, 3), dtype, 6)), {"mode": mode})
            yield Sample((base, twice, _draw((3, 3), dtype, 7)), {"mode": mode})
            yield Sample((base[:, 0], np.array([[1, 3]]), _draw((1, 2), dtype, 8)), {"mode": mode})
        yield Sample((base, np.array(1), _draw((3,), dtype, 9)), {"mode": "set"})
        yield Sample((base, np.zeros((0,), np.int32), _draw((0, 3), dtype)), {"mode": "set"})


def _spread(weights: Node, like: Node) -> Node:
    """Per-row values, repeated along the rest of `like`."""
    return broadcast(weights, shape=like.shape, dims=tuple(range(weights.ndim)))


def _add_vjp(node: Node, g: Node):
    return g, take(g, node.inputs[1])


def _add_jvp(node: Node, tb: Node, tu: Node):
    return scatter(tb, node.inputs[1], tu, mode="add")


def _set_vjp(node: Node, g: Node):
    base, idx, updates = node.inputs
    into_updates = take(g, idx)
    if not _surely_unique(idx):
        into_updates = select(_spread(_last_writer(base, idx), updates), into_updates,
                              zeros(updates.type))  # fmt: skip
    return scatter(g, idx, zeros(updates.type), mode="set"), into_updates


def _set_jvp(node: Node, tb: Node, tu: Node):
    return scatter(tb, node.inputs[1], tu, mode="set")


def _surely_unique(idx: Node) -> bool:
    """Whether it is plain from the graph that no index occurs twice."""
    if math.prod(idx.shape) <= 1:
        return True
    if idx.op is not constant_op:
        return False
    values = idx.attrs["value"].array
    return values.shape == idx.shape and np.unique(values).size == values.size


def _last_writer(base: Node, idx: Node) -> Node:
    """For each index, whether no later one is equal: rows are marked with their last writer."""
    count = math.prod(idx.shape)
    order = reshape(iota_of((count,), 0, int64 if count > INT32_MAX else int32), shape=idx.shape)
    rows = full(0, TensorType(order.dtype, base.shape[:1]))
    return equal(take(scatter(rows, idx, order, mode="set"), idx), order)


def _extreme_shares(node: Node):
    """Who attains the result (base, updates), and among how many each row's gradient is shared."""
    base, idx, updates = node.inputs
    in_base, in_updates = equal(base, node), equal(updates, take(node, idx))
    ties = scatter(cast(in_base, dtype=node.dtype), idx, cast(in_updates, dtype=node.dtype),
                   mode="add")  # fmt: skip
    return in_base, in_updates, maximum(ties, full(1, ties.type))  # none where the result is nan


def _divided(g: Node, count: Node) -> Node:
    return div(g, count) if g.dtype.is_float else floordiv(g, count)


def _extreme_vjp(node: Node, g: Node):
    _, idx, updates = node.inputs
    in_base, in_updates, ties = _extreme_shares(node)
    share = _divided(g, ties)
    into_base = select(in_base, share, zeros(g.type))
    return into_base, select(in_updates, take(share, idx), zeros(updates.type))


def _extreme_jvp(node: Node, tb: Node, tu: Node):
    idx = node.inputs[1]
    in_base, in_updates, ties = _extreme_shares(node)
    total = scatter(select(in_base, tb, zeros(tb.type)), idx,
                    select(in_updates, tu, zeros(tu.type)), mode="add")  # fmt: skip
    return _divided(total, ties)


def _mul_partials(node: Node) -> tuple[Node, Node]:
    """The product of all other factors of a row, for each factor: base's, then the updates'."""
    base, idx, updates = node.inputs
    none, some = zeros(base.type), zeros(updates.type)
    zero_base, zero_updates = equal(base, none), equal(updates, some)
    count = scatter(cast(zero_base, dtype=base.dtype), idx, cast(zero_updates, dtype=base.dtype),
                    mode="add")  # fmt: skip
    safe_base = select(zero_base, full(1, base.type), base)
    safe_updates = select(zero_updates, full(1, updates.type), updates)
    product = scatter(safe_base, idx, safe_updates, mode="mul")

    def others(product: Node, count: Node, is_zero: Node, safe: Node) -> Node:
        alone = select(is_zero, equal(count, full(1, count.type)), equal(count, zeros(count.type)))
        return select(alone, _divided(product, safe), zeros(product.type))

    of_base = others(product, count, zero_base, safe_base)
    return of_base, others(take(product, idx), take(count, idx), zero_updates, safe_updates)


def _mul_vjp(node: Node, g: Node):
    of_base, of_updates = _mul_partials(node)
    return g * of_base, take(g, node.inputs[1]) * of_updates


def _mul_jvp(node: Node, tb: Node, tu: Node):
    of_base, of_updates = _mul_partials(node)
    return scatter(tb * of_base, node.inputs[1], tu * of_updates, mode="add")


_SCATTER_VJP = {
    "add": _add_vjp, "set": _set_vjp, "max": _extreme_vjp, "min": _extreme_vjp, "mul": _mul_vjp,
}  # fmt: skip
_SCATTER_JVP = {
    "add": _add_jvp, "set": _set_jvp, "max": _extreme_jvp, "min": _extreme_jvp, "mul": _mul_jvp,
}  # fmt: skip


# --- several axes as one ------------------------------------------------------------------------


def combined(indices: Sequence[Node], extents: Sequence[int], trusted: bool = False) -> Node:
    """Indices of several axes as one index of these axes flattened in C order.

    An index outside its own axis gives one outside the flattened axis (a negative one itself), so
    that the op which uses it still raises; `trusted` leaves that out.
    """
    total = math.prod(extents)
    wide = total > INT32_MAX and indices[0].dtype is int32
    indices = [cast(i, dtype=int64) if wide else i for i in indices]
    if len(indices) == 1:
        return indices[0]
    flat, stride = None, 1
    for index, extent in zip(reversed(indices), reversed(extents), strict=True):
        term = index if stride == 1 else index * stride
        flat = term if flat is None else flat + term
        stride *= extent
    if not trusted:
        for index, extent in zip(indices, extents, strict=True):
            if not _is_inside(index, extent):
                beyond = select(index >= extent, index + (total - extent), flat)
                flat = select(index < 0, index, beyond)
    return flat


def _is_inside(index: Node, extent: int) -> bool:
    return index.op is iota and index.shape[index.attrs["axis"]] <= extent


def _merge_rows(x: Node) -> Node:
    return reshape(x, shape=(x.shape[0] * x.shape[1], *x.shape[2:]))


def _batch_rows(idx: Node, is_batched: bool, size: int, extent: int) -> Node:
    """Row indices of each example, in the rows of all examples one after another."""
    idx = idx if is_batched else lead(idx, size)
    if size * extent > INT32_MAX:
        idx = cast(idx, dtype=int64)
    return combined((iota_of(idx.shape, 0, idx.dtype), idx), (size, extent))


__all__ = ["combined", "index_type", "scatter", "take"]
