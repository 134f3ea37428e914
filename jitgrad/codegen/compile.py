"""From a kernel's source to object code, through LLVM.

`jitgrad.codegen.direct` translates the source; or, where the setting wants it, Numba parses, types
and lowers it, without its own wrappers, JIT and caching. One LLVM pipeline optimizes the module.
What comes out is a small relocatable object that needs neither Numba nor Python to run.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad import config, locks
from jitgrad.codegen import native
from jitgrad.codegen.native import WIDEST, symbol_of
from jitgrad.codegen.vecmath import intrinsics
from jitgrad.garbage import uncollected

# The C function around Numba's: no exception can leave a kernel, so its status is dropped.
WRAPPER = """
define {result} @{symbol}({parameters}) {attributes} {{
  %ret = alloca {slot}
  %exc = alloca ptr
  %status = call i32 @"{inner}"(ptr %ret, ptr %exc, {arguments})
  {finish}
}}
"""


@functools.cache
def names() -> dict[str, Any]:
    """What the text of a kernel can call, for Numba."""
    from jitgrad.codegen import machine
    from jitgrad.codegen.intrinsics import namespace

    return {
        **intrinsics.namespace_numba(),
        **namespace(machine.functions()),
        **literals(),
    }


@functools.cache
def plain_names() -> dict[str, Any]:
    """What the text of a kernel can call, for plain Python."""
    from jitgrad.codegen import machine

    return {**intrinsics.namespace_python(), **machine.namespace_python(), **literals()}


def literals() -> dict[str, Any]:
    """The dtypes that make literals, and the numbers without a literal."""
    types = {"f32": np.float32, "f64": np.float64}
    for bits in (8, 16, 32, 64):
        types[f"i{bits}"] = getattr(np, f"int{bits}")
        types[f"u{bits}"] = getattr(np, f"uint{bits}")
    return {**types, "inf": math.inf, "nan": math.nan}


def function(source: str, namespace: dict[str, Any], name: str = "kernel") -> Callable[..., Any]:
    """The Python function that a text defines."""
    space = dict(namespace)
    exec(compile(source, f"<{name}>", "exec"), space)
    return space[name]


PARAMETERS = {"P": "ptr", "i": "i64"}
FINISH = {"v": "ret void", "i": "%out = load i64, ptr %ret\n  ret i64 %out"}


def optimized_module(
    source: str,
    name: str = "kernel",
    signature: Sequence[str] = ("P", "P", "i", "i"),
    result: str = "v",
) -> Any:
    """The optimized LLVM module of the function `name` of a text; `str()` of it is its LLVM text.

    `signature` has a letter for each parameter: P pointer to int64, i int64. `result`: v nothing,
    i int64. The function to call is `symbol_of(source)`.
    """
    from jitgrad.codegen import direct, target  # they import what writes LLVM, and Numba

    if result == "v" and config.get("frontend") == "direct":
        node = direct.parsed(source)
        if direct.knows(node):
            return native.optimized(direct.lowered(node, signature, symbol_of(source)), "")
    with locks.compiling, uncollected():
        module, inner = target.lower_to_llvm(function(source, names(), name), signature, result)
        given = ", ".join(f"{PARAMETERS[letter]} %x{k}" for k, letter in enumerate(signature))
        wrapper = WRAPPER.format(
            result="void" if result == "v" else "i64",
            symbol=symbol_of(source),
            parameters=given,
            slot="ptr" if result == "v" else "i64",
            inner=inner,
            arguments=given,
            finish=FINISH[result],
            attributes=WIDEST,
        )
        return native.optimized(module + wrapper, inner)


def compile_source(source: str, *how: Any) -> tuple[str, bytes]:
    """The symbol and the object code of a text; `how` as for `optimized_module`."""
    return symbol_of(source), native.target_machine().emit_object(optimized_module(source, *how))


def compile_bitcode(source: str, *how: Any) -> tuple[str, bytes]:
    """The symbol and the LLVM bitcode of a text; `how` as for `optimized_module`."""
    return symbol_of(source), optimized_module(source, *how).as_bitcode()


def assembly(source: str, *how: Any) -> str:
    """The assembly of a text; `how` as for `optimized_module`."""
    return native.target_machine().emit_assembly(optimized_module(source, *how))
