"""Forward mode through a loop: one loop over values and tangents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitgrad.autodiff.forward import tangents as push
from jitgrad.autodiff.region import NUMBER, Inputs, is_zero, or_zeros
from jitgrad.ir.node import Graph, Node, project, substitute
from jitgrad.primitives.declare import zeros
from jitgrad.primitives.flow import Parts, inner, parts, position


def pushed(node: Node, tangents: Sequence[Any]) -> Any:
    """The tangents of a loop's results: a loop over values and tangents."""
    attrs, body = node.attrs, node.attrs["body"]
    given, own, flow = (
        parts(attrs, node.inputs),
        inner(attrs, body.inputs),
        parts(attrs, tangents),
    )
    seeds = {
        x: position("t", i, x.type)
        for i, (x, t) in enumerate(
            zip((*own.carry, *own.slices, *own.rest), (*flow.carry, *flow.slices, *flow.rest))
        )
        if not is_zero(t) and x.dtype.kind != "b"
    }
    while True:
        found = push(body.outputs, seeds)
        more = [x for x, t in zip(own.carry, found) if x not in seeds and not is_zero(t)]
        if not more:
            break
        seeds.update({x: position("u", own.carry.index(x), x.type) for x in more})
    if not seeds:
        return None
    return _dual(node, given, own, flow, seeds, found)


def _dual(
    node: Node, given: Parts, own: Parts, flow: Parts, seeds: dict[Node, Node], found: list
) -> tuple:
    attrs, body, carried = node.attrs, node.attrs["body"], node.attrs["carried"]
    new, values = Inputs(), {own.count: NUMBER}
    for where, xs, operands, ts in (
        ("c", own.carry, given.carry, flow.carry),
        ("x", own.slices, given.slices, flow.slices),
        ("p", own.rest, given.rest, flow.rest),
    ):
        for x, operand in zip(xs, operands):
            values[x] = new.add(where, x.type, operand)
        for x, t in zip(xs, ts):
            if x in seeds:
                values[seeds[x]] = new.add(where, x.type, zeros(x.type) if is_zero(t) else t)
    active = [i for i, x in enumerate(own.carry) if x in seeds]
    records = [i for i in range(carried, len(body.outputs)) if not is_zero(found[i])]
    outputs = [*body.outputs[:carried]]
    outputs += [or_zeros(found[i], body.outputs[i]) for i in active]
    outputs += [found[i] for i in records]
    test = attrs["test"]
    if test is not None:
        test = test_of_more(test, own, new, carried)
    dual = new.loop(
        node.op,
        given.count,
        substitute(outputs, values),
        length=attrs["length"],
        test=test,
        reverse=attrs["reverse"],
        limit=attrs["limit"],
        recompute=attrs["recompute"],
    )
    places = dict(zip([*active, *records], range(carried, len(outputs)), strict=True))
    count = len(node.type.items)
    return tuple([project(dual, places[i]) if i in places else None for i in range(count)])


def test_of_more(test: Graph, own: Parts, new: Inputs, carried: int) -> Graph:
    """The test of a loop that carries more behind the old carries, and more invariants."""
    inputs = [NUMBER, *(x for x, _ in new.carry), *(x for x, _ in new.rest)]
    k, *old = test.inputs
    now = [x for x, _ in new.carry[:carried]] + [x for x, _ in new.rest[: len(own.rest)]]
    return Graph(test.name, inputs, substitute(test.outputs, {k: NUMBER, **dict(zip(old, now))}))
