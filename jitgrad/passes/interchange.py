"""Loops over independent lanes: all iterations for some lanes, then all for the next.

Where whatever a loop computes keeps the elements of one long axis apart, ten thousand systems
advancing side by side, say, the loop can be run for a tile of that axis at a time: then what it
carries and records never leaves the cache. This proves it, and makes the loop for a tile.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    full,
    input_node,
    input_op,
    project_op,
    splat,
    with_inputs,
)
from jitgrad.ir.types import TensorType
from jitgrad.passes.axes import pairs
from jitgrad.primitives.flow import inner, parts

SHORTEST = 64  # lanes from which it pays
WHOLE = -1  # no lanes
FREE = -2  # no lanes, but as many equal ones as are asked for


class Mixed(Exception):
    """Something in a loop mixes lanes, or nobody knows that it does not."""


class Lanes:
    """The axis that has the lanes (or WHOLE, or FREE) of each value of one graph."""

    def __init__(self, graph: Graph, extent: int, given: Mapping[Node, int]):
        self.graph, self.extent = graph, extent
        self.axis: dict[Node, int] = dict(given)
        self.results: dict[Node, list[int]] = {}  # of loops
        self.inside: dict[Node, Lanes] = {}
        for node in graph.nodes:
            if node not in self.axis:
                self.axis[node] = self.find(node)

    def find(self, node: Node) -> int:
        if node.op is project_op:
            return self.results[node.inputs[0]][node.attrs["index"]]
        if "carried" in node.attrs:
            self.results[node] = self.loop(node)
            return WHOLE
        if node.op.kind == "leaf":
            return FREE if self.is_long(node) and splat(node) is not None else WHOLE
        known = [self.axis[i] for i in node.inputs]
        if 0 in known:
            self.check_apart(node, known)
            return 0
        if any(a > 0 for a in known) or node.op.kind not in ("elementwise", "reduce", "view"):
            raise Mixed
        if node.op.kind == "elementwise" and all(a == FREE for a in known):
            return FREE
        repeats = self.is_long(node) and 0 not in node.attrs.get("dims", (0,))
        return FREE if repeats else WHOLE

    def is_long(self, node: Node) -> bool:
        return isinstance(node.type, TensorType) and node.shape[:1] == (self.extent,)

    def check_apart(self, node: Node, known: Sequence[int]) -> None:
        """Each lane of a result is made of that lane of the operands."""
        into = {(i, a) for i, a, r in pairs(node) if r == 0}
        lanes = [i for i, a in enumerate(known) if a >= 0]
        apart = self.is_long(node) and all((i, 0) in into and known[i] == 0 for i in lanes)
        if not apart or any(a != 0 or known[i] == WHOLE for i, a in into):
            raise Mixed

    def loop(self, node: Node) -> list[int]:
        """The lanes of a loop's results."""
        attrs, body = node.attrs, node.attrs["body"]
        if attrs["length"] is None or attrs["test"] is not None:
            raise Mixed
        given, own = parts(attrs, node.inputs), inner(attrs, body.inputs)
        axes: dict[Node, int] = {own.count: WHOLE}
        for x, operand in zip(own.carry, given.carry, strict=True):
            axes[x] = self.wanted(operand, 0 if self.is_long(x) else WHOLE)
        for x, operand in zip(own.rest, given.rest, strict=True):
            axes[x] = 0 if self.axis[operand] == FREE else self.axis[operand]
        for x, operand in zip(own.slices, given.slices, strict=True):
            axes[x] = max(self.wanted(operand, 1 if self.is_long(x) else WHOLE) - 1, WHOLE)
        inside = self.inside[node] = Lanes(body, self.extent, axes)
        found = []
        for i, output in enumerate(body.outputs):
            lanes = inside.axis[output]
            if lanes == FREE or lanes > 0 or (i < attrs["carried"] and lanes != axes[own.carry[i]]):
                raise Mixed
            found.append(lanes if i < attrs["carried"] or lanes == WHOLE else 1)
        return found

    def wanted(self, operand: Node, axis: int) -> int:
        """The axis, if the operand has its lanes there."""
        if self.axis[operand] != axis and not (self.axis[operand] == FREE and axis == 0):
            raise Mixed
        return axis

    # --- a tile ---

    def cut(self, extent: int) -> Graph:
        """The graph for `extent` lanes."""
        tile: dict[Node, Node] = {}  # what has lanes, or is to have some
        whole: dict[Node, Node] = {}
        for node in self.graph.nodes:
            axis = self.axis[node]
            if node in self.inside:
                whole[node] = self.cut_loop(node, tile, whole, extent)
            elif node.op is project_op:
                (whole if axis == WHOLE else tile)[node] = with_inputs(
                    node, (whole[node.inputs[0]],)
                )
            else:
                if axis != WHOLE:
                    tile[node] = self.cut_node(node, tile, whole, extent)
                if axis < 0:
                    whole[node] = with_inputs(node, tuple([whole[i] for i in node.inputs]))
        for x in self.graph.inputs:
            tile.setdefault(x, _cut_input(x, self.axis[x], extent))
        outputs = [whole[o] if self.axis[o] == WHOLE else tile[o] for o in self.graph.outputs]
        return Graph(self.graph.name, [tile[x] for x in self.graph.inputs], outputs)

    def cut_node(
        self, node: Node, tile: Mapping[Node, Node], whole: Mapping[Node, Node], extent: int
    ) -> Node:
        if node.op is input_op:
            return _cut_input(node, self.axis[node], extent)
        number = splat(node)
        if number is not None and node.op.kind == "leaf":
            return full(number, node.type.with_shape((extent, *node.shape[1:])))  # type: ignore[union-attr]
        attrs = dict(node.attrs)
        for name in ("shape", "stops"):  # what of a view speaks of its first axis
            if name in attrs:
                attrs[name] = (extent, *attrs[name][1:])
        return node.op(
            *(whole[i] if self.axis[i] == WHOLE else tile[i] for i in node.inputs), **attrs
        )

    def cut_loop(
        self, node: Node, tile: Mapping[Node, Node], whole: Mapping[Node, Node], extent: int
    ) -> Node:
        inside, first = self.inside[node], int(node.attrs["counted"])
        axes = [inside.axis[x] for x in node.attrs["body"].inputs[1:]]
        operands = [
            whole[o] if a == WHOLE else tile[o]
            for o, a in zip(node.inputs[first:], axes, strict=True)
        ]
        operands[:0] = [whole[o] for o in node.inputs[:first]]
        return builder.make(node.op, tuple(operands), {**node.attrs, "body": inside.cut(extent)})


def _cut_input(x: Node, axis: int, extent: int) -> Node:
    if axis < 0:
        return x
    shape = (*x.shape[:axis], extent, *x.shape[axis + 1 :])
    return input_node(x.attrs["name"], x.type.with_shape(shape))  # type: ignore[union-attr]


# --- gathered regions ---------------------------------------------------------------------------


@functools.lru_cache(maxsize=512)
def lanes_of(region: Node) -> Lanes | None:
    """The lanes of all that a region of loops computes, if it has such; its results are results of
    the loops, each once.
    """
    body: Graph = region.attrs["body"]
    loops = [n for n in body.nodes if "carried" in n.attrs]
    carried = [x for n in loops for x in parts(n.attrs, n.inputs).carry if x.ndim]
    extent = max((x.shape[0] for x in carried), default=0)
    if extent < SHORTEST:
        return None
    stacks = {x for n in loops for x in parts(n.attrs, n.inputs).slices}
    given: dict[Node, int] = {}
    for x in body.inputs:
        shape = x.shape if isinstance(x.type, TensorType) else ()
        axis = 1 if x in stacks else 0
        given[x] = axis if shape[axis : axis + 1] == (extent,) else WHOLE
    try:
        found = Lanes(body, extent, given)
    except Mixed:
        return None
    ends = body.outputs
    of_loops = all(o.op is project_op and found.axis[o] >= 0 for o in ends)
    return found if of_loops and len(set(ends)) == len(ends) else None


def for_lanes(region: Node, extent: int) -> Node:
    """A region for `extent` lanes, of operands of its own."""
    lanes = lanes_of(region)
    assert lanes is not None
    body = lanes.cut(extent)
    return builder.make(region.op, tuple(body.inputs), {"body": body})


def carried_bytes(region: Node) -> int:
    """Bytes that loops in a region carry from one iteration to the next, over all of them."""
    if "body" not in region.attrs:
        return 0
    loops = [n for n in region.attrs["body"].nodes if "carried" in n.attrs]
    return sum(
        x.type.nbytes * (n.attrs["length"] - 1)
        for n in loops
        for x in parts(n.attrs, n.inputs).carry
    )
