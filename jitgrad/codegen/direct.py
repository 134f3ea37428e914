"""Kernels straight from their text to LLVM, without Numba.

Most kernels are made of numbers of known types, pointers, loops and calls of functions whose types
are known (`jitgrad.codegen.functions`). Their types follow from the text line by line, and Numba's
analysis would take ten times as long to find the same. The rules are Numba's: what is computed of
integers has 64 bits, `//` and `%` round down, and nothing is converted without being asked.

Kernels that call anything else (`knows` says so) go through Numba.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from jitgrad.codegen import machine
from jitgrad.codegen.functions import Function, kind_of, type_of
from jitgrad.codegen.native import WIDEST
from jitgrad.codegen.places import declare_distinct
from jitgrad.codegen.vecmath import emit, llvm, table
from jitgrad.codegen.words import Translator
from jitgrad.errors import IRError

WORD, BIT = ir.IntType(64), ir.IntType(1)
PARAMETERS = {"P": "*i64", "i": "i64"}
ARITHMETIC = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and", ast.BitOr: "or",
    ast.BitXor: "xor", ast.LShift: "lshift", ast.RShift: "rshift",
}  # fmt: skip
COMPARED = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
}  # fmt: skip
UNCLEAR = "unclear"
CONSTANTS = {"inf": math.inf, "nan": math.nan}


@dataclass(frozen=True, slots=True)
class Typed:
    """A value and its type. `literal`: the number, if the text has it."""

    ir: Any
    code: str
    literal: int | None = None


@functools.cache
def functions() -> dict[str, Function]:
    """All functions that texts may call here."""
    casts = {d: emit.functions()[f"to_{d}"] for d in table.DTYPES if d != "bool"}
    return {**emit.functions(), **machine.functions(), **casts}


def parsed(source: str) -> ast.FunctionDef:
    """The function that a text defines."""
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    return node


def knows(node: ast.FunctionDef) -> bool:
    """Whether a kernel calls nothing but functions of this table."""
    known = functions()
    called = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
    return all(isinstance(f, ast.Name) and (f.id == "range" or f.id in known) for f in called)


def lowered(node: ast.FunctionDef, signature: Sequence[str], symbol: str) -> str:
    """The LLVM module of a kernel, whose function is `symbol`."""
    kernel = Kernel(node, [PARAMETERS[letter] for letter in signature], symbol)
    declare_distinct(kernel.module)
    head = re.compile(rf'^(define void @"{symbol}"\(.*\))$', re.M)
    return head.sub(rf"\1 {WIDEST}", str(kernel.module))


class Kernel(Translator):
    """One kernel. A variable may change its type, but not where branches or iterations meet."""

    def __init__(self, node: ast.FunctionDef, codes: Sequence[str], symbol: str):
        self.codes: dict[str, str] = {}  # of variables, as they are now
        names = [a.arg for a in node.args.args]
        self.module = ir.Module("kernel")
        kind = ir.FunctionType(ir.VoidType(), [type_of(c) for c in codes])
        function = ir.Function(self.module, kind, symbol)
        self.begin(function)
        for name, value, code in zip(names, function.args, codes, strict=True):
            self.assign(ast.Name(name), Typed(value, code))
        self.end(node.body)

    def leave(self) -> None:
        self.builder.ret_void()

    # --- values ---------------------------------------------------------------------------------

    def word(self, number: int) -> Typed:
        return Typed(WORD(number), "i64", number)

    def traced(self, value: Typed) -> llvm.Traced:
        if value.code.startswith("*") or not value.code:
            raise IRError(f"a kernel computes with a value of type {value.code or 'nothing'}")
        return llvm.Traced(self.builder, value.ir, *kind_of(value.code))

    def typed(self, value: llvm.Traced) -> Typed:
        return Typed(value.ir, "bool" if value.kind == "b" else f"{value.kind}{value.width}")

    def converted(self, value: Typed, code: str) -> Typed:
        if value.code == code:
            return value
        return self.typed(llvm.convert(self.traced(value), *kind_of(code)))

    def alike(self, a: Typed, b: Typed) -> tuple[llvm.Traced, llvm.Traced]:
        """Two operands as one type: integers with 64 bits."""
        if a.code != b.code or a.code[0] in "iu":
            code = self.common(a, b)
            a, b = self.converted(a, code), self.converted(b, code)
        return self.traced(a), self.traced(b)

    def common(self, a: Typed, b: Typed) -> str:
        kinds = {a.code[0], b.code[0]}
        if kinds <= {"i", "u"}:
            longest = {v.code for v in (a, b)} & {"u64"}
            natural = all(v.code[0] == "u" or (v.literal or -1) >= 0 for v in (a, b))
            if kinds == {"u"} or (longest and natural):
                return "u64"
            if not longest:
                return "i64"
        raise IRError(f"a kernel computes with {a.code} and {b.code} at once")

    # --- variables and elements -----------------------------------------------------------------

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.codes[target.id] = value.code
            self.builder.store(value.ir, self.slot(target.id))
        elif isinstance(target, ast.Subscript):
            place, code = self.element(target)
            if value.code != code:
                value = self.number(value, code)
            self.builder.store(value.ir, place)
        else:
            self.generic_visit(target)

    def number(self, value: Typed, code: str) -> Typed:
        """A value as it is stored among others: integers are cut to size."""
        if code[0] in "iu" and value.code[0] in "iub":
            return self.converted(value, code)
        raise IRError(f"a kernel stores {value.code} among {code}")

    def slot(self, name: str) -> Any:
        code = self.codes[name]
        if code == UNCLEAR:
            raise IRError(f"{name} is of one type or another")
        key = f"{name} {code}"
        if key not in self.slots:
            self.slots[key] = self.room(code)
        return self.slots[key]

    def room(self, code: str) -> Any:
        return ir.IRBuilder(self.entry).alloca(type_of(code))

    def element(self, node: ast.Subscript) -> Any:
        array, index = self.visit(node.value), self.visit(node.slice)
        if not array.code.startswith("*"):
            raise IRError(f"{ast.unparse(node.value)} is no array")
        code = array.code[1:]
        index = self.converted(index, "i64")
        return self.builder.gep(array.ir, [index.ir], source_etype=type_of(code)), code

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.codes:
            code = self.codes[node.id]
            return Typed(self.builder.load(self.slot(node.id), typ=type_of(code)), code)
        if node.id in CONSTANTS:
            return Typed(ir.Constant(ir.DoubleType(), CONSTANTS[node.id]), "f64")
        raise IRError(f"{node.id} has no value")

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        place, code = self.element(node)
        return Typed(self.builder.load(place, typ=type_of(code)), code)

    # --- expressions ----------------------------------------------------------------------------

    def truth(self, node: ast.expr) -> Any:
        return self.converted(self.visit(node), "bool").ir

    def visit_Constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, bool):
            return Typed(BIT(int(node.value)), "bool")
        if isinstance(node.value, int):
            return self.word(node.value)
        return Typed(ir.Constant(ir.DoubleType(), node.value), "f64")

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, (ast.FloorDiv, ast.Mod)):
            return self.divided(*self.alike(left, right), isinstance(node.op, ast.Mod))
        a, b = self.alike(left, right)
        if isinstance(node.op, ast.Div):
            if a.kind != "f":
                raise IRError("a kernel divides integers by /")
            return self.typed(a / b)
        return self.typed(a.apply(ARITHMETIC[type(node.op)], a, b))

    def divided(self, a: llvm.Traced, b: llvm.Traced, rest: bool) -> Typed:
        """a // b or a % b, rounded down; 0 where b is."""
        if a.kind == "f":
            raise IRError("a kernel divides floats by //")
        zero: Any = b == 0

        def either(test: Any, yes: Any, no: llvm.Traced) -> llvm.Traced:
            return a.make(self.builder.select(test.ir, a.lift(yes).ir, no.ir))

        safe = either(zero, 1, b)
        quotient, remainder = a // safe, a % safe
        if a.kind == "i":
            off = (remainder != 0) & ((remainder ^ safe) < 0)
            quotient = either(off, quotient - 1, quotient)
            remainder = either(off, remainder + safe, remainder)
        return self.typed(either(zero, 0, remainder if rest else quotient))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return Typed(self.builder.not_(self.truth(node.operand)), "bool")
        value = self.visit(node.operand)
        if value.literal is not None and isinstance(node.op, ast.USub):
            return self.word(-value.literal)
        if value.code[0] in "iu":
            value = self.converted(value, f"{value.code[0]}64")
        if isinstance(node.op, ast.Invert):
            return Typed(self.builder.not_(value.ir), value.code)
        return self.typed(-self.traced(value))

    def visit_Compare(self, node: ast.Compare) -> Any:
        (op,), (other,) = node.ops, node.comparators
        left, right = self.visit(node.left), self.visit(other)
        if left.code == right.code:
            a, b = self.traced(left), self.traced(right)
        else:
            a, b = self.alike(left, right)
        return self.typed(a.apply(COMPARED[type(op)], a, b))

    def choose(self, test: ast.expr, yes: ast.expr, no: ast.expr) -> Any:
        """One of two values, of which only that one is computed."""
        blocks = [self.builder.append_basic_block() for _ in range(3)]
        self.builder.cbranch(self.truth(test), *blocks[:2])
        values, ends = [], []
        for block, branch in zip(blocks, (yes, no), strict=False):
            self.builder.position_at_end(block)
            values.append(self.visit(branch))
            ends.append(self.builder.block)
        if values[0].code != values[1].code:
            raise IRError(f"either {values[0].code} or {values[1].code}: {ast.unparse(test)}")
        for end in ends:
            ir.IRBuilder(end).branch(blocks[2])
        self.builder.position_at_end(blocks[2])
        chosen = self.builder.phi(type_of(values[0].code))
        for value, end in zip(values, ends, strict=True):
            chosen.add_incoming(value.ir, end)
        return Typed(chosen, values[0].code)

    def visit_Call(self, node: ast.Call) -> Any:
        assert isinstance(node.func, ast.Name)
        function = functions()[node.func.id]
        given = [self.visit(a) for a in node.args]
        numbers = [f"={g.literal}" for g in given[: function.literals]]
        codes = (*numbers, *[g.code for g in given[function.literals :]])
        result = function.rule(codes) if len(given) == function.arity else None
        if result is None:
            raise IRError(f"{node.func.id} does not take {', '.join(codes)}")
        return Typed(function.emit(self.builder, [g.ir for g in given], codes), result)

    # --- where ways part ------------------------------------------------------------------------

    @contextlib.contextmanager
    def either(self) -> Iterator[Callable[[], None]]:
        """Branches begin with the same types; a variable that two leave with others is unclear."""
        before, after = dict(self.codes), []

        def branch() -> None:
            if not self.is_over():
                after.append(self.codes)
            self.codes = dict(before)

        yield branch
        merged = dict(after[0]) if after else before
        for codes in after[1:]:
            for name, code in codes.items():
                same = merged.setdefault(name, code) == code
                merged[name] = code if same else UNCLEAR
        self.codes = merged

    def loop(
        self, test: Callable[[], Any], body: Sequence[ast.stmt], step: Callable[[], None]
    ) -> None:
        """A loop; a variable from before it must come out of an iteration with its type."""
        before = dict(self.codes)
        super().loop(test, body, step)
        changed = [name for name, code in before.items() if self.codes[name] != code]
        if changed:
            raise IRError(f"{', '.join(changed)} changes its type in a loop")

    def counted(self, given: Sequence[ast.expr]) -> tuple[Typed, Typed, Typed]:
        """First, limit and step of a range, as words."""
        words = [self.converted(self.visit(a), "i64") for a in given]
        first, last = ([self.word(0)] + words[:2])[-2:]
        return first, last, words[2] if len(words) > 2 else self.word(1)

    def visit_For(self, node: ast.For) -> Any:
        assert isinstance(node.iter, ast.Call)
        first, last, step = self.counted(node.iter.args)
        counter = self.room("i64")  # the body may change the variable
        self.builder.store(first.ir, counter)
        down = step.literal is not None and step.literal < 0

        def begin() -> Any:
            here = self.builder.load(counter, typ=WORD)
            self.assign(node.target, Typed(here, "i64"))
            return self.builder.icmp_signed(">" if down else "<", here, last.ir)

        def advance() -> None:
            builder: Any = self.builder
            here = builder.load(counter, typ=WORD)
            builder.store(builder.add(here, step.ir, flags=("nsw",)), counter)

        return self.loop(begin, node.body, advance)
