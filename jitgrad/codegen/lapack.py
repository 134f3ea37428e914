"""Routines of libraries as functions that kernels call by address: LAPACK's, BLAS's, SciPy's."""

from __future__ import annotations

import functools
from typing import Any

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


@functools.cache
def namespace_numba() -> dict[str, Any]:
    """Numba intrinsics, as in ``potrf(routine, (letter, n, address, stride))``: the routine's
    address and a tuple of its operands; the result is what it says went wrong, or 0.
    """
    found = {name: _routine(letters) for name, letters in ROUTINES.items()}
    return {**found, "call_f64": _of_numbers()}


def _of_numbers() -> Any:
    """``call_f64(routine, (x, y))``: a function of float64, made by Cython, hence one more 0."""
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    @intrinsic
    def call(typing, routine, operands):
        def emit(context, builder, signature, args):
            given = [*cgutils.unpack_tuple(builder, args[1], len(operands)), ir.IntType(32)(0)]
            kind = ir.FunctionType(ir.DoubleType(), [g.type for g in given])
            return builder.call(builder.inttoptr(args[0], kind.as_pointer()), given)

        return types.float64(types.int64, operands), emit

    return call


def _routine(letters: str) -> Any:
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    int32, byte = ir.IntType(32), ir.IntType(8)

    @intrinsic
    def call(typing, routine, operands):
        def emit(context, builder, signature, args):
            def spill(value: Any) -> Any:
                with builder.goto_entry_block():
                    slot = builder.alloca(value.type)
                builder.store(value, slot)
                return slot

            info = spill(int32(0))
            values = iter(cgutils.unpack_tuple(builder, args[1], len(letters.replace("o", ""))))
            given = []
            for letter in letters:
                if letter == "o":
                    given.append(info)
                elif letter == "p":
                    given.append(builder.inttoptr(next(values), byte.as_pointer()))
                else:
                    kind = byte if letter == "c" else int32
                    given.append(spill(builder.trunc(next(values), kind)))
            kind = ir.FunctionType(ir.VoidType(), [g.type for g in given])
            builder.call(builder.inttoptr(args[0], kind.as_pointer()), given)
            return builder.sext(builder.load(info), ir.IntType(64))

        return types.int64(types.int64, operands), emit

    return call
