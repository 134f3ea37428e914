"""The functions that kernels call instead of holding them: ``table.CALLED``.

A long function inlined at each of its uses costs compile time at each.  Such functions are only
declared while a kernel is optimized, together with the names of their versions for vectors
(LLVM's ``vector-function-abi-variant``), to which the loop vectorizer turns calls.  What is called
in the end is defined afterwards: one body for the machine's widest vectors, in which rare cases may
branch (``lang.patched``), and for fewer lanes and for scalars a few instructions around it. Where a
kernel has no vectors, the body is one for scalars.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

from llvmlite import ir

from jitgrad.codegen.vecmath import llvm, table

LANES = {"f32": (2, 4, 8, 16), "f64": (2, 4, 8)}
DECLARED = re.compile(r'^declare (?:float|double) @"?(jitgrad_(\w+)_(f32|f64))"?\((.*)\)', re.M)
CALLED = re.compile(r"call [^\n]*@jitgrad_(\w+_f(?:32|64))(?:_x(\d+))?\(")
PURE = "nounwind willreturn nosync nofree memory(none)"


def declare(text: str) -> str:
    """A module's text in which the declared functions have their versions for vectors."""
    versions: list[str] = []

    def declaration(match: re.Match[str]) -> str:
        symbol, _, dtype, parameters = match.groups()
        arity = parameters.count(",") + 1
        scalar = "float" if dtype == "f32" else "double"
        mangled = []
        for lanes in LANES[dtype]:
            version = f"{symbol}_x{lanes}"
            mangled.append(f"_ZGV_LLVM_N{lanes}{'v' * arity}_{symbol}({version})")
            vector = f"<{lanes} x {scalar}>"
            operands = ", ".join([vector] * arity)
            versions.append(f"declare {vector} @{version}({operands}) {PURE}\n")
            names.append(version)
        abi = ",".join(mangled)
        return f'{match[0]} {PURE} "vector-function-abi-variant"="{abi}"'

    names: list[str] = []
    text = DECLARED.sub(declaration, text)
    if not names:
        return text
    used = ", ".join(f"ptr @{name}" for name in names)  # lest they are removed before their time
    keep = f'[{len(names)} x ptr] [{used}], section "llvm.metadata"'
    return f"{text}\n{''.join(versions)}@llvm.compiler.used = appending global {keep}\n"


def define(module: Any, bits: int) -> None:
    """Link the functions that an optimized module calls into it, on vectors of ``bits`` bits; on
    scalars those that it calls on nothing else.
    """
    import llvmlite.binding as binding

    called = {(name, int(lanes or 1)) for name, lanes in CALLED.findall(str(module))}
    on_vectors = {name for name, lanes in called if lanes > 1}
    bodies = {(name, bits // int(name[-2:]) if name in on_vectors else 1) for name, _ in called}
    for name, lanes in sorted(bodies):
        module.link_in(binding.parse_bitcode(_body(name, lanes)))
    if called - bodies:
        module.link_in(binding.parse_assembly(_around(called - bodies, bits)))
    for name, lanes in called | bodies:
        module.get_function(_symbol(name, lanes)).linkage = "internal"


def scalar(name: str) -> Any:
    """A module that defines a function on scalars."""
    import llvmlite.binding as binding

    return binding.parse_bitcode(_body(name, 1))


def _symbol(name: str, lanes: int) -> str:
    return f"jitgrad_{name}" if lanes == 1 else f"jitgrad_{name}_x{lanes}"


def _function(module: ir.Module, name: str, lanes: int) -> ir.Function:
    _, arity, dtype = table.functions()[name]
    ty = llvm.type_of("f", int(dtype[1:]), lanes)
    fn = ir.Function(module, ir.FunctionType(ty, [ty] * arity), _symbol(name, lanes))
    fn.attributes.add("nounwind")
    return fn


@functools.cache
def _body(name: str, lanes: int) -> bytes:
    """The optimized bitcode of a function."""
    from jitgrad.codegen import native

    function, _, dtype = table.functions()[name]
    width, module = int(dtype[1:]), ir.Module()
    fn = _function(module, name, lanes)
    b = ir.IRBuilder(fn.append_basic_block())
    b.ret(function(*(llvm.Traced(b, a, "f", width, lanes) for a in fn.args)).ir)
    return native.simplified(str(module)).as_bitcode()


def _around(called: Iterable[tuple[str, int]], bits: int) -> str:
    """Versions for other numbers of lanes, around the one that fills ``bits`` bits."""
    module = ir.Module()
    for name, lanes in sorted(called):
        full = bits // int(name[-2:])
        known = module.globals.get(_symbol(name, full))
        inner = known if known is not None else _function(module, name, full)
        fn = _function(module, name, lanes)
        b = ir.IRBuilder(fn.append_basic_block())
        parts = [b.call(inner, [_lanes(b, a, k, full) for a in fn.args])
                 for k in range(0, lanes, full)]  # fmt: skip
        b.ret(_joined(b, parts, lanes))
    return str(module)


def _lanes(b: ir.IRBuilder, a: Any, start: int, full: int) -> Any:
    """``full`` lanes of a from ``start`` on, the last one repeated; of a scalar, copies."""
    if not isinstance(a.type, ir.VectorType):
        one = b.insert_element(ir.Constant(ir.VectorType(a.type, full), ir.Undefined), a, _i32(0))
        return _shuffled(b, one, one, [0] * full)
    last = a.type.count - 1
    return _shuffled(b, a, a, [min(start + k, last) for k in range(full)])


def _joined(b: ir.IRBuilder, parts: list[Any], lanes: int) -> Any:
    """The first lanes of the parts, one after the other."""
    if lanes == 1:
        return b.extract_element(parts[0], _i32(0))
    while len(parts) > 1:
        size = parts[0].type.count
        parts = [_shuffled(b, p, q, list(range(2 * size))) for p, q in zip(parts[::2], parts[1::2])]
    return _shuffled(b, parts[0], parts[0], list(range(lanes)))


def _shuffled(b: ir.IRBuilder, p: Any, q: Any, picks: list[int]) -> Any:
    return b.shuffle_vector(p, q, ir.Constant(ir.VectorType(ir.IntType(32), len(picks)), picks))


def _i32(k: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), k)
