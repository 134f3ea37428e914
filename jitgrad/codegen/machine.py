"""What kernels need of the machine beside arithmetic: halves, tapes, calls of kernels, of BLAS
and of LAPACK. Numba is imported when the namespace for Numba is asked for, not before.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from jitgrad.codegen import lapack, registers, tapes


@functools.cache
def namespace_numba() -> dict[str, Any]:
    """All of them, as Numba intrinsics."""
    return {
        **halves(),
        **tapes.namespace_numba(),
        **lapack.namespace_numba(),
        **registers.namespace_numba(),
        "gemm_f32": _gemm("f32"),
        "gemm_f64": _gemm("f64"),
    }


def halves() -> dict[str, Any]:
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
        **tapes.namespace_python(),
        **registers.namespace_python(),
        "unpack_f16": unpack_f16,
        "pack_f16": pack_f16,
        "round_f16": lambda x: _half(x).astype(np.float32),
    }


def _half(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.float32(x).astype(np.float16)
