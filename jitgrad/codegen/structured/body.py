"""Graphs as lines: each node by its rule, regions as `while`, `for` and `if`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jitgrad.codegen.structured import indexed, scalars
from jitgrad.codegen.structured.joins import homes_in
from jitgrad.codegen.structured.loops import write_loop
from jitgrad.codegen.structured.order import in_place, is_large, scheduled, step_alias, targets
from jitgrad.codegen.structured.steps import is_inline, is_small, prepared, write_step
from jitgrad.codegen.structured.writer import (
    Elements,
    Memory,
    Unsupported,
    Value,
    Writer,
    lent,
)
from jitgrad.ir.node import Graph, Node, constant_op, input_op, project_op, splat
from jitgrad.ir.types import TupleType, int64
from jitgrad.passes.access import keeps_order
from jitgrad.passes.ranges import Range, entering, ranges_of


@functools.lru_cache(maxsize=4096)  # regions in regions would be looked at again for each operand
def indexed_inputs(graph: Graph) -> dict[Node, bool]:
    """Values that are read or written at computed places, and so are in memory whatever their size:
    True where they are written.
    """
    found: dict[Node, bool] = {}
    for node in reversed(graph.nodes):
        if node.op.name in indexed.WRITES or (node.op.name in indexed.READS and node.inputs[1:]):
            writes = node.op.name in indexed.WRITES
            found[node.inputs[0]] = writes or found.get(node.inputs[0], False)
        elif node.op.kind == "region":
            for inner, outer in _passed(node):
                if outer is not None and inner in found_in(node, inner):
                    found[outer] = found.get(outer, False) or found_in(node, inner)[inner]
    return found


def found_in(region: Node, inner: Node) -> dict[Node, bool]:
    """What is indexed in the graph of a region that an inner value belongs to."""
    result: dict[Node, bool] = {}
    for name in ("body", "test", "then", "orelse"):
        graph = region.attrs.get(name)
        if isinstance(graph, Graph) and inner in graph.inputs:
            result |= indexed_inputs(graph)
    return result


def _passed(region: Node) -> list[tuple[Node, Node | None]]:
    """Inner inputs with the operands that they are (None: another one in each iteration)."""
    pairs: list[tuple[Node, Node | None]] = []
    if "carried" in region.attrs:
        body = region.attrs["body"]
        first = int(region.attrs["counted"])
        carried, mapped = region.attrs["carried"], region.attrs["mapped"]
        outer = region.inputs[first:]
        for i, x in enumerate(body.inputs[1:]):
            pairs.append((x, None if carried <= i < carried + mapped else outer[i]))
    elif "orelse" in region.attrs:
        for name in ("then", "orelse"):
            pairs += list(zip(region.attrs[name].inputs, region.inputs[1:], strict=True))
    return pairs


class Body:
    """Writes one graph: `values` are those of its inputs, then of all of its nodes; `known` is what
    is known of integers.
    """

    def __init__(
        self,
        w: Writer,
        graph: Graph,
        values: Mapping[Node, Value],
        known: Mapping[Node, Range] | None = None,
    ):
        self.w, self.graph = w, prepared(graph)
        self.known = ranges_of(self.graph, known or {})
        self.values: dict[Node, Value] = dict(values)
        self.claims: set[tuple[Node, str, str]] = set()
        self.parts: dict[Node, Sequence[Value | None]] = {}  # results of regions
        self.places: dict[tuple[Node, int], Any] = {}  # where a region's result is wanted
        self.indexed = indexed_inputs(self.graph)
        self.order, self.copies = scheduled(self.graph, self.indexed)
        self.homes = homes_in(self.graph)
        self.held: dict[Node, Memory] = {}  # joins and paddings of which parts are there

    def write(self) -> list[Value]:
        """The lines of all nodes; returns the outputs."""
        for node in self.order:
            if node.op is not input_op:
                self.node(node)
        return [self.values[o] for o in self.graph.outputs]

    def node(self, node: Node) -> None:
        """The lines of one node."""
        if node.op is project_op:
            value = self.parts[node.inputs[0]][node.attrs["index"]]
            if value is not None:
                self.values[node] = value
        elif node.op.kind == "region":
            self.parts[node] = self.region(node)
            if not isinstance(node.type, TupleType):
                (self.values[node],) = self.parts[node]  # type: ignore[assignment]
        elif node.op.kind == "call" and not is_inline(node):
            self.parts[node] = self.step(node)
            if not isinstance(node.type, TupleType):
                (self.values[node],) = self.parts[node]  # type: ignore[assignment]
        else:
            self.values[node] = self.compute(node)

    def compute(self, node: Node) -> Value:
        if node.op.kind == "leaf":
            return self.leaf(node)
        operands = [self.values[i] for i in node.inputs]
        access = indexed.READS.get(node.op.name) or indexed.WRITES.get(node.op.name)
        if access is not None:
            if node.op.name in indexed.WRITES:
                operands[0] = self.owned(node, node.inputs[0])
            site = indexed.site(node, self.graph.locs.get(node), self.known)
            return access(self.w, node, operands, site)
        if node.op.kind == "view" and isinstance(operands[0], Memory) and keeps_order(node):
            return replace(operands[0], type=node.type)
        if node.op.kind == "view" and is_large(node):
            return operands[0]  # a step reads it as what it is a view of
        if scalars.is_pick(node):
            return scalars.picked(self.w, node, operands[0])
        rule = scalars.rule_for(node)
        if rule is None:
            raise Unsupported(f"{node.op.name} : {node.type}")
        return rule(self.w, node, operands)

    def leaf(self, node: Node) -> Value:
        if is_large(node):
            number = splat(node) if node.op is constant_op else None
            if number is None:
                raise Unsupported(f"{node.op.name} : {node.type}")
            memory = self.w.new_memory(node.type)
            self.w.fill(memory, scalars.literal(number, node.dtype))
            return memory
        array = node.op.numpy(**node.attrs)
        if node.ndim == 0 and node.dtype is int64 and abs(int(array)) > 2:
            return Elements((self.w.number(int(array)),), node.type)  # sizes are such
        value = scalars.constant(array, node.type)
        return self.w.in_memory(value) if node in self.indexed else value

    def owned(self, writer: Node, operand: Node, result: int = -1) -> Memory:
        """The memory of an operand that may be overwritten: its own, a copy, or the place where the
        result is wanted.
        """
        value = self.values[operand]
        place = self.places.get((writer, result))
        if place is not None:
            self.w.copy(place, value)
            return place
        if self.can_own(writer, operand):
            assert isinstance(value, Memory)
            self.claims.add((writer, value.base, value.offset))
            return value
        memory = self.w.new_memory(operand.type)
        self.w.copy(memory, value)
        return memory

    def can_own(self, writer: Node, operand: Node) -> bool:
        """Whether a writer may overwrite an operand where it is: once, if nobody reads it later."""
        value = self.values[operand]
        if not isinstance(value, Memory) or not value.private:
            return False
        claimed = (writer, value.base, value.offset) in self.claims
        return not claimed and (writer, operand) not in self.copies

    # --- regions ---

    def region(self, node: Node) -> Sequence[Value | None]:
        if "carried" in node.attrs:
            return write_loop(self, node)
        if "orelse" in node.attrs:
            return self.branch(node)
        if is_small(node) and node not in self.homes:
            inside = node.attrs["body"]
            given = {x: self.values[i] for x, i in zip(inside.inputs, node.inputs, strict=True)}
            return Body(self.w, inside, given, self.entering(node, inside)).write()
        return self.step(node)

    def entering(self, node: Node, inside: Graph) -> dict[Node, Range]:
        """What is known of the operands of a region that is written out."""
        pairs = zip(inside.inputs, node.inputs, strict=True)
        return {x: self.known[i] for x, i in pairs if i in self.known}

    def step(self, node: Node) -> list[Value]:
        where = self.graph.locs.get(node)
        if node in self.homes:
            holder, steps = self.homes[node]
            if not any(n is holder for n, _ in self.places):  # what is there is still needed
                if holder not in self.held:
                    self.held[holder] = self.w.new_memory(holder.type)  # type: ignore[arg-type]
                homes = {0: self.held[holder]}
                return write_step(self.w, node, self.values, homes, {}, where, {0: steps})
        if node in self.held:
            there = [i for i, x in enumerate(node.inputs) if x in self.homes]
            homes = {0: self.held[node]}
            return write_step(self.w, node, self.values, homes, {}, where, there=there)
        alias = {
            i: j
            for i, j in step_alias(node).items()
            if (node, i) not in self.places and self.can_own(node, node.inputs[j])
        }
        homes = {i: self.owned(node, node.inputs[j]) for i, j in alias.items()}
        homes |= {i: m for (n, i), m in self.places.items() if n is node and i not in homes}
        return write_step(self.w, node, self.values, homes, alias, where)

    def branch(self, node: Node) -> list[Value | None]:
        """``if``: results are variables that both sides set, or memory that both sides leave."""
        w = self.w
        (pred,) = w.elements(self.values[node.inputs[0]])
        homes: list[Value | None] = []
        for target, o in zip(targets(node), node.attrs["then"].outputs, strict=True):
            place = self.places.get((node, len(homes)))
            if target is not None:
                homes.append(self.owned(node, node.inputs[target], len(homes)))
            elif is_large(o) or in_place(o):
                homes.append(place or w.new_memory(o.type))
            else:
                homes.append(Elements(tuple(w.name("r") for _ in range(o.type.size)), o.type))
        given = {j: v for j, v in zip(targets(node), homes, strict=True) if j is not None}
        known = entering(node, node.inputs, self.known)
        for name, head in (("then", f"if {pred}:"), ("orelse", "else:")):
            graph = node.attrs[name]
            values: dict[Node, Any] = {
                x: given.get(j, lent(self.values[i]))
                for j, (x, i) in enumerate(zip(graph.inputs, node.inputs[1:], strict=True), 1)
            }
            with w.block(head):
                results = Body(w, graph, values, known[name]).write()
                for home, result in zip(homes, results, strict=True):
                    assign(w, home, result)
        return homes


def assign(w: Writer, home: Value | None, result: Value) -> None:
    """Set variables, or memory, to a value."""
    if isinstance(home, Memory):
        w.copy(home, result)
    elif isinstance(home, Elements):
        for name, text in zip(home.texts, w.elements(result), strict=True):
            w.line(f"{name} = {text}")
