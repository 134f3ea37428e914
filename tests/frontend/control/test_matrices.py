"""Programs over matrices, made at random, eagerly and compiled: values and gradients agree.

The vectors of `test_generated` are short enough for registers. Matrices have memory, which loops
and branches lend, share and overwrite.

JITGRAD_PROGRAMS=10 makes ten times as many, JITGRAD_PROGRAMS_SEED=7 others.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor
from tests.frontend.control.programs import compiled_from
from tests.frontend.control.test_generated import FIRST, MORE, close

EACH = 4
SIDE = 5
VALUES = (
    "x * 0.9", "y * 0.8 + x * 0.1", "x - 0.1 * x * y", "ops.cos(x) * y", "(x @ w) * 0.2",
    "y.T * 0.9", "x + s * 0.01", "ops.flip(y, (0,)) * 0.7", "w * 0.5 + x * 0.3", "z @ x * 0.1",
    "ops.softmax(x, -1)", "x * 0.5 + y.sum() * 0.01", "ops.cumsum(z * 0.1, 0)",
)  # fmt: skip


class Writer:
    """Lines of a program of matrices x, y, z, w and a number s."""

    def __init__(self, random: Random):
        self.random, self.pick = random, random.choice

    def block(self, depth: int) -> list[str]:
        ways = [self.value] * 7 + [self.renamed, self.number, self.joined, self.written]
        ways += [self.branch, self.loop, self.loop, self.while_] * 2 if depth else []
        return [
            line for _ in range(self.random.randint(1, 3)) for line in self.pick(ways)(depth - 1)
        ]

    def inside(self, head: str, depth: int) -> Iterator[str]:
        yield head
        yield from (f"    {line}" for line in self.block(depth))

    def matrix(self) -> str:
        return self.pick("xyz")

    def row(self) -> str:
        return f"{self.matrix()}[{self.random.randrange(SIDE)}]"

    def value(self, depth: int) -> Iterator[str]:
        yield f"{self.matrix()} = {self.pick(VALUES)}"

    def renamed(self, depth: int) -> Iterator[str]:
        yield f"{self.matrix()} = {self.pick('xyzw')}"

    def number(self, depth: int) -> Iterator[str]:
        one = self.pick((f"{self.matrix()}.max()", f"{self.row()}.sum()", f"{self.row()}[2]"))
        yield f"s = s * 0.9 + {one} * 0.05"

    def joined(self, depth: int) -> Iterator[str]:
        yield f"{self.matrix()} = ops.cat(({self.matrix()}[1:], {self.matrix()}[:1] * 0.5), 0)"

    def written(self, depth: int) -> Iterator[str]:
        name = self.matrix()
        yield f"{name} = {name} * 1.0"
        yield f"{name}[{self.random.randrange(SIDE)}] = {self.row()} * 0.5"

    def branch(self, depth: int) -> Iterator[str]:
        yield from self.inside(f"if {self.matrix()}.sum() > {self.pick((0.13, 2.17, 9.3))}:", depth)
        if self.random.random() < 0.7:
            yield from self.inside("else:", depth)

    def loop(self, depth: int) -> Iterator[str]:
        yield from self.inside(f"for _ in range({self.pick(('n', 'n', '3'))}):", depth)

    def while_(self, depth: int) -> Iterator[str]:
        turns = f"turns{depth}"
        yield f"{turns} = 0"
        limit = self.pick((1.07, 5.3, 20.9))
        test = f"({self.matrix()} * 2.0 @ w).sum() > {limit} and {turns} < 4"
        yield from self.inside(f"while {test}:", depth)
        yield f"    {turns} = {turns} + 1"


def source(random: Random) -> str:
    start = ("y, z, s = x, w, x.sum() * 0.1", *Writer(random).block(2))
    lines = [*start, "return (x * y).sum() + s + (z * 0.3).sum()"]
    return "\n".join(["def program(x, w, n):", *(f"    {line}" for line in lines), ""])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_compiled(number: int) -> None:
    random = Random(FIRST * 1000 + number)
    for _ in range(EACH * MORE):
        program, text = compiled_from(source(random))
        values = np.random.default_rng(random.randrange(1000))
        x, w = (Tensor(values.uniform(0.2, 1.0, (SIDE, SIDE))) for _ in range(2))
        gradient = ms.value_and_grad(program, (0, 1))
        want = gradient(x, w, Tensor(3))
        if all(np.isfinite(slope.asnumpy()).all() for slope in want[1]):
            try:
                close(ms.jit(gradient)(x, w, Tensor(3)), want)
            except Exception as error:
                raise AssertionError(text) from error
