"""Parts of larger arrays, written where they belong by the kernel that makes them.

The gradient of an array whose columns were used apart is a join of columns. If such a part is read
by nothing else, its kernel stores it into the joined array, and there is nothing to copy. The same
holds for what gets a margin of zeros, and for an array of which some rows are changed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jitgrad.ir.node import Node
from jitgrad.ir.types import TensorType, TupleType
from jitgrad.passes.access import Affine, strides
from jitgrad.passes.tiles import sums

if TYPE_CHECKING:
    from jitgrad.passes.plan import Buffer, Step

# Offsets of an op's operands along its result's axes, () for what is no part of the result; None if
# they do not stay in one piece.
Offsets = list[tuple[int, ...]] | None
OURS = ("arena", "local")  # homes of what can be put elsewhere
LONG = 16  # elements in a row of memory, from which a gap behind it costs less than a copy


def _side_by_side(node: Node) -> Offsets:
    axis, at, found = node.attrs["axis"], 0, []
    for part in node.inputs:
        found.append((*(0,) * axis, at, *(0,) * (node.ndim - axis - 1)))
        at += part.shape[axis]
    return found


def _surrounded(node: Node) -> Offsets:
    return None if any(node.attrs["interior"]) else [node.attrs["low"]]


def _changed(node: Node) -> Offsets:
    return [(0,) * node.ndim, (), ()]


HOLDERS: dict[str, Callable[[Node], Offsets]] = {"concat": _side_by_side, "pad": _surrounded}
CHANGES: dict[str, Callable[[Node], Offsets]] = {"scatter": _changed}


def place_parts(steps: Sequence[Step], kept: set[Buffer]) -> None:
    """Give operands of joins and paddings their places in these, except for buffers in `kept`,
    which others read.
    """
    readers = Counter(buffer for step in steps for buffer in step.reads)
    for position, step in enumerate(steps):
        name = step.node.op.name if step.node is not None else ""
        rule = HOLDERS.get(name) or CHANGES.get(name)
        offsets = rule(step.node) if rule is not None and step.node is not None else None
        if step.node is None or offsets is None:
            continue
        whole = step.writes[0]
        for part, buffer, offset in zip(step.node.inputs, step.reads, offsets, strict=True):
            maker = steps[buffer.first] if 0 <= buffer.first < position else None
            alone = readers[buffer] == 1 and buffer not in kept and buffer.home in OURS
            if maker is None or not offset or not alone or part.type.size <= 1:
                continue
            if buffer not in maker.writes:  # it holds parts itself: the first of them is made there
                continue
            made = _made(maker, buffer)
            at = inside(made, part, step.node.shape, offset) if made is not None else None
            if at is not None:
                buffer.home, buffer.whole, buffer.place = "part", whole, at
                whole.first = min(whole.first, buffer.first)


def _made(maker: Step, buffer: Buffer) -> TensorType | None:
    """The type under which a kernel stores what is in a buffer; None if it has to be dense."""
    node, index = maker.node, maker.writes.index(buffer)
    is_kernel = node is not None and ("domain" in node.attrs or "loops" in node.attrs)
    if node is None or not is_kernel or index in sums(node):
        return None
    if _is_of_call(node, index) or _is_read(node, index):
        return None
    found = node.type.items[index] if isinstance(node.type, TupleType) else node.type
    assert isinstance(found, TensorType)
    return found


def _is_of_call(node: Node, index: int) -> bool:
    """Whether a strip's result is made by a call, which stores densely."""
    return "loops" in node.attrs and node.attrs["body"].outputs[index].op.kind == "call"


def _is_read(node: Node, index: int) -> bool:
    """Whether a strip's own steps read a result of it."""
    body = node.attrs["body"]
    return "loops" in node.attrs and any(body.outputs[index] in n.inputs for n in body.nodes)


def inside(
    made: TensorType, part: Node, whole: tuple[int, ...], offset: Sequence[int]
) -> Affine | None:
    """Where a value is in a larger array, by steps along its axes, if its loops stay what they are:
    rows are long, or single elements.
    """
    if [n for n in made.shape if n != 1] != [n for n in part.shape if n != 1]:
        return None
    axis = max((a for a in range(part.ndim) if part.shape[a] != whole[a]), default=0)
    row = math.prod(part.shape[axis:])
    if 1 < row < LONG and math.prod(part.shape[:axis]) > 1:
        return None
    steps = strides(whole)
    first = sum(o * s for o, s in zip(offset, steps, strict=True))
    long = iter([step for n, step in zip(part.shape, steps, strict=True) if n != 1])
    return Affine(first, tuple(next(long) if n != 1 else 0 for n in made.shape))
