"""What the rules for loops share: the attributes of a loop, and new bodies put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jitgrad.ir.node import Graph, Node, builder, project, splat
from jitgrad.ir.op import Op
from jitgrad.ir.types import TensorType
from jitgrad.primitives.declare import zeros
from jitgrad.primitives.flow import COUNT, item_type, parts, position

NUMBER = position("k", 0, COUNT)  # the input that counts a body's iterations


def attributes(
    body: Graph,
    carried: int,
    mapped: int,
    *,
    length: int | None = None,
    counted: bool = False,
    test: Graph | None = None,
    reverse: bool = False,
    limit: int = 0,
    recompute: bool | str = False,
) -> dict[str, Any]:
    """The attributes of a loop, all of them."""
    return {
        "body": body,
        "carried": carried,
        "counted": counted,
        "length": length,
        "limit": limit,
        "mapped": mapped,
        "recompute": recompute,
        "reverse": reverse,
        "test": test,
    }


def is_zero(x: Any) -> bool:
    """Whether a tangent or cotangent is plainly zero."""
    if x is None:
        return True
    number = splat(x)
    return number is not None and number == 0


@dataclass(slots=True)
class Inputs:
    """The inputs of a new body, named by their place, and the operands that belong to them."""

    carry: list[tuple[Node, Any]] = field(default_factory=list)
    slices: list[tuple[Node, Any]] = field(default_factory=list)
    rest: list[tuple[Node, Any]] = field(default_factory=list)

    def add(self, where: str, type: TensorType, operand: Any) -> Node:
        """One more input: a carry "c", a slice "x" or an invariant "p"."""
        row = {"c": self.carry, "x": self.slices, "p": self.rest}[where]
        row.append((position(where, len(row), type), operand))
        return row[-1][0]

    def loop(self, op: Op, count: Any, outputs: Sequence[Node], **attrs: Any) -> Node:
        """The loop that computes `outputs` of these inputs."""
        rows = (*self.carry, *self.slices, *self.rest)
        body = Graph("body", (NUMBER, *(x for x, _ in rows)), outputs)
        operands = [operand for _, operand in rows]
        if count is not None:
            operands.insert(0, count)
        made = attributes(
            body, len(self.carry), len(self.slices), counted=count is not None, **attrs
        )
        return builder.make(op, tuple(operands), made)


def or_zeros(found: Node | None, like: Node) -> Node:
    """A tangent or cotangent, made explicit."""
    return zeros(like.type) if found is None else found


def count_of(node: Node) -> Node:
    """How often a loop of unknown length runs: a result of it, or an operand."""
    if node.attrs["test"] is not None:
        return project(node, len(node.type.items) - 1)
    count = parts(node.attrs, node.inputs).count
    assert count is not None, "its length is known"
    return count


def add_tapes(a: Node, b: Node) -> Node:
    """The sum of two tapes of one length, by a loop over both."""
    (maker,) = a.inputs
    new = Inputs()
    x, y = (new.add("x", item_type(t.type), t) for t in (a, b))
    return project(new.loop(maker.op, count_of(maker), [x + y]), 0)
