"""Numba's compiler, narrowed to what kernels are: scalars, pointers and loops.

Kernels are a Numba *target* of their own (`numba.core.target_extension`), with typing rules and
lowering for those three only, and the few passes of Numba's compiler that they need. The CPU target
knows arrays, strings, containers and random numbers as well: importing all that takes longer than
compiling several kernels, and every `+` would be tried against NumPy's ufuncs first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

NAME = "jitgrad"


@functools.cache
def _contexts() -> tuple[Any, Any]:
    """The typing and the target context of kernels, registered with Numba."""
    from numba.core import cpu, target_extension
    from numba.core.decorators import jit
    from numba.core.descriptors import TargetDescriptor
    from numba.core.registry import CPUDispatcher
    from numba.cpython import builtins, numbers, rangeobj, tupleobj

    del builtins, numbers, rangeobj, tupleobj  # importing them has filled Numba's registries

    class Kernels(target_extension.CPU):
        pass

    target_extension.target_registry[NAME] = Kernels
    typing = _typing_context()
    target = _target_context(typing)

    class Descriptor(TargetDescriptor):
        options = cpu.CPUTargetOptions
        typing_context = typing
        target_context = target

    class Dispatcher(CPUDispatcher):
        targetdescr = Descriptor(NAME)

    target_extension.dispatcher_registry[Kernels] = Dispatcher
    target_extension.jit_registry[Kernels] = jit
    return typing, target


def _typing_context() -> Any:
    from numba.core.types.functions import BaseFunction
    from numba.core.typing.context import Context
    from numba.core.typing.templates import builtin_registry

    class Typing(Context):
        """Remembers what it found: kernels ask the same few questions over and over."""

        def __init__(self) -> None:
            super().__init__()
            self.known_calls: dict[Any, Any] = {}
            self.known_values: dict[Any, Any] = {}

        def refresh(self) -> None:
            self.install_registry(builtin_registry)

        def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
            if kws:
                return super().resolve_function_type(func, args, kws)
            key = func, tuple(args)
            if key not in self.known_calls:
                found: Any = super().resolve_function_type(func, args, kws)
                rule = func.get_impl_key(found) if isinstance(func, BaseFunction) else None
                self.known_calls[key] = found, rule
            found, rule = self.known_calls[key]
            if rule is not None:  # a function's type is shared with Numba's own target
                shared: Any = func
                shared._impl_keys[found.args] = rule
            return found

        def resolve_value_type(self, val: Any) -> Any:
            if not callable(val):
                return super().resolve_value_type(val)
            found = self.known_values.get(val)
            if found is None:
                found = self.known_values[val] = super().resolve_value_type(val)
            return found

    return Typing()


def _target_context(typing: Any) -> Any:
    from numba.core import cpu
    from numba.core.imputils import builtin_registry

    class Target(cpu.CPUContext):
        def refresh(self) -> None:
            self.install_registry(builtin_registry)

        def post_lowering(self, mod: Any, library: Any) -> None:
            """Nothing: it would link Numba's runtime."""

        @functools.cache  # noqa: B019  (there is one context, and it stays)
        def get_abi_sizeof(self, ty: Any) -> int:
            return super().get_abi_sizeof(ty)

        @functools.cache  # noqa: B019
        def get_function(self, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
            return super().get_function(fn, sig, _firstcall)

    return Target(typing, NAME)


@functools.cache
def _compiler() -> type:
    """The passes that a kernel needs, from bytecode to LLVM.

    Left out: inlining of closures and overloads, array expressions, `with` blocks, literals of
    containers, branches on None, and the end of lifetimes. Kernels have none of it.
    """
    from numba.core import typed_passes as typed
    from numba.core import untyped_passes as untyped
    from numba.core.compiler import CompilerBase
    from numba.core.compiler_machinery import PassManager

    class Compiler(CompilerBase):
        def define_pipelines(self) -> list[Any]:
            manager = PassManager(NAME)
            for each in (
                untyped.TranslateByteCode,
                untyped.FixupArgs,
                untyped.ReconstructSSA,
                typed.NopythonTypeInference,
                typed.PreLowerStripPhis,
                typed.NativeLowering,
                typed.NoPythonBackend,
            ):
                manager.add_pass(each, "")
            manager.finalize()
            return [manager]

    return Compiler


@functools.cache
def _keeping_library() -> type:
    """A Numba library that keeps the first module's text and compiles nothing."""
    from numba.core.codegen import JITCodeLibrary

    from jitgrad.codegen.places import declare_distinct

    class Keeping(JITCodeLibrary):
        kept = ""

        def add_ir_module(self, ir_module: Any) -> None:
            if not self.kept:
                declare_distinct(ir_module)
                self.kept = str(ir_module)

    return Keeping


def lower_to_llvm(
    function: Callable[..., Any], signature: Sequence[str], result: str
) -> tuple[str, str]:
    """Numba's LLVM text for a function, and the name of the function in it."""
    from numba.core import compiler, types
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.target_extension import target_override

    typing, target = _contexts()
    letters = {"P": types.CPointer(types.int64), "i": types.int64}
    flags: Any = compiler.Flags()
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.no_compile = True
    flags.error_model = "numpy"
    library = _keeping_library()(target.codegen(), function.__name__)
    with global_compiler_lock, target_override(NAME):
        compiled = compiler.compile_extra(
            typing,
            target,
            function,
            tuple(letters[s] for s in signature),
            types.void if result == "v" else types.int64,
            flags,
            {},
            library=library,
            pipeline_class=_compiler(),
        )
    # Numba promises LLVM that int64 arithmetic does not overflow; ours wraps, as NumPy's does.
    wrapping = re.sub(r"\b(add|sub|mul|shl)( nuw)? nsw ", r"\1 ", library.kept)
    return wrapping, compiled.fndesc.llvm_func_name
