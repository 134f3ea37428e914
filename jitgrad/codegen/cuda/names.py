"""What the text of a kernel can call on a device, for Numba's CUDA target and for plain Python.

The functions are those of the CPU: the same definitions emit the same operations. NVVM has fewer
intrinsics than LLVM; what it lacks is in libdevice, under these names.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from jitgrad.codegen.compile import literals, plain_names
from jitgrad.codegen.cuda import tensor

LIBDEVICE = {
    "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "rint", "absolute": "fabs",
    "copysign": "copysign", "fmod": "fmod",
}  # fmt: skip
WIDTHS = (32, 64)
LANES = (2, 4)  # elements that are loaded or stored at once
CODES = ("f64", "f32", "i64", "u64", "i32", "u32", "i16", "u16", "i8", "u8")


@functools.cache
def namespace_numba() -> dict[str, Any]:
    """Every name as a Numba intrinsic; `cuda` is Numba's module."""
    from numba import cuda

    from jitgrad.codegen import machine
    from jitgrad.codegen.intrinsics import namespace
    from jitgrad.codegen.vecmath import emit

    return {
        **namespace(emit.functions(_traced(), library=False)),
        **namespace(machine.HALVES),
        **namespace(machine.NUMBERS),
        **_divisions(),
        **_wide(),
        **literals(),
        "mma_f16": tensor.intrinsic(),
        "cuda": cuda,
    }


@functools.cache
def namespace_python() -> dict[str, Any]:
    """Every name as a Python function, but `cuda`, which is whoever runs the threads."""
    divisions: dict[str, Callable[..., Any]] = {}
    for bits in WIDTHS:
        divisions[f"quotient{bits}"] = lambda a, n: a // n
        divisions[f"remainder{bits}"] = lambda a, n: a % n
    moves: dict[str, Callable[..., Any]] = {}
    for lanes in LANES:
        for code in CODES:
            moves[f"load{lanes}_{code}"] = functools.partial(_load, lanes)
            moves[f"store{lanes}_{code}"] = _store
    names = plain_names()
    return {**names, **divisions, **moves, "mma_f16": tensor.in_python(names["unpack_f16"])}


def _load(lanes: int, array: Any, at: int) -> tuple:
    return tuple([array[at + k] for k in range(lanes)])


def _store(array: Any, at: int, *values: Any) -> None:
    for k, value in enumerate(values):
        array[at + k] = value


def _traced() -> type:
    """Values whose operations NVVM understands."""
    from llvmlite import ir

    from jitgrad.codegen.vecmath import llvm

    class Traced(llvm.Traced):
        __slots__ = ()
        doubles = False

        def apply(self, op: str, *args: Any) -> Any:
            if op in ("minimum", "maximum"):  # a nan in either wins
                a, b = (self.lift(x) for x in args)
                first = a <= b if op == "minimum" else a >= b
                first = first | (a != a) if self.kind == "f" else first
                return super().apply("select", first, a, b)
            if self.kind == "f" and op == "neg":
                return self.make(self.builder.fsub(self.lift(-0.0).ir, args[0].ir))
            if self.kind != "f" or op not in LIBDEVICE:
                return super().apply(op, *args)
            operands = [self.lift(a).ir for a in args]
            name = f"__nv_{LIBDEVICE[op]}{'f' if self.width == 32 else ''}"
            module = self.builder.module
            fn = module.globals.get(name)
            if fn is None:
                kind = ir.FunctionType(self.type(), [o.type for o in operands])
                fn = ir.Function(module, kind, name)
            return self.make(self.builder.call(fn, operands))

    return Traced


def _divisions() -> dict[str, Any]:
    """Divisions of numbers that are not negative, in 32 or 64 bits."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    def make(name: str, bits: int, emit: str) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            narrow = [builder.trunc(a, ir.IntType(32)) if bits == 32 else a for a in args]
            result = getattr(builder, emit)(*narrow)
            return builder.zext(result, ir.IntType(64)) if bits == 32 else result

        def typer(context: Any, a: Any, n: Any) -> Any:
            return types.int64(types.int64, types.int64), codegen

        typer.__name__ = typer.__qualname__ = f"{name}{bits}"
        return intrinsic(typer)

    made = {}
    for bits in WIDTHS:
        made[f"quotient{bits}"] = make("quotient", bits, "udiv")
        made[f"remainder{bits}"] = make("remainder", bits, "urem")
    return made


def _wide() -> dict[str, Any]:
    """Loads and stores of neighbouring elements, which lie at a multiple of their size."""
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    from jitgrad.codegen.intrinsics import NUMBA_TYPES

    def place(builder: Any, array: Any, at: Any, lanes: int, element: Any) -> Any:
        vector = ir.VectorType(element, lanes)
        return builder.bitcast(builder.gep(array, [at]), vector.as_pointer())

    def load(code: str, lanes: int) -> Any:
        item = NUMBA_TYPES[code]

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            where = place(builder, args[0], args[1], lanes, context.get_value_type(item))
            vector = builder.load(where, align=lanes * item.bitwidth // 8)
            index = ir.IntType(32)
            parts = [builder.extract_element(vector, index(k)) for k in range(lanes)]
            return context.make_tuple(builder, signature.return_type, parts)

        def typer(context: Any, array: Any, at: Any) -> Any:
            return types.UniTuple(item, lanes)(types.CPointer(item), types.int64), codegen

        typer.__name__ = typer.__qualname__ = f"load{lanes}_{code}"
        return intrinsic(typer)

    def store(code: str, lanes: int) -> Any:
        item = NUMBA_TYPES[code]

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            element = context.get_value_type(item)
            where = place(builder, args[0], args[1], lanes, element)
            vector: Any = ir.Constant(ir.VectorType(element, lanes), ir.Undefined)
            for k, value in enumerate(args[2:]):
                vector = builder.insert_element(vector, value, ir.IntType(32)(k))
            builder.store(vector, where, align=lanes * item.bitwidth // 8)
            return context.get_dummy_value()

        given = types.CPointer(item), types.int64, *[item] * lanes
        typers = {
            2: lambda context, array, at, a, b: (types.void(*given), codegen),
            4: lambda context, array, at, a, b, c, d: (types.void(*given), codegen),
        }
        typer = typers[lanes]
        typer.__name__ = typer.__qualname__ = f"store{lanes}_{code}"
        return intrinsic(typer)

    pairs = [(code, lanes) for code in CODES for lanes in LANES]
    loads = {f"load{lanes}_{code}": load(code, lanes) for code, lanes in pairs}
    return loads | {f"store{lanes}_{code}": store(code, lanes) for code, lanes in pairs}
