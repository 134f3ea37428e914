"""Launches of functions that users have given: what they read and write is put into a table."""

from __future__ import annotations

from collections.abc import Sequence

from jitgrad.codegen.launch import Callback, Launch, Status
from jitgrad.codegen.structured.writer import Fault
from jitgrad.ir.node import Node
from jitgrad.passes.plan import Step

WORK = 1 << 14  # unknown: enough to let other Python threads run meanwhile
TEXT = """def kernel(ptrs, dims, lo, hi):
    # ptrs: a table, status, the function, operands and results      dims: how many of the last
    table = i64_ptr(ptrs, 0)
    status = i64_ptr(ptrs, 1)
    for call in range(lo, hi):
        for k in range(dims[0]):
            table[k] = ptrs[3 + k]
        if call_back(ptrs[2], ptrs[0]) != 0:
            status[0] = 1
            status[1] = 0
"""


def opaque(step: Step) -> list[Launch]:
    """One call."""
    node = step.node
    assert node is not None
    number = node.attrs["callee"]
    arrays = (*step.reads, *step.writes)
    pointers = (*step.scratch, Status(), Callback(number), *arrays)
    faults = (Fault("callback", None, number),)
    return [Launch(TEXT, pointers, (len(arrays),), 1, WORK, faults=faults)]


def opaque_scratch(node: Node) -> Sequence[int]:
    """The table."""
    return (8 * (len(node.inputs) + len(node.type.items)),)  # type: ignore[union-attr]
