"""How a step can be run over one tile of a long axis at a time.

For each of its loops, a step either reads all of an operand in every tile, or another slice of it
with each tile; and makes slices of its results, or adds to them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jitgrad.ir.node import Graph, Node, builder, input_node, input_op, project, substitute
from jitgrad.ir.types import TupleType
from jitgrad.passes.access import Affine, Index
from jitgrad.passes.body import Body
from jitgrad.passes.dce import prune_inputs
from jitgrad.passes.interchange import lanes_of

SUMMED = -1  # in the place of a result's axis: tiles add to the result
WHOLE = -1  # in the place of an operand's axis: every tile reads all of it
MOST_CHUNKS = 16  # at most so many threads share a strip
SUMS = 1 << 22  # bytes of all chunks' sums
MOVING = -2  # every tile reads another part, but not a slice


@dataclass(frozen=True, slots=True)
class Tiling:
    """One way to cut a step: an axis of its loops, of each operand and of each result."""

    loop: int
    operands: tuple[int, ...]
    results: tuple[int, ...]


def _axis_of(
    places: list[Index | Affine], loop: int, domain: Sequence[int], shape: tuple[int, ...]
) -> int | None:
    """The axis along which an operand is sliced as a loop proceeds; None if its reads move
    differently from each other, or backwards.
    """
    extent = domain[loop]
    found: set[int] = set()
    speeds: set[int] = set()
    for place in places:
        if isinstance(place, Affine):
            speed = place.coefficients[loop]
            speeds.add(speed)
            first = shape[:1] == (extent,) and _within(place, loop, domain, math.prod(shape[1:]))
            found.add(0 if first else MOVING if speed else WHOLE)
            continue
        moving = [p for p, at in enumerate(place) if at.coefficients[loop]]
        speeds.update(place[p].coefficients[loop] for p in moving)
        pure = (
            len(moving) == 1 and shape[moving[0]] == extent and _is_the_loop(place[moving[0]], loop)
        )
        found.add(moving[0] if pure else MOVING if moving else WHOLE)
    if found == {WHOLE}:
        return WHOLE
    if len(found) > 1 or len(speeds) > 1 or min(speeds) < 0:
        return None
    return found.pop()


def _within(at: Affine, loop: int, domain: Sequence[int], size: int) -> bool:
    """Whether each round of a loop reads a slice of its own, of some elements: what is reshaped
    behind its first axis.
    """
    others = [
        (c, n - 1)
        for a, (c, n) in enumerate(zip(at.coefficients, domain, strict=True))
        if a != loop
    ]
    low = at.offset + sum(min(c, 0) * n for c, n in others)
    high = at.offset + sum(max(c, 0) * n for c, n in others)
    return at.coefficients[loop] == size and low >= 0 and high < size


def _is_the_loop(at: Affine, loop: int) -> bool:
    return at.offset == 0 and all(c == int(a == loop) for a, c in enumerate(at.coefficients))


def region_tilings(node: Node) -> Sequence[Tiling]:
    """The loops along which a fused region can be cut."""
    return _body_tilings(node.attrs["body"], node.attrs["domain"], node.attrs["axes"])


@functools.lru_cache(maxsize=512)  # layers that are alike have one body: graphs are interned
def _body_tilings(
    graph: Graph, domain: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[Tiling, ...]:
    body = Body(graph, domain, axes)
    loads = body.loads()
    running = body.running()
    made = []
    for loop in range(len(body.domain)):
        if any(at.coefficients[loop] for at in running):
            continue
        operands = [
            _axis_of(loads.get(x, []) or [[]], loop, body.domain, x.shape) for x in body.body.inputs
        ]
        results = _result_axes(body, loop)
        if results is not None and None not in operands:
            made.append(Tiling(loop, tuple(operands), results))  # type: ignore[arg-type]
    return tuple(made)


def ends_sums(node: Node) -> bool:
    """Whether a region goes on computing with what it has reduced."""
    if "domain" not in node.attrs:
        return False
    body = Body(node.attrs["body"], node.attrs["domain"], node.attrs["axes"])
    return any(not body.is_full(o) and o.op.kind != "reduce" for o in body.body.outputs)


def split_sums(node: Node, inputs: tuple[Node, ...]) -> list[Node]:
    """The results of a region as those of two: one that reduces, and one that goes on from there.

    Returns the nodes that stand for its results.
    """
    body: Graph = node.attrs["body"]
    level = Body(body, node.attrs["domain"], node.attrs["axes"])
    late = [o for o in body.outputs if not level.is_full(o) and o.op.kind != "reduce"]
    sums = [n for n in level.wanted(late) if n.op.kind == "reduce"]
    first = list(dict.fromkeys([*(o for o in body.outputs if o not in late), *sums]))
    made = dict(zip(first, _region(node, inputs, body.inputs, first), strict=True))
    names = {s: input_node(f"s{i}", s.type) for i, s in enumerate(sums)}
    ends = substitute(late, {**{x: x for x in body.inputs}, **names})
    rows = tuple(node.attrs["domain"][a] for a in level.kept)
    attrs = {"domain": rows, "axes": ()}
    outer = (*inputs, *(made[s] for s in sums))
    rest = _region(node, outer, (*body.inputs, *names.values()), ends, attrs)
    made |= zip(late, rest, strict=True)
    return [made[o] for o in body.outputs]


def _region(
    node: Node,
    inputs: Sequence[Node],
    names: Sequence[Node],
    outputs: Sequence[Node],
    attrs: Mapping[str, Any] | None = None,
) -> list[Node]:
    """A region of the same kind, with only the inputs that it needs; its results."""
    body, kept = prune_inputs(Graph("body", names, outputs))
    attrs = {**node.attrs, **(attrs or {}), "body": body}
    made = builder.make(node.op, tuple(inputs[i] for i in kept), attrs)
    return results(made)


def results(node: Node) -> list[Node]:
    """A node's results, each as a node."""
    if isinstance(node.type, TupleType):
        return [project(node, i) for i in range(len(node.type.items))]
    return [node]


def read_apart(node: Node) -> Node:
    """A region with one input for each way in which an operand is read: as rows and as columns,
    say. Then both can be cut, each in its way.
    """
    body: Graph = node.attrs["body"]
    level = Body(body, node.attrs["domain"], node.attrs["axes"])
    ways: dict[Node, dict[tuple, list[Node]]] = {}
    for read, (base, place) in level.reads().items():
        if base.op is input_op:
            at = (place,) if isinstance(place, Affine) else place
            way = tuple(a.coefficients for a in at)
            ways.setdefault(base, {}).setdefault(way, []).append(read)
    names, operands, mapping = list(body.inputs), list(node.inputs), {}
    for base, found in ways.items():
        for way in list(found)[1:]:
            name = input_node(f"a{len(names)}", base.type)
            operands.append(node.inputs[body.inputs.index(base)])
            names.append(name)
            reads = found[way]
            mapping.update(zip(reads, substitute(reads, {base: name}), strict=True))
    if not mapping:
        return node
    made = Graph("body", names, substitute(body.outputs, mapping))
    return builder.make(node.op, tuple(operands), {**node.attrs, "body": made})


def _result_axes(body: Body, loop: int) -> tuple[int, ...] | None:
    outputs = body.body.outputs
    if loop not in body.axes:
        return tuple(loop if body.is_full(o) else body.kept.index(loop) for o in outputs)
    if any(body.repeats(n) for n in body.wanted(outputs)):
        return None
    return tuple(loop if body.is_full(o) else SUMMED for o in outputs)


def _product_tilings(node: Node) -> list[Tiling]:
    """Products over slices of rows, or sums of products over slices of the summed axis, where every
    tile would not move more of the sums than of what they are made of.
    """
    if not node.dtype.is_float:
        return []
    last = node.ndim - 1
    a, b = (stored_axis(i) for i in node.inputs)
    if node.ndim > 2:
        return [Tiling(0, (0, 0), (0,))]
    made = []
    if a(0) == 0:
        made.append(Tiling(0, (0, WHOLE), (0,)))
    (m, n), k = node.shape, node.inputs[0].shape[-1]
    if a(last) == 0 and b(0) == 0 and m * n <= k * (m + n):
        made.append(Tiling(2, (last, 0), (SUMMED,)))
    return made


def _apart_along(other: Callable[[Node], bool]) -> Callable[[Node], list[Tiling]]:
    """Ops that keep the slices of the first axis apart, if they work along another."""

    def rule(node: Node) -> list[Tiling]:
        views = any(i.op.kind == "view" for i in node.inputs)
        if node.ndim < 2 or views or not other(node):
            return []
        return [Tiling(0, (0,) * len(node.inputs), (0,))]

    return rule


def _pads_behind(node: Node) -> bool:
    return not any(node.attrs[name][0] for name in ("low", "high", "interior"))


def _loop_tilings(node: Node) -> list[Tiling]:
    """Loops over independent lanes, some lanes at a time."""
    lanes = lanes_of(node)
    if lanes is None:
        return []
    body: Graph = node.attrs["body"]
    operands = tuple([lanes.axis[x] for x in body.inputs])
    return [Tiling(0, operands, tuple([lanes.axis[o] for o in body.outputs]))]


def stored_axis(operand: Node) -> Callable[[int], int]:
    """Where an axis of an operand is in memory."""
    if operand.op.kind == "view" and "perm" in operand.attrs:
        perm = operand.attrs["perm"]
        return lambda axis: perm[axis]
    return lambda axis: axis


RULES: dict[str, Callable[[Node], Sequence[Tiling]]] = {
    "fused": region_tilings,
    "matmul": _product_tilings,
    "gathered": _loop_tilings,
    "pad": _apart_along(_pads_behind),
    **dict.fromkeys(
        ("concat", "cumsum", "cumprod", "recurrence"),
        _apart_along(lambda node: node.attrs["axis"] > 0),
    ),
}


def steps_of(strip: Node) -> list[tuple[Node, Tiling]]:
    """The steps of a strip, and how each is cut."""
    steps = [n for n in strip.attrs["body"].nodes if n.op.kind in ("region", "call")]
    pairs = zip(steps, strip.attrs["loops"], strict=True)
    return [(step, next(t for t in tilings(step) if t.loop == loop)) for step, loop in pairs]


def sums(node: Node) -> set[int]:
    """The results of a strip to which each of its tiles adds."""
    if "loops" not in node.attrs:
        return set()
    outputs = node.attrs["body"].outputs
    return {
        outputs.index(result)
        for step, tiling in steps_of(node)
        for result, axis in zip(results(step), tiling.results, strict=True)
        if axis == SUMMED and result in outputs
    }


def tilings(node: Node) -> Sequence[Tiling]:
    """The ways to cut a step; none for ops without a rule. Calls are cut along the first axis of
    what they read and make in memory.
    """
    rule = RULES.get(node.op.name)
    return rule(node) if rule else []


# --- loops that are one --------------------------------------------------------------------------

Loop = tuple[Node, int]  # a step and which of its loops


class Classes:
    """Sets of loops that are one loop, by union and find; of each step one loop at most."""

    def __init__(self) -> None:
        self.parent: dict[Loop, Loop] = {}
        self.members: dict[Loop, dict[Node, int]] = {}

    def find(self, loop: Loop) -> Loop:
        """The loop that stands for the class of this one."""
        while loop in self.parent:
            loop = self.parent[loop]
        return loop

    def join(self, one: Loop, other: Loop) -> None:
        """Two loops are one from now on, if no step would be cut twice."""
        a, b = self.find(one), self.find(other)
        if a == b:
            return
        large, small = self.members.setdefault(a, dict([a])), self.members.setdefault(b, dict([b]))
        if len(small) > len(large):
            a, b, large, small = b, a, small, large
        if any(large.get(step, at) != at for step, at in small.items()):
            return
        large |= small
        self.parent[b] = a
