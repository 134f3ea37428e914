"""Integers that are known to lie in a range: what they decide is decided.

The number of an iteration lies between 0 and the length of its loop; so `x[i - 1]` in a loop needs
neither to ask whether the index is negative, nor whether it is too large. Regions are entered with
what is known of their operands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jitgrad.ir.node import (
    Graph,
    Node,
    builder,
    constant_op,
    full,
    input_op,
    rebuild,
    splat,
    with_inputs,
)
from jitgrad.ir.types import DType, TensorType
from jitgrad.primitives.flow import inner, parts

Range = tuple[int, int]
LIMIT = 1 << 62  # beyond that int64 may wrap


def _corners(rule: Callable[[int, int], int]) -> Callable[[Range, Range], Range]:
    def of(a: Range, b: Range) -> Range:
        found = [rule(x, y) for x in a for y in b]
        return min(found), max(found)

    return of


def _less(a: Range, b: Range) -> Range:
    return int(a[1] < b[0]), int(a[0] < b[1])


def _less_equal(a: Range, b: Range) -> Range:
    return int(a[1] <= b[0]), int(a[0] <= b[1])


def _equal(a: Range, b: Range) -> Range:
    apart = a[1] < b[0] or b[1] < a[0]
    return int(a[0] == a[1] == b[0] == b[1]), int(not apart)


def _not(a: Range) -> Range:
    return 1 - a[1], 1 - a[0]


def _mod(a: Range, b: Range) -> Range | None:
    if b[0] != b[1] or b[0] <= 0:
        return None
    return a if a[0] >= 0 and a[1] < b[0] else (0, b[0] - 1)


# What is known of a result, from what is known of the operands (of all of them).
RULES: dict[str, Callable[..., Range | None]] = {
    "add": _corners(lambda x, y: x + y),
    "sub": _corners(lambda x, y: x - y),
    "mul": _corners(lambda x, y: x * y),
    "minimum": _corners(min),
    "maximum": _corners(max),
    "neg": lambda a: (-a[1], -a[0]),
    "cast": lambda a: a,
    "mod": _mod,
    "less": _less,
    "less_equal": _less_equal,
    "equal": _equal,
    "not_equal": lambda a, b: _not(_equal(a, b)),
    "logical_and": _corners(min),
    "logical_or": _corners(max),
    "logical_not": _not,
}
# Ops of which something is known if one operand is: (what decides, and what then).
ABSORBING = {"logical_and": (0, 0), "logical_or": (1, 1)}
CHOICE = frozenset({"select"})


def ranges(graph: Graph) -> Graph:
    """The graph with conditions and choices that are known to go one way decided."""
    if not any("carried" in n.attrs for n in graph.nodes):
        return graph
    return narrowed(graph, {})


def narrowed(graph: Graph, known: Mapping[Node, Range]) -> Graph:
    """The same, given what is known of the graph's inputs."""
    found: dict[Node, Range] = dict(known)

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.kind == "region":
            return _region(node, inputs, found)
        made = _decided(with_inputs(node, inputs), found)
        known_of = _range(made, found)
        if known_of is None:
            return made
        found[made] = known_of
        decided = known_of[0] == known_of[1] and made.op is not constant_op
        if decided and made.op is not input_op:
            made = full(known_of[0], made.type)
            found[made] = known_of
        return made

    return rebuild(graph, rewrite)


def _decided(node: Node, found: Mapping[Node, Range]) -> Node:
    """A choice whose condition is known is what it chooses."""
    if node.op.name not in CHOICE or node.ndim:
        return node
    known = found.get(node.inputs[0])
    if known is None or known[0] != known[1]:
        return node
    return node.inputs[1] if known[0] else node.inputs[2]


def _range(node: Node, found: Mapping[Node, Range]) -> Range | None:
    if node in found:
        return found[node]
    if not isinstance(node.type, TensorType) or node.ndim or node.dtype.is_float:
        return None
    number = splat(node)
    if number is not None:
        return int(number), int(number)
    operands = [found.get(i) for i in node.inputs]
    if node.op.name in CHOICE and None not in operands[1:]:
        a, b = operands[1], operands[2]
        return (min(a[0], b[0]), max(a[1], b[1])) if a and b else None
    if node.op.name in ABSORBING and ABSORBING[node.op.name] in operands:
        return ABSORBING[node.op.name]
    rule = RULES.get(node.op.name)
    if rule is None or not operands or any(o is None for o in operands):
        return None
    if any(i.dtype.is_float for i in node.inputs):
        return None
    return _fitting(rule(*operands), node.dtype)


def _fitting(range: Range | None, dtype: DType) -> Range | None:
    if range is None or dtype.kind == "b":
        return range
    bits = 8 * dtype.size - (dtype.kind == "i")
    low = -(1 << bits) if dtype.kind == "i" else 0
    fits = low <= range[0] and range[1] < 1 << bits and max(map(abs, range)) < LIMIT
    return range if fits else None


def ranges_of(graph: Graph, known: Mapping[Node, Range]) -> dict[Node, Range]:
    """What is known of a graph's values, given what is known of its inputs."""
    found: dict[Node, Range] = dict(known)
    for node in graph.nodes:
        range = _range(node, found)
        if range is not None:
            found[node] = range
    return found


def entering(
    node: Node, inputs: tuple[Node, ...], found: Mapping[Node, Range]
) -> dict[str, dict[Node, Range]]:
    """What is known of the inputs of each graph of a region; `inputs` are its operands."""
    attrs = node.attrs
    if "carried" in attrs:
        given, own = parts(attrs, inputs), inner(attrs, attrs["body"].inputs)
        most = attrs["length"]
        if most is None and given.count in found:
            most = found[given.count][1]  # type: ignore[index]
        count = (0, max(most - 1, 0) if most is not None else LIMIT)
        pairs = zip(own.rest, given.rest, strict=True)
        known = {"body": {own.count: count, **_given(pairs, found)}}
        if attrs["test"] is not None:
            k, *others = attrs["test"].inputs
            pairs = zip(others[attrs["carried"] :], given.rest, strict=True)
            known["test"] = {k: (0, LIMIT), **_given(pairs, found)}
        return known  # type: ignore[return-value]
    branches = ("then", "orelse") if "orelse" in attrs else ()
    return {
        name: _given(zip(attrs[name].inputs, inputs[1:], strict=True), found) for name in branches
    }


def _region(node: Node, inputs: tuple[Node, ...], found: Mapping[Node, Range]) -> Node:
    """A region, entered with what is known of its operands."""
    attrs: dict[str, Any] = dict(node.attrs)
    for name, known in entering(node, inputs, found).items():
        attrs[name] = narrowed(attrs[name], known)
    return builder.make(node.op, inputs, attrs)


def _given(pairs: Any, found: Mapping[Node, Range]) -> dict[Node, Range]:
    return {x: found[operand] for x, operand in pairs if operand in found}
