"""Complex numbers into pairs of real ones: what comes after differentiation is real.

A complex value is a `Pair` of nodes. At the boundaries, of a graph, a region or a call, it is one
array with a last axis of two, which in memory is what NumPy calls complex: parts of an operand are
views, and parts of a result are written where they belong.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, fail
from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    constant_op,
    full,
    input_node,
    input_op,
    project,
    project_op,
)
from jitgrad.ir.node import constant as constant_node
from jitgrad.ir.op import Op
from jitgrad.ir.types import TapeType, TensorType, TupleType, Type
from jitgrad.locate import Location
from jitgrad.passes.pair_functions import FUNCTIONS, Pair, Value, power, quotient, zero
from jitgrad.primitives import block, index, linalg, reduce, scan, shape
from jitgrad.primitives import complex as parts
from jitgrad.primitives import elementwise as e
from jitgrad.primitives.opaque import Callee, opaque, registered
from jitgrad.primitives.reduce import kept_axes


def pairs(graph: Graph) -> Graph:
    """The graph without complex numbers; itself if it has none."""
    if not parts.has_complex(graph):
        return graph
    found: dict[Node, Value] = {}
    locs: dict[Node, Location] = {}
    here: Location | None = None

    def note(node: Node) -> None:
        if here is not None:
            locs.setdefault(node, here)

    inputs = [builder.make(x.op, (), {**x.attrs, "type": _real(x.type)}) for x in graph.inputs]
    found.update((x, _as(x.type, new)) for x, new in zip(graph.inputs, inputs, strict=True))
    with builder.recording(note):
        for node in graph.nodes:
            if node.op is not input_op:
                here = graph.locs.get(node)
                found[node] = _rewritten(node, [found[i] for i in node.inputs], here)
        here = None
        outputs = [_joined(found[o]) for o in graph.outputs]
    return Graph(graph.name, inputs, outputs, {**graph.locs, **locs})


def _rewritten(node: Node, values: list[Value], where: Location | None) -> Value:
    """A node on operands that may be pairs."""
    if node.op.kind == "region":
        return _region(node, values)
    if node.op is project_op:
        return _as(node.type, project(values[0], node.attrs["index"]))  # type: ignore[arg-type]
    if _real(node.type) is node.type and not any(isinstance(v, Pair) for v in values):
        return builder.make(node.op, tuple(values), node.attrs)  # type: ignore[arg-type]
    rule = RULES.get(node.op)
    if rule is not None:
        return rule(node, *values)
    if node.op in EACH:
        return _of_each(node, values)
    raise fail(
        DTypeError,
        f"{node.op.name} of complex numbers cannot be compiled",
        instead="write it with ops.real(x) and ops.imag(x)",
        where=where,
    )


# --- types ----------------------------------------------------------------------------------------


def _real(type: Type) -> Any:
    """The type of what stands for values of a type; the type itself if that is real."""
    if isinstance(type, TensorType):
        return TensorType(type.dtype.real, (*type.shape, 2)) if type.dtype.is_complex else type
    if isinstance(type, TupleType):
        return TupleType(tuple([_real(t) for t in type.items]))
    return TapeType(_real(type.item))


def _as(type: Type, node: Node) -> Value:
    """A node of the type `_real(type)` as what stands for the type."""
    if not (isinstance(type, TensorType) and type.dtype.is_complex):
        return node
    whole = Pair(node, node)
    re, im = _cut(whole, 0, 1).re, _cut(whole, 1, 1).im
    return Pair(_as_shape(re, type.shape), _as_shape(im, type.shape))


def _joined(value: Value) -> Node:
    """A pair as one array."""
    if isinstance(value, Node):
        return value
    columns = [_as_shape(x, (*x.shape, 1)) for x in (value.re, value.im)]
    return shape.concat(*columns, axis=value.re.ndim)


# --- structure ------------------------------------------------------------------------------------


def region_of_pairs(region: Node) -> Node:
    """A region by itself without complex numbers, over operands of its own."""
    return _region(
        region, [input_node(f"x{i}", _real(x.type)) for i, x in enumerate(region.inputs)]
    )


def _region(node: Node, values: Sequence[Value]) -> Node:
    attrs = {k: pairs(v) if isinstance(v, Graph) else v for k, v in node.attrs.items()}
    return builder.make(node.op, tuple([_joined(v) for v in values]), attrs)


def _of_each(node: Node, values: Sequence[Value]) -> Pair:
    """An op that is linear in its complex operands together, on the real parts and on the others;
    what is real among its operands, such as an index, is the same for both.
    """
    re = tuple([v.re if isinstance(v, Pair) else v for v in values])
    im = tuple([v.im if isinstance(v, Pair) else v for v in values])
    return Pair(builder.make(node.op, re, node.attrs), builder.make(node.op, im, node.attrs))


EACH: frozenset[Op] = frozenset({
    e.add, e.sub, e.neg, e.select, e.stop_gradient, e.value_of, reduce.reduce_sum, scan.cumsum,
    shape.broadcast, shape.reshape, shape.transpose, shape.slice_, shape.flip, shape.pad,
    shape.concat, index.take, index.scatter, block.dynamic_slice, block.dynamic_update_slice,
})  # fmt: skip


def _constant(node: Node) -> Pair:
    value = node.attrs["value"].array
    if value.ndim == 0:
        of = node.type.with_dtype(node.dtype.real)
        return Pair(full(value.real, of), full(value.imag, of))
    return Pair(constant_node(value.real), constant_node(value.imag))


def _cast(node: Node, x: Value) -> Pair:
    def cast(part: Node) -> Node:
        to = node.dtype.real
        return part if part.dtype is to else shape.cast(part, dtype=to)

    if isinstance(x, Pair):
        return x.each(cast)
    re = cast(x)
    return Pair(re, zero(re))


# --- arithmetic -----------------------------------------------------------------------------------


def _matmul(node: Node, x: Pair, y: Pair) -> Pair:
    product = linalg.matmul
    re = product(x.re, y.re) - product(x.im, y.im)
    return Pair(re, product(x.re, y.im) + product(x.im, y.re))


def _product(node: Node, x: Pair) -> Pair:
    """Halves times halves, and what was left over where there was an odd number."""
    axes = node.attrs["axes"]
    order = (*kept_axes(x.re.ndim, axes), *axes)
    count = math.prod(x.re.shape[a] for a in axes)
    rows = x.each(lambda p: _as_shape(shape.transpose(p, perm=order), (*node.shape, count)))
    one = full(1, TensorType(node.dtype.real, (*node.shape, 1)))
    total = Pair(one, zero(one))
    while count:
        if count % 2:
            total = total * _cut(rows, count - 1, 1)
        rows, count = _cut(rows, 0, count // 2) * _cut(rows, count // 2, count // 2), count // 2
    return total.each(lambda p: _as_shape(p, node.shape))


def _as_shape(x: Node, to: tuple[int, ...]) -> Node:
    return shape.reshape(x, shape=to)


def _cut(x: Pair, first: int, count: int) -> Pair:
    """So many elements of the last axis."""
    extents = x.re.shape[:-1]
    starts, stops = (*(0,) * len(extents), first), (*extents, first + count)
    steps = (1,) * len(stops)
    return x.each(lambda p: shape.slice_(p, starts=starts, stops=stops, steps=steps))


def _equal(node: Node, x: Pair, y: Pair) -> Node:
    return e.logical_and(e.equal(x.re, y.re), e.equal(x.im, y.im))


def _not_equal(node: Node, x: Pair, y: Pair) -> Node:
    return e.logical_or(e.not_equal(x.re, y.re), e.not_equal(x.im, y.im))


# --- the Fourier transform ------------------------------------------------------------------------


def _dft(node: Node, x: Pair) -> Value:
    """SciPy's, called from the plan."""
    joined = _joined(x)
    attrs = _fourier(joined.type, node.attrs["axes"], node.attrs["inverse"])
    return _as(node.type, project(builder.make(opaque, (joined,), attrs), 0))


@functools.lru_cache(maxsize=1024)
def _fourier(type: TensorType, axes: tuple[int, ...], inverse: bool) -> dict[str, Any]:
    def run(x: np.ndarray) -> np.ndarray:
        found = parts.transformed(x.view(f"c{2 * x.itemsize}")[..., 0], axes, inverse)
        return np.ascontiguousarray(found)[..., None].view(x.dtype)

    return registered(Callee(run, "ifft" if inverse else "fft", (type,), (type,)))


# --- all of them ----------------------------------------------------------------------------------

Rule = Callable[..., Value]


def _of_one(function: Callable[[Pair], Value]) -> Rule:
    return lambda node, x: function(x)


RULES: dict[Op, Rule] = {
    **{op: _of_one(function) for op, function in FUNCTIONS.items()},
    e.mul: lambda node, x, y: x * y,
    e.div: lambda node, x, y: quotient(x, y),
    e.pow_: lambda node, x, y: power(x, y),
    e.equal: _equal,
    e.not_equal: _not_equal,
    constant_op: _constant,
    parts.complex_: lambda node, re, im: Pair(re, im),
    parts.dft: _dft,
    shape.cast: _cast,
    linalg.matmul: _matmul,
    reduce.reduce_prod: _product,
}

__all__ = ["EACH", "RULES", "Pair", "pairs", "region_of_pairs"]
