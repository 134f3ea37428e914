"""What generated code needs of the machine beside arithmetic: memory and calls by address, halves,
and BLAS. Numba is imported when the namespace for Numba is asked for, not before.
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
        **_memory(),
        **_atomics(),
        **_calls(),
        **_halves(),
        **_tapes(),
        "gemm_f32": _gemm("f32"),
        "gemm_f64": _gemm("f64"),
    }


def _memory() -> dict[str, Any]:
    """Words and tables of words (int64) at addresses."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    word, table = ir.IntType(64), types.CPointer(types.int64)

    @intrinsic
    def word_at(typing, address):
        """The 8 bytes at an address."""

        def emit(context, builder, signature, args):
            return builder.load(builder.inttoptr(args[0], word.as_pointer()), typ=word)

        return types.int64(types.int64), emit

    @intrinsic
    def offset_table(typing, pointer, words):
        """A table of int64 that starts `words` entries later."""

        def emit(context, builder, signature, args):
            return builder.gep(args[0], [args[1]], source_etype=word)

        return table(table, types.int64), emit

    @intrinsic
    def table_at(typing, address):
        """A table of int64 at an address."""

        def emit(context, builder, signature, args):
            return builder.inttoptr(args[0], word.as_pointer())

        return table(types.int64), emit

    @intrinsic
    def word_of(typing, pointer):
        """The address of a table."""

        def emit(context, builder, signature, args):
            return builder.ptrtoint(args[0], word)

        return types.int64(table), emit

    @intrinsic
    def stack_table(typing, words):
        """A table of int64 on the stack."""

        def emit(context, builder, signature, args):
            return builder.alloca(word, args[0])

        return table(types.int64), emit

    found = (word_at, offset_table, table_at, word_of, stack_table)
    return {f.__name__: f for f in found}


def _atomics() -> dict[str, Any]:
    """Words of a table that several threads read and write, in one order for all of them."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    word, table = ir.IntType(64), types.CPointer(types.int64)
    order = "seq_cst"

    def place(builder: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]], source_etype=word)

    @intrinsic
    def atomic_load(typing, pointer, k):
        """Word k."""

        def emit(context, builder, signature, args):
            return builder.load_atomic(place(builder, args), order, 8, typ=word)

        return types.int64(table, types.int64), emit

    @intrinsic
    def atomic_store(typing, pointer, k, value):
        """Set word k."""

        def emit(context, builder, signature, args):
            builder.store_atomic(args[2], place(builder, args), order, 8)
            return context.get_dummy_value()

        return types.void(table, types.int64, types.int64), emit

    @intrinsic
    def atomic_add(typing, pointer, k, value):
        """Add to word k; what it was."""

        def emit(context, builder, signature, args):
            return builder.atomic_rmw("add", place(builder, args), args[2], order)

        return types.int64(table, types.int64, types.int64), emit

    @intrinsic
    def atomic_swap(typing, pointer, k, old, new):
        """Set word k to `new` if it is `old`; what it was."""

        def emit(context, builder, signature, args):
            found = builder.cmpxchg(place(builder, args), args[2], args[3], order, order)
            return builder.extract_value(found, 0)

        return types.int64(table, types.int64, types.int64, types.int64), emit

    found = (atomic_load, atomic_store, atomic_add, atomic_swap)
    return {f.__name__: f for f in found}


def _calls() -> dict[str, Any]:
    """Calls of functions at addresses."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    word, table = ir.IntType(64), types.CPointer(types.int64)

    @intrinsic
    def call_kernel(typing, address, ptrs, dims, lo, hi):
        """Call void(ptrs, dims, lo, hi) at an address."""

        def emit(context, builder, signature, args):
            ptr = ir.PointerType()
            kind = ir.FunctionType(ir.VoidType(), [ptr, ptr, word, word])
            callee = builder.inttoptr(args[0], kind.as_pointer())
            builder.call(callee, args[1:])
            return context.get_dummy_value()

        return types.void(types.int64, table, table, types.int64, types.int64), emit

    @intrinsic
    def call_word(typing, address, argument):
        """Call a C function of one word that returns a word, at an address."""

        def emit(context, builder, signature, args):
            kind = ir.FunctionType(word, [word])
            return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

        return types.int64(types.int64, types.int64), emit

    @intrinsic
    def call_words(typing, address, first, second):
        """Call a C function of two words that returns a word, at an address."""

        def emit(context, builder, signature, args):
            kind = ir.FunctionType(word, [word, word])
            return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

        return types.int64(types.int64, types.int64, types.int64), emit

    found = (call_kernel, call_word, call_words)
    return {f.__name__: f for f in found}


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

    word = ir.IntType(64)

    def data(dtype: str, pointee: Any) -> Any:
        result = types.CPointer(pointee)

        def typer(typing, tape):
            def emit(context, builder, signature, args):
                address = builder.load(args[0], typ=word)
                return builder.inttoptr(address, context.get_value_type(result))

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
    return {**made, "address_of": address_of, "grow_tape": grow_tape}


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
    """Counterparts for un-jitted kernels; calls by address have none."""

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
    libc.realloc.argtypes, libc.realloc.restype = (
        [ctypes.c_void_p, ctypes.c_size_t],
        ctypes.c_void_p,
    )

    def grow_tape(tape: Any, nbytes: int) -> int:
        address = libc.realloc(int(tape[0]) or None, int(nbytes))
        if address:
            tape[0], tape[1] = address, nbytes
        return int(bool(address))

    def data(name: str) -> Any:
        def at(tape: Any) -> Any:
            raw = (ctypes.c_uint8 * int(tape[1])).from_address(int(tape[0])) if tape[0] else b""
            return np.frombuffer(raw, name)

        return at

    names = {**NUMPY_NAMES, "bool": "uint8", "f16": "uint16"}
    return {**{f"{d}_tape": data(name) for d, name in names.items()}, "grow_tape": grow_tape}


def _half(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.float32(x).astype(np.float16)
