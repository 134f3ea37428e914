"""Parts of a join, written where they belong by the kernel that makes them.

The gradient of an array whose columns were used apart is a join of columns. If such a part is read
by nothing else, its kernel stores it into the joined array, and there is nothing to copy.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jitgrad.ir.node import Node
from jitgrad.ir.types import TensorType, TupleType
from jitgrad.passes.access import Affine, strides
from jitgrad.passes.tiles import sums

if TYPE_CHECKING:
    from jitgrad.passes.plan import Buffer, Step

JOINS = frozenset({"concat"})
LONG = 64  # elements in a row of memory, from which loops lose nothing by a gap behind it


def place_parts(steps: Sequence[Step], kept: set[Buffer]) -> None:
    """Give parts their places in joins, except for buffers in `kept`, which others read."""
    readers = Counter(buffer for step in steps for buffer in step.reads)
    for position, step in enumerate(steps):
        if step.node is None or step.node.op.name not in JOINS:
            continue
        whole, offset = step.writes[0], 0
        axis, steps_of = step.node.attrs["axis"], strides(step.node.shape)
        for part, buffer in zip(step.node.inputs, step.reads, strict=True):
            maker = steps[buffer.first] if 0 <= buffer.first < position else None
            alone = readers[buffer] == 1 and buffer not in kept and buffer.home == "arena"
            if maker is not None and alone and part.type.size > 1:
                made = _made(maker, buffer)
                at = _along(made, part, steps_of, axis) if made is not None else None
                if at is not None:
                    buffer.home, buffer.whole = "part", whole
                    buffer.place = at.shifted(offset)
                    whole.first = min(whole.first, buffer.first)
            offset += part.shape[axis] * steps_of[axis]


def _made(maker: Step, buffer: Buffer) -> TensorType | None:
    """The type under which a kernel stores what is in a buffer; None if it has to be dense."""
    node, index = maker.node, maker.writes.index(buffer)
    is_kernel = node is not None and ("domain" in node.attrs or "loops" in node.attrs)
    if node is None or not is_kernel or index in sums(node):
        return None
    if any(n.op.kind == "call" for n in node.attrs["body"].nodes):
        return None
    found = node.type.items[index] if isinstance(node.type, TupleType) else node.type
    assert isinstance(found, TensorType)
    return found


def _along(made: TensorType, part: Node, steps: Sequence[int], axis: int) -> Affine | None:
    """The steps in a join of a value's axes, if its loops stay what they are: rows are long, or
    single elements.
    """
    if [n for n in made.shape if n != 1] != [n for n in part.shape if n != 1]:
        return None
    row = math.prod(part.shape[axis:])
    if 1 < row < LONG and math.prod(part.shape[:axis]) > 1:
        return None
    long = iter([step for n, step in zip(part.shape, steps, strict=True) if n != 1])
    return Affine(0, tuple(next(long) if n != 1 else 0 for n in made.shape))
