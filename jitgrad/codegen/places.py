"""Arrays of a kernel that LLVM knows to be different memory (imports Numba).

`f32_ptr(ptrs, 2)` has a type of its own for each position: a pointer to numbers that no other
array of the kernel shares. Loads and stores through it say so, and loops are vectorized without
comparing addresses first. The planner keeps the promise: what is written over an operand is that
operand's own array.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.core.imputils import lower_builtin
from numba.extending import intrinsic


class Place(types.CPointer):
    """A pointer to the numbers of array `position`."""

    def __init__(self, dtype: types.Type, position: int):
        self.position = position
        super().__init__(dtype)
        self.name = f"{dtype}*{position}"

    @property
    def key(self) -> tuple[Any, ...]:
        return self.dtype, self.addrspace, self.position


register_default(Place)(models.PointerModel)


def _metadata(module: Any, position: int) -> tuple[Any, Any]:
    """The scope of an array and the list of all others that the module knows."""
    scopes = module.__dict__.setdefault("jitgrad_scopes", {})
    if not scopes:
        module.jitgrad_domain = module.add_metadata([ir.MetaDataString(module, "jitgrad")])
    if position not in scopes:
        name = ir.MetaDataString(module, f"array {position}")
        scopes[position] = module.add_metadata([name, module.jitgrad_domain])
    others = [scope for at, scope in sorted(scopes.items()) if at != position]
    return module.add_metadata([scopes[position]]), module.add_metadata(others)


def _mark(builder: Any, instruction: Any, position: int) -> Any:
    mine, others = _metadata(builder.module, position)
    instruction.set_metadata("alias.scope", mine)
    if others.operands:
        instruction.set_metadata("noalias", others)
    return instruction


@lower_builtin(operator.getitem, Place, types.Integer)
def load(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """array[i]"""
    place = signature.args[0]
    at = cgutils.gep_inbounds(builder, args[0], args[1])
    return _mark(builder, builder.load(at), place.position)


@lower_builtin(operator.setitem, Place, types.Integer, types.Any)
def store(context: Any, builder: Any, signature: Any, args: Any) -> None:
    """array[i] = value"""
    place, _, given = signature.args
    value = context.cast(builder, args[2], given, place.dtype)
    at = cgutils.gep_inbounds(builder, args[0], args[1])
    _mark(builder, builder.store(value, at), place.position)


def pointer(name: str, dtype: types.Type) -> Any:
    """The intrinsic `name(ptrs, k)`: array k of a kernel's table, k being a literal."""
    addresses = types.CPointer(types.int64)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.load(builder.gep(args[0], [args[1]]))
        if isinstance(signature.return_type, Place):
            _metadata(builder.module, signature.return_type.position)
        return builder.inttoptr(address, context.get_value_type(signature.return_type))

    def typer(context: Any, ptrs: Any, k: Any) -> Any:
        if ptrs != addresses or not isinstance(k, types.Integer):
            return None
        made = Place(dtype, k.literal_value) if isinstance(k, types.Literal) else None
        return (made or types.CPointer(dtype))(addresses, k), emit

    typer.__name__ = typer.__qualname__ = name
    return intrinsic(prefer_literal=True)(typer)
