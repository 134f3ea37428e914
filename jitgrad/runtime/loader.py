"""Kernels as addresses: compiled or fetched from the cache, loaded by LLVM's linker."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from typing import Any

from jitgrad import journal
from jitgrad.locks import compiling
from jitgrad.runtime import cache

BITCODE = "# LLVM\n"  # before a source whose LLVM code is meant, not its object code
_addresses: dict[str, int] = {}  # by the names of their code
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
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    # Never freed: threads of the pool, and daemons, run its code until the process is gone.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))
    return engine


def address(source: str) -> int:
    """The address of the compiled kernel of a source."""
    from jitgrad.codegen.compile import compile_source

    return _address(source, compile_source)


def kept(key: str) -> int:
    """The address of the kernel whose code has a name; KeyError if there is no such code."""
    with compiling:
        known = _addresses.get(key)
        return known if known is not None else _timed(key, lambda: _fetched(key))


def bitcode(source: str) -> tuple[str, bytes]:
    """The symbol and the optimized LLVM code of the kernel of a source, for other modules."""
    from jitgrad.codegen.compile import compile_bitcode

    with compiling:
        return _found(BITCODE + source, lambda _: compile_bitcode(source))


def routine(source: str) -> int:
    """The address of a compiled function in the language of `jitgrad.codegen.words`."""

    def compile_words(source: str) -> tuple[str, bytes]:
        from jitgrad.codegen import words  # llvmlite's part that writes LLVM is not needed to load

        return words.compile_words(source)

    return _address(source, compile_words)


def _address(source: str, compiler: Callable[[str], tuple[str, bytes]]) -> int:
    key = cache.key_of(source)
    with compiling:
        known = _addresses.get(key)
        return known if known is not None else _timed(key, lambda: _found(source, compiler))


def _timed(key: str, code: Callable[[], tuple[str, bytes]]) -> int:
    """The address of new code."""
    global seconds
    start = time.perf_counter()
    _addresses[key] = _link(*code())
    seconds += time.perf_counter() - start
    return _addresses[key]


def _found(source: str, compiler: Callable[[str], tuple[str, bytes]]) -> tuple[str, bytes]:
    """Symbol and code, from the cache or compiled."""
    try:
        return _fetched(cache.key_of(source))
    except KeyError:
        return _compile(source, compiler)


def _fetched(key: str) -> tuple[str, bytes]:
    """Symbol and code from the cache; KeyError if it has none."""
    global fetched
    found = cache.load_object(key)
    if found is None:
        raise KeyError(key)
    fetched += 1
    return found


def _compile(source: str, compiler: Callable[[str], tuple[str, bytes]]) -> tuple[str, bytes]:
    global compiled
    start = time.perf_counter()
    symbol, code = compiler(source)
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
