"""Rules of shape: views, paddings, joins and casts. All are exact."""

from __future__ import annotations

import numpy as np

from jitgrad.ir.node import constant_op as constant
from jitgrad.ir.node import full, splat
from jitgrad.ir.pattern import EXACT, rewrite
from jitgrad.primitives.shape import (
    broadcast,
    cast,
    concat,
    flip,
    pad,
    reshape,
    slice_,
    transpose,
)

MANY = 64  # operands of a join that rules look at: all passes stay linear

# --- views that change nothing ------------------------------------------------------------------


def _same_type(op):
    @rewrite(lambda x: op(x), EXACT)
    def keeps_the_type(x, node):
        """It keeps every element in its place as well."""
        return x if node.type is x.type else None

    return keeps_the_type.named(f"{op.name} that {keeps_the_type.name}")


@rewrite(lambda x, perm: transpose(x, perm=perm), EXACT)
def transpose_of_unit_axes(x, perm, node):
    """Moving axes of extent 1 about is a reshape, or nothing."""
    moved = [p for p in perm if x.shape[p] != 1]
    if moved == sorted(moved):
        return x if node.type is x.type else reshape(x, shape=node.shape)
    return None


@rewrite(lambda x, axes: flip(x, axes=axes), EXACT)
def flip_of_unit_axes(x, axes):
    """Only axes longer than 1 can be flipped."""
    rest = tuple(a for a in axes if x.shape[a] > 1)
    return x if not rest else flip(x, axes=rest) if rest != axes else None


@rewrite(lambda x: broadcast(x), EXACT)
def broadcast_along_unit_axes(x, node):
    """A broadcast that repeats nothing is a reshape."""
    return reshape(x, shape=node.shape) if x.type.size == node.type.size else None


# --- a view of a view ---------------------------------------------------------------------------


@rewrite(lambda x: reshape(reshape(x)), EXACT)
def reshape_of_reshape(x, node):
    """Only the last shape counts."""
    return reshape(x, shape=node.shape)


@rewrite(lambda x, p, q: transpose(transpose(x, perm=p), perm=q), EXACT)
def transpose_of_transpose(x, p, q):
    """One permutation."""
    return transpose(x, perm=tuple(p[i] for i in q))


@rewrite(lambda x, p, q: flip(flip(x, axes=p), axes=q), EXACT)
def flip_of_flip(x, p, q):
    """Axes flipped twice are not flipped."""
    return flip(x, axes=tuple(sorted(set(p) ^ set(q))))


@rewrite(lambda x, p, q: broadcast(broadcast(x, dims=p), dims=q), EXACT)
def broadcast_of_broadcast(x, p, q, node):
    """Axes go where both together send them."""
    return broadcast(x, shape=node.shape, dims=tuple(q[d] for d in p))


@rewrite(lambda x, at, step: slice_(slice_(x, starts=at, steps=step)), EXACT)
def slice_of_slice(x, at, step, node):
    """Every m-th of every n-th element."""
    outer = node.attrs
    steps = tuple(a * b for a, b in zip(step, outer["steps"]))
    starts = tuple(a + b * s for a, b, s in zip(at, outer["starts"], step))
    return _slice(x, starts, steps, node.shape)


def _slice(x, starts, steps, shape):
    """`shape` elements of each axis, `steps` apart."""
    starts = tuple(a if n else 0 for a, n in zip(starts, shape))
    stops = tuple(a + (n - 1) * s + 1 if n else 0 for a, s, n in zip(starts, steps, shape))
    return slice_(x, starts=starts, stops=stops, steps=steps)


def _inserted(short, long):
    """Where the axes of `short` are in `long`, if all other axes of `long` have extent 1."""
    found, at = [], 0
    for extent in short:
        while at < len(long) and long[at] != extent and long[at] == 1:
            at += 1
        if at == len(long) or long[at] != extent:
            return None
        found.append(at)
        at += 1
    return found if all(extent == 1 for extent in long[at:]) else None


@rewrite(lambda x, dims: broadcast(reshape(x), dims=dims), EXACT)
def broadcast_of_new_axes(x, dims, node):
    """A reshape that only inserts axes of extent 1 is part of the broadcast."""
    found = _inserted(x.shape, node.inputs[0].shape)
    if found is None:
        return None
    return broadcast(x, shape=node.shape, dims=tuple(dims[i] for i in found))


@rewrite(lambda x, dims: reshape(broadcast(x, dims=dims)), EXACT)
def new_axes_of_broadcast(x, dims, node):
    """Axes of extent 1 inserted into a broadcast, or left out of one, make another broadcast."""
    before = node.inputs[0].shape
    found = _inserted(before, node.shape)
    if found is not None:
        return broadcast(x, shape=node.shape, dims=tuple(found[d] for d in dims))
    found = _inserted(node.shape, before)
    if found is None or any(d not in found for d in dims):
        return None
    return broadcast(x, shape=node.shape, dims=tuple(found.index(d) for d in dims))


@rewrite(lambda x, dims, perm: transpose(broadcast(x, dims=dims), perm=perm), EXACT)
def transpose_of_broadcast(x, dims, perm, node):
    """Broadcast in the new order; if the operand's own axes change order, transpose it first."""
    places = [perm.index(d) for d in dims]
    order = tuple(int(i) for i in np.argsort(places))
    moved = x if order == tuple(range(x.ndim)) else transpose(x, perm=order)
    return broadcast(moved, shape=node.shape, dims=tuple(sorted(places)))


@rewrite(lambda x, dims: slice_(broadcast(x, dims=dims)), EXACT)
def slice_of_broadcast(x, dims, node):
    """Slice what is repeated, then repeat it."""
    at = {name: tuple(values[d] for d in dims) for name, values in node.attrs.items()}
    return broadcast(slice_(x, **at), shape=node.shape, dims=dims)


# --- padding and joining ------------------------------------------------------------------------


@rewrite(lambda x, low, gap: slice_(pad(x, low=low, interior=gap)), EXACT)
def slice_of_pad(x, low, gap, node):
    """What a pad put around x, or some of it, is cut off again; or only zeros are left."""
    starts, steps = node.attrs["starts"], node.attrs["steps"]
    if node.shape == x.shape and all(
        n == 0 or (a == b and (n == 1 or step == g + 1))
        for n, a, b, step, g in zip(x.shape, starts, low, steps, gap)
    ):
        return x
    if any(gap) or any(step != 1 for step in steps):
        return None
    lows, highs, begins, ends = [], [], [], []
    for n, start, stop, before in zip(x.shape, starts, node.attrs["stops"], low):
        begin, end = max(start - before, 0), min(stop - before, n)
        if begin >= end:
            return 0  # this axis keeps none of x
        lows.append(max(before - start, 0))
        highs.append(max(stop - before - n, 0))
        begins.append(begin)
        ends.append(end)
    kept = slice_(x, starts=tuple(begins), stops=tuple(ends), steps=(1,) * x.ndim)
    return pad(kept, low=tuple(lows), high=tuple(highs), interior=(0,) * x.ndim)


@rewrite(lambda x: pad(x.by(constant)), EXACT)
def pad_of_zeros(x):
    """Zeros among zeros."""
    zero = splat(x)
    return 0 if zero is not None and not any(zero.tobytes()) else None


@rewrite(lambda x, a, b: pad(pad(x, low=a, high=b)), EXACT)
def pad_of_pad(x, a, b, node):
    """Two rings of zeros are one."""
    outer, inner = node.attrs, node.inputs[0].attrs
    if any((*outer["interior"], *inner["interior"])):
        return None
    low = tuple(map(sum, zip(a, outer["low"])))
    high = tuple(map(sum, zip(b, outer["high"])))
    return pad(x, low=low, high=high, interior=outer["interior"])


@rewrite(lambda xs, axis: concat(xs.all, axis=axis), EXACT)
def concat_of_few_or_equal(xs, axis, node):
    """Empty operands and the joins of joins go; one operand is itself, equal numbers are one."""
    flat = []
    for x in xs:
        is_join = x.op is concat and x.attrs["axis"] == axis and len(x.inputs) <= MANY
        flat += x.inputs if is_join else [x]
    kept = [x for x in flat if x.shape[axis]] or flat[:1]
    if len(kept) == 1:
        return kept[0]
    numbers = {number.tobytes() if (number := splat(x)) is not None else None for x in kept}
    if None not in numbers and len(numbers) == 1:
        return full(splat(kept[0]), node.type)
    return concat(*kept, axis=axis) if len(kept) != len(xs) or kept != list(xs) else None


@rewrite(lambda xs, axis: concat(xs.all, axis=axis), EXACT)
def concat_of_neighbours(xs, axis):
    """Adjacent slices of one value, joined again, are one slice of it."""
    parts: list = []
    for x in xs:
        if parts and _are_adjacent(parts[-1], x, axis):
            last, stop = parts[-1], x.attrs["stops"][axis]
            stops = (*last.attrs["stops"][:axis], stop, *last.attrs["stops"][axis + 1 :])
            parts[-1] = slice_(last.inputs[0], **{**last.attrs, "stops": stops})
        else:
            parts.append(x)
    if len(parts) == len(xs):
        return None
    return parts[0] if len(parts) == 1 else concat(*parts, axis=axis)


def _are_adjacent(a, b, axis):
    if not (a.op is b.op is slice_ and a.inputs == b.inputs):
        return False
    at, to = a.attrs, b.attrs
    frames = [(t["starts"], t["stops"]) for t in (at, to)]
    same = [tuple(v[:axis] + v[axis + 1 :] for v in frame) for frame in frames]
    steps = {*at["steps"], *to["steps"]}
    return steps == {1} and same[0] == same[1] and at["stops"][axis] == to["starts"][axis]


@rewrite(lambda x: slice_(x.by(concat)), EXACT)
def slice_of_concat(x, node):
    """A slice within one operand of a join is a slice of that operand."""
    axis, at = x.attrs["axis"], 0
    if len(x.inputs) > MANY:
        return None
    start, stop = node.attrs["starts"][axis], node.attrs["stops"][axis]
    for part in x.inputs:
        end = at + part.shape[axis]
        if at <= start and stop <= end and start < stop:
            starts, stops = list(node.attrs["starts"]), list(node.attrs["stops"])
            starts[axis], stops[axis] = start - at, stop - at
            return slice_(part, starts=tuple(starts), stops=tuple(stops), steps=node.attrs["steps"])
        at = end
    return None


# --- casts --------------------------------------------------------------------------------------


@rewrite(lambda x, via: cast(cast(x, dtype=via)), EXACT)
def cast_of_lossless_cast(x, via, node):
    """A cast that keeps every value can be left out before the next one."""
    source, target = x.dtype, node.dtype
    if source.is_float and target.is_int:
        return None  # out of range, the result depends on the float's width
    if via.is_float and target.is_int and not _keeps_values(source, target):
        return None  # from floats, what is out of range does not wrap
    return cast(x, dtype=target) if _keeps_values(source, via) else None


def _keeps_values(source, via):
    if source.kind == "b" or source is via:
        return True
    if via.kind == "b":
        return False
    if via.is_float:
        bits = np.finfo(via.numpy).nmant + 1
        if source.is_float:
            return via.size >= source.size
        return 8 * source.size - (source.kind == "i") <= bits
    if source.is_float or (source.kind == "i" and via.kind == "u"):
        return False
    return via.size > source.size or (via.size == source.size and via.kind == source.kind)


LAYOUT = (
    *map(_same_type, (reshape, broadcast, slice_, pad, cast)),
    transpose_of_unit_axes,
    flip_of_unit_axes,
    broadcast_along_unit_axes,
    reshape_of_reshape,
    transpose_of_transpose,
    flip_of_flip,
    broadcast_of_broadcast,
    slice_of_slice,
    broadcast_of_new_axes,
    new_axes_of_broadcast,
    transpose_of_broadcast,
    slice_of_broadcast,
    slice_of_pad,
    pad_of_zeros,
    pad_of_pad,
    concat_of_few_or_equal,
    concat_of_neighbours,
    slice_of_concat,
    cast_of_lossless_cast,
)
