"""What a loop carries is overwritten where it is, and recorded by the kernel that overwrites it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from jitgrad.codegen.structured.order import is_large
from jitgrad.ir.node import Graph, Node, builder, project_op, rebuild, with_inputs
from jitgrad.passes.tiles import results


@functools.lru_cache(maxsize=1024)
def in_place(body: Graph, carried: int) -> Graph:
    """The body of a loop, with regions that take over the memory of old carries for the new ones,
    in their order; what the loop records of either is one more result of such a region.
    """
    plans = {n: _Takeover(n, body, carried) for n in body.nodes if "domain" in n.attrs}
    plans = {n: t for n, t in plans.items() if t.moves}
    if not plans:
        return body
    made: dict[Node, list[Node]] = {}
    outputs: dict[int, Node] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is project_op and node.inputs[0] in plans:
            return made[node.inputs[0]][node.attrs["index"]]
        if node not in plans:
            return with_inputs(node, inputs)
        made[node], stored = plans[node].region(inputs)
        outputs.update(stored)
        return made[node][0]

    inside = rebuild(body, rewrite)
    return inside.replace([outputs.get(i, o) for i, o in enumerate(inside.outputs)], inside.locs)


class _Takeover:
    """What becomes of one region."""

    def __init__(self, node: Node, body: Graph, carried: int):
        self.node, self.outputs = node, body.outputs
        inner: Graph = node.attrs["body"]
        self.inside = dict(zip(node.inputs, inner.inputs, strict=True))
        self.inside |= zip(results(node), inner.outputs, strict=True)
        self.moves = self.find_moves(body.inputs[1 : 1 + carried])
        mine = {v for i, j in self.moves.items() for v in (body.outputs[i], node.inputs[j])}
        self.records = [i for i in range(carried, len(body.outputs)) if body.outputs[i] in mine]

    def find_moves(self, carry: Sequence[Node]) -> dict[int, int]:
        """The carries that the region overwrites, each with the operand that it was: those that are
        its results, then what other carries become that it overwrites, as along a line of delays.
        """
        node, new = self.node, self.outputs
        fits = {
            i: node.inputs.index(old)
            for i, old in enumerate(carry)
            if old in node.inputs and new[i].type is old.type and is_large(old)
        }
        made = {new[i]: i for i in reversed(fits) if new[i] in results(node)}
        moves = {i: fits[i] for i in fits if made.get(new[i]) == i}
        for _ in fits:
            gone = {carry[i] for i in moves if carry[i].shape == node.attrs["domain"]}
            moves |= {i: j for i, j in fits.items() if i not in moves and new[i] in gone}
        return moves

    def region(self, inputs: Sequence[Node]) -> tuple[list[Node], dict[int, Node]]:
        """The region with its carries first: the nodes that stand for its results, and those that
        are outputs of the loop's body.
        """
        inner: Graph = self.node.attrs["body"]
        stored = [*self.moves, *self.records]
        values = [self.inside[self.outputs[i]] for i in self.moves]
        values += [o for o in inner.outputs if o not in values]
        values += [self.inside[self.outputs[i]] for i in self.records]
        reads = [*self.moves.values()]
        reads += [j for j in range(len(inputs)) if j not in reads]
        body = Graph(inner.name, [inner.inputs[j] for j in reads], values, inner.locs)
        attrs = {**self.node.attrs, "body": body}
        found = results(builder.make(self.node.op, tuple([inputs[j] for j in reads]), attrs))
        ends = found[: len(self.moves)] + found[len(found) - len(self.records) :]
        return [found[values.index(o)] for o in inner.outputs], dict(zip(stored, ends, strict=True))
