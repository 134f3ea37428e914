"""In which order the nodes of a region are written: readers of an array before it is overwritten."""

from __future__ import annotations

from collections.abc import Mapping

from jitgrad.codegen.structured.indexed import WRITES
from jitgrad.codegen.structured.writer import SMALL
from jitgrad.ir.node import Graph, Node, project_op
from jitgrad.ir.types import TensorType
from jitgrad.primitives.control import parts


def is_large(node: Node) -> bool:
    """Whether a value is too large to be held in variables."""
    return isinstance(node.type, TensorType) and node.type.size > SMALL


def overwritten(node: Node) -> tuple[Node, ...]:
    """The operands in whose memory a node leaves its results, if it may."""
    if node.op.name in WRITES:
        return (node.inputs[0],)
    if "carried" in node.attrs:
        return parts(node.attrs, node.inputs).carry
    if "orelse" in node.attrs:
        return tuple(dict.fromkeys(i for i in targets(node) if i is not None))
    return ()


def targets(node: Node) -> tuple[Node | None, ...]:
    """For each result of a branch the operand in whose memory both sides leave it, if one."""
    found = []
    for a, b in zip(node.attrs["then"].outputs, node.attrs["orelse"].outputs, strict=True):
        ends = [root(a, node.attrs["then"]), root(b, node.attrs["orelse"])]
        one = ends[0] is not None and ends[0] == ends[1] and (is_large(a) or in_place(a))
        found.append(node.inputs[1 + ends[0]] if one else None)  # type: ignore[operator]
    return tuple(found)


def in_place(node: Node) -> bool:
    """Whether a value is the result of writing into another."""
    return node.op.name in WRITES or (
        node.op is project_op and node.inputs[0].op.kind == "region" and is_large(node)
    )


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
    if node.op.name in WRITES:
        return node.inputs[0]
    if node.op is not project_op or node.inputs[0].op.kind != "region":
        return None
    region, index = node.inputs[0], node.attrs["index"]
    if "carried" in region.attrs:
        carry = parts(region.attrs, region.inputs).carry
        return carry[index] if index < len(carry) else None
    return targets(region)[index]


def scheduled(graph: Graph, indexed: Mapping[Node, bool]) -> tuple[list[Node], set[tuple]]:
    """The nodes in order, and the (writer, operand) pairs that need a copy, because the old value
    is read after it would be overwritten. `indexed`: small values that are in memory nevertheless.
    """
    readers: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        for i in node.inputs:
            readers.setdefault(i, []).append(node)
    after: dict[Node, list[Node]] = {}  # what has to be written before a node, besides its inputs
    for node in graph.nodes:
        for old in overwritten(node):
            if is_large(old) or old in indexed:
                first = _reading(old, node, readers)
                after.setdefault(node, []).extend(first)
    copies: set[tuple] = set()
    order: list[Node] = []
    state: dict[Node, int] = {}
    stack = [*reversed(graph.outputs)]
    while stack:
        node = stack[-1]
        if state.get(node) == 2:
            stack.pop()
            continue
        if state.get(node) == 1:
            state[node] = 2
            order.append(node)
            stack.pop()
            continue
        state[node] = 1
        for need in (*node.inputs, *after.get(node, ())):
            if state.get(need) is None:
                stack.append(need)
    places = {n: i for i, n in enumerate(order)}
    for node in order:
        for old in overwritten(node):
            late = [
                r
                for r in _reading(old, node, readers)
                if r in places and places[r] > places[node]
            ]
            if late or old in graph.outputs:
                copies.add((node, old))
    return order, copies


def _reading(old: Node, writer: Node, readers: Mapping[Node, list[Node]]) -> list[Node]:
    """The other nodes that read a value, itself or as part of a larger one they look at."""
    found: list[Node] = []
    pending = [r for r in readers.get(old, ()) if r is not writer]
    while pending:
        node = pending.pop()
        if node in found:
            continue
        found.append(node)
        alias = is_large(node) and node.op.kind in ("view", "call") and node.inputs[0] is not None
        if alias and node.op.name not in WRITES:
            pending += [r for r in readers.get(node, ()) if r is not writer]
    return found
