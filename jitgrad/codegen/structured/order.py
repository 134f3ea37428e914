"""The order of a region's nodes: readers of an array come before it is overwritten."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from jitgrad.codegen.structured.indexed import READS, WRITES, is_direct
from jitgrad.codegen.structured.writer import SMALL
from jitgrad.ir.node import Graph, Node, input_op, project_op
from jitgrad.ir.types import TensorType
from jitgrad.passes.access import keeps_order
from jitgrad.passes.plan import Buffer, Step, may_alias
from jitgrad.primitives.flow import parts


def is_large(node: Node) -> bool:
    """Whether a value is too large to be held in variables."""
    return isinstance(node.type, TensorType) and node.type.size > SMALL


def overwritten(node: Node) -> tuple[Node, ...]:
    """The operands in whose memory a node leaves its results, if it may."""
    if node.op.name in WRITES:
        return (node.inputs[0],) if is_direct(node) else ()
    if "domain" in node.attrs:
        return tuple([node.inputs[j] for j in step_alias(node).values()])
    if "carried" in node.attrs:
        return parts(node.attrs, node.inputs).carry
    if "orelse" in node.attrs:
        return tuple(dict.fromkeys(node.inputs[j] for j in targets(node) if j is not None))
    return ()


@functools.lru_cache(maxsize=1024)  # a choice in a choice in a choice: each would double the work
def targets(node: Node) -> tuple[int | None, ...]:
    """For each result of a branch which operand's memory both sides leave it in, if in one's."""
    found = []
    for a, b in zip(node.attrs["then"].outputs, node.attrs["orelse"].outputs, strict=True):
        ends = [root(a, node.attrs["then"]), root(b, node.attrs["orelse"])]
        one = ends[0] is not None and ends[0] == ends[1] and (is_large(a) or in_place(a))
        found.append(1 + ends[0] if one else None)  # type: ignore[operator]
    return tuple(found)


def in_place(node: Node) -> bool:
    """Whether a value is the result of writing into another."""
    return (node.op.name in WRITES and is_direct(node)) or (
        node.op is project_op and node.inputs[0].op.kind == "region" and is_large(node)
    )


def result_of(node: Node) -> tuple[Node, int] | None:
    """The loop or step that a value is a result of, if it can write it where it is wanted."""
    region, index = node, 0
    if node.op is project_op:
        region, index = node.inputs[0], node.attrs["index"]
    is_step = "domain" in region.attrs or (region.op.kind == "call" and not is_access(region))
    can = "carried" in region.attrs or (is_step and is_large(node))
    return (region, index) if can else None


def is_access(call: Node) -> bool:
    """Whether a call is written out as reads or writes of elements."""
    return call.op.name in READS or call.op.name in WRITES


def root(node: Node, graph: Graph) -> int | None:
    """The input of a graph in whose memory a value is, after all writing in place."""
    while node not in graph.inputs:
        below = _before(node)
        if below is None:
            return None
        node = below
    return graph.inputs.index(node)


def _before(node: Node) -> Node | None:
    """The value whose memory a value takes over."""
    if keeps_order(node) or (node.op.name in WRITES and is_direct(node)):
        return node.inputs[0]
    region, index = (node, 0) if node.op.kind == "region" else (node, -1)
    if node.op is project_op:
        region, index = node.inputs[0], node.attrs["index"]
    if region.op.kind != "region" or index < 0:
        return None
    if "domain" in region.attrs:
        place = step_alias(region).get(index)
        return None if place is None else region.inputs[place]
    if "carried" in region.attrs:
        carry = parts(region.attrs, region.inputs).carry
        return carry[index] if index < len(carry) else None
    place = targets(region)[index]
    return None if place is None else region.inputs[place]


def viewed(node: Node) -> Node:
    """What a value is a view of: the same memory, or a part of it."""
    while (is_large(node) and (node.op.kind == "view" or _is_part(node))) or keeps_order(node):
        node = node.inputs[0]
    return node


def _is_part(node: Node) -> bool:
    return node.op.name in READS and is_direct(node)


def views_of(node: Node) -> Node:
    """What must be in memory for a step to read a value."""
    while node.op.kind == "view":
        node = node.inputs[0]
    return node


@functools.lru_cache(maxsize=1024)
def step_alias(node: Node) -> Mapping[int, int]:
    """Which results of a fused region are written over which operands: those of its own type that
    it reads element by element, if they may be overwritten at all.
    """
    if "domain" not in node.attrs:
        return {}
    reads = tuple(Buffer(i.type.nbytes) for i in node.inputs)
    step = Step(node, reads, ())
    found: dict[int, int] = {}
    for i, output in enumerate(node.attrs["body"].outputs):
        for j, x in enumerate(node.inputs):
            fits = x.type is output.type and is_large(x) and x.op is input_op
            if fits and j not in found.values() and may_alias(step, i, reads[j]):
                found[i] = j
                break
    return found


def scheduled(graph: Graph, indexed: Mapping[Node, bool]) -> tuple[list[Node], set[tuple]]:
    """The nodes in order, and the (writer, operand) pairs that need a copy, because the old value
    is read after it would be overwritten. `indexed`: small values that are in memory nevertheless.
    """
    readers: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        if viewed(node) is node:
            for i in dict.fromkeys(viewed(i) for i in node.inputs):
                readers.setdefault(i, []).append(node)
    results = {viewed(o) for o in graph.outputs}
    writes = {
        node: [(old, [r for r in readers.get(viewed(old), ()) if r is not node]) for old in olds]
        for node in graph.nodes
        if (olds := [o for o in overwritten(node) if is_large(o) or o in indexed])
    }
    before = {node: [r for _, others in pairs for r in others] for node, pairs in writes.items()}
    order = _sorted(graph, before)
    places = {n: i for i, n in enumerate(order)}
    copies = {
        (node, old)
        for node, pairs in writes.items()
        if node in places
        for old, others in pairs
        if viewed(old) in results
        or _reads_beside(node, old)
        or any(places.get(r, -1) > places[node] for r in others)
    }
    return order, copies


def _reads_beside(node: Node, old: Node) -> bool:
    """Whether a loop or branch that overwrites an operand has the same memory as another one."""
    is_flow = "carried" in node.attrs or "orelse" in node.attrs
    return is_flow and [viewed(i) for i in node.inputs].count(viewed(old)) > 1


def _sorted(graph: Graph, before: Mapping[Node, list[Node]]) -> list[Node]:
    """The nodes, inputs before users, and as far as possible those in `before` first."""
    waits = _possible(before)
    order: list[Node] = []
    seen: dict[Node, bool] = {}  # False while what a node needs is being listed
    stack = [*reversed(graph.outputs)]
    while stack:
        node = stack[-1]
        if node in seen:
            stack.pop()
            if not seen[node]:
                seen[node] = True
                order.append(node)
            continue
        seen[node] = False
        stack += [n for n in waits.get(node, ()) if n not in seen]
        stack += [n for n in reversed(node.inputs) if n not in seen]
    return order


def _possible(before: Mapping[Node, list[Node]]) -> dict[Node, list[Node]]:
    """Which of the wishes in `before` can be met together: no node waits for itself."""
    waits: dict[Node, list[Node]] = {}
    for node, others in before.items():
        for other in others:
            if not _needs(other, node, waits):
                waits.setdefault(node, []).append(other)
    return waits


def _needs(node: Node, other: Node, waits: Mapping[Node, list[Node]]) -> bool:
    """Whether a node can only come after another."""
    pending, seen = [node], {node}
    while pending:
        here = pending.pop()
        if here is other:
            return True
        more = {*here.inputs, *waits.get(here, ())} - seen
        seen |= more
        pending += more
    return False
