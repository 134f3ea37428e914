"""What kernels need of the machine beside arithmetic: halves, tapes, BLAS, functions of users."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from jitgrad.codegen import lapack, registers, squares, tapes
from jitgrad.codegen.functions import Function, fixed, type_of

WORD, BYTE, INT32 = ir.IntType(64), ir.IntType(8), ir.IntType(32)


@functools.cache
def functions() -> dict[str, Function]:
    """All of them, by name."""
    gemm = {f"gemm_{d}": fixed(["i64"] * 13, "", functools.partial(_gemm, d)) for d in FLOATS}
    calls = {**lapack.functions(), **gemm, "call_back": fixed(["i64", "i64"], "i64", _call_back)}
    blocks = {**registers.functions(), **squares.functions()}
    return {**HALVES, **NUMBERS, **tapes.functions(), **blocks, **calls}


FLOATS = ("f32", "f64")


# --- float16 in memory, float32 in registers ------------------------------------------------------


def _f16_ptr(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    """The k-th pointer of a table, to the bits of float16 numbers."""
    at = builder.load(builder.gep(args[0], [args[1]], source_etype=WORD), typ=WORD)
    return builder.inttoptr(at, type_of("*u16"))


def _unpack_f16(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    """float32 of the bits of a float16."""
    return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())


def _pack_f16(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    """The bits of a float32 rounded to float16."""
    return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))


def _round_f16(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    """A float32 rounded to float16 precision."""
    return builder.fpext(builder.fptrunc(args[0], ir.HalfType()), ir.FloatType())


HALVES = {
    "f16_ptr": fixed(("*i64", "i64"), "*u16", _f16_ptr),
    "unpack_f16": fixed(("u16",), "f32", _unpack_f16),
    "pack_f16": fixed(("f32",), "u16", _pack_f16),
    "round_f16": fixed(("f32",), "f32", _round_f16),
}


# --- numbers among a kernel's integers ------------------------------------------------------------


def _number_f32(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    """The float32 whose bits are the lower half of a word."""
    return builder.bitcast(builder.trunc(args[0], INT32), ir.FloatType())


def _number_f64(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    """The float64 whose bits are a word."""
    return builder.bitcast(args[0], ir.DoubleType())


NUMBERS = {
    "number_f32": fixed(("i64",), "f32", _number_f32),
    "number_f64": fixed(("i64",), "f64", _number_f64),
}


# --- BLAS -----------------------------------------------------------------------------------------


def _gemm(dtype: str, builder: ir.IRBuilder, args: Sequence[Any]) -> None:
    """BLAS's xGEMM at an address, with Fortran's calling convention: everything by pointer.

    c = a b + beta c, column-major; `ta` and `tb` are the letters N or T as numbers.
    """
    real = type_of(dtype)

    def spill(value: Any, kind: Any) -> Any:
        with builder.goto_entry_block():
            slot = builder.alloca(kind)
        builder.store(value, slot)
        return slot

    def number(value: Any) -> Any:
        return spill(builder.trunc(value, INT32), INT32)

    def flag(value: Any) -> Any:
        return spill(builder.trunc(value, BYTE), BYTE)

    def where(value: Any) -> Any:
        return builder.inttoptr(value, real.as_pointer())

    f, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc = args
    one, beta = spill(real(1.0), real), spill(builder.sitofp(beta, real), real)
    given = [flag(ta), flag(tb), number(m), number(n), number(k), one]
    given += [where(a), number(lda), where(b), number(ldb), beta, where(c), number(ldc)]
    kind = ir.FunctionType(ir.VoidType(), [g.type for g in given])
    builder.call(builder.inttoptr(f, kind.as_pointer()), given)


def _call_back(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    """A function at an address, of the address of a table; 0 if all went well."""
    function, table = args
    kind = ir.FunctionType(WORD, [WORD])
    return builder.call(builder.inttoptr(function, kind.as_pointer()), [table])


# --- un-jitted ------------------------------------------------------------------------------------


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
        **squares.namespace_python(),
        "number_f32": lambda word: np.int64(word).astype(np.int32).view(np.float32),
        "number_f64": lambda word: np.int64(word).view(np.float64),
        "unpack_f16": unpack_f16,
        "pack_f16": pack_f16,
        "round_f16": lambda x: _half(x).astype(np.float32),
    }


def _half(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.float32(x).astype(np.float16)
