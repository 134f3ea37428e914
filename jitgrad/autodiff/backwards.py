"""The reverse of a loop: the loop with more records, then a loop backwards over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad.autodiff.cut import minimal_cut
from jitgrad.autodiff.region import NUMBER, Inputs, count_of, is_zero, or_zeros
from jitgrad.autodiff.reverse import cotangents
from jitgrad.autodiff.revolve import BINOMIAL, Steps, first_slots, revolving
from jitgrad.ir.node import Graph, Node, builder, full, project, project_op, substitute, topological
from jitgrad.primitives.declare import zeros
from jitgrad.primitives.flow import COUNT, Parts, inner, parts, plus, position


class Reverse:
    """The reverse of one loop."""

    def __init__(self, node: Node, g: Sequence[Any]):
        self.node, self.attrs = node, node.attrs
        self.body: Graph = node.attrs["body"]
        self.given = parts(node.attrs, node.inputs)
        self.own = inner(node.attrs, self.body.inputs)
        self.carried = node.attrs["carried"]
        records = len(self.body.outputs) - self.carried
        self.g_carry = g[: self.carried]
        self.g_records = g[self.carried : self.carried + records]
        self.seeds: dict[int, Node] = {}  # by output of the body
        self.found: list[Any] = []
        self.find()

    def wrt(self) -> list[Node]:
        return [*self.own.carry, *self.own.slices, *self.own.rest]

    def find(self) -> None:
        """Which carries have a cotangent: those given, and whatever these depend on."""
        outputs = self.body.outputs
        for i, g in enumerate((*self.g_carry, *self.g_records)):
            if not is_zero(g) and outputs[i].dtype.kind != "b":
                self.seeds[i] = position("g", i, outputs[i].type)
        while True:
            seeds = [self.seeds.get(i) for i in range(len(outputs))]
            self.found = cotangents(outputs, seeds, self.wrt())
            more = [
                i for i in range(self.carried) if i not in self.seeds and not is_zero(self.found[i])
            ]
            if not more:
                return
            for i in more:
                self.seeds[i] = position("g", i, outputs[i].type)

    def operands(self) -> tuple[Any, ...]:
        """The cotangents of the loop's operands."""
        first = [None] if self.given.count is not None else []
        if not self.seeds:
            return (*first, *(None for _ in self.wrt()))
        found = Parts(
            None,
            tuple(self.found[: self.carried]),
            tuple(self.found[self.carried : self.carried + len(self.own.slices)]),
            tuple(self.found[self.carried + len(self.own.slices) :]),
        )
        new, values = Inputs(), {self.own.count: NUMBER}
        active = [i for i in range(self.carried) if i in self.seeds]
        for i in active:
            g = self.g_carry[i]
            start = zeros(self.own.carry[i].type) if is_zero(g) else g
            values[self.seeds[i]] = new.add("c", self.own.carry[i].type, start)
        summed = [j for j, g in enumerate(found.rest) if not is_zero(g)]
        totals = [position("s", j, self.own.rest[j].type) for j in summed]
        for t in totals:
            values[t] = new.add("c", t.type, zeros(t.type))
        for i in range(self.carried, len(self.body.outputs)):
            if i in self.seeds:
                g = self.g_records[i - self.carried]
                values[self.seeds[i]] = new.add("x", self.seeds[i].type, g)
        sliced = [j for j, g in enumerate(found.slices) if not is_zero(g)]
        results = [or_zeros(found.carry[i], self.own.carry[i]) for i in active]
        results += [plus(t, found.rest[j]) for t, j in zip(totals, summed, strict=True)]
        rows = [found.slices[j] for j in sliced]
        more: list[Node] = []
        if self.attrs["recompute"] == BINOMIAL:
            count, more = self.revolve(new, values)
        else:
            count = self.supply([*results, *rows], new, values)
        back = new.loop(
            self.node.op,
            count,
            [*substitute(results, values), *more, *substitute(rows, values)],
            length=self.attrs["length"],
            reverse=not self.attrs["reverse"],
            recompute=self.attrs["recompute"],
        )
        places = iter(range(len(results)))
        of_rows = iter(range(len(results) + len(more), len(results) + len(more) + len(rows)))
        of_carry = {i: project(back, next(places)) for i in active}
        of_rest = {j: project(back, next(places)) for j in summed}
        of_slices = {j: project(back, next(of_rows)) for j in sliced}
        return (
            *first,
            *(of_carry.get(i) for i in range(self.carried)),
            *(of_slices.get(j) for j in range(len(self.own.slices))),
            *(of_rest.get(j) for j in range(len(self.own.rest))),
        )

    def revolve(self, new: Inputs, values: dict[Node, Node]) -> tuple[Any, list[Node]]:
        """The same without records: the count operand, and what else is carried, after a turn."""
        length = self.attrs["length"]
        count = None if length is not None else count_of(self.node)
        steps = full(length, COUNT) if count is None else count
        slots, around = first_slots(self.given, steps, length)
        loop = Steps(self.node.op, self.body, self.own, self.attrs["reverse"])
        found, left = revolving(loop, new, slots, around)
        values.update(found)
        return count, left.flat()

    def supply(self, results: Sequence[Node], new: Inputs, values: dict[Node, Node]) -> Any:
        """Give the backward body the forward values that it reads; returns its count operand."""
        known = dict.fromkeys(values)  # cotangents and totals
        read = _read(results, set(self.body.nodes), known)
        again = self.attrs["recompute"] and self.attrs["length"] == 1
        kept = minimal_cut(read, self.own.carry, costly=not again)
        forward, places = self.record(kept)
        for n in kept:
            values[n] = new.add("x", n.type, project(forward, places[n]))
        needed = set(topological(results, stop={**known, **dict.fromkeys(kept)}))
        for x, operand in zip(self.own.slices, self.given.slices, strict=True):
            if x in needed:
                values[x] = new.add("x", x.type, operand)
        for x, operand in zip(self.own.rest, self.given.rest, strict=True):
            if x in needed:
                values[x] = new.add("p", x.type, operand)
        return None if self.attrs["length"] is not None else count_of(forward)

    def record(self, kept: Sequence[Node]) -> tuple[Node, dict[Node, int]]:
        """The loop with more records, and which of its results each of `kept` is."""
        outputs = list(self.body.outputs)
        places: dict[Node, int] = {}
        for n in kept:
            known = [i for i in range(self.carried, len(outputs)) if outputs[i] is n]
            if not known:
                known = [len(outputs)]
                outputs.append(n)
            places[n] = known[0]
        if len(outputs) == len(self.body.outputs):
            return self.node, places
        body = Graph(self.body.name, self.body.inputs, outputs, self.body.locs)
        return with_body(self.node, body), places


def with_body(node: Node, body: Graph) -> Node:
    """The loop with another body of the same inputs."""
    return builder.make(node.op, node.inputs, {**node.attrs, "body": body})


def _read(results: Sequence[Node], forward: set[Node], known: dict[Node, None]) -> list[Node]:
    """The forward values that backward ones are computed from, or which are results."""
    order = topological(results, stop={**known, **dict.fromkeys(forward)})
    # A result of a forward region may be read that the forward itself does not read.
    more = {n for n in order if n.op is project_op and n.inputs[0] in forward}
    forward = forward | more
    read = {i: None for n in order if n not in forward for i in n.inputs if i in forward}
    read.update({r: None for r in results if r in forward})
    return [n for n in read if n not in known]
