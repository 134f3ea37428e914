"""LLVM's pipeline: from a module's text to object code."""

from __future__ import annotations

import functools
import re
from typing import Any

from jitgrad.errors import IRError

# LLVM prefers 256-bit vectors on CPUs that have wider ones; kernels of arithmetic gain from 512.
WIDEST = '"prefer-vector-width"="512"'


def symbol_of(source: str) -> str:
    """The name of a kernel's function: its content."""
    import hashlib

    return "jg_" + hashlib.sha256(source.encode()).hexdigest()[:24]


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
    """Parse a module and run LLVM's O2 over it; only the wrapper stays visible.

    The vectorizer interleaves loops where that pays. Unrolling them again, and O3, cost a third of
    the time in LLVM and gained nothing in any workload that we measured.
    """
    from jitgrad.codegen.vecmath import library

    text = re.sub(
        rf'define i32 @"?{re.escape(inner)}"?\(', f'define internal i32 @"{inner}"(', text
    )
    module = simplified(library.declare(text), speed=2, vectorize=True)
    library.define(module, vector_bits())
    _check_self_contained(module)
    return module


def simplified(text: str, speed: int = 1, vectorize: bool = False) -> Any:
    """Parse a module and run LLVM's pipeline of the given level over it."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    machine = target_machine()
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=speed)
    options.loop_vectorization = vectorize
    options.slp_vectorization = False
    options.loop_interleaving = vectorize
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


@functools.cache
def vector_bits() -> int:
    """The size of this CPU's widest vectors."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return 512 if features.get("avx512f") else 256 if features.get("avx2") else 128


def _check_self_contained(module: Any) -> None:
    """A symbol that the linker cannot find would end the process: find it out here."""
    known = ("llvm.", "jitgrad_")  # the latter are those of `library` that nothing calls
    needed = [f.name for f in module.functions if f.is_declaration and not f.name.startswith(known)]
    foreign = [name for name in needed if not hasattr(_libm(), name)]
    if foreign:
        raise IRError(f"a kernel calls what is neither its own nor libm's: {', '.join(foreign)}")


@functools.cache
def _libm() -> Any:
    import ctypes
    import ctypes.util

    return ctypes.CDLL(ctypes.util.find_library("m"))
