"""The machine below: Numba's lowering, LLVM's pipeline, and calls by address."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad.errors import IRError


@functools.cache
def _contexts() -> tuple[Any, Any]:
    from numba.core.registry import cpu_target

    typing, target = cpu_target.typing_context, cpu_target.target_context
    typing.refresh()
    target.refresh()
    return typing, target


@functools.cache
def _keeping_library() -> type:
    """A Numba library that keeps the first module's text and compiles nothing."""
    from numba.core.codegen import JITCodeLibrary

    class Keeping(JITCodeLibrary):
        kept = ""

        def add_ir_module(self, ir_module: Any) -> None:
            self.kept = self.kept or str(ir_module)

    return Keeping


def lower_to_llvm(
    function: Callable[..., Any], signature: Sequence[str], result: str
) -> tuple[str, str]:
    """Numba's LLVM text for a function, and the name of the function in it."""
    from numba.core import compiler, types

    typing, target = _contexts()
    letters = {"P": types.CPointer(types.int64), "i": types.int64}
    flags = compiler.Flags()
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.no_compile = True
    flags.error_model = "numpy"
    library = _keeping_library()(target.codegen(), function.__name__)
    compiled = compiler.compile_extra(
        typing,
        target,
        function,
        tuple(letters[s] for s in signature),
        types.void if result == "v" else types.int64,
        flags,
        {},
        library=library,
    )
    return library.kept, compiled.fndesc.llvm_func_name


@functools.cache
def target_machine() -> Any:
    """LLVM's machine for this CPU."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="default",
    )


def optimized(text: str, inner: str) -> Any:
    """Parse a module and run LLVM's O3 over it; only the wrapper stays visible."""
    import llvmlite.binding as llvm

    text = re.sub(rf'define i32 @"?{re.escape(inner)}"?\(', f'define internal i32 @"{inner}"(', text)
    module = llvm.parse_assembly(text)
    machine = target_machine()
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = False
    options.loop_interleaving = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    _check_self_contained(module)
    return module


def _check_self_contained(module: Any) -> None:
    """A symbol that the linker cannot find would end the process: find it out here."""
    needed = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
    foreign = [name for name in needed if not hasattr(_libm(), name)]
    if foreign:
        raise IRError(f"a kernel calls what is neither its own nor libm's: {', '.join(foreign)}")


@functools.cache
def _libm() -> Any:
    import ctypes
    import ctypes.util

    return ctypes.CDLL(ctypes.util.find_library("m"))


def emit_object(text: str, inner: str) -> bytes:
    """Optimize a module and write its object code."""
    return target_machine().emit_object(optimized(text, inner))


# --- calls by address, and memory by address ------------------------------------------------------


@functools.cache
def namespace_numba() -> dict[str, Any]:
    """Intrinsics for the executor and the library kernels."""
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

    @intrinsic
    def call_word(typing, address, argument):
        """Call a C function of one word that returns a word, at an address."""

        def emit(context, builder, signature, args):
            kind = ir.FunctionType(word, [word])
            return builder.call(builder.inttoptr(args[0], kind.as_pointer()), [args[1]])

        return types.int64(types.int64, types.int64), emit

    def gemm(real: Any, numba_type: Any) -> Any:
        """BLAS's xGEMM at an address, with Fortran's calling convention: all by pointer."""

        @intrinsic
        def call(typing, address, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc):
            def emit(context, builder, signature, args):
                int32, byte = ir.IntType(32), ir.IntType(8)

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

    return {
        "f16_ptr": f16_ptr,
        "unpack_f16": unpack_f16,
        "pack_f16": pack_f16,
        "round_f16": round_f16,
        "call_kernel": call_kernel,
        "word_at": word_at,
        "offset_table": offset_table,
        "table_at": table_at,
        "word_of": word_of,
        "stack_table": stack_table,
        "call_word": call_word,
        "gemm_f32": gemm(ir.FloatType(), types.float32),
        "gemm_f64": gemm(ir.DoubleType(), types.float64),
    }


@functools.cache
def namespace_python() -> dict[str, Any]:
    """Counterparts for un-jitted kernels; calls by address have none."""

    def unpack_f16(bits: Any) -> Any:
        return np.uint16(bits).view(np.float16).astype(np.float32)

    def pack_f16(x: Any) -> Any:
        return _half(x).view(np.uint16)

    return {
        "f16_ptr": lambda ptrs, k: ptrs[k],
        "unpack_f16": unpack_f16,
        "pack_f16": pack_f16,
        "round_f16": lambda x: _half(x).astype(np.float32),
    }


def _half(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.float32(x).astype(np.float16)
