"""Diagrams of conditions: equal ones are one object, and chains of choices stay small."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from jitgrad import Tensor, jit
from jitgrad.frontend.decisions import Decision, Decisions, Where, masks
from jitgrad.frontend.trace import Argument, trace
from jitgrad.ir.interp import interpret
from jitgrad.ir.node import input_node
from jitgrad.ir.types import TensorType, bool_

SCALAR = TensorType(bool_, ())
NODES = [input_node(f"c{i}", SCALAR) for i in range(4)]
LAWS: dict[str, Callable[[Decisions, Where, Where, Where], tuple[Where, Where]]] = {
    "a condition and its opposite": lambda d, a, b, c: (d.both(a, d.no(a)), False),
    "one of the two": lambda d, a, b, c: (d.any(a, d.no(a)), True),
    "twice no": lambda d, a, b, c: (d.no(d.no(d.both(a, b))), d.both(b, a)),
    "no to both": lambda d, a, b, c: (d.no(d.any(a, b)), d.both(d.no(b), d.no(a))),
    "with one of two": lambda d, a, b, c: (
        d.both(a, d.any(b, c)),
        d.any(d.both(c, a), d.both(a, b)),
    ),
    "a choice": lambda d, a, b, c: (d.choose(b, a, c), d.any(d.both(a, b), d.both(d.no(b), c))),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws(name) -> None:
    for order in itertools.permutations(NODES[:3]):
        made = Decisions()
        by_node = {node: made.where(node) for node in order}
        one, other = LAWS[name](made, *[by_node[node] for node in NODES[:3]])
        assert one is other


def value(where: Where, held: dict) -> bool:
    while isinstance(where, Decision):
        where = where.then if held[where.node] else where.orelse
    return where


def test_masks_hold_where_their_diagrams_do() -> None:
    found = {}

    def program(conditions: list[Tensor]) -> list[Tensor]:
        made = Decisions()
        a, b, c, d = (made.where(x._node) for x in conditions)
        wheres = [a, made.no(a), made.both(a, made.no(b)), made.any(made.no(c), b)]
        wheres += [made.choose(d, made.choose(c, a, b), made.both(b, made.no(c)))]
        wheres += [made.choose(d, True, wheres[2]), made.choose(d, wheres[3], True)]
        known = masks(wheres)
        found.update(zip(wheres, range(len(wheres)), strict=True))
        found["nodes"] = [x._node for x in conditions]
        return [known[x] for x in wheres]

    graph = trace(program, [Argument(f"c{i}", SCALAR) for i in range(4)], "program").graph
    nodes = found.pop("nodes")
    for held in itertools.product((False, True), repeat=4):
        got = interpret(graph, [np.array(x) for x in held])
        by_node = dict(zip(nodes, held, strict=True))
        assert [bool(x) for x in got] == [value(where, by_node) for where in found]


def test_a_choice_of_choices_stays_small() -> None:
    made = Decisions()
    nodes = [input_node(f"x{i}", SCALAR) for i in range(2000)]
    one, other = True, False
    for node in nodes:  # two names that are exchanged, or not
        where = made.where(node)
        one, other = made.choose(where, other, one), made.choose(where, one, other)
        assert one is made.no(other)
    assert len(made.made) < 4 * len(nodes)


def test_names_that_are_exchanged_many_times() -> None:
    def program(x: Tensor) -> Tensor:
        v, w = x * 1.0, x * 0.5
        a, b = v, w
        for i in range(6):
            for j in range(3):
                if x[j] > -1.3 + 0.63 * i + 0.21 * j:
                    v, w = w, v
        v += 1.0
        return (a * a).sum() + 3.0 * (b * v).sum() + 5.0 * w.sum()

    x = Tensor(np.array([0.3, -1.2, 2.5]))
    np.testing.assert_allclose(jit(program)(x).item(), program(x).item(), rtol=1e-14)
