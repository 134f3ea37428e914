"""Kernels as addresses: compiled or fetched from the cache, loaded by LLVM's linker."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

from jitgrad import journal
from jitgrad.runtime import cache

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child of a process that is compiling can compile as well
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
_addresses: dict[str, int] = {}
compiled = 0  # kernels compiled by this process
fetched = 0  # kernels that it found in the disk cache
seconds = 0.0  # that both took it


@functools.cache
def _engine() -> Any:
    """LLVM's linker and loader for this process."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def address(
    source: str,
    name: str = "kernel",
    signature: Sequence[str] = ("P", "P", "i", "i"),
    result: str = "v",
) -> int:
    """The address of the compiled function of a source."""
    with _lock:
        known = _addresses.get(source)
        if known is not None:
            return known
        return _new_address(source, name, signature, result)


def _new_address(source: str, *how: Any) -> int:
    global fetched, seconds
    start = time.perf_counter()
    found = cache.load(source)
    if found is None:
        found = _compile(source, *how)
    else:
        fetched += 1
    _addresses[source] = _link(*found)
    seconds += time.perf_counter() - start
    return _addresses[source]


def _compile(source: str, name: str, signature: Sequence[str], result: str) -> tuple[str, bytes]:
    global compiled
    from jitgrad.codegen.compile import compile_source

    start = time.perf_counter()
    symbol, code = compile_source(source, name, signature, result)
    cache.store(source, symbol, code)
    compiled += 1
    took = (time.perf_counter() - start) * 1e3
    lines = source.count("\n")
    journal.say(f"compiled {symbol} ({lines} lines) in {took:.0f} ms")
    return symbol, code


def _link(symbol: str, code: bytes) -> int:
    import llvmlite.binding as llvm

    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine.get_function_address(symbol)
