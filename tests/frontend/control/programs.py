"""Programs written at random: loops, branches, jumps, aliases, writes in place and calls.

A program is a function of a float scalar, a vector of four and an int, all Tensors. `written`
follows the rules of `grammar` as a `random.Random` decides; where Hypothesis is that, what fails
becomes small.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import linecache
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import jitgrad as ms
from jitgrad import Tensor, ops
from tests.frontend.control.grammar import ALTERNATIVES, STATE

# --- what programs call ---------------------------------------------------------------------------


@dataclass
class Body:
    """Something with attributes that change."""

    s: Any
    v: Any

    def mixed(self, p: Any) -> Any:
        return self.s * 0.5 + p if p > self.s else p

    def turn(self, p: Any) -> None:
        if p > 0.2:
            self.s = self.s * 0.7
            return
        self.v[0] = p


def mix(p: Any, q: Any, *rest: Any, scale: float = 0.5) -> Any:
    for r in rest:
        p = p + r * scale if r > 0 else p
    return p * 0.5 + q * scale


def power(p: Any, n: int) -> Any:
    return p if n == 0 else ops.tanh(p) * power(p, n - 1)


def shrink(p: Any) -> Any:
    return p if p * p < 0.5 else shrink(p * 0.6)


def halves(p: Any, n: int) -> Iterator[Any]:
    for _ in range(n):
        p = p * 0.5
        yield p


@contextlib.contextmanager
def scaled(p: Any) -> Iterator[Any]:
    yield p * 0.7


CALLED = (Body, mix, power, shrink, halves, scaled, Tensor, ops, ms, math, functools, itertools)
NAMES = {getattr(f, "__name__", "").rpartition(".")[2]: f for f in CALLED} | {"ms": ms}

# --- the writer -----------------------------------------------------------------------------------

HOLE = re.compile(r"<([a-z0-9 ]+)>")
SIMPLE = {"value": 2, "test": 2}  # alternatives that are not deeper
serial = itertools.count()


@dataclass(frozen=True)
class Scope:
    """What a statement may use: numbers of turns as indices, items of loops; how deep it may go."""

    depth: int
    indices: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    looped: bool = False
    deeper: int = 2  # of an expression


class Writer:
    """Writes one program, statement by statement."""

    def __init__(self, random: Random):
        self.random = random
        self.counters = 0
        self.compounds = 5  # more of them, one in another, take long to trace

    def one_of(self, choices: list[str]) -> str:
        return choices[self.random.randrange(len(choices))]

    def fresh(self, stem: str) -> str:
        self.counters += 1
        return f"{stem}{self.counters}"

    def filled(self, text: str, scope: Scope) -> str:
        """A line with rules in the place of their names."""
        return HOLE.sub(lambda hole: self.expression(hole[1], scope), text)

    def expression(self, rule: str, scope: Scope) -> str:
        if rule == "loop" or rule == "extra":
            known = scope.indices if rule == "loop" else scope.items
            return self.one_of(list(known)) if known else "0" if rule == "loop" else "a"
        if rule == "all":  # of the names of the program, which is not written yet
            return "<all>"
        choices = ALTERNATIVES[rule]
        if rule in SIMPLE:
            choices = choices if scope.deeper else choices[: SIMPLE[rule]]
            scope = replace(scope, deeper=max(scope.deeper - 1, 0))
        return self.filled(self.one_of(choices).strip(), scope)

    # --- statements -----------------------------------------------------------------------------

    def block(self, scope: Scope) -> list[str]:
        count = 1 + self.random.randrange(3)
        return [line for _ in range(count) for line in self.statement(scope)]

    def statement(self, scope: Scope) -> list[str]:
        kind = self.random.randrange(10)
        if kind < 5 or (kind < 9 and not (scope.depth and self.compounds)):
            return [self.expression("line", scope)]
        self.compounds -= kind < 9
        if kind < 9:
            return self.compound(self.one_of(ALTERNATIVES["compound"]), scope)
        jumps = [j for j in ALTERNATIVES["jump"] if scope.looped or j.endswith((")", "sum()"))]
        return self.compound(self.one_of(jumps), scope)

    def compound(self, text: str, scope: Scope) -> list[str]:
        """A statement of several lines. What the head of a block names is known in that block."""
        outer = replace(scope, depth=max(scope.depth - 1, 0))
        own: dict[str, str] = {}
        inner, found = outer, []
        for line in text.splitlines():
            code = line.lstrip()
            pad = line[: len(line) - len(code)]
            if code == "<block>":
                found += [pad + inside for inside in self.block(inner)]
                continue
            if not pad:
                inner = outer
            code, below = self.head(code, own, inner)
            found.append(pad + self.filled(code, inner))
            inner = below
        return found

    def head(self, code: str, own: dict[str, str], scope: Scope) -> tuple[str, Scope]:
        """A line with its new names, and what is known behind it."""
        for hole in ("turns", "function", "rows"):
            while f"<{hole}>" in code:
                own[hole] = own.get(hole) or self.fresh(hole[0])
                code = code.replace(f"<{hole}>", own[hole])
        for hole, index in (("loop over", "{}"), ("far", "({} % 4)"), ("item", "")):
            while f"<{hole}>" in code:
                new = self.fresh(hole[0])
                code = code.replace(f"<{hole}>", new, 1)
                if index:
                    scope = replace(scope, indices=(*scope.indices, index.format(new)))
                else:
                    scope = replace(scope, items=(*scope.items, new))
        if code.startswith(("for", "while")):
            scope = replace(scope, looped=True)
        return code, replace(scope, looped=False) if code.startswith("def") else scope


def written(random: Random, depth: int = 3) -> tuple[Callable, str]:
    """A program, and its source. `depth`: of statements in statements."""
    body = "\n".join(f"    {line}" for line in Writer(random).block(Scope(depth)))
    used = [n for n in STATE if re.search(rf"\b{n}\b", body)]
    body = body.replace("<all>", ", ".join(["a", *used]))
    first = "".join(f"    {n} = {STATE[n][0]}\n" for n in used if n in body)
    total = " + ".join(["a * x.sum()", *[STATE[n][1] for n in used]])
    return compiled_from(
        f"def program(a, x, k):\n    a = a * 1.0\n{first}{body}\n    return {total}\n"
    )


def compiled_from(source: str) -> tuple[Callable, str]:
    """The function of that source, which can be read again."""
    path = f"<generated {next(serial)}>"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    namespace = dict(NAMES)
    exec(compile(source, path, "exec"), namespace)
    return namespace["program"], source
