"""Branches and loops on Tensors: regions of the graph in a trace, plain Python outside of one.

All functions here take flat lists of Tensors. In a trace they call the functions they are given
once, on Tensors that stand for any values, and make one `cond` or `loop` of what these compute.
What the functions use from around them becomes an operand; what they write to Parameters is carried
along. `names` are those of the user's variables, for errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jitgrad import config
from jitgrad.autodiff.branch import cond as cond_op
from jitgrad.autodiff.loop import loop as loop_op
from jitgrad.autodiff.region import attributes
from jitgrad.errors import BranchError, CarryError, ConditionError, LimitError, TraceError, fail
from jitgrad.frontend.again import call_again
from jitgrad.frontend.checkpoint import checkpointed
from jitgrad.frontend.closing import closed, frontier_of_branch, frontier_of_loop, tidied
from jitgrad.frontend.dispatch import apply, constant
from jitgrad.frontend.trace import Trace
from jitgrad.ir.node import Node, builder, fresh_input, project
from jitgrad.ir.types import bool_, int64
from jitgrad.locate import user_expression
from jitgrad.primitives.elementwise import add, floordiv, maximum, mul, neg, sub
from jitgrad.primitives.flow import COUNT, item_type, too_long
from jitgrad.primitives.index import take
from jitgrad.primitives.shape import cast, concat, reshape
from jitgrad.state import state
from jitgrad.tensor import Tensor

Values = Sequence[Tensor]
Function = Callable[..., Sequence[Tensor]]


# --- branches -----------------------------------------------------------------------------------


def cond(
    pred: Tensor, then: Function, orelse: Function, operands: Values, names: Sequence[str] = ()
) -> tuple[Tensor, ...]:
    """``then(*operands)`` where the condition holds, else ``orelse(*operands)``; only one runs.

    ConditionError unless `pred` is one truth value; BranchError if the results disagree in type.
    """
    pred = truth(pred)
    trace = state.trace
    if trace is None or (pred._data is not None and pred._node is not None):
        chosen = then if bool(pred._array("used as a condition")) else orelse
        return tuple(chosen(*operands))
    given = [trace.read(x) for x in operands]
    start = len(trace.made)
    before = dict(trace.values)
    sides = []
    for function in (then, orelse):
        try:
            sides.append(_Side(trace, function, given, before))
        finally:
            trace.forget(start)
            trace.values = dict(before)
    _check_branches(sides, names)
    keys = list(dict.fromkeys([*sides[0].written, *sides[1].written]))
    outputs = [[*s.nodes, *(s.value(k) for k in keys)] for s in sides]
    stand_ins = sides[0].stand_ins
    free = frontier_of_branch([*outputs[0], *outputs[1]], stand_ins, trace.made, start)
    graphs = [
        closed(trace, name, found, stand_ins, free, "c")
        for name, found in zip(("then", "orelse"), outputs, strict=True)
    ]
    attrs = {"then": graphs[0], "orelse": graphs[1]}
    node = builder.make(cond_op, (trace.read(pred), *given, *free), attrs)
    results = [project(node, i) for i in range(len(outputs[0]))]
    for key, result in zip(keys, results[len(sides[0].nodes) :], strict=True):
        trace.values[key] = result
    return tuple([Tensor._of_node(r) for r in results[: len(sides[0].nodes)]])


class _Side:
    """A branch, traced."""

    def __init__(
        self, trace: Trace, function: Function, given: Sequence[Node], before: dict[int, Node]
    ):
        self.trace = trace
        self.stand_ins = [fresh_input("r", n.type) for n in given]
        with quiet(trace):
            found = function(*[Tensor._of_node(n) for n in self.stand_ins])
        self.nodes = trace.resolve([trace.read(x) for x in found])
        # Both branches are traced on the same stand-ins, but for their names.
        back = dict(zip(self.stand_ins, given, strict=True))
        self.nodes = trace.substitute(self.nodes, dict(back))
        changed = [k for k, n in trace.values.items() if before.get(k) is not n]
        self.written = {
            k: trace.substitute(trace.resolve([trace.values[k]]), dict(back))[0] for k in changed
        }
        self.before = before
        self.stand_ins = list(given)

    def value(self, key: int) -> Node:
        """What a Tensor from outside holds after the branch."""
        found = self.written.get(key, self.before.get(key))
        return found if found is not None else self.trace.captures[key][1]


def truth(value: Tensor) -> Tensor:
    """A condition as a scalar bool; ConditionError if it has more than one element."""
    if value.size != 1:
        raise fail(
            ConditionError,
            f"a condition of type {value._type} is not one truth value",
            instead="say which: (x > 0).all() or (x > 0).any()",
        )
    if value.ndim:
        value = apply(reshape, value, shape=())
    return value if value.dtype is bool_ else apply(cast, value, dtype=bool_)


def _check_branches(sides: Sequence[_Side], names: Sequence[str]) -> None:
    then, orelse = sides
    if len(then.nodes) != len(orelse.nodes):
        count = f"{len(then.nodes)} and {len(orelse.nodes)}"
        raise fail(BranchError, f"the branches of a condition give {count} values")
    for i, (a, b) in enumerate(zip(then.nodes, orelse.nodes, strict=True)):
        if a.type is not b.type:
            what = named(names, i, "result")
            raise mismatch(
                BranchError,
                i,
                names,
                (a.type, b.type),
                f"{what} is {a.type} where the condition holds and {b.type} where it does not",
                "both branches must give one type",
                "cast or reshape one of them",
            )


def named(names: Sequence[str], position: int, kind: str) -> str:
    """How an error calls a value."""
    known = position < len(names) and names[position]
    return f"'{names[position]}'" if known else f"{kind} {position}"


def mismatch(
    kind: type[BranchError],
    position: int,
    names: Sequence[str],
    types: tuple,
    what: str,
    why: str,
    instead: str,
) -> BranchError:
    """An error that carries which value it is about, and its types."""
    error = fail(kind, what, why=why, instead=instead)
    assert isinstance(error, BranchError)
    error.position, error.types = position, types
    error.name = names[position] if position < len(names) else ""
    return error


# --- loops --------------------------------------------------------------------------------------


def while_loop(
    test: Callable[..., Tensor],
    body: Function,
    carry: Values,
    limit: int | None = None,
    names: Sequence[str] = (),
    checkpoint: int | str | None = None,
) -> tuple[Tensor, ...]:
    """``while test(*carry): carry = body(*carry)``; returns the last carry.

    LimitError after `limit` iterations (by default the setting JITGRAD_LOOP_LIMIT; 0: none).
    `checkpoint`: how many iterations its reverse runs again at a time, instead of keeping records
    of all; "sqrt" chooses. "binomial" keeps a fixed number of states (`autodiff.revolve`).
    """
    limit = config.get("loop_limit") if limit is None else limit
    if state.trace is None:
        done = 0
        while bool(truth(test(*carry))):
            if limit and done == limit:
                raise too_long(limit)
            carry, done = _checked(body(*carry), carry, names), done + 1
        return tuple(carry)
    made = _Loop(state.trace, carry, (), names)
    made.trace_body(lambda k, *values: (body(*values), ()), lambda k, *values: test(*values))
    return made.finish(limit=limit, checkpoint=checkpoint)[0]


def fori(
    lower: Any,
    upper: Any,
    step: Any,
    body: Function,
    carry: Values,
    names: Sequence[str] = (),
    checkpoint: int | str | None = None,
) -> tuple[Tensor, ...]:
    """``for i in range(lower, upper, step): carry = body(i, *carry)``; returns the last carry.

    The bounds are ints or scalar Tensors of integers; i is a scalar Tensor of int64.
    """
    if state.trace is None:
        lower, upper, step = (int(b) for b in (lower, upper, step))
        for i in range(lower, upper, step):
            carry = _checked(body(constant(np.asarray(i)), *carry), carry, names)
        return tuple(carry)
    static = all(isinstance(b, (int, np.integer)) for b in (lower, upper, step))
    made = _Loop(state.trace, carry, (), names)
    length = len(range(lower, upper, step)) if static else None
    first, stride = _integer(lower), _integer(step)
    count = None if static else _trip_count(first, _integer(upper), stride)
    plain = static and lower == 0 and step == 1

    def run(k: Tensor, *values: Tensor) -> Any:
        i = k if plain else apply(add, first, apply(mul, k, stride))
        return body(i, *values), ()

    made.trace_body(run, None)
    return made.finish(length=length, count=count, checkpoint=checkpoint)[0]


def scan(
    body: Callable[..., tuple[Values, Values]],
    carry: Values,
    xs: Values,
    length: int,
    reverse: bool = False,
    names: Sequence[str] = (),
    checkpoint: int | str | None = None,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """``carry, y = body(*carry, *x)`` for each x of xs, from the last if `reverse`.

    Each of `xs` has a leading axis of extent `length`; so has each of the y's that come back.
    """
    if state.trace is None:
        return _scan_eagerly(body, carry, xs, length, reverse, names)
    made = _Loop(state.trace, carry, xs, names)
    made.trace_body(lambda k, *values: body(*values), None)
    return made.finish(length=length, reverse=reverse, checkpoint=checkpoint)


def once_more(function: Function, operands: Values) -> tuple[Tensor, ...]:
    """``function(*operands)``, which a reverse computes again rather than keep records of it."""
    if state.trace is None:
        return call_again(function, operands)
    if not operands:
        return tuple(function())
    rows = [apply(reshape, x, shape=(1, *x.shape)) for x in operands]
    made = _Loop(state.trace, (), rows, ())
    made.trace_body(lambda k, *values: ((), function(*values)), None)
    _, results = made.finish(length=1, recompute=True)
    return tuple([apply(reshape, y, shape=y.shape[1:]) for y in results])


def _scan_eagerly(
    body: Callable, carry: Values, xs: Values, length: int, reverse: bool, names: Sequence[str]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    rows = []
    for i in reversed(range(length)) if reverse else range(length):
        at = constant(np.asarray(i))
        new, row = body(*carry, *(apply(take, x, at) for x in xs))
        carry = _checked(new, carry, names)
        rows.append([apply(reshape, y, shape=(1, *y.shape)) for y in row])
    if reverse:
        rows.reverse()
    if not rows:  # what there would have been is found by tracing
        return tuple(carry), ()
    return tuple(carry), tuple(
        [apply(concat, *column, axis=0) for column in zip(*rows, strict=True)]
    )


def _integer(bound: Any) -> Tensor:
    if isinstance(bound, Tensor):
        return bound if bound.dtype is int64 else apply(cast, bound, dtype=int64)
    return constant(np.asarray(int(bound), np.int64))


def _trip_count(lower: Tensor, upper: Tensor, step: Tensor) -> Tensor:
    """How often ``range(lower, upper, step)`` goes round."""
    count = apply(neg, apply(floordiv, apply(sub, lower, upper), step))
    return apply(maximum, count, constant(np.asarray(0, np.int64)))


def _checked(new: Sequence[Tensor], carry: Values, names: Sequence[str]) -> list[Tensor]:
    check_carry([x._type for x in carry], [x._type for x in new], names)
    return list(new)


def check_carry(before: Sequence[Any], after: Sequence[Any], names: Sequence[str]) -> None:
    """CarryError if an iteration changes the type of what it carries."""
    if len(before) != len(after):
        raise fail(CarryError, f"a loop carries {len(before)} values, its body gives {len(after)}")
    for i, (a, b) in enumerate(zip(before, after, strict=True)):
        if a is not b:
            what = named(names, i, "carried value")
            raise mismatch(
                CarryError,
                i,
                names,
                (a, b),
                f"{what} is {a} before an iteration of a loop and {b} after it",
                "what a loop carries keeps its type",
                "give it that type before the loop, or cast it in the loop",
            )


@contextlib.contextmanager
def quiet(trace: Trace) -> Iterator[None]:
    """TraceError for what is to be shown after the run, by code that a region has to itself."""
    before = len(trace.effects)
    yield
    if len(trace.effects) > before:
        raise fail(
            TraceError,
            "an exception that depends on data, or a print, in a function whose body is one region",
            why="what ops.scan, ops.while_loop, ops.cond or recompute is given only computes",
            instead="a plain `for`, `while` or `if`, or return a flag and look at it afterwards",
        )


class _Loop:
    """A loop while it is being traced."""

    def __init__(self, trace: Trace, carry: Values, xs: Values, names: Sequence[str]):
        self.trace, self.names = trace, names
        self.carry = [trace.read(x) for x in carry]
        self.xs = [trace.read(x) for x in xs]
        self.own = len(self.carry)
        self.before = dict(trace.values)
        self.keys: list[int] = []  # of the Tensors from outside that the body writes

    def trace_body(self, body: Callable, test: Callable | None) -> None:
        """Call the body once, and again while it is found to write to more Tensors."""
        trace, start = self.trace, len(self.trace.made)
        try:
            while True:
                trace.values = dict(self.before)
                self.body_of(body, test)
                entry = dict(zip(self.keys, self.stand_ins[self.own : len(self.carry)]))
                more = [
                    k
                    for k, n in trace.values.items()
                    if k not in entry and self.before.get(k) is not n
                ]
                if not more:
                    break
                trace.forget(start)
                self.keys += more
                self.carry += [
                    self.before[k] if k in self.before else trace.captures[k][1] for k in more
                ]
            self.writes = trace.resolve([trace.values[k] for k in self.keys])
        finally:
            trace.forget(start)
            trace.values = dict(self.before)

    def body_of(self, body: Callable, test: Callable | None) -> None:
        trace = self.trace
        self.number = fresh_input("k", COUNT)
        types = [n.type for n in self.carry]
        self.stand_ins = [fresh_input("r", t) for t in types]
        self.slices = [fresh_input("r", item_type(n.type)) for n in self.xs]
        trace.values.update(zip(self.keys, self.stand_ins[self.own :]))
        k, *rest = [
            Tensor._of_node(n) for n in (self.number, *self.stand_ins[: self.own], *self.slices)
        ]
        self.test = None
        if test is not None:
            self.test = trace.resolve([trace.read(truth(test(k, *rest)))])[0]
            rest = [Tensor._of_node(n) for n in self.stand_ins[: self.own]]
        with quiet(trace):
            new, records = body(k, *rest)
        self.new = trace.resolve([trace.read(x) for x in new])
        self.records = trace.resolve([trace.read(x) for x in records])
        check_carry(types[: self.own], [n.type for n in self.new], self.names)

    def finish(
        self,
        length: int | None = None,
        count: Tensor | None = None,
        reverse: bool = False,
        limit: int = 0,
        checkpoint: int | str | None = None,
        recompute: bool = False,
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The loop, and its results."""
        trace = self.trace
        outputs = [*self.new, *self.writes, *self.records]
        tests = [self.test] if self.test is not None else []
        inputs = [self.number, *self.stand_ins, *self.slices]
        free = frontier_of_loop([*outputs, *tests], inputs)
        body = closed(trace, "body", outputs, inputs, free, "kcxp", len(self.carry))
        body = tidied(body, length)
        test = None
        if tests:
            inputs = [self.number, *self.stand_ins]
            test = closed(trace, "test", tests, inputs, free, "kcxp", len(self.carry))
        operands = [trace.read(count)] if count is not None else []
        operands += [*self.carry, *self.xs, *free]
        attrs = attributes(
            body,
            len(self.carry),
            len(self.xs),
            length=length,
            counted=count is not None,
            test=test,
            reverse=reverse,
            limit=limit,
            recompute=recompute,
        )
        if checkpoint:
            results = checkpointed(loop_op, operands, attrs, checkpoint)
        else:
            node = builder.make(loop_op, tuple(operands), attrs)
            where = user_expression()  # an error while it runs shows which loop of the line it is
            if where is not None:
                trace.locs[node] = where
            results = [project(node, i) for i in range(len(outputs))]
        for key, result in zip(self.keys, results[self.own :]):
            trace.values[key] = result
            trace.written.setdefault(key, trace.captures[key][0])
        tensors = [Tensor._of_node(r) for r in results]
        return tuple(tensors[: self.own]), tuple(tensors[len(self.carry) :])


__all__ = ["BranchError", "CarryError", "LimitError", "cond", "fori", "scan", "while_loop"]
