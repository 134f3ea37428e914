"""What kernels with loops need of the machine: memory that grows, and calls of other kernels.

A tape is a descriptor of words: address, bytes, rows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from jitgrad.codegen.functions import Function, fixed, type_of
from jitgrad.codegen.vecmath.table import NUMPY_NAMES

POINTEES = {**NUMPY_NAMES, "bool": "uint8", "f16": "uint16"}


WORD, POINTER = ir.IntType(64), ir.PointerType()


def functions() -> dict[str, Function]:
    """All of them, by name."""
    data = {f"{d}_tape": _data("*" + _code(d)) for d in POINTEES}
    return {**data, **MEMORY, **CALLS}


def _code(dtype: str) -> str:
    return {"bool": "u8", "f16": "u16"}.get(dtype, dtype)


def _data(pointer: str) -> Function:
    """The rows of a tape, as a pointer to numbers."""

    def emit(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
        # Not an integer made a pointer: those are taken for arrays that share no memory, but one
        # tape may be opened twice.
        kind = type_of(pointer)
        return builder.load(builder.bitcast(args[0], kind.as_pointer()), typ=kind)

    return fixed(("*i64",), pointer, emit)


# --- growing and freeing, by the C library --------------------------------------------------------


def _library(builder: ir.IRBuilder, name: str, kind: ir.FunctionType) -> Any:
    known = builder.module.globals.get(name)
    return known or ir.Function(builder.module, kind, name)


def _grow_tape(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    """Make room; 0 if there is no memory left."""
    realloc = _library(builder, "realloc", ir.FunctionType(POINTER, [POINTER, WORD]))
    old = builder.inttoptr(builder.load(args[0], typ=WORD), POINTER)
    new = builder.ptrtoint(builder.call(realloc, [old, args[1]]), WORD)
    found = builder.icmp_unsigned("!=", new, WORD(0))
    with builder.if_then(found):
        builder.store(new, args[0])
        size = builder.gep(args[0], [WORD(1)], source_etype=WORD)
        builder.store(args[1], size)
    return builder.zext(found, WORD)


def _free_tape(builder: ir.IRBuilder, args: Sequence[Any]) -> None:
    """Give back what a tape has."""
    free = _library(builder, "free", ir.FunctionType(ir.VoidType(), [POINTER]))
    builder.call(free, [builder.inttoptr(builder.load(args[0], typ=WORD), POINTER)])
    builder.store(WORD(0), args[0])


MEMORY = {
    "grow_tape": fixed(("*i64", "i64"), "i64", _grow_tape),
    "free_tape": fixed(("*i64",), "", _free_tape),
}


# --- calls of kernels by address ------------------------------------------------------------------


def _call_kernel(builder: ir.IRBuilder, args: Sequence[Any]) -> None:
    """Call void(ptrs, dims + first, 0, hi) at an address."""
    address, ptrs, dims, first, hi = args
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, WORD, WORD])
    callee = builder.inttoptr(address, kind.as_pointer())
    integers = builder.gep(dims, [first], source_etype=WORD)
    builder.call(callee, [ptrs, integers, WORD(0), hi])


CALLS = {
    "address_of": Function(
        1,
        lambda codes: "i64" if codes[0].startswith("*") else None,
        lambda builder, args, codes: builder.ptrtoint(args[0], WORD),
    ),
    "table_at": fixed(
        ("i64",), "*i64", lambda builder, args: builder.inttoptr(args[0], type_of("*i64"))
    ),
    "call_kernel": fixed(("i64", "*i64", "*i64", "i64", "i64"), "", _call_kernel),
}


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
