"""Numba intrinsics for the names of ``table`` (imports Numba; reach it through ``intrinsics``).

A short function becomes one internal ``alwaysinline`` LLVM function per module that uses it: it is
traced once, inlined before the loop vectorizer runs, and leaves nothing behind.  A long one is
called (see ``library``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from jitgrad.codegen import target
from jitgrad.codegen.vecmath import library, llvm, table

NUMBA_TYPES = {
    d: getattr(types, "boolean" if d == "bool" else n) for d, n in table.NUMPY_NAMES.items()
}
KINDS = {t: ("b", 1) if t is types.boolean else (d[0], int(d[1:])) for d, t in NUMBA_TYPES.items()}
FLAGS = {
    "add_reassoc": "fadd",
    "mul_reassoc": "fmul",
    "max_reassoc": "llvm.maximum",
    "min_reassoc": "llvm.minimum",
}


def namespace(traced: type[llvm.Traced] = llvm.Traced, library: bool = True) -> dict[str, Any]:
    """name -> intrinsic, for every name of ``table.NAMES``.

    traced   the values that emit a function's instructions.
    library  whether long functions are defined elsewhere.
    """
    space = {}
    for name, (function, arity, dtype) in table.functions().items():
        called = name.rsplit("_", 1)[0] in table.CALLED and dtype in table.FLOATS
        away = called and library
        emit = _called(name, dtype) if away else _inlined(name, function, dtype, traced, called)
        space[name] = _same(name, NUMBA_TYPES[dtype], arity, emit)
    for dtype in table.FLOATS:
        for op in table.REASSOC:
            name = f"{op}_{dtype}"
            space[name] = _same(name, NUMBA_TYPES[dtype], 2, _accumulate(op, dtype, traced))
    for dtype in table.DTYPES:
        pointee = types.uint8 if dtype == "bool" else NUMBA_TYPES[dtype]
        space[f"{dtype}_ptr"] = _pointer(f"{dtype}_ptr", types.CPointer(pointee))
        space[f"to_{dtype}"] = _cast(f"to_{dtype}", NUMBA_TYPES[dtype])
    space["select"] = _select()
    return space


def _named(name: str, typer: Callable[..., Any]) -> Any:
    typer.__name__ = typer.__qualname__ = name
    return intrinsic(typer)


def _same(name: str, ty: Any, arity: int, emit: Callable[..., ir.Value]) -> Any:
    """An intrinsic with ``arity`` operands of type ty and a result of type ty."""
    expected = (ty,) * arity

    def match(*args: Any) -> Any:
        if tuple(types.unliteral(a) for a in args) != expected:
            return None  # Numba reports "no match for these types"
        return ty(*expected), lambda context, builder, sig, args: emit(context, builder, args)

    typers = {  # Numba reads the operands off the signature, so *args will not do
        1: lambda context, a: match(a),
        2: lambda context, a, b: match(a, b),
        3: lambda context, a, b, c: match(a, b, c),
    }
    return _named(name, typers[arity])


def _inlined(
    name: str, function: Callable[..., Any], dtype: str, traced: type[llvm.Traced], long: bool
) -> Callable[..., ir.Value]:
    kind, width = dtype[0], int(dtype[1:])
    symbol = f"jitgrad_{name}"

    def emit(context: Any, builder: ir.IRBuilder, args: list[Any]) -> Any:
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
    """A call of what ``library`` declares and defines in kernels; elsewhere the definition is
    linked in here.
    """
    symbol = f"jitgrad_{name}"

    def emit(context: Any, builder: ir.IRBuilder, args: list[Any]) -> Any:
        fn = builder.module.globals.get(symbol)
        if fn is None:
            ty = llvm.type_of(dtype[0], int(dtype[1:]))
            fn = ir.Function(builder.module, ir.FunctionType(ty, [ty] * len(args)), symbol)
            if context.target_name != target.NAME:
                defined = context.codegen().create_library(symbol)
                defined.add_llvm_module(library.scalar(name))
                context.active_code_library.add_linking_library(defined)
        return builder.call(fn, args)

    return emit


def _accumulate(op: str, dtype: str, traced: type[llvm.Traced]) -> Callable[..., ir.Value]:
    def emit(context: Any, builder: ir.IRBuilder, args: list[Any]) -> Any:
        name = FLAGS[op]
        if not name.startswith("llvm"):
            return getattr(builder, name)(*args, flags=("reassoc", "nsz", "contract"))
        a, b = (traced(builder, x, "f", int(dtype[1:])) for x in args)
        return a.apply(name[5:], a, b).ir

    return emit


def _pointer(name: str, result: Any) -> Any:
    addresses = types.CPointer(types.int64)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: list[Any]) -> Any:
        address = builder.load(builder.gep(args[0], [args[1]]))
        return builder.inttoptr(address, context.get_value_type(result))

    def typer(context: Any, ptrs: Any, k: Any) -> Any:
        if ptrs != addresses or not isinstance(k, types.Integer):
            return None
        return result(addresses, types.unliteral(k)), codegen

    return _named(name, typer)


def _cast(name: str, to: Any) -> Any:
    kind, width = KINDS[to]

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: list[Any]) -> Any:
        return llvm.convert(llvm.Traced(builder, args[0], *KINDS[sig.args[0]]), kind, width).ir

    def typer(context: Any, x: Any) -> Any:
        x = types.unliteral(x)
        return (to(x), codegen) if x in KINDS else None

    return _named(name, typer)


def _select() -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: list[Any]) -> Any:
        c, a, b = args
        if sig.args[0] is not types.boolean:
            c = builder.icmp_unsigned("!=", c, c.type(0))
        return builder.select(c, a, b)

    def typer(context: Any, c: Any, a: Any, b: Any) -> Any:
        c, a, b = (types.unliteral(t) for t in (c, a, b))
        if a != b or c not in (types.boolean, types.uint8):
            return None
        return a(c, a, b), codegen

    return _named("select", typer)
