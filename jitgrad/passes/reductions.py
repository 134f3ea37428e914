"""Rules of reductions and repetitions: compute once what is the same for many elements.

The order in which a float sum or product takes its terms is not part of its meaning, and rules
change it; so do the kernels.
"""

from __future__ import annotations

import math

import numpy as np

from jitgrad.ir.node import builder, full, splat
from jitgrad.ir.node import constant_op as constant
from jitgrad.ir.op import OPS
from jitgrad.ir.pattern import EXACT, EXACT_BUT_SIGNED_ZERO, rewrite, rule
from jitgrad.primitives.reduce import (
    kept_axes,
    reduce_all,
    reduce_any,
    reduce_max,
    reduce_min,
    reduce_prod,
    reduce_sum,
)
from jitgrad.primitives.shape import broadcast, reshape

# Adding 0.0 to a lone -0.0 gives 0.0, and whether a sum does so is left open.
REDUCTIONS = {
    reduce_sum: EXACT_BUT_SIGNED_ZERO,
    **dict.fromkeys((reduce_prod, reduce_max, reduce_min, reduce_any, reduce_all), EXACT),
}
IDEMPOTENT = (reduce_max, reduce_min, reduce_any, reduce_all)


def _over_unit_axes(op):
    @rewrite(lambda x, axes: op(x, axes=axes), REDUCTIONS[op])
    def over_unit_axes(x, axes, node):
        """Nothing is combined: only the shape changes."""
        if any(x.shape[a] != 1 for a in axes):
            return None
        return reshape(x, shape=node.shape)

    return over_unit_axes.named(f"{op.name} {over_unit_axes.name}")


def _of_itself(op):
    @rewrite(lambda x, inner, outer: op(op(x, axes=inner), axes=outer), EXACT)
    def of_itself(x, inner, outer):
        """Over some axes, then over others: over all of them at once."""
        kept = kept_axes(x.ndim, inner)
        return op(x, axes=tuple(sorted((*inner, *[kept[a] for a in outer]))))

    return of_itself.named(f"{op.name} {of_itself.name}")


def _of_broadcast(op):
    @rewrite(lambda x, dims, axes: op(broadcast(x, dims=dims), axes=axes), EXACT)
    def of_broadcast(x, dims, axes, node):
        """Reduce before repeating; reducing repeated numbers alone is known."""
        repeated = [node.inputs[0].shape[a] for a in axes if a not in dims]
        reduced = reduce_inside(op, x, dims, axes, node)
        if not repeated:
            return reduced
        if op in IDEMPOTENT and all(repeated):
            return reduced
        if op is reduce_sum and x.dtype.is_int:
            return reduced * full(math.prod(repeated), node.type)
        return None

    return of_broadcast.named(f"{op.name} {of_broadcast.name}")


def reduce_inside(op, x, dims, axes, node):
    """The reduction of x over those of its axes that are among `axes`, repeated to the shape
    of `node`.
    """
    own = tuple(i for i, d in enumerate(dims) if d in axes)
    reduced = op(x, axes=own) if own else x
    kept = kept_axes(node.inputs[0].ndim, axes)
    places = tuple(kept.index(d) for d in dims if d not in axes)
    return broadcast(reduced, shape=node.shape, dims=places)


def _of_one_number(op):
    @rewrite(lambda x: op(x.by(constant)), REDUCTIONS[op])
    def of_one_number(x, node):
        """The largest of equal numbers is that number; a sum is the product where exact."""
        number = splat(x)
        if number is None:
            return None
        count = x.type.size // max(node.type.size, 1)
        if count == 0 or number == 0:
            return 0 if op is reduce_sum else None
        if op in IDEMPOTENT or (op is reduce_prod and number == 1):
            return full(number, node.type)
        if op is reduce_sum and x.dtype.is_int:
            wrapped = number[None] * np.asarray(count).astype(number.dtype)
            return full(wrapped[0], node.type)
        if op is reduce_sum and _sums_exactly(number, count):
            return float(number) * count
        return None

    return of_one_number.named(f"{op.name} {of_one_number.name}")


sum_of_negations = rule(
    "sum of negations",
    lambda x, a: (reduce_sum(-x, axes=a), -reduce_sum(x, axes=a)),
    EXACT_BUT_SIGNED_ZERO,
)


def _sums_exactly(number, count):
    """Whether every partial sum of `count` copies of a float is a float."""
    if not np.isfinite(number):
        return False
    limits = np.finfo(number.dtype)
    integer, bits = abs(math.frexp(float(number))[0]), 0
    while integer != int(integer):
        integer, bits = integer * 2, bits + 1
    fits = int(integer) * count <= 2 ** (limits.nmant + 1)
    return fits and abs(float(number)) * count <= float(limits.max)


# --- elementwise ops of broadcasts --------------------------------------------------------------


def _of_broadcasts(op):
    @rewrite(lambda xs: op(xs.all), EXACT)
    def of_broadcasts(xs, node):
        """Compute once what is the same along an axis, then repeat it."""
        for first in xs:
            if first.op is broadcast:
                break
        else:
            return None
        (source,), dims = first.inputs, first.attrs["dims"]
        inner = []
        for x in xs:
            if x.op is broadcast and x.attrs["dims"] == dims:
                inner.append(x.inputs[0])
            elif splat(x) is not None:
                inner.append(builder.make(constant, (), {**x.attrs, "shape": source.shape}))
            else:
                return None
        return broadcast(op(*inner, **node.attrs), shape=node.shape, dims=dims)

    return of_broadcasts.named(f"{op.name} {of_broadcasts.name}")


REDUCTION = (
    *map(_over_unit_axes, REDUCTIONS),
    *map(_of_itself, REDUCTIONS),
    *map(_of_broadcast, REDUCTIONS),
    *map(_of_one_number, REDUCTIONS),
    sum_of_negations,
    *[_of_broadcasts(op) for op in OPS.values() if op.kind == "elementwise"],
)
