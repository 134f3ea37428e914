"""Numba's lowering and LLVM's pipeline: from a Python function to object code."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from jitgrad.errors import IRError


@functools.cache
def _contexts() -> tuple[Any, Any]:
    from numba.core.registry import cpu_target

    typing: Any = cpu_target.typing_context
    target: Any = cpu_target.target_context
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
    flags: Any = compiler.Flags()
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.no_compile = True
    flags.error_model = "numpy"
    # Our variables keep their types, so they need no renaming; LLVM does that, in linear time.
    flags.enable_ssa = False
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
    # Numba promises LLVM that int64 arithmetic does not overflow; ours wraps, as NumPy's does.
    wrapping = re.sub(r"\b(add|sub|mul|shl)( nuw)? nsw ", r"\1 ", library.kept)
    return wrapping, compiled.fndesc.llvm_func_name


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

    text = re.sub(
        rf'define i32 @"?{re.escape(inner)}"?\(', f'define internal i32 @"{inner}"(', text
    )
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
    needed = [
        f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")
    ]
    foreign = [name for name in needed if not hasattr(_libm(), name)]
    if foreign:
        raise IRError(f"a kernel calls what is neither its own nor libm's: {', '.join(foreign)}")


@functools.cache
def _libm() -> Any:
    import ctypes
    import ctypes.util

    return ctypes.CDLL(ctypes.util.find_library("m"))
