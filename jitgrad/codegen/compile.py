"""From a kernel's source to object code, through Numba's front end and LLVM.

Numba parses, types and lowers the source; its own wrappers, JIT and caching are left out, and one
LLVM pipeline optimizes the module. What comes out is a small relocatable object that needs
neither Numba nor Python to run. Numba is imported when something has to be compiled, not before.
"""

from __future__ import annotations

import functools
import hashlib
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad.codegen import machine, native
from jitgrad.codegen.vecmath import intrinsics

_lock = threading.RLock()

# The C function around Numba's: no exception can leave a kernel, so its status is dropped.
WRAPPER = """
define {result} @{symbol}({parameters}) {{
  %ret = alloca {slot}
  %exc = alloca ptr
  %status = call i32 @"{inner}"(ptr %ret, ptr %exc, {arguments})
  {finish}
}}
"""


def symbol_of(source: str) -> str:
    """The name of a kernel's function: its content."""
    return "jg_" + hashlib.sha256(source.encode()).hexdigest()[:24]


@functools.cache
def names() -> dict[str, Any]:
    """What the text of a kernel can call, for Numba."""
    return {**intrinsics.namespace_numba(), **machine.namespace_numba(), **_literals()}


@functools.cache
def plain_names() -> dict[str, Any]:
    """What the text of a kernel can call, for plain Python."""
    return {**intrinsics.namespace_python(), **machine.namespace_python(), **_literals()}


def _literals() -> dict[str, Any]:
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


def compile_source(
    source: str,
    name: str = "kernel",
    signature: Sequence[str] = ("P", "P", "i", "i"),
    result: str = "v",
) -> tuple[str, bytes]:
    """Object code of the function `name` of a text, and the symbol to call.

    `signature` has a letter for each parameter: P pointer to int64, i int64. `result`: v nothing,
    i int64.
    """
    symbol = symbol_of(source)
    with _lock:
        module, inner = native.lower_to_llvm(function(source, names(), name), signature, result)
        types = {"P": "ptr", "i": "i64"}
        given = [f"{types[letter]} %x{k}" for k, letter in enumerate(signature)]
        wrapper = WRAPPER.format(
            result="void" if result == "v" else "i64",
            symbol=symbol,
            parameters=", ".join(given),
            slot="ptr" if result == "v" else "i64",
            inner=inner,
            arguments=", ".join(given),
            finish="ret void" if result == "v" else "%out = load i64, ptr %ret\n  ret i64 %out",
        )
        return symbol, native.emit_object(module + wrapper, inner)
