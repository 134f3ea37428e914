"""Regions with fewer results: what nobody reads is not computed, nor carried from one iteration to
the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jitgrad.ir.node import Graph, Node, builder, project, topological
from jitgrad.primitives.flow import inner, parts

Results = dict[int, Node]  # a region's results by their old position


def narrowed_loop(node: Node, inputs: Sequence[Node], read: Iterable[int]) -> Results | None:
    """The results in `read` of a loop that carries and records no more than these need; None if all
    of it is needed. What is carried without ever changing becomes an invariant.
    """
    attrs, body, test = node.attrs, node.attrs["body"], node.attrs["test"]
    carried = attrs["carried"]
    own, given = inner(attrs, body.inputs), parts(attrs, inputs)
    read = set(read)
    records = [i for i in range(carried, len(body.outputs)) if i in read]
    live, reached = _live(node, read, records)
    fixed = [i for i in live if body.outputs[i] is own.carry[i]]
    moving = [i for i in live if i not in fixed]
    slices = [j for j, x in enumerate(own.slices) if x in reached]
    rest = [j for j, x in enumerate(own.rest) if x in reached]
    whole = len(moving) == carried and len(records) == len(body.outputs) - carried
    if whole and len(slices) == len(own.slices) and len(rest) == len(own.rest):
        return None
    fixed_inside = [own.carry[i] for i in fixed if own.carry[i] in reached]
    carry_in = [own.carry[i] for i in moving]
    rest_in = [own.rest[j] for j in rest] + fixed_inside
    outputs = [body.outputs[i] for i in (*moving, *records)]
    slices_in = [own.slices[j] for j in slices]
    new_body = Graph(body.name, [own.count, *carry_in, *slices_in, *rest_in], outputs, body.locs)
    if test is not None:
        k, *others = test.inputs
        known = dict(zip((*own.carry, *own.rest), others, strict=True))
        taken = [k, *(known[x] for x in (*carry_in, *rest_in))]
        test = Graph(test.name, taken, test.outputs, test.locs)
    operands = [given.count] if given.count is not None else []
    operands += [given.carry[i] for i in moving] + [given.slices[j] for j in slices]
    operands += [given.rest[j] for j in rest]
    operands += [given.carry[i] for i in fixed if own.carry[i] in reached]
    new = {**attrs, "body": new_body, "test": test, "carried": len(moving), "mapped": len(slices)}
    made = builder.make(node.op, tuple(operands), new)
    found = {i: project(made, k) for k, i in enumerate((*moving, *records))}
    found.update({i: given.carry[i] for i in fixed})
    if test is not None:
        found[len(node.type.items) - 1] = project(made, len(made.type.items) - 1)
    return found


def _live(node: Node, read: set[int], records: Sequence[int]) -> tuple[list[int], set[Node]]:
    """The carries that matter, and the inputs of the body that do."""
    attrs, body, test = node.attrs, node.attrs["body"], node.attrs["test"]
    own = inner(attrs, body.inputs)
    live = {i for i in range(attrs["carried"]) if i in read}
    reached: set[Node] = set()
    if test is not None:
        below = set(topological(test.outputs))
        xs = zip((*own.carry, *own.rest), test.inputs[1:], strict=True)
        reached = {x for x, t in xs if t in below}
    while True:
        live |= {i for i, x in enumerate(own.carry) if x in reached}
        now = reached | set(topological([body.outputs[i] for i in (*live, *records)]))
        if now == reached:
            return sorted(live), reached
        reached = now


def narrowed_cond(node: Node, inputs: Sequence[Node], read: Iterable[int]) -> Results | None:
    """The results in `read` of a branch, with the operands that these need."""
    graphs = [node.attrs["then"], node.attrs["orelse"]]
    kept = sorted(set(read))
    outputs = [[g.outputs[i] for i in kept] for g in graphs]
    reached = [set(topological(found)) for found in outputs]
    used = [
        j
        for j in range(len(inputs) - 1)
        if any(g.inputs[j] in r for g, r in zip(graphs, reached, strict=True))
    ]
    if len(kept) == len(graphs[0].outputs) and len(used) == len(inputs) - 1:
        return None
    new = [
        Graph(g.name, [g.inputs[j] for j in used], found, g.locs)
        for g, found in zip(graphs, outputs, strict=True)
    ]
    operands = (inputs[0], *(inputs[1 + j] for j in used))
    made = builder.make(node.op, operands, {"then": new[0], "orelse": new[1]})
    return {i: project(made, k) for k, i in enumerate(kept)}
