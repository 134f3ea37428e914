"""The reverse of a loop in little memory, after Griewank and Walther's *revolve* (algorithm 799).

The loop backwards records nothing. It keeps some of the states that the loop went through, in a
fixed number of slots. To reach the state before a step it starts from the last slot that is in use,
and stores states in free slots on the way, at such distances that no step is computed more than r
times for s slots, where C(s + r, s) is at least the number of steps: 7 times for ten million steps
and 32 slots. How many steps there are may be known only when the program runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jitgrad.autodiff.region import NUMBER, Inputs
from jitgrad.ir.node import Graph, Node, constant, full, project, substitute
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType, int64
from jitgrad.primitives.declare import zeros
from jitgrad.primitives.elementwise import equal, maximum, minimum, select
from jitgrad.primitives.flow import COUNT, Parts
from jitgrad.primitives.index import scatter, take
from jitgrad.primitives.reduce import reduce_sum
from jitgrad.primitives.shape import broadcast, cast

BINOMIAL = "binomial"  # the value of the attribute `recompute` that asks for this
SLOTS = 32  # states that are kept
MOST = 32  # the table knows up to how many steps these reach with as many repetitions: 1e18


@dataclass(frozen=True, slots=True)
class Around:
    """What is the same in all steps of a loop: the operands that it is `given`, the number of its
    `steps`, and the table of how many steps can be reversed (see `reached`).
    """

    table: Node
    steps: Node
    slices: tuple[Node, ...]
    rest: tuple[Node, ...]

    def inside(self, inputs: Inputs) -> Around:
        """The same as invariants of a loop that is being made."""
        table, steps = (inputs.add("p", x.type, x) for x in (self.table, self.steps))
        slices, rest = (
            tuple([inputs.add("p", x.type, x) for x in row]) for row in (self.slices, self.rest)
        )
        return Around(table, steps, slices, rest)

    def reached(self, states: Node, times: Node) -> Node:
        """C(states + times, states): how many steps can be reversed from that many states, if none
        is computed more often than that.
        """
        return take(self.table, states * (MOST + 1) + maximum(times, full(0, COUNT)))


@dataclass(frozen=True, slots=True)
class Steps:
    """A loop as its steps: what its body computes of its `own` inputs. reverse: the iteration with
    the last number comes first.
    """

    op: Op
    body: Graph
    own: Parts[Node]
    reverse: bool

    def number(self, step: Node, around: Around) -> Node:
        """The number of the iteration that is this step; or the step that is this iteration."""
        return around.steps - 1 - step if self.reverse else step

    def known(self, number: Node, around: Around) -> dict[Node, Node]:
        """What the body is given in an iteration, but for what it carries."""
        slices = [take(x, number) for x in around.slices]
        given = zip((*self.own.slices, *self.own.rest), (*slices, *around.rest), strict=True)
        return {self.own.count: number, **dict(given)}


@dataclass(frozen=True, slots=True)
class Slots:
    """The states that are kept: rows of `states`, those up to `top` in use; one more row takes what
    is not kept. Of each, `steps` has how many steps were done, and `times` how often those after it
    may be computed.
    """

    top: Node
    steps: Node
    times: Node
    states: tuple[Node, ...]

    def carried(self, inputs: Inputs) -> Slots:
        """The same as carries of a loop that is being made."""
        top, steps, times, *states = (inputs.add("c", x.type, x) for x in self.flat())
        return Slots(top, steps, times, tuple(states))

    def flat(self) -> list[Node]:
        return [self.top, self.steps, self.times, *self.states]

    @property
    def free(self) -> Node:
        return full(self.steps.shape[0] - 2, COUNT) - self.top


def first_slots(given: Parts[Node], steps: Node, most: int | None) -> tuple[Slots, Around]:
    """What a loop backwards begins with: one slot, with the state before the first step."""
    rows = min(SLOTS, most or SLOTS)
    reach = [[math.comb(s + r, s) for r in range(MOST + 1)] for s in range(rows + 1)]
    enough = constant(np.array(reach[rows]))
    short = enough < broadcast(steps, shape=enough.shape, dims=())
    times = reduce_sum(cast(short, dtype=int64), axes=(0,))
    column = COUNT.with_shape((rows + 1,))
    states = tuple([_with_row(x.type.with_shape((rows + 1, *x.shape)), x) for x in given.carry])
    times = broadcast(times, shape=column.shape, dims=())
    slots = Slots(zeros(COUNT), zeros(column), times, states)
    table = constant(np.array(reach).reshape(-1))
    return slots, Around(table, steps, given.slices, given.rest)


def _with_row(type: TensorType, state: Node) -> Node:
    return scatter(zeros(type), zeros(COUNT), state, mode="set")


def revolving(
    loop: Steps, new: Inputs, slots: Slots, around: Around
) -> tuple[dict[Node, Node], Slots]:
    """For the body of a loop backwards, whose `new` inputs are being made: the values of what the
    forward body knows in this iteration, and the slots that are left for the next.
    """
    slots, around = slots.carried(new), around.inside(new)
    step = loop.number(NUMBER, around)
    state, slots = _forward(loop, step, slots, around)
    done = equal(take(slots.steps, slots.top), step)
    top = maximum(select(done, slots.top - 1, slots.top), full(0, COUNT))
    values = {**loop.known(NUMBER, around), **dict(zip(loop.own.carry, state, strict=True))}
    return values, Slots(top, slots.steps, slots.times, slots.states)


def _forward(loop: Steps, step: Node, slots: Slots, around: Around) -> tuple[list[Node], Slots]:
    """The state before a step, from the last slot in use, and the slots filled on the way."""
    inputs = Inputs()
    at = inputs.add("c", COUNT, take(slots.steps, slots.top))
    last = [take(x, slots.top) for x in slots.states]
    state = [inputs.add("c", x.type, x) for x in last]
    kept, held = slots.carried(inputs), around.inside(inputs)
    target = inputs.add("p", COUNT, step)
    distance = _distance(target - at + 1, kept, held)
    ahead, there = at + distance, _ahead(loop, at, distance, state, held)
    results = [ahead, *there, *_store(kept, ahead, there).flat()]
    carries, rest = ([x for x, _ in row] for row in (inputs.carry, inputs.rest))
    test = Graph("test", [NUMBER, *carries, *rest], [at < target])
    made = inputs.loop(loop.op, None, results, test=test)
    _, *found = [project(made, i) for i in range(len(results))]
    top, steps, times, *states = found[len(state) :]
    return found[: len(state)], Slots(top, steps, times, tuple(states))


def _distance(left: Node, slots: Slots, around: Around) -> Node:
    """How far to go from the last slot, if `left` steps are to be reversed from there on."""
    states, times = slots.free + 1, take(slots.times, slots.top)
    least = left - around.reached(states - 1, times)  # so that the steps after it are few enough
    return minimum(maximum(least, around.reached(states, times - 2)), left - 1)


def _ahead(loop: Steps, at: Node, count: Node, state: list[Node], around: Around) -> list[Node]:
    """The state after `count` more steps."""
    inputs = Inputs()
    carry = [inputs.add("c", x.type, x) for x in state]
    held, base = around.inside(inputs), inputs.add("p", COUNT, at)
    known = loop.known(loop.number(NUMBER + base, held), held)
    known.update(zip(loop.own.carry, carry, strict=True))
    made = inputs.loop(loop.op, count, substitute(loop.body.outputs[: len(carry)], known))
    return [project(made, i) for i in range(len(carry))]


def _store(slots: Slots, step: Node, state: list[Node]) -> Slots:
    """With one more state, unless no slot is free."""
    times = take(slots.times, slots.top)
    free = slots.free > full(0, COUNT)
    top = select(free, slots.top + 1, slots.top)
    row = select(free, top, full(slots.steps.shape[0] - 1, COUNT))
    fewer = scatter(slots.times, slots.top, times - 1, mode="set")
    states = [scatter(x, row, s, mode="set") for x, s in zip(slots.states, state, strict=True)]
    return Slots(
        top,
        scatter(slots.steps, row, step, mode="set"),
        scatter(fewer, row, times, mode="set"),
        tuple(states),
    )
