"""Telling LLVM that the arrays of a kernel are different memory.

A kernel takes its arrays from a table of addresses, so nothing says that they do not overlap, and
loops would compare addresses before they dare to use vectors. The planner promises it: what is
written over an operand is that operand's own array. Here the promise becomes metadata on every
load and store through such an array.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from llvmlite.ir import instructions


def declare_distinct(module: ir.Module) -> None:
    """Mark loads and stores through different arrays of a function as free of aliases."""
    for function in module.functions:
        arrays = _arrays(function)
        if len(arrays) > 1:
            _mark(module, function, arrays)


def _instructions(function: Any) -> Any:
    return (i for block in function.blocks for i in block.instructions)


def _arrays(function: Any) -> dict[Any, int]:
    """Variables that hold an array's address, which comes from a number in the table."""
    found: dict[Any, int] = {}
    for i in _instructions(function):
        if isinstance(i, instructions.StoreInstr) and _op(i.operands[0]) == "inttoptr":
            found.setdefault(i.operands[1], len(found))
    return found


def _op(value: Any) -> str:
    return getattr(value, "opname", "")


def _array_of(pointer: Any, arrays: dict[Any, int]) -> int | None:
    """Which array an element's address belongs to: address = variable[index]."""
    if not isinstance(pointer, instructions.GEPInstr):
        return None
    base = pointer.pointer
    if not isinstance(base, instructions.LoadInstr):
        return None
    return arrays.get(base.operands[0])


def _mark(module: ir.Module, function: Any, arrays: dict[Any, int]) -> None:
    domain = module.add_metadata([ir.MetaDataString(module, f"arrays of {function.name}")])
    scopes = [
        module.add_metadata([ir.MetaDataString(module, f"array {k}"), domain])
        for k in range(len(arrays))
    ]
    mine = [module.add_metadata([scope]) for scope in scopes]
    others = [module.add_metadata([s for s in scopes if s is not scope]) for scope in scopes]
    for i in _instructions(function):
        pointer = None
        if isinstance(i, instructions.LoadInstr):
            pointer = i.operands[0]
        elif isinstance(i, instructions.StoreInstr):
            pointer = i.operands[1]
        array = _array_of(pointer, arrays)
        if array is not None:
            i.set_metadata("alias.scope", mine[array])
            i.set_metadata("noalias", others[array])
