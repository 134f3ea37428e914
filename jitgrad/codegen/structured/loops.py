"""Loops as lines: carries in variables or memory, records in arrays or on growing tapes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from jitgrad.codegen.structured.carries import in_place
from jitgrad.codegen.structured.order import is_large, result_of
from jitgrad.codegen.structured.steps import prepared
from jitgrad.codegen.structured.writer import (
    Elements,
    Memory,
    Tape,
    Unsupported,
    Value,
    lent,
)
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.types import TapeType
from jitgrad.passes.ranges import entering
from jitgrad.primitives.flow import Parts, inner, parts

FIRST_ROOM = 256  # iterations that a new tape has room for


def write_loop(body: Any, node: Node) -> Sequence[Value | None]:
    """The lines of a loop in a `Body`; returns its results."""
    return _Loop(body, node).write()


@dataclass(slots=True)
class _Growing:
    """A tape that is being written: its descriptor, the name of its data, and what a row is."""

    tape: Tape
    data: str
    rows: int = 0

    @property
    def pointer(self) -> str:
        return f"{self.tape.item.dtype.code}_tape({self.tape.name})"


class _Loop:
    def __init__(self, outer: Any, node: Node):
        self.outer, self.w, self.node, self.attrs = outer, outer.w, node, node.attrs
        self.body: Graph = in_place(prepared(node.attrs["body"]), node.attrs["carried"])
        self.test: Graph | None = node.attrs["test"]
        self.given: Parts[Node] = parts(node.attrs, node.inputs)
        self.own: Parts[Node] = inner(node.attrs, self.body.inputs)
        self.carried = node.attrs["carried"]
        self.k = ""
        self.where = outer.graph.locs.get(node)
        self.known = entering(node, node.inputs, outer.known)

    # --- before the loop ---

    def homes(self) -> list[Value]:
        """Where each carry lives: memory, or variables."""
        from jitgrad.codegen.structured.body import indexed_inputs

        indexed = indexed_inputs(self.body)
        found: list[Value] = []
        for i, (x, operand) in enumerate(zip(self.own.carry, self.given.carry, strict=True)):
            if is_large(x) or indexed.get(x, False) or x in indexed:
                found.append(self.outer.owned(self.node, operand, i))
            else:
                texts = self.w.elements(self.outer.values[operand])
                found.append(Elements(tuple([self.w.let(t, "c") for t in texts]), x.type))
        return found

    def records(self) -> list[Value]:
        """Where each record goes: the place that the caller wants, or working memory."""
        length, found = self.attrs["length"], []
        for i in range(self.carried, len(self.body.outputs)):
            item = self.body.outputs[i].type
            wanted = self.outer.places.get((self.node, i))
            if wanted is not None:
                found.append(wanted)
            elif length is None:
                found.append(self.w.new_tape(item))
            else:
                found.append(self.w.new_stack(item, length))
        return found

    def trip(self) -> str:
        """The text of the number of iterations, or of a bound on it; empty if there is none."""
        if self.attrs["length"] is not None:
            return self.w.number(self.attrs["length"])
        if self.given.count is not None:
            (text,) = self.w.elements(self.outer.values[self.given.count])
            return text
        return ""

    # --- the loop ---

    def write(self) -> list[Value]:
        w = self.w
        carry, records, trip = self.homes(), self.records(), self.trip()
        self.k = w.name("k")
        growing = [_Growing(r, w.name("y")) for r in records if isinstance(r, Tape)]
        room = self.open_tapes(growing, trip)
        values: dict[Node, Value] = dict(zip(self.own.carry, carry, strict=True))
        values[self.own.count] = Elements((self.k,), self.own.count.type)  # type: ignore[index]
        for x, operand in zip(self.own.rest, self.given.rest, strict=True):
            values[x] = lent(self.outer.values[operand])
        slices = [self.opened(operand) for operand in self.given.slices]
        with self.head(trip, values):
            if room:
                self.grow(growing, room)
            for x, slice_ in zip(self.own.slices, slices, strict=True):
                values[x] = self.slice(x, slice_)
            self.iteration(values, carry, records, growing)
            if self.test is not None:
                w.line(f"{self.k} += 1")
        ran = self.k if self.test is not None else trip
        for g in growing:
            w.line(f"{g.tape.name}[2] = {ran}")
        if self.test is not None:
            done = Elements((self.k,), self.own.count.type)  # type: ignore[union-attr]
            return [*carry, *records, done]
        return [*carry, *records]

    def head(self, trip: str, values: dict[Node, Value]) -> AbstractContextManager[None]:
        from contextlib import contextmanager

        w, k = self.w, self.k
        if self.test is None:
            down = f"range({trip} - 1, -1, -1)" if self.attrs["reverse"] else f"range({trip})"
            return w.block(f"for {k} in {down}:")

        @contextmanager
        def tested() -> Any:
            w.line(f"{k} = 0")
            with w.block("while True:"):
                if trip:
                    with w.block(f"if {k} >= {trip}:"):
                        w.line("break")
                self.check(values)
                if self.attrs["limit"]:
                    limit = self.attrs["limit"]
                    with w.block(f"if {k} == {w.number(limit)}:"):
                        w.fault("limit", self.where, extent=limit)
                yield

        return tested()

    def check(self, values: dict[Node, Value]) -> None:
        from jitgrad.codegen.structured.body import Body

        assert self.test is not None
        xs = (self.own.count, *self.own.carry, *self.own.rest)
        given = {t: lent(values[x]) for t, x in zip(self.test.inputs, xs, strict=True)}  # type: ignore[index]
        (going,) = Body(self.w, self.test, given, self.known["test"]).write()
        (text,) = self.w.elements(going)
        with self.w.block(f"if not {text}:"):
            self.w.line("break")

    def opened(self, operand: Node) -> Value:
        """A stacked operand, ready to be sliced."""
        value = self.outer.values[operand]
        if isinstance(value, Tape):
            data = self.w.let(f"{value.item.dtype.code}_tape({value.name})", "y")
            return Memory(data, "", value.item)
        return self.w.in_memory(value)

    def slice(self, x: Node, stack: Value) -> Value:
        """This iteration's part of a stacked operand."""
        assert isinstance(stack, Memory)
        row = Memory(stack.base, self.row(stack, x.type.size), x.type)
        if is_large(x):
            return row
        return Elements(tuple(self.w.elements(row)), x.type)

    def row(self, stack: Memory, size: int) -> str:
        far = stack.row or (self.w.number(size) if size != 1 else "")
        at = f"{self.k} * {far}" if far else self.k
        return f"{stack.offset} + {at}" if stack.offset else at

    def iteration(
        self,
        values: dict[Node, Value],
        carry: list[Value],
        records: list[Value],
        growing: list[_Growing],
    ) -> None:
        """The body, then records, then the new carries."""
        from jitgrad.codegen.structured.body import Body

        w = self.w
        inside = Body(w, self.body, values, self.known["body"])
        data = iter(growing)
        targets = []
        for record, output in zip(records, self.body.outputs[self.carried :], strict=True):
            if isinstance(output.type, TapeType):
                raise Unsupported("a tape of tapes")
            stack = Memory(next(data).data, "", output.type) if isinstance(record, Tape) else record
            targets.append(Memory(stack.base, self.row(stack, output.type.size), output.type))  # type: ignore[union-attr,arg-type]
        for target, output in zip(targets, self.body.outputs[self.carried :], strict=True):
            made = result_of(output)
            if made is not None:
                inside.places[made] = target
        results = inside.write()
        for target, result in zip(targets, results[self.carried :], strict=True):
            w.copy(target, result)
        self.move_on(carry, results[: self.carried])

    def move_on(self, carry: list[Value], results: list[Value]) -> None:
        """All carries at once take their new values."""
        w = self.w
        moves = []
        for i, (home, result) in enumerate(zip(carry, results, strict=True)):
            if isinstance(home, Elements):
                pairs = zip(home.texts, w.elements(result), strict=True)
                moves += [(name, text) for name, text in pairs if name != text]
            elif isinstance(home, Memory) and not home.same_place(result):
                moves.append((home, self.kept(result, carry, i)))
        taken = {name for name, _ in moves if isinstance(name, str)}
        moves = [(name, w.let(text, "z") if text in taken else text) for name, text in moves]
        for name, text in moves:
            if isinstance(name, Memory):
                w.copy(name, text)
            else:
                w.line(f"{name} = {text}")

    def kept(self, result: Value, carry: list[Value], place: int) -> Value:
        """A value in memory that no other carry overwrites before it is copied."""
        if isinstance(result, Elements):
            return result
        assert isinstance(result, Memory)
        others = {m.base for i, m in enumerate(carry) if isinstance(m, Memory) and i != place}
        if result.base not in others:
            return result
        temporary = self.w.new_memory(result.type)
        self.w.copy(temporary, result)
        return temporary

    # --- tapes ---

    def open_tapes(self, growing: list[_Growing], trip: str) -> str:
        """Make room; returns the name of the number of rows there is room for, if that can be
        too few.
        """
        w = self.w
        if not growing:
            return ""
        counted = self.test is None
        room = w.let(trip if counted else str(FIRST_ROOM), "room")
        self.reserve(growing, room)
        return "" if counted else room

    def reserve(self, growing: list[_Growing], room: str) -> None:
        w = self.w
        for g in growing:
            nbytes = w.number(g.tape.item.nbytes, "b")
            full = f"{g.tape.name}[1] < {room} * {nbytes}"
            with w.block(f"if {full} and grow_tape({g.tape.name}, {room} * {nbytes}) == 0:"):
                w.fault("memory", self.where)
            w.line(f"{g.data} = {g.pointer}")

    def grow(self, growing: list[_Growing], room: str) -> None:
        w = self.w
        with w.block(f"if {self.k} == {room}:"):
            w.line(f"{room} = 2 * {room}")
            self.reserve(growing, room)


__all__ = ["write_loop"]
