"""Calls of the names of ``table`` in LLVM code.

A short function becomes one internal ``alwaysinline`` LLVM function per module that uses it: it is
traced once, inlined before the loop vectorizer runs, and leaves nothing behind.  A long one is
called (see ``library``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from llvmlite import ir

from jitgrad.codegen.functions import Codes, Function, fixed, kind_of, type_of
from jitgrad.codegen.vecmath import llvm, table

FLAGS = {
    "add_reassoc": "fadd",
    "mul_reassoc": "fmul",
    "max_reassoc": "llvm.maximum",
    "min_reassoc": "llvm.minimum",
}
WORD = ir.IntType(64)


@cache
def functions(traced: type[llvm.Traced] = llvm.Traced, library: bool = True) -> dict[str, Function]:
    """name -> function, for every name of ``table.NAMES``.

    traced   the values that emit a function's instructions.
    library  whether long functions are defined elsewhere.
    """
    space = {}
    for name, (function, arity, dtype) in table.functions().items():
        long = name.rpartition("_")[0] in table.CALLED and dtype in table.FLOATS
        emit = _inlined(name, function, dtype, traced, long)
        if long and library:
            emit = _called(name, dtype)
        space[name] = fixed([dtype] * arity, dtype, emit, long and library)
    for dtype in table.FLOATS:
        for op in table.REASSOC:
            space[f"{op}_{dtype}"] = fixed([dtype] * 2, dtype, _accumulate(op, dtype, traced))
    for dtype in table.DTYPES:
        space[f"{dtype}_ptr"] = _pointer("u8" if dtype == "bool" else dtype)
        space[f"to_{dtype}"] = _cast(dtype)
    space["select"] = Function(3, _selected, _select)
    return space


def _inlined(
    name: str, function: Callable[..., Any], dtype: str, traced: type[llvm.Traced], long: bool
) -> Callable[..., ir.Value]:
    kind, width = dtype[0], int(dtype[1:])
    symbol = f"jitgrad_{name}"

    def emit(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
        fn = builder.module.globals.get(symbol)
        if fn is None:
            ty = llvm.type_of(kind, width)
            fn = ir.Function(builder.module, ir.FunctionType(ty, [ty] * len(args)), symbol)
            fn.linkage = "internal"
            if not long:
                fn.attributes.add("alwaysinline")
            body = ir.IRBuilder(fn.append_basic_block())
            body.ret(function(*(traced(body, a, kind, width) for a in fn.args)).ir)
        return builder.call(fn, args)

    return emit


def _called(name: str, dtype: str) -> Callable[..., ir.Value]:
    """A call of what ``library`` declares and defines."""
    symbol = f"jitgrad_{name}"

    def emit(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
        fn = builder.module.globals.get(symbol)
        if fn is None:
            ty = llvm.type_of(dtype[0], int(dtype[1:]))
            fn = ir.Function(builder.module, ir.FunctionType(ty, [ty] * len(args)), symbol)
        return builder.call(fn, args)

    return emit


def _accumulate(op: str, dtype: str, traced: type[llvm.Traced]) -> Callable[..., ir.Value]:
    def emit(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
        name = FLAGS[op]
        if not name.startswith("llvm"):
            return getattr(builder, name)(*args, flags=("reassoc", "nsz", "contract"))
        a, b = (traced(builder, x, "f", int(dtype[1:])) for x in args)
        return a.apply(name[5:], a, b).ir

    return emit


def _pointer(dtype: str) -> Function:
    def emit(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
        address = builder.load(builder.gep(args[0], [args[1]], source_etype=WORD), typ=WORD)
        return builder.inttoptr(address, type_of(f"*{dtype}"))

    return fixed(("*i64", "i64"), f"*{dtype}", emit)


def _cast(dtype: str) -> Function:
    def emit(builder: ir.IRBuilder, args: Sequence[Any], codes: Codes) -> Any:
        value = llvm.Traced(builder, args[0], *kind_of(codes[0]))
        return llvm.convert(value, *kind_of(dtype)).ir

    return Function(1, lambda codes: dtype if codes[0] in table.DTYPES else None, emit)


def _selected(codes: Codes) -> str | None:
    c, a, b = codes
    return a if a == b and c in ("bool", "u8") else None


def _select(builder: ir.IRBuilder, args: Sequence[Any], codes: Codes) -> Any:
    c, a, b = args
    if codes[0] != "bool":
        c = builder.icmp_unsigned("!=", c, c.type(0))
    return builder.select(c, a, b)
