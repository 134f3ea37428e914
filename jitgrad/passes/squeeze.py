"""Axes of extent 1 left out: what is computed on [n, 1] is computed on [n], where it fuses.

`keepdims` and its like put such axes everywhere. Values keep the types they had only where they
leave the graph or meet a call.
"""

from __future__ import annotations

from collections.abc import Callable

from jitgrad.ir.node import Graph, Node, builder, full, rebuild, splat, with_inputs
from jitgrad.ir.op import op
from jitgrad.passes.access import keeps_order


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that are longer than 1 (or empty)."""
    return tuple(a for a, n in enumerate(shape) if n != 1)


def squeezed(x: Node) -> Node:
    """A value without its axes of extent 1."""
    return reshaped(x, tuple(n for n in x.shape if n != 1))


def reshaped(x: Node, shape: tuple[int, ...]) -> Node:
    """A value in another shape, without what only gave it the one that it has."""
    if shape == x.shape:
        return x
    number = splat(x)
    if number is not None:
        return full(number, x.type.with_shape(shape))
    while keeps_order(x):
        x = x.inputs[0]
    return x if x.shape == shape else op("reshape")(x, shape=shape)


def _elementwise(node: Node, inputs: tuple[Node, ...]) -> Node:
    return builder.make(node.op, tuple(squeezed(x) for x in inputs), node.attrs)


def _reduce(node: Node, inputs: tuple[Node, ...]) -> Node:
    (x,) = inputs
    places = _long(x.shape)
    axes = tuple(places.index(a) for a in node.attrs["axes"] if a in places)
    return node.op(squeezed(x), axes=axes) if axes else squeezed(x)


def _broadcast(node: Node, inputs: tuple[Node, ...]) -> Node:
    (x,), dims = inputs, node.attrs["dims"]
    places = _long(node.shape)
    shape = tuple(node.shape[a] for a in places)
    # An axis of the operand that is longer than 1 is so in the result.
    kept = tuple(places.index(dims[a]) for a in _long(x.shape))
    return node.op(squeezed(x), shape=shape, dims=kept)


def _transpose(node: Node, inputs: tuple[Node, ...]) -> Node:
    (x,), perm = inputs, node.attrs["perm"]
    places = _long(x.shape)
    order = tuple(places.index(p) for p in perm if p in places)
    return node.op(squeezed(x), perm=order)


RULES: dict[str, Callable[[Node, tuple[Node, ...]], Node]] = {
    "elementwise": _elementwise,  # the first two are kinds of ops
    "reduce": _reduce,
    "broadcast": _broadcast,
    "transpose": _transpose,
}


def squeeze(graph: Graph) -> Graph:
    """Leave axes of extent 1 out of elementwise ops, reductions and the views between them."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        rule = RULES.get(node.op.kind) or RULES.get(node.op.name)
        shapes = (node.shape, *(x.shape for x in inputs)) if rule is not None else ()
        if rule is None or not any(1 in shape for shape in shapes):
            return with_inputs(node, inputs)
        made = rule(node, inputs)
        return made if made.shape == node.shape else op("reshape")(made, shape=node.shape)

    return rebuild(graph, rewrite)
