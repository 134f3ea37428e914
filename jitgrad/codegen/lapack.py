"""Routines of libraries as functions that kernels call by address: LAPACK's, BLAS's, SciPy's."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from jitgrad.codegen.functions import Function, fixed

# What a routine takes, in order: c a letter (as a number), i an integer, p an address, o where it
# writes the int32 that the call returns. Fortran passes all of them by reference.
ROUTINES = {
    "potrf": "cipio",
    "getrf": "iipipo",
    "getrs": "ciipippio",
    "gelqf": "iipippio",
    "orglq": "iiipippio",
    "syevd": "ccipippipio",
    "gesdd": "ciipippipipipo",
    "trsm": "cccciippipi",
}
NUMBERS = 4  # operands, at most, of a function of float64
INT32, BYTE = ir.IntType(32), ir.IntType(8)


@functools.cache
def functions() -> dict[str, Function]:
    """By name, as in ``potrf(routine, letter, n, address, stride)``: the routine's address and its
    operands; the result is what it says went wrong, or 0. ``call2_f64(routine, x, y)`` is a
    function of two float64.
    """
    found = {}
    for name, letters in ROUTINES.items():
        words = ["i64"] * (1 + len(letters.replace("o", "")))
        found[name] = fixed(words, "i64", functools.partial(_routine, letters))
    for count in range(1, NUMBERS + 1):
        found[f"call{count}_f64"] = fixed(["i64", *["f64"] * count], "f64", _of_numbers)
    return found


def _of_numbers(builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    """A function made by Cython, hence one more 0."""
    routine, *given = args
    given.append(INT32(0))
    kind = ir.FunctionType(ir.DoubleType(), [g.type for g in given])
    return builder.call(builder.inttoptr(routine, kind.as_pointer()), given)


def _routine(letters: str, builder: ir.IRBuilder, args: Sequence[Any]) -> Any:
    def spill(value: Any) -> Any:
        with builder.goto_entry_block():
            slot = builder.alloca(value.type)
        builder.store(value, slot)
        return slot

    routine, *values = args
    info, left = spill(INT32(0)), iter(values)
    given = []
    for letter in letters:
        if letter == "o":
            given.append(info)
        elif letter == "p":
            given.append(builder.inttoptr(next(left), BYTE.as_pointer()))
        else:
            given.append(spill(builder.trunc(next(left), BYTE if letter == "c" else INT32)))
    kind = ir.FunctionType(ir.VoidType(), [g.type for g in given])
    builder.call(builder.inttoptr(routine, kind.as_pointer()), given)
    return builder.sext(builder.load(info), ir.IntType(64))
