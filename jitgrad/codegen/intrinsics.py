"""The functions of kernels as Numba intrinsics. Imports Numba."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from jitgrad.codegen import target
from jitgrad.codegen.functions import Function
from jitgrad.codegen.vecmath import library, table

NUMBA_TYPES = {
    d: getattr(types, "boolean" if d == "bool" else n) for d, n in table.NUMPY_NAMES.items()
}
CODES = {ty: code for code, ty in NUMBA_TYPES.items()}


def namespace(functions: Mapping[str, Function]) -> dict[str, Any]:
    """name -> intrinsic."""
    return {name: _intrinsic(name, function) for name, function in functions.items()}


def type_of(code: str) -> Any:
    """The Numba type of a code."""
    if not code:
        return types.void
    return types.CPointer(type_of(code[1:])) if code.startswith("*") else NUMBA_TYPES[code]


def _code_of(ty: Any) -> str:
    """The code of a Numba type; one that no function takes if there is none."""
    if isinstance(ty, types.CPointer):
        return f"*{_code_of(ty.dtype)}"
    return CODES.get(types.unliteral(ty), "other")


def _intrinsic(name: str, function: Function) -> Any:
    def match(*args: Any) -> Any:
        numbers = args[: function.literals]
        codes = tuple([f"={n.literal_value}" for n in numbers if isinstance(n, types.Literal)])
        if len(codes) < len(numbers):
            return None
        codes += tuple([_code_of(a) for a in args[function.literals :]])
        result = function.rule(codes)
        if result is None:
            return None  # Numba reports "no match for these types"

        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            value = function.emit(builder, given, codes)
            if function.library and context.target_name != target.NAME:
                _define(context, name)
            return value if result else context.get_dummy_value()

        given = map(type_of, codes[function.literals :])
        return type_of(result)(*numbers, *given), code

    # Numba reads the operands off the signature, so *args will not do.
    operands = ", ".join(f"x{k}" for k in range(function.arity))
    typer: Callable[..., Any] = eval(
        f"lambda typing, {operands}: match({operands})", {"match": match}
    )
    typer.__name__ = typer.__qualname__ = name
    return intrinsic(prefer_literal=bool(function.literals))(typer)


def _define(context: Any, name: str) -> None:
    """Link a function into what is no kernel: those get theirs when they are optimized."""
    defined = context.codegen().create_library(name)
    defined.add_llvm_module(library.scalar(name))
    context.active_code_library.add_linking_library(defined)
