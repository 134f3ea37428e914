"""A long axis beside short ones goes last: its elements become the lanes of vectors.

Ten thousand points of three coordinates are best kept as three rows of ten thousand. Where a graph
reduces or multiplies over short axes (coordinates, components of a mixture, small matrices) for
each element of a long one, all that is computed along the long axis is rewritten to have it last,
and the small products become sums in loops. Reads of what lies in memory in another order are
views; a graph's inputs are copied once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from jitgrad.ir.node import Graph, Node, builder, full, input_node, readers_of, splat, with_inputs
from jitgrad.ir.op import op
from jitgrad.ir.types import TensorType
from jitgrad.passes.axes import Axis, Classes, Pair
from jitgrad.passes.orient import PRODUCTS

LONG = 256  # lanes from which it pays
SHORT = 32  # the longest axis that is worth it beside the lanes
# Elements of the smaller side of a product that is a loop; a library does larger ones faster, but
# not when it is called for each of many matrices.
SMALL, SMALL_OF_MANY = 64, 256
INNER = 1024  # elements behind each lane, at most

MOVES = frozenset({"pad", "concat"})  # calls that are made with another axis last as well


# --- small products -----------------------------------------------------------------------------


def is_small(node: Node) -> bool:
    """A product that is long along one axis at most, and small in the others."""
    if node.op.name not in PRODUCTS or not node.dtype.is_float:
        return False
    m, k = node.inputs[0].shape[-2:]
    extents = sorted((m, k, node.shape[-1]))
    batch = max(node.shape[:-2], default=1)
    if extents[0] * extents[1] > (SMALL_OF_MANY if batch > 1 else SMALL):
        return False
    return extents[2] >= LONG or (extents[2] <= SHORT and batch >= LONG)


def product_axes(node: Node) -> list[tuple[int | None, int | None, int | None]]:
    """The axes of a product's loops, each by its place in the left, the right and the result."""
    n = node.ndim
    batch = [(i, i, i) for i in range(n - 2)]
    return [*batch, (n - 2, None, n - 2), (None, n - 1, n - 1), (n - 1, n - 2, None)]


def _product_pairs(node: Node) -> Iterable[Pair]:
    """For `Classes`: a small product's axes. The summed axis is one of both operands."""
    if is_small(node):
        for left, right, result in product_axes(node):
            if result is not None and left is not None:
                yield 0, left, result
            if result is not None and right is not None:
                yield 1, right, result


# --- what is worth it ---------------------------------------------------------------------------


def _lane_of(node: Node, classes: Classes, chosen: Axis) -> int | None:
    """The axis of a value that belongs to a class: the last one, if there are several."""
    axes = [a for a in range(node.ndim) if classes.find((node, a)) == chosen]
    return axes[-1] if axes and _fits(node, axes[-1]) else None


def _fits(node: Node, axis: int) -> bool:
    """Whether an axis is near enough to the last one to take its place."""
    return math.prod(node.shape[axis + 1 :]) <= INNER


def _gains(node: Node) -> Iterable[tuple[Axis, int]]:
    """Axes along which a node would be better off with that axis last, and how much work it is."""
    if node.op.kind == "reduce":
        (x,), axes = node.inputs, node.attrs["axes"]
        inner = x.ndim - 1 in axes and math.prod(x.shape[a] for a in axes) <= SHORT
        for a in range(x.ndim - 1) if inner else ():
            if a not in axes and x.shape[a] >= LONG and _fits(x, a):
                yield (x, a), x.type.size
    elif is_small(node):
        for left, right, _ in product_axes(node):
            operand = node.inputs[0 if left is not None else 1]
            axis = left if left is not None else right
            assert axis is not None
            if operand.shape[axis] >= LONG:
                yield (operand, axis), node.type.size * node.inputs[0].shape[-1]


def choose(graph: Graph) -> dict[Node, int]:
    """The lane axis of every value that gets one."""
    classes = Classes(graph, _product_pairs)
    for node in graph.nodes:  # a summed axis joins operands, not the result
        if is_small(node):
            (a, b), n = node.inputs, node.ndim
            classes.join((a, n - 1), (b, n - 2))
    scores: Counter[Axis] = Counter()
    for node in graph.nodes:
        for axis, gain in _gains(node):
            scores[classes.find(axis)] += gain
    lanes: dict[Node, int] = {}
    readers = _readers(graph)
    arrays = [node for node in graph.nodes if isinstance(node.type, TensorType)]
    for chosen, gain in scores.most_common():
        places = {node: _lane_of(node, classes, chosen) for node in arrays}
        found = {node: lane for node, lane in places.items() if lane is not None}
        if gain >= 2 * _moved(found, readers) and not lanes.keys() & found.keys():
            lanes |= found
    return lanes


def _readers(graph: Graph) -> dict[Node, list[Node | None]]:
    """Who reads each value; None for the caller."""
    readers: dict[Node, list[Node | None]] = {o: [None] for o in graph.outputs}
    for node, others in readers_of(graph).items():
        readers.setdefault(node, []).extend(others)
    return readers


def _moved(lanes: Mapping[Node, int], readers: Mapping[Node, Sequence[Node | None]]) -> int:
    """Elements that have to change their order in memory: what comes from the caller or a library
    call, and what goes there.
    """

    def is_outside(node: Node | None) -> bool:
        if node is None or (node.op.kind == "leaf" and splat(node) is None):
            return True
        return node.op.kind in ("call", "region") and node.op.name not in MOVES

    total = 0
    for node, lane in lanes.items():
        if lane != node.ndim - 1:
            sides = (node, *readers.get(node, ()))
            total += node.type.size * sum(is_outside(n) and not _is_sum(n) for n in sides)
    return total


def _is_sum(node: Node | None) -> bool:
    return node is not None and is_small(node)


# --- the new graph ------------------------------------------------------------------------------


def _last(ndim: int, lane: int) -> tuple[int, ...]:
    """The order of axes with one of them last."""
    return (*(a for a in range(ndim) if a != lane), lane)


def _ordered(x: Node, perm: Sequence[int]) -> Node:
    perm = tuple(perm)
    return x if perm == tuple(range(x.ndim)) else op("transpose")(x, perm=perm)


def _inverse(perm: Sequence[int]) -> tuple[int, ...]:
    return tuple(perm.index(a) for a in range(len(perm)))


class Lanes:
    """One rewriting. A value is known as it was, or with its lane last, or both."""

    def __init__(self, graph: Graph, lanes: dict[Node, int]):
        self.graph, self.lanes = graph, lanes
        self.as_was: dict[Node, Node] = {}
        self.laned: dict[Node, Node] = {}

    def order(self, node: Node) -> tuple[int, ...]:
        return _last(node.ndim, self.lanes[node]) if node in self.lanes else tuple(range(node.ndim))

    def plain(self, node: Node) -> Node:
        """The value with its axes as they were."""
        if node not in self.as_was:
            self.as_was[node] = _ordered(self.laned[node], _inverse(self.order(node)))
        return self.as_was[node]

    def last(self, node: Node) -> Node:
        """The value with its lane last; what is in memory otherwise is copied."""
        if node not in self.lanes:
            return self.plain(node)
        if node not in self.laned:
            order = self.order(node)
            is_view = node.op.kind == "view" or order == tuple(range(node.ndim))
            x = self.as_was[node]
            self.laned[node] = _ordered(x, order) if is_view else _copied(x, order)
        return self.laned[node]

    def run(self) -> Graph:
        locs = dict(self.graph.locs)
        for node in self.graph.nodes:
            here = self.graph.locs.get(node)

            def note(made: Node, here=here) -> None:
                if here is not None:
                    locs.setdefault(made, here)

            with builder.recording(note):
                self.rewrite(node)
        return self.graph.replace([self.plain(o) for o in self.graph.outputs], locs)

    def rewrite(self, node: Node) -> None:
        touched = node in self.lanes or any(i in self.lanes for i in node.inputs)
        rule = RULES.get(node.op.kind) or RULES.get(node.op.name) if touched else None
        made = rule(self, node) if rule is not None else None
        if made is None:
            self.as_was[node] = with_inputs(node, tuple(self.plain(i) for i in node.inputs))
        elif node in self.lanes:
            self.laned[node] = made
        else:
            self.as_was[node] = made


def _copied(x: Node, order: Sequence[int]) -> Node:
    """A value in memory in another order."""
    inside = input_node("a0", x.type)
    body = Graph("body", (inside,), (_ordered(inside, order),))
    shape = body.outputs[0].shape
    return builder.make(op("fused"), (x,), {"body": body, "domain": shape, "axes": ()})


# --- rules: the node with its lane last, from operands with theirs last ---------------------------


def _constant(lanes: Lanes, node: Node) -> Node | None:
    number = splat(node)
    if number is None:
        return None
    return full(number, node.type.with_shape(tuple(node.shape[a] for a in lanes.order(node))))


def _elementwise(lanes: Lanes, node: Node) -> Node | None:
    if node not in lanes.lanes:
        return None
    order = lanes.order(node)
    operands = [
        lanes.last(i) if lanes.order(i) == order else _ordered(lanes.plain(i), order)
        for i in node.inputs
    ]
    return builder.make(node.op, tuple(operands), node.attrs)


def _reduce(lanes: Lanes, node: Node) -> Node:
    (x,) = node.inputs
    order = lanes.order(x)
    axes = node.attrs["axes"]
    made = node.op(lanes.last(x), axes=tuple(sorted(order.index(a) for a in axes)))
    kept = [a for a in range(x.ndim) if a not in axes]
    have = [kept.index(a) for a in order if a not in axes]
    return _ordered(made, [have.index(a) for a in lanes.order(node)])


def _broadcast(lanes: Lanes, node: Node) -> Node:
    (x,) = node.inputs
    before, after = lanes.order(x), lanes.order(node)
    places = [after.index(node.attrs["dims"][a]) for a in before]
    sorting = sorted(range(x.ndim), key=places.__getitem__)
    shape = tuple(node.shape[a] for a in after)
    return node.op(_ordered(lanes.last(x), sorting), shape=shape, dims=tuple(sorted(places)))


def _transpose(lanes: Lanes, node: Node) -> Node:
    (x,), perm = node.inputs, node.attrs["perm"]
    have = lanes.order(x)
    return _ordered(lanes.last(x), [have.index(perm[a]) for a in lanes.order(node)])


def _per_axis(lanes: Lanes, node: Node) -> Node | None:
    """Ops whose attributes are one number for each axis."""
    (x,) = node.inputs
    order = lanes.order(node)
    if lanes.order(x) != order:
        return None
    attrs = {name: tuple(values[a] for a in order) for name, values in node.attrs.items()}
    return node.op(lanes.last(x), **attrs)


def _concat(lanes: Lanes, node: Node) -> Node | None:
    order = lanes.order(node)
    if any(lanes.order(i) != order for i in node.inputs):
        return None
    return node.op(*map(lanes.last, node.inputs), axis=order.index(node.attrs["axis"]))


def _reshape(lanes: Lanes, node: Node) -> Node | None:
    (x,) = node.inputs
    if x not in lanes.lanes or node not in lanes.lanes:
        return None
    lane, to = lanes.lanes[x], lanes.lanes[node]
    if math.prod(x.shape[:lane]) != math.prod(node.shape[:to]) or x.shape[lane] != node.shape[to]:
        return None
    return node.op(lanes.last(x), shape=tuple(node.shape[a] for a in lanes.order(node)))


def _product(lanes: Lanes, node: Node) -> Node | None:
    """A small product as a sum of products: loops over the result's axes, the summed one, lanes."""
    if not is_small(node):
        return None
    a, b = node.inputs
    axes = product_axes(node)
    summed = len(axes) - 1
    lane_of = lanes.lanes.get
    found = [i for i, t in enumerate(axes) if lane_of(a, -1) == t[0] or lane_of(b, -1) == t[1]]
    if not found:
        return None
    lane = found[0]
    loops = [i for i in range(len(axes)) if i not in (lane, summed)]
    loops += [summed, lane] if lane != summed else [summed]
    left = _spread(lanes, a, [t[0] for t in axes], loops, node)
    right = _spread(lanes, b, [t[1] for t in axes], loops, node)
    total = op("reduce_sum")(left * right, axes=(loops.index(summed),))
    have = [axes[i][2] for i in loops if i != summed]
    return _ordered(total, [have.index(d) for d in lanes.order(node)])


def _spread(
    lanes: Lanes, x: Node, places: Sequence[int | None], loops: Sequence[int], node: Node
) -> Node:
    """A factor over all loops of the product."""
    extents = [*node.shape, node.inputs[0].shape[-1]]
    mine = [i for i in loops if places[i] is not None]
    have = lanes.order(x)
    ordered = _ordered(lanes.last(x), [have.index(places[i]) for i in mine])
    return op("broadcast")(
        ordered,
        shape=tuple(extents[i] for i in loops),
        dims=tuple(loops.index(i) for i in mine),
    )


RULES: dict[str, Callable[[Lanes, Node], Node | None]] = {
    "elementwise": _elementwise,  # the first two are kinds of ops
    "reduce": _reduce,
    "constant": _constant,
    "broadcast": _broadcast,
    "transpose": _transpose,
    "slice": _per_axis,
    "pad": _per_axis,
    "concat": _concat,
    "reshape": _reshape,
    "matmul": _product,
}


def lanes_last(graph: Graph) -> Graph:
    """The graph with long axes last where that makes vectors of them."""
    chosen = choose(graph)
    return Lanes(graph, chosen).run() if chosen else graph
