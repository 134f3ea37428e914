"""LLVM's pipeline: from a module's text to object code."""

from __future__ import annotations

import functools
import re
from typing import Any

from jitgrad.errors import IRError


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
    import llvmlite.binding as llvm

    text = re.sub(
        rf'define i32 @"?{re.escape(inner)}"?\(', f'define internal i32 @"{inner}"(', text
    )
    module = llvm.parse_assembly(text)
    machine = target_machine()
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    options.slp_vectorization = False
    options.loop_interleaving = True
    options.loop_unrolling = False
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
