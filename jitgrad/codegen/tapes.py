"""What kernels with loops need of the machine: memory that grows, and calls of other kernels.

A tape is a descriptor of words: address, bytes, rows.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from jitgrad.codegen.vecmath.table import NUMPY_NAMES

POINTEES = {**NUMPY_NAMES, "bool": "uint8", "f16": "uint16"}


def namespace_numba() -> dict[str, Any]:
    """All names, as Numba intrinsics. Imports Numba."""
    return {**{f"{d}_tape": _data(d) for d in POINTEES}, **_memory(), **_calls()}


def _data(dtype: str) -> Any:
    """The rows of a tape, as a pointer to numbers."""
    from numba.core import types
    from numba.extending import intrinsic

    result = types.CPointer(getattr(types, POINTEES[dtype]))

    def typer(typing, tape):
        def emit(context, builder, signature, args):
            # Not an integer made a pointer: those are taken for arrays that share no memory, but
            # one tape may be opened twice.
            pointer = context.get_value_type(result)
            where = builder.bitcast(args[0], pointer.as_pointer())
            return builder.load(where, typ=pointer)

        return result(tape), emit

    typer.__name__ = typer.__qualname__ = f"{dtype}_tape"
    return intrinsic(typer)


def _memory() -> dict[str, Any]:
    """Growing and freeing, by the C library."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    word, ptr = ir.IntType(64), ir.PointerType()

    def library(builder: Any, name: str, kind: Any) -> Any:
        known = builder.module.globals.get(name)
        return known or ir.Function(builder.module, kind, name)

    @intrinsic
    def grow_tape(typing, tape, nbytes):
        """Make room; 0 if there is no memory left."""

        def emit(context, builder, signature, args):
            realloc = library(builder, "realloc", ir.FunctionType(ptr, [ptr, word]))
            old = builder.inttoptr(builder.load(args[0], typ=word), ptr)
            new = builder.ptrtoint(builder.call(realloc, [old, args[1]]), word)
            found = builder.icmp_unsigned("!=", new, word(0))
            with builder.if_then(found):
                builder.store(new, args[0])
                size = builder.gep(args[0], [word(1)], source_etype=word)
                builder.store(args[1], size)
            return builder.zext(found, word)

        return types.int64(tape, types.int64), emit

    @intrinsic
    def free_tape(typing, tape):
        """Give back what a tape has."""

        def emit(context, builder, signature, args):
            free = library(builder, "free", ir.FunctionType(ir.VoidType(), [ptr]))
            builder.call(free, [builder.inttoptr(builder.load(args[0], typ=word), ptr)])
            builder.store(word(0), args[0])
            return context.get_dummy_value()

        return types.void(tape), emit

    return {"grow_tape": grow_tape, "free_tape": free_tape}


def _calls() -> dict[str, Any]:
    """Calls of kernels by address."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    word, table = ir.IntType(64), types.CPointer(types.int64)

    @intrinsic
    def address_of(typing, pointer):
        """The address of an array."""

        def emit(context, builder, signature, args):
            return builder.ptrtoint(args[0], word)

        return types.int64(pointer), emit

    @intrinsic
    def table_at(typing, address):
        """A table of int64 at an address."""

        def emit(context, builder, signature, args):
            return builder.inttoptr(args[0], word.as_pointer())

        return table(types.int64), emit

    @intrinsic
    def call_kernel(typing, address, ptrs, dims, first, hi):
        """Call void(ptrs, dims + first, 0, hi) at an address."""

        def emit(context, builder, signature, args):
            ptr = ir.PointerType()
            kind = ir.FunctionType(ir.VoidType(), [ptr, ptr, word, word])
            callee = builder.inttoptr(args[0], kind.as_pointer())
            integers = builder.gep(args[2], [args[3]], source_etype=word)
            builder.call(callee, [args[1], integers, word(0), args[4]])
            return context.get_dummy_value()

        return types.void(types.int64, table, table, types.int64, types.int64), emit

    found = (address_of, table_at, call_kernel)
    return {f.__name__: f for f in found}


def namespace_python() -> dict[str, Any]:
    """Counterparts for un-jitted kernels; calls by address have none."""
    libc = ctypes.CDLL(None)
    libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
    libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.realloc.restype = ctypes.c_void_p

    def grow_tape(tape: Any, nbytes: int) -> int:
        address = libc.realloc(int(tape[0]) or None, int(nbytes))
        if address:
            tape[0], tape[1] = address, nbytes
        return int(bool(address))

    def free_tape(tape: Any) -> None:
        libc.free(int(tape[0]) or None)
        tape[0] = 0

    def data(name: str) -> Any:
        def at(tape: Any) -> Any:
            raw: Any = b""
            if tape[0]:
                raw = (ctypes.c_uint8 * int(tape[1])).from_address(int(tape[0]))
            return np.frombuffer(raw, name)

        return at

    found = {f"{d}_tape": data(name) for d, name in POINTEES.items()}
    return {**found, "grow_tape": grow_tape, "free_tape": free_tape}
