"""Loops whose reverse runs pieces of them again, instead of keeping records of every iteration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jitgrad.autodiff.region import NUMBER, Inputs, attributes
from jitgrad.autodiff.revolve import BINOMIAL
from jitgrad.errors import ArgumentError, fail
from jitgrad.ir.node import Graph, Node, builder, full, project, substitute
from jitgrad.ir.op import Op
from jitgrad.primitives.declare import zeros
from jitgrad.primitives.elementwise import minimum
from jitgrad.primitives.flow import COUNT, inner, parts, position
from jitgrad.primitives.shape import concat, reshape, slice_

UNKNOWN = 1024  # iterations of a piece where the length is not known


def checkpointed(
    op: Op, operands: Sequence[Node], attrs: dict[str, Any], every: int | str
) -> list[Node]:
    """The results of a loop, made of pieces of `every` iterations, or about the square root of all.

    The reverse keeps what is carried from piece to piece, and runs one piece again at a time. With
    "binomial" the loop stays one, and its reverse chooses what to keep (`autodiff.revolve`).
    """
    length = attrs["length"]
    if length is None and len(attrs["body"].outputs) > attrs["carried"]:
        raise fail(ArgumentError, "a loop of unknown length that records values got a checkpoint")
    if every == BINOMIAL:
        node = builder.make(op, tuple(operands), {**attrs, "recompute": BINOMIAL})
        return [project(node, i) for i in range(len(attrs["body"].outputs))]
    if every == "sqrt":
        every = max(1, math.isqrt(length)) if length is not None else UNKNOWN
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise fail(
            ArgumentError,
            f"a loop got checkpoint={every!r}",
            why="it is a number of iterations, 'sqrt' or 'binomial'",
        )
    if length is None:
        return _while(op, operands, attrs, every)
    return _pieces(op, operands, attrs, every)


def _pieces(op: Op, operands: Sequence[Node], attrs: dict[str, Any], every: int) -> list[Node]:
    """Whole pieces in one loop, and a last one for what is left."""
    length, reverse = attrs["length"], attrs["reverse"]
    whole, given = length // every, parts(attrs, operands)
    middle = whole * every
    carry = given.carry
    records = len(attrs["body"].outputs) - attrs["carried"]
    stacks: list[list[Node]] = [[] for _ in range(records)]

    def tail() -> None:
        nonlocal carry
        if middle < length:
            cut = [_rows(x, middle, length) for x in given.slices]
            found = _piece(op, attrs, full(middle, COUNT), carry, cut, given.rest, length - middle)
            carry = tuple(found[: attrs["carried"]])
            for stack, y in zip(stacks, found[attrs["carried"] :]):
                stack.append(y)

    if reverse:
        tail()
    if whole:
        new = Inputs()
        cs = [new.add("c", x.type, x) for x in carry]
        cut = [
            reshape(_rows(x, 0, middle), shape=(whole, every, *x.shape[1:])) for x in given.slices
        ]
        xs = [new.add("x", x.type.with_shape(x.shape[1:]), x) for x in cut]
        ps = [new.add("p", x.type, x) for x in given.rest]
        outputs = _piece(op, attrs, NUMBER * every, cs, xs, ps, every)
        outer = new.loop(op, None, outputs, length=whole, reverse=reverse)
        carry = tuple([project(outer, i) for i in range(attrs["carried"])])
        for i, stack in enumerate(stacks):
            y = project(outer, attrs["carried"] + i)
            y = reshape(y, shape=(middle, *y.shape[2:]))
            stack.insert(0, y)
    if not reverse:
        tail()
    joined = [concat(*s, axis=0) if len(s) > 1 else s[0] for s in stacks]
    return [*carry, *joined]


def _rows(x: Node, start: int, stop: int) -> Node:
    if (start, stop) == (0, x.shape[0]):
        return x
    starts, stops = (start, *([0] * (x.ndim - 1))), (stop, *x.shape[1:])
    return slice_(x, starts=starts, stops=stops, steps=(1,) * x.ndim)


def _shifted(graph: Graph, attrs: dict[str, Any], base: Node) -> Graph:
    """A body or test whose iterations count from `base`, which becomes its last invariant."""
    k, *others = graph.inputs
    count = sum(x.attrs["name"].startswith("p") for x in others)
    more = position("p", count, COUNT)
    return Graph(graph.name, (k, *others, more), substitute(graph.outputs, {k: k + more}))


def _piece(
    op: Op,
    attrs: dict[str, Any],
    base: Node,
    carry: Sequence[Node],
    xs: Sequence[Node],
    rest: Sequence[Node],
    length: int,
) -> list[Node]:
    body = _shifted(attrs["body"], attrs, base)
    made = attributes(
        body,
        attrs["carried"],
        attrs["mapped"],
        length=length,
        reverse=attrs["reverse"],
        recompute=True,
    )
    node = builder.make(op, (*carry, *xs, *rest, base), made)
    return [project(node, i) for i in range(len(body.outputs))]


def _while(op: Op, operands: Sequence[Node], attrs: dict[str, Any], every: int) -> list[Node]:
    """A loop around loops of at most `every` iterations."""
    given, carried, test = parts(attrs, operands), attrs["carried"], attrs["test"]
    new = Inputs()
    cs = [new.add("c", x.type, x) for x in given.carry]
    done = new.add("c", COUNT, zeros(COUNT))
    ps = [new.add("p", x.type, x) for x in given.rest]
    limit = full(every, COUNT)
    total = None
    if given.count is not None:
        total = new.add("p", COUNT, given.count)
        limit = minimum(limit, total - done)
    made = attributes(
        _shifted(attrs["body"], attrs, done),
        carried,
        0,
        counted=True,
        test=_shifted(test, attrs, done) if test is not None else None,
        recompute=True,
    )
    piece = builder.make(op, (limit, *cs, *ps, done), made)
    ran = project(piece, carried) if test is not None else limit
    outputs = [*(project(piece, i) for i in range(carried)), done + ran]
    more = _goes_on(attrs, new, done, total)
    outer = new.loop(op, None, outputs, test=more, limit=-(-attrs["limit"] // every))
    return [project(outer, i) for i in range(carried)]


def _goes_on(attrs: dict[str, Any], new: Inputs, done: Node, total: Node | None) -> Graph:
    inputs = [NUMBER, *(x for x, _ in new.carry), *(x for x, _ in new.rest)]
    going = None if total is None else done < total
    if attrs["test"] is not None:
        test: Graph = attrs["test"]
        now = inner({**attrs, "mapped": 0}, test.inputs)
        places = [done, *(x for x, _ in new.carry[: attrs["carried"]])]
        places += [x for x, _ in new.rest[: len(now.rest)]]
        (held,) = substitute(test.outputs, dict(zip(test.inputs, places, strict=True)))
        going = held if going is None else going & held
    assert going is not None
    return Graph("test", inputs, [going])
