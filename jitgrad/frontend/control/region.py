"""Regions made of what was traced on trial: nodes go in, results come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad.autodiff.branch import cond as cond_op
from jitgrad.frontend import regions
from jitgrad.frontend.closing import closed, frontier_of_branch
from jitgrad.frontend.trace import Trace
from jitgrad.ir.node import Node, builder, fresh_input, project, topological
from jitgrad.primitives.flow import COUNT
from jitgrad.runtime import plans
from jitgrad.tensor import Tensor


def nodes_of(trace: Trace, tensors: Sequence[Tensor]) -> list[Node]:
    """The nodes of Tensors, without placeholders of transforms that are over."""
    return trace.resolve([trace.read(x) for x in tensors])


def choice(
    trace: Trace, pred: Tensor, left: Sequence[Tensor], right: Sequence[Tensor], start: int
) -> list[Tensor]:
    """Either the left or the right Tensors; what was made since `start` for them alone is made in
    their branch.
    """
    then, orelse = nodes_of(trace, left), nodes_of(trace, right)
    pairs = [p for p in dict.fromkeys(zip(then, orelse, strict=True)) if p[0] is not p[1]]
    if not pairs:
        return [Tensor._of_node(n) for n in then]
    condition = trace.read(regions.truth(pred))
    free = frontier_of_branch([n for pair in pairs for n in pair], (), trace.made, start)
    graphs = [
        closed(trace, name, [pair[k] for pair in pairs], (), free, "c")
        for k, name in enumerate(("then", "orelse"))
    ]
    trace.forget(start)
    node = builder.make(cond_op, (condition, *free), {"then": graphs[0], "orelse": graphs[1]})
    check_size(trace, node)
    results = {pair: project(node, i) for i, pair in enumerate(pairs)}
    return [Tensor._of_node(results.get((a, b), a)) for a, b in zip(then, orelse, strict=True)]


def check_size(trace: Trace, node: Node) -> None:
    """TooLarge if a region is no single kernel, and there is another way to compile it."""
    if not trace.trials and not plans.fits(node):
        raise TooLarge("it is too large for one kernel")


class TooLarge(Exception):
    """A region that is better not made."""


class Loop:
    """A loop whose body is traced on trial: stand-ins for what it carries, and its number."""

    def __init__(self, trace: Trace, carry: Sequence[Tensor]):
        self.made = regions._Loop(trace, list(carry), (), ())
        self.made.number = fresh_input("k", COUNT)
        self.made.stand_ins = [fresh_input("r", n.type) for n in self.made.carry]
        self.made.slices, self.made.test = [], None
        self.node: Node | None = None

    @property
    def number(self) -> Tensor:
        return Tensor._of_node(self.made.number)

    def stand_in(self, position: int) -> Tensor:
        return Tensor._of_node(self.made.stand_ins[position])

    def changes(self, value: Tensor) -> bool:
        """Whether a value may be another in the next turn."""
        varies = {self.made.number, *self.made.stand_ins}
        return any(n in varies for n in topological([value._node]))  # type: ignore[list-item]

    def finish(
        self,
        trace: Trace,
        test: Tensor | None,
        new: Sequence[Tensor],
        start: int,
        records: Sequence[Tensor] = (),
        **options: Any,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The loop's results, given what the test and the body give for the stand-ins: what it
        carries, and the records of all turns.
        """
        if test is not None:
            self.made.test = nodes_of(trace, [regions.truth(test)])[0]
        self.made.new, self.made.writes = nodes_of(trace, new), []
        self.made.records = nodes_of(trace, records)
        trace.forget(start)
        results, stacks = (list(x) for x in self.made.finish(**options))
        if results or stacks:
            self.node = trace.read([*results, *stacks][0]).inputs[0]
            check_size(trace, self.node)
        return results, stacks

    def ran(self) -> Tensor:
        """Whether there was a turn at all; for a loop with results and a test."""
        assert self.node is not None
        return Tensor._of_node(project(self.node, len(self.node.type.items) - 1)) > 0
