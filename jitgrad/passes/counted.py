"""A loop of unknown length as two: one that counts its iterations, and one of that length.

What is recorded has no place on a device as long as nobody knows how much it is. Counting costs the
iterations once more, without what they record; then all there is has a known length.
"""

from __future__ import annotations

import functools

from jitgrad.ir.node import Graph, Node, builder, full, input_node, project, substitute
from jitgrad.ir.types import TapeType, TensorType
from jitgrad.passes.interchange import lanes_of_loop
from jitgrad.primitives.flow import (
    COUNT,
    any_of,
    choose,
    inner,
    largest,
    parts,
    position,
    stacked,
)


def of_length(loop: Node, length: int) -> Graph:
    """The loop with so many iterations, of its operands but the count; its tapes are arrays."""
    at = loop.attrs
    types = [x.type for x in loop.inputs[int(at["counted"]) :]]
    known = [stacked(t.item, length) if isinstance(t, TapeType) else t for t in types]
    inputs = [input_node(f"x{i}", t) for i, t in enumerate(known)]
    attrs = {**at, "length": length, "counted": False, "test": None, "limit": 0}
    made = builder.make(loop.op, tuple(inputs), attrs)
    return Graph("counted", inputs, [project(made, i) for i in range(len(at["body"].outputs))])


@functools.lru_cache(maxsize=512)  # asked for at each run
def counting(loop: Node) -> Graph:
    """How often a loop with a test runs, of its operands."""
    at, body = loop.attrs, loop.attrs["body"]
    inputs = [input_node(f"x{i}", x.type) for i, x in enumerate(loop.inputs)]
    carried = at["carried"]
    plain = {**at, "body": Graph(body.name, body.inputs, body.outputs[:carried])}
    made = builder.make(loop.op, tuple(inputs), plain)
    lanes = lanes_of_loop(made)
    if lanes is None:
        return Graph("count", inputs, (project(made, carried),))
    return Graph("count", inputs, (largest(_of_lanes(made, lanes.extent)),))


def _of_lanes(loop: Node, extent: int) -> Node:
    """How often each lane of a loop runs: carried along."""
    at, body, (asked,) = loop.attrs, loop.attrs["body"], loop.attrs["test"].outputs
    own, given, test = inner(at, body.inputs), parts(at, loop.inputs), at["test"]
    counts = TensorType(COUNT.dtype, (extent,))
    ran = position("n", 0, counts)
    outside = dict(zip(test.inputs, (own.count, *own.carry, *own.rest), strict=True))
    masks = [x for x in asked.inputs if asked is any_of(x)]
    (mask,) = substitute(masks, outside)
    more = ran + choose(mask, full(1, counts), full(0, counts))
    xs = own.count, *own.carry, ran, *own.rest
    tested = Graph(test.name, xs, substitute(test.outputs, outside))
    attrs = {**at, "carried": at["carried"] + 1, "test": tested}
    attrs["body"] = Graph(body.name, xs, (*body.outputs, more))
    operands = *loop.inputs[: at["counted"]], *given.carry, full(0, counts), *given.rest
    return project(builder.make(loop.op, operands, attrs), at["carried"])
