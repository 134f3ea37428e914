"""What kernels can call: the types that go in and out, and the LLVM code of a call.

A type is a code: "f32", "i64", "bool" …, "*f32" for a pointer to such numbers, "" for nothing. A
table of addresses or integers is a "*i64".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

Codes = tuple[str, ...]
FLOATS = {"f16": ir.HalfType(), "f32": ir.FloatType(), "f64": ir.DoubleType()}


@dataclass(frozen=True, slots=True)
class Function:
    """A function of `arity` operands. `rule` gives the result's type, or None for operands that it
    does not take; `emit` the code, of a builder, the operands and their types. `library`: the code
    only calls what `jitgrad.codegen.vecmath.library` defines. The first `literals` operands are
    numbers in the kernel's text, which take the place of their types: "=4".
    """

    arity: int
    rule: Callable[[Codes], str | None]
    emit: Callable[[ir.IRBuilder, Sequence[Any], Codes], Any]
    library: bool = False
    literals: int = 0


def is_literal(code: str) -> bool:
    """Whether a code is a number in the text."""
    return code.startswith("=")


def literal(code: str) -> int:
    """The number."""
    return int(code[1:])


def fixed(
    operands: Sequence[str],
    result: str,
    emit: Callable[[ir.IRBuilder, Sequence[Any]], Any],
    library: bool = False,
) -> Function:
    """A function of operands of certain types."""
    wanted = tuple(operands)
    return Function(
        len(wanted),
        lambda codes: result if codes == wanted else None,
        lambda builder, args, codes: emit(builder, args),
        library,
    )


def kind_of(code: str) -> tuple[str, int]:
    """Kind and width of a number's type, as `jitgrad.codegen.vecmath` has them."""
    return ("b", 1) if code == "bool" else (code[0], int(code[1:]))


def type_of(code: str) -> ir.Type:
    """The LLVM type: of a number in a register, of a pointer, or void."""
    if not code:
        return ir.VoidType()
    if code.startswith("*"):
        return type_of(code[1:]).as_pointer()
    return FLOATS.get(code) or ir.IntType(kind_of(code)[1])
