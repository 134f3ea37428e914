"""What kernels need of the machine beside arithmetic: halves, tapes, calls of kernels and BLAS.
Numba is imported when the namespace for Numba is asked for, not before.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from jitgrad.codegen.vecmath.table import NUMPY_NAMES


@functools.cache
def namespace_numba() -> dict[str, Any]:
    """All of them, as Numba intrinsics."""
    return {
        **_halves(),
        **_tapes(),
        "gemm_f32": _gemm("f32"),
        "gemm_f64": _gemm("f64"),
    }


def _halves() -> dict[str, Any]:
    """float16 in memory, float32 in registers."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    word = ir.IntType(64)

    @intrinsic
    def f16_ptr(typing, ptrs, k):
        """The k-th pointer of a table, to the bits of float16 numbers."""

        def emit(context, builder, signature, args):
            at = builder.load(builder.gep(args[0], [args[1]], source_etype=word), typ=word)
            return builder.inttoptr(at, ir.IntType(16).as_pointer())

        return types.CPointer(types.uint16)(ptrs, k), emit

    @intrinsic
    def unpack_f16(typing, bits):
        """float32 of the bits of a float16."""

        def emit(context, builder, signature, args):
            return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

        return types.float32(types.uint16), emit

    @intrinsic
    def pack_f16(typing, x):
        """The bits of a float32 rounded to float16."""

        def emit(context, builder, signature, args):
            return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

        return types.uint16(types.float32), emit

    @intrinsic
    def round_f16(typing, x):
        """A float32 rounded to float16 precision."""

        def emit(context, builder, signature, args):
            return builder.fpext(builder.fptrunc(args[0], ir.HalfType()), ir.FloatType())

        return types.float32(types.float32), emit

    found = (f16_ptr, unpack_f16, pack_f16, round_f16)
    return {f.__name__: f for f in found}


def _tapes() -> dict[str, Any]:
    """Memory that grows. A tape is four words: address, bytes, rows, and one that is not used."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    word, table = ir.IntType(64), types.CPointer(types.int64)

    def data(dtype: str, pointee: Any) -> Any:
        result = types.CPointer(pointee)

        def typer(typing, tape):
            def emit(context, builder, signature, args):
                # Not an integer made a pointer: those are taken for arrays that share no memory,
                # but one tape may be opened twice.
                pointer = context.get_value_type(result)
                where = builder.bitcast(args[0], pointer.as_pointer())
                return builder.load(where, typ=pointer)

            return result(tape), emit

        typer.__name__ = typer.__qualname__ = f"{dtype}_tape"
        return intrinsic(typer)

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

        words = (types.int64, table, table, types.int64, types.int64)
        return types.void(*words), emit

    @intrinsic
    def free_tape(typing, tape):
        """Give back what a tape has."""

        def emit(context, builder, signature, args):
            ptr = ir.PointerType()
            kind = ir.FunctionType(ir.VoidType(), [ptr])
            free = builder.module.globals.get("free")
            free = free or ir.Function(builder.module, kind, "free")
            builder.call(free, [builder.inttoptr(builder.load(args[0], typ=word), ptr)])
            builder.store(word(0), args[0])
            return context.get_dummy_value()

        return types.void(tape), emit

    @intrinsic
    def grow_tape(typing, tape, nbytes):
        """Make room; 0 if there is no memory left."""

        def emit(context, builder, signature, args):
            ptr = ir.PointerType()
            kind = ir.FunctionType(ptr, [ptr, word])
            realloc = builder.module.globals.get("realloc")
            realloc = realloc or ir.Function(builder.module, kind, "realloc")
            old = builder.inttoptr(builder.load(args[0], typ=word), ptr)
            new = builder.ptrtoint(builder.call(realloc, [old, args[1]]), word)
            found = builder.icmp_unsigned("!=", new, word(0))
            with builder.if_then(found):
                builder.store(new, args[0])
                size = builder.gep(args[0], [word(1)], source_etype=word)
                builder.store(args[1], size)
            return builder.zext(found, word)

        return types.int64(tape, types.int64), emit

    pointees = {**NUMPY_NAMES, "bool": "uint8", "f16": "uint16"}
    made = {f"{d}_tape": data(d, getattr(types, name)) for d, name in pointees.items()}
    found = (address_of, table_at, call_kernel, free_tape, grow_tape)
    return {**made, **{f.__name__: f for f in found}}


def _gemm(dtype: str) -> Any:
    """BLAS's xGEMM at an address, with Fortran's calling convention: everything by pointer.

    c = a b + beta c, column-major; `ta` and `tb` are the letters N or T as numbers.
    """
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    real = ir.FloatType() if dtype == "f32" else ir.DoubleType()
    int32, byte = ir.IntType(32), ir.IntType(8)

    @intrinsic
    def call(typing, address, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc):
        def emit(context, builder, signature, args):
            def spill(value: Any, kind: Any) -> Any:
                with builder.goto_entry_block():
                    slot = builder.alloca(kind)
                builder.store(value, slot)
                return slot

            def number(value: Any) -> Any:
                return spill(builder.trunc(value, int32), int32)

            def flag(value: Any) -> Any:
                return spill(builder.trunc(value, byte), byte)

            def where(value: Any) -> Any:
                return builder.inttoptr(value, real.as_pointer())

            f, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc = args
            one, beta = spill(real(1.0), real), spill(builder.sitofp(beta, real), real)
            given = [flag(ta), flag(tb), number(m), number(n), number(k), one]
            given += [where(a), number(lda), where(b), number(ldb), beta, where(c), number(ldc)]
            kind = ir.FunctionType(ir.VoidType(), [g.type for g in given])
            builder.call(builder.inttoptr(f, kind.as_pointer()), given)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 13), emit

    return call


@functools.cache
def namespace_python() -> dict[str, Any]:
    """Counterparts for un-jitted kernels; BLAS has none."""

    def unpack_f16(bits: Any) -> Any:
        return np.uint16(bits).view(np.float16).astype(np.float32)

    def pack_f16(x: Any) -> Any:
        return _half(x).view(np.uint16)

    return {
        "f16_ptr": lambda ptrs, k: ptrs[k],
        **_plain_tapes(),
        "unpack_f16": unpack_f16,
        "pack_f16": pack_f16,
        "round_f16": lambda x: _half(x).astype(np.float32),
    }


def _plain_tapes() -> dict[str, Any]:
    import ctypes

    libc = ctypes.CDLL(None)
    libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
    libc.realloc.argtypes, libc.realloc.restype = (
        [ctypes.c_void_p, ctypes.c_size_t],
        ctypes.c_void_p,
    )

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
            raw = (ctypes.c_uint8 * int(tape[1])).from_address(int(tape[0])) if tape[0] else b""
            return np.frombuffer(raw, name)

        return at

    names = {**NUMPY_NAMES, "bool": "uint8", "f16": "uint16"}
    calls = {"grow_tape": grow_tape, "free_tape": free_tape}
    return {**{f"{d}_tape": data(name) for d, name in names.items()}, **calls}


def _half(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.float32(x).astype(np.float16)
