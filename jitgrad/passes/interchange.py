"""Loops over independent lanes: all iterations for some lanes, then all for the next.

Where whatever a loop computes keeps the elements of one long axis apart, ten thousand systems
advancing side by side, say, the loop can be run for a tile of that axis at a time: then what it
carries and records never leaves the cache. This proves it, and makes the loop for a tile.

A loop that goes on while any lane does, such as a `while` under `vmap`, may end earlier for a tile
if it leaves alone the lanes that are done.
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
    substitute,
    with_inputs,
)
from jitgrad.ir.types import TensorType
from jitgrad.passes.axes import pairs
from jitgrad.passes.fold import fold
from jitgrad.passes.simplify import simplify
from jitgrad.primitives.flow import FLAG, any_of, inner, parts

SHORTEST = 64  # lanes from which it pays
WHOLE = -1  # no lanes
FREE = -2  # no lanes, but as many equal ones as are asked for


class Mixed(Exception):
    """Something in a loop mixes lanes, or nobody knows that it does not."""


class Lanes:
    """The axis that has the lanes (or WHOLE, or FREE) of each value of one graph. `ends`: whether
    its loops may have a test.
    """

    def __init__(self, graph: Graph, extent: int, given: Mapping[Node, int], ends: bool = False):
        self.graph, self.extent, self.ends = graph, extent, ends
        self.axis: dict[Node, int] = dict(given)
        self.results: dict[Node, list[int]] = {}  # of loops
        self.inside: dict[Node, Lanes] = {}
        self.tests: dict[Node, Lanes] = {}  # whether a lane goes on, for loops with a test
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
        given, own = parts(attrs, node.inputs), inner(attrs, body.inputs)
        if attrs["test"] is None:
            if attrs["length"] is None:
                raise Mixed
        elif not self.ends or len(body.outputs) != attrs["carried"] or own.slices:
            raise Mixed
        axes: dict[Node, int] = {own.count: WHOLE}
        for x, operand in zip(own.carry, given.carry, strict=True):
            axes[x] = self.wanted(operand, 0 if self.is_long(x) else WHOLE)
        for x, operand in zip(own.rest, given.rest, strict=True):
            axes[x] = 0 if self.axis[operand] == FREE else self.axis[operand]
        for x, operand in zip(own.slices, given.slices, strict=True):
            axes[x] = max(self.wanted(operand, 1 if self.is_long(x) else WHOLE) - 1, WHOLE)
        inside = self.inside[node] = Lanes(body, self.extent, axes, self.ends)
        found = []
        for i, output in enumerate(body.outputs):
            lanes = inside.axis[output]
            if lanes == FREE or lanes > 0 or (i < attrs["carried"] and lanes != axes[own.carry[i]]):
                raise Mixed
            found.append(lanes if i < attrs["carried"] or lanes == WHOLE else 1)
        if attrs["test"] is not None:
            self.tests[node] = self.going(node, axes)
            found.append(WHOLE)
        return found

    def going(self, node: Node, axes: Mapping[Node, int]) -> Lanes:
        """Whether a lane goes on, if that is what a loop's test asks of any of them, and nothing
        changes in a lane that does not.
        """
        test, body = node.attrs["test"], node.attrs["body"]
        (asked,), own = test.outputs, inner(node.attrs, body.inputs)
        masks = [x for x in asked.inputs if x.type is FLAG.with_shape((self.extent,))]
        if len(masks) != 1 or asked is not any_of(masks[0]):
            raise Mixed
        given = dict(zip(test.inputs, (own.count, *own.carry, *own.rest), strict=True))
        (goes_on,) = masks
        alone = Graph(test.name, test.inputs, (goes_on,))
        lanes = Lanes(alone, self.extent, {t: axes[x] for t, x in given.items()})
        (mask,) = substitute((goes_on,), given)
        over = substitute(body.outputs, {mask: full(False, mask.type)})  # type: ignore[arg-type]
        done = simplify(fold(simplify(fold(Graph(body.name, body.inputs, over)))))
        numbered = any(test.inputs[0] in n.inputs for n in alone.nodes)  # it could begin again
        if lanes.axis[goes_on] != 0 or numbered or done.outputs != own.carry:
            raise Mixed
        return lanes

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
        attrs = {**node.attrs, "body": inside.cut(extent)}
        if node in self.tests:
            alone = self.tests[node].cut(extent)
            attrs["test"] = Graph(alone.name, alone.inputs, (any_of(alone.outputs[0]),))
        return builder.make(node.op, tuple(operands), attrs)


def _cut_input(x: Node, axis: int, extent: int) -> Node:
    if axis < 0:
        return x
    shape = (*x.shape[:axis], extent, *x.shape[axis + 1 :])
    return input_node(x.attrs["name"], x.type.with_shape(shape))  # type: ignore[union-attr]


# --- gathered regions ---------------------------------------------------------------------------


@functools.lru_cache(maxsize=512)
def lanes_of(region: Node, ends: bool = False) -> Lanes | None:
    """The lanes of all that a region of loops computes, if it has such; its results are results of
    the loops, each once. `ends`: whether a lane may end before the others.
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
        found = Lanes(body, extent, given, ends)
    except Mixed:
        return None
    ends = body.outputs
    of_loops = all(o.op is project_op and found.axis[o] >= 0 for o in ends)
    return found if of_loops and len(set(ends)) == len(ends) else None


def for_lanes(region: Node, extent: int, ends: bool = False) -> Node:
    """A region for `extent` lanes, of operands of its own."""
    lanes = lanes_of(region, ends)
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
