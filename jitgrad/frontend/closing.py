"""Closing a region: what it uses from around it becomes its operands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jitgrad.frontend.trace import Trace
from jitgrad.ir.node import Graph, Node, constant_op, input_op, splat, topological
from jitgrad.primitives.flow import position

if TYPE_CHECKING:
    from jitgrad.passes.ranges import Range

ROUNDS = 3  # of passes over a new body
DENSE = 16  # a constant array of more elements is an operand, so that regions hold scalars


def _is_data(node: Node) -> bool:
    return node.op is constant_op and splat(node) is None and node.type.size > DENSE


def frontier_of_loop(outputs: Iterable[Node], inputs: Iterable[Node]) -> list[Node]:
    """The values that a body uses and that do not depend on its inputs: the loop's invariants."""
    varies = set(inputs)
    order = topological(outputs)
    for node in order:
        if any(i in varies for i in node.inputs):
            varies.add(node)
    used = {i: None for n in order if n in varies for i in n.inputs}
    used.update(dict.fromkeys(outputs))
    return [n for n in used if n not in varies and not _is_free(n)]


def _is_free(node: Node) -> bool:
    """Made anew in the body at no cost."""
    return node.op.kind == "leaf" and node.op is not input_op and not _is_data(node)


def frontier_of_branch(
    outputs: Iterable[Node], inputs: Sequence[Node], made: Mapping[Node, int], start: int
) -> list[Node]:
    """The values that branches use and that were there before them: what only a branch needs is
    computed in the branch.
    """
    known = set(inputs)
    found: dict[Node, None] = {}
    stop: dict[Node, None] = {}
    pending = list(outputs)
    while pending:
        node = pending.pop()
        if node in stop:
            continue
        stop[node] = None
        outside = node.op is input_op or made.get(node, start) < start or _is_data(node)
        if node in known or (outside and not _is_free(node)):
            if node not in known:
                found[node] = None
        else:
            pending.extend(node.inputs)
    return list(found)


def closed(
    trace: Trace,
    name: str,
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    free: Sequence[Node],
    letters: str,
    carried: int = 0,
) -> Graph:
    """The outputs as a graph of the inputs and the free values alone, its inputs named by place.

    `letters`: "c" names all alike; "kcxp" the first, the carried ones, the rest, the free ones.
    """
    stems = ["c"] * (len(inputs) + len(free))
    if letters != "c":
        slices = len(inputs) - 1 - carried
        stems = ["k", *"c" * carried, *"x" * slices, *"p" * len(free)]
    taken: dict[str, int] = {}
    places: list[Node] = []
    for stem, node in zip(stems, (*inputs, *free), strict=True):
        places.append(position(stem, taken.get(stem, 0), node.type))
        taken[stem] = taken.get(stem, 0) + 1
    mapped = dict(zip((*inputs, *free), places, strict=True))
    # An operand that is given twice is one node: the later place stands for both.
    return Graph(name, places, trace.substitute(outputs, mapped), trace.locs)


def tidied(body: Graph, length: int | None) -> Graph:
    """The body of a loop over `length` indices without what is plain from their range, before it is
    differentiated: what a reverse does not read it need not record.
    """
    from jitgrad.passes.dce import dce
    from jitgrad.passes.fold import fold
    from jitgrad.passes.inside import through
    from jitgrad.passes.ranges import LIMIT, narrowed
    from jitgrad.passes.settle import settle

    known: Mapping[Node, Range] = {body.inputs[0]: (0, (length or LIMIT) - 1)}
    for _ in range(ROUNDS):
        before = body
        body = narrowed(body, known)
        for pass_ in (fold, settle, dce):
            body = pass_(through(pass_, body))
        if body is before:
            break
    return body
