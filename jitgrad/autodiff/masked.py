"""A loop over a batch. Where examples run for different times, those that are done are masked."""

from __future__ import annotations

from collections.abc import Sequence

from jitgrad.autodiff.batch import batched
from jitgrad.autodiff.dual import test_of_more
from jitgrad.autodiff.region import NUMBER, Inputs
from jitgrad.ir.node import Graph, Node, full, project, substitute
from jitgrad.ir.types import TapeType, TensorType
from jitgrad.primitives.declare import zeros
from jitgrad.primitives.flow import (
    COUNT,
    any_of,
    choose,
    exchanged,
    inner,
    largest,
    parts,
    position,
    repeated,
)
from jitgrad.primitives.shape import lead


class _Batch:
    """One loop over a batch of `size` examples."""

    def __init__(self, node: Node, inputs: Sequence[Node], flags: Sequence[bool], size: int):
        self.node, self.attrs, self.size = node, node.attrs, size
        self.body: Graph = node.attrs["body"]
        self.own = inner(node.attrs, self.body.inputs)
        self.given, self.flags = parts(node.attrs, inputs), parts(node.attrs, flags)
        self.varies = {
            x
            for x, f in zip(
                (*self.own.carry, *self.own.slices, *self.own.rest),
                (*self.flags.carry, *self.flags.slices, *self.flags.rest),
                strict=True,
            )
            if f
        }
        self.masked = bool(self.flags.count)
        self.settle()

    def settle(self) -> None:
        """Which carries vary from example to example: all, if examples can end earlier."""
        before = -1
        while before != len(self.varies):
            before = len(self.varies)
            results = self.spread(self.body.outputs, self.stand_ins())
            for x, found in zip(self.own.carry, results):
                if found.type is not x.type:
                    self.varies.add(x)
            test = self.attrs["test"]
            if test is not None and not self.masked:
                (done,) = self.spread(test.outputs, self.tested(test, self.stand_ins()))
                self.masked = done.ndim > 0
            if self.masked:
                self.varies.update(self.own.carry)

    def stand_ins(self) -> dict[Node, Node]:
        """For each input of the body that varies, one with a leading axis."""
        xs = (*self.own.carry, *self.own.slices, *self.own.rest)
        return {
            x: position("v", i, self.wide(x.type)) for i, x in enumerate(xs) if x in self.varies
        }

    def wide(self, type: TensorType) -> TensorType:
        return type.with_shape((self.size, *type.shape))

    def tested(self, test: Graph, values: dict[Node, Node]) -> dict[Node, Node]:
        """What the inputs of the test are, from what those of the body are."""
        xs = (self.own.count, *self.own.carry, *self.own.rest)
        return {t: values.get(x, x) for t, x in zip(test.inputs, xs, strict=True)}

    def spread(self, outputs: Sequence[Node], values: dict[Node, Node]) -> list[Node]:
        """The outputs for a batch; those that do not vary have no leading axis."""
        changed = {x: v for x, v in values.items() if v.type is not x.type}
        same = {x: v for x, v in values.items() if v.type is x.type and v is not x}
        outputs = substitute(outputs, same)
        wide = batched(outputs, changed, self.size)
        plain = [lead(o, self.size) is w for o, w in zip(outputs, wide, strict=True)]
        return [o if p else w for o, w, p in zip(outputs, wide, plain, strict=True)]

    def make(self) -> tuple[Node, ...]:
        """The results, all with a leading axis."""
        new, values = Inputs(), {self.own.count: NUMBER}
        for where, xs, operands, flags in (
            ("c", self.own.carry, self.given.carry, self.flags.carry),
            ("x", self.own.slices, self.given.slices, self.flags.slices),
            ("p", self.own.rest, self.given.rest, self.flags.rest),
        ):
            for x, operand, flag in zip(xs, operands, flags, strict=True):
                wide = x in self.varies
                if where == "x" and flag and not isinstance(operand.type, TapeType):
                    operand = exchanged(operand)
                elif where == "c" and wide and not flag:
                    operand = lead(operand, self.size)
                values[x] = new.add(where, self.wide(x.type) if wide else x.type, operand)
        test = self.attrs["test"]
        count = self.given.count
        mask = None
        if self.masked:
            counts = TensorType(COUNT.dtype, (self.size,))
            new.add("c", counts, zeros(counts))  # how often each example ran
            if test is not None:
                (mask,) = self.spread(test.outputs, self.tested(test, values))
            else:
                limit = new.add("p", counts, count)
                mask = repeated(NUMBER, counts.shape) < limit
                count = largest(count)
        return self.finish(new, values, mask, count, test)

    def finish(
        self, new: Inputs, values: dict[Node, Node], mask: Node | None, count: Node | None, test
    ) -> tuple[Node, ...]:
        carried = self.attrs["carried"]
        results = self.spread(self.body.outputs, values)
        carry = []
        for x, (place, _), result in zip(self.own.carry, new.carry, results):
            wide = lead(result, self.size) if x in self.varies and result.type is x.type else result
            carry.append(choose(mask, wide, place) if mask is not None else wide)
        records = [
            lead(r, self.size) if r.type is o.type else r
            for r, o in zip(results[carried:], self.body.outputs[carried:], strict=True)
        ]
        if mask is not None:
            ran = new.carry[-1][0]
            carry.append(ran + choose(mask, full(1, ran.type), zeros(ran.type)))
        if test is not None:
            test = self.new_test(test, new, values)
        made = new.loop(
            self.node.op,
            count,
            [*carry, *records],
            length=self.attrs["length"],
            test=test,
            reverse=self.attrs["reverse"],
            limit=self.attrs["limit"],
            recompute=self.attrs["recompute"],
        )
        return self.results(made, len(carry), len(records))

    def new_test(self, test: Graph, new: Inputs, values: dict[Node, Node]) -> Graph:
        if not self.masked:
            return test_of_more(test, self.own, new, len(self.own.carry))
        (going,) = self.spread(test.outputs, self.tested(test, values))
        inputs = [NUMBER, *(x for x, _ in new.carry), *(x for x, _ in new.rest)]
        return Graph(test.name, inputs, [any_of(going)])

    def results(self, made: Node, carried: int, records: int) -> tuple[Node, ...]:
        found = []
        for i, x in enumerate(self.own.carry):
            part = project(made, i)
            found.append(part if x in self.varies else lead(part, self.size))
        for i in range(records):
            part = project(made, carried + i)
            found.append(part if isinstance(part.type, TapeType) else exchanged(part))
        if self.attrs["test"] is not None:
            last = project(made, carried - 1) if self.masked else project(made, carried + records)
            found.append(last if self.masked else lead(last, self.size))
        return tuple(found)


def batched_loop(
    node: Node, inputs: Sequence[Node], flags: Sequence[bool], size: int
) -> tuple[Node, ...]:
    """The results of a loop over a batch, each with a leading axis."""
    return _Batch(node, inputs, flags, size).make()
