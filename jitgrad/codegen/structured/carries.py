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
    plans = {n: t for n, t in plans.items() if t.pairs}
    if not plans:
        return body
    made: dict[Node, list[Node]] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is project_op and node.inputs[0] in plans:
            return made[node.inputs[0]][node.attrs["index"]]
        if node not in plans:
            return with_inputs(node, inputs)
        made[node] = plans[node].region(inputs)
        return made[node][0]

    inside = rebuild(body, rewrite)
    outputs = list(inside.outputs)
    for node, takeover in plans.items():
        for extra, (record, _) in enumerate(takeover.records, len(results(node))):
            outputs[record] = made[node][extra]
    return inside.replace(outputs, inside.locs)


class _Takeover:
    """What becomes of one region."""

    def __init__(self, node: Node, body: Graph, carried: int):
        self.node = node
        own: Sequence[Node] = body.inputs[1 : 1 + carried]
        place = {r: j for j, r in enumerate(results(node))}
        self.pairs: list[tuple[int, int]] = []  # a result, and the operand whose memory it gets
        for new, old in zip(body.outputs, own):
            fits = new in place and old in node.inputs and new.type is old.type and is_large(new)
            if fits and place[new] not in dict(self.pairs):
                self.pairs.append((place[new], node.inputs.index(old)))
        inner: Graph = node.attrs["body"]
        new_carry = {results(node)[j]: inner.outputs[j] for j, _ in self.pairs}
        old_carry = {node.inputs[j]: inner.inputs[j] for _, j in self.pairs}
        known = {**old_carry, **new_carry}
        self.records = [  # outputs of the loop's body, and what they are inside of the region
            (i, known[o]) for i, o in enumerate(body.outputs) if i >= carried and o in known
        ]

    def region(self, inputs: Sequence[Node]) -> list[Node]:
        """The region with its carries first; the nodes that stand for its results and records."""
        inner: Graph = self.node.attrs["body"]
        first, reads = [j for j, _ in self.pairs], [j for _, j in self.pairs]
        order = first + [j for j in range(len(inner.outputs)) if j not in first]
        reads += [j for j in range(len(inputs)) if j not in reads]
        outputs = [inner.outputs[j] for j in order] + [x for _, x in self.records]
        body = Graph(inner.name, [inner.inputs[j] for j in reads], outputs, inner.locs)
        attrs = {**self.node.attrs, "body": body}
        found = results(builder.make(self.node.op, tuple([inputs[j] for j in reads]), attrs))
        return [found[order.index(j)] for j in range(len(order))] + found[len(order) :]
