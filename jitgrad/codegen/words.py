"""Native functions over 64-bit words, in the syntax of Python, compiled without Numba.

The runtime needs a few functions that deal in addresses, tables of words, calls by address and
atomic operations. Their texts look like kernels, but every value in them is a word (an int64), and
`table[k]` is word k of the table at an address. There is no type to infer, so this small translator
does what Numba does for kernels, in a tenth of the time and without importing it.

    statements   assignment, `if`, `while`, `for k in range(...)`, `break`, `return`, calls
    expressions  + - * & << >>, // (of what is not negative), comparisons, `and`, `or`, `not`,
                 `a if c else b`, and the functions of `FUNCTIONS`
"""

from __future__ import annotations

import ast
import contextlib
import platform
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llvmlite import ir

from jitgrad.codegen import native
from jitgrad.codegen.native import symbol_of

WORD = ir.IntType(64)
ORDER = "seq_cst"
# How a thread says that it waits: LLVM's function for a machine, and its arguments.
_X86, _ARM = ("llvm.x86.sse2.pause",), ("llvm.aarch64.hint", 1)
PAUSES = {"x86_64": _X86, "amd64": _X86, "aarch64": _ARM, "arm64": _ARM}

BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.FloorDiv: "sdiv", ast.BitAnd: "and_",
    ast.LShift: "shl", ast.RShift: "ashr",
}  # fmt: skip
COMPARED = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


def _place(builder: ir.IRBuilder, table: Any, k: Any) -> Any:
    """A pointer to word k of a table."""
    return builder.inttoptr(builder.add(table, builder.mul(k, WORD(8))), WORD.as_pointer())


def _stack(builder: ir.IRBuilder, words: Any) -> Any:
    return builder.ptrtoint(builder.alloca(WORD, words), WORD)


def _call(builder: ir.IRBuilder, address: Any, *args: Any) -> Any:
    kind = ir.FunctionType(WORD, [WORD] * len(args))
    return builder.call(builder.inttoptr(address, kind.as_pointer()), args)


def _replace(builder: ir.IRBuilder, table: Any, k: Any, old: Any, new: Any) -> Any:
    found = builder.cmpxchg(_place(builder, table, k), old, new, ORDER, ORDER)
    return builder.extract_value(found, 0)


def _store(builder: ir.IRBuilder, table: Any, k: Any, value: Any) -> Any:
    builder.store_atomic(value, _place(builder, table, k), ORDER, 8)
    return value


def _pause(builder: ir.IRBuilder) -> Any:
    name, *given = PAUSES.get(platform.machine().lower(), [""])
    if name:
        int32 = ir.IntType(32)
        hint = builder.module.globals.get(name)
        if hint is None:
            kind = ir.FunctionType(ir.VoidType(), [int32] * len(given))
            hint = ir.Function(builder.module, kind, name)
        builder.call(hint, [int32(g) for g in given])
    return WORD(0)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "at": lambda b, table, k: b.add(table, b.mul(k, WORD(8))),  # the table from word k on
    "stack": _stack,  # a table of so many words, until the function returns
    "call": _call,  # a C function at an address, of words
    "pause": _pause,
    "atomic_load": lambda b, t, k: b.load_atomic(_place(b, t, k), ORDER, 8),
    "atomic_store": _store,
    # These return what the word was.
    "atomic_add": lambda b, t, k, x: b.atomic_rmw("add", _place(b, t, k), x, ORDER),
    "atomic_exchange": lambda b, t, k, x: b.atomic_rmw("xchg", _place(b, t, k), x, ORDER),
    "atomic_replace": _replace,
}


class Translator(ast.NodeVisitor):
    """One function. Variables live in slots on the stack, which LLVM turns into registers."""

    def __init__(self, node: ast.FunctionDef, symbol: str):
        names = [a.arg for a in node.args.args]
        self.module = ir.Module("words")
        function = ir.Function(self.module, ir.FunctionType(WORD, [WORD] * len(names)), symbol)
        self.begin(function)
        for name, value in zip(names, function.args, strict=True):
            self.builder.store(value, self.slot(name))
        self.end(node.body)

    def begin(self, function: ir.Function) -> None:
        self.entry = function.append_basic_block()
        self.builder = ir.IRBuilder(function.append_basic_block())
        self.start = self.builder.block
        self.slots: dict[str, Any] = {}
        self.ends: list[Any] = []  # where `break` goes

    def end(self, body: Sequence[ast.stmt]) -> None:
        self.run(body)
        if not self.is_over():
            self.leave()
        ir.IRBuilder(self.entry).branch(self.start)

    def leave(self) -> None:
        """Return from a function that returns nothing."""
        self.builder.ret(WORD(0))

    def is_over(self) -> bool:
        """Whether the current block already goes elsewhere."""
        block: Any = self.builder.block
        return block.is_terminated

    def slot(self, name: str) -> Any:
        if name not in self.slots:
            builder = ir.IRBuilder(self.entry)
            self.slots[name] = builder.alloca(WORD)
        return self.slots[name]

    def run(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            if self.is_over():
                return
            self.visit(statement)

    def generic_visit(self, node: ast.AST) -> Any:
        raise SyntaxError(f"not in the language of words: {ast.unparse(node)}")

    # --- statements -----------------------------------------------------------------------------

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.builder.store(value, self.slot(target.id))
        elif isinstance(target, ast.Subscript):
            self.builder.store(value, self.element(target))
        else:
            self.generic_visit(target)

    def element(self, node: ast.Subscript) -> Any:
        return _place(self.builder, self.visit(node.value), self.visit(node.slice))

    def visit_Assign(self, node: ast.Assign) -> None:
        (target,) = node.targets
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            values = [self.visit(v) for v in node.value.elts]
            for one, value in zip(target.elts, values, strict=True):
                self.assign(one, value)
        else:
            self.assign(target, self.visit(node.value))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.assign(node.target, self.visit(ast.BinOp(node.target, node.op, node.value)))

    def visit_Expr(self, node: ast.Expr) -> None:
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self.leave()
        else:
            self.builder.ret(self.visit(node.value))

    def visit_Break(self, node: ast.Break) -> None:
        self.builder.branch(self.ends[-1])

    def visit_Pass(self, node: ast.Pass) -> None:
        pass

    def visit_If(self, node: ast.If) -> None:
        yes, no, end = (self.builder.append_basic_block() for _ in range(3))
        self.builder.cbranch(self.truth(node.test), yes, no)
        with self.either() as branch:
            for block, body in ((yes, node.body), (no, node.orelse)):
                self.builder.position_at_end(block)
                self.run(body)
                branch()
                self.go(end)
        self.builder.position_at_end(end)

    @contextlib.contextmanager
    def either(self) -> Iterator[Callable[[], None]]:
        """Around code of which one of several branches runs; to be called after each."""
        yield lambda: None

    def visit_While(self, node: ast.While) -> None:
        self.loop(lambda: self.truth(node.test), node.body, lambda: None)

    def visit_For(self, node: ast.For) -> None:
        given = node.iter
        if not isinstance(given, ast.Call) or not isinstance(given.func, ast.Name):
            return self.generic_visit(node)
        first, last = ([WORD(0)] + [self.visit(a) for a in given.args])[-2:]
        counter = ir.IRBuilder(self.entry).alloca(WORD)  # the body may change the variable
        self.builder.store(first, counter)

        def begin() -> Any:
            here = self.builder.load(counter)
            self.assign(node.target, here)
            return self.builder.icmp_signed("<", here, last)

        def step() -> None:
            following = self.builder.add(self.builder.load(counter), WORD(1))
            self.builder.store(following, counter)

        return self.loop(begin, node.body, step)

    def loop(
        self, test: Callable[[], Any], body: Sequence[ast.stmt], step: Callable[[], None]
    ) -> None:
        head, inside, end = (self.builder.append_basic_block() for _ in range(3))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(test(), inside, end)
        self.builder.position_at_end(inside)
        self.ends.append(end)
        self.run(body)
        self.ends.pop()
        if not self.is_over():
            step()
        self.go(head)
        self.builder.position_at_end(end)

    def go(self, block: Any) -> None:
        if not self.is_over():
            self.builder.branch(block)

    # --- expressions ----------------------------------------------------------------------------

    def truth(self, node: ast.expr) -> Any:
        value = self.visit(node)
        return self.builder.icmp_signed("!=", value, WORD(0))

    def visit_Constant(self, node: ast.Constant) -> Any:
        return WORD(int(node.value)) if isinstance(node.value, int) else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id not in self.slots:
            raise SyntaxError(f"{node.id} has no value")
        return self.builder.load(self.slots[node.id])

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        return self.builder.load(self.element(node))

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        left, right = self.visit(node.left), self.visit(node.right)
        return getattr(self.builder, BINARY[type(node.op)])(left, right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            value = self.builder.icmp_signed("==", self.visit(node.operand), WORD(0))
            return self.builder.zext(value, WORD)
        return self.builder.neg(self.visit(node.operand))

    def visit_Compare(self, node: ast.Compare) -> Any:
        (op,), (other,) = node.ops, node.comparators
        found = self.builder.icmp_signed(
            COMPARED[type(op)], self.visit(node.left), self.visit(other)
        )
        return self.builder.zext(found, WORD)

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        first, *others = node.values
        if not others:
            return self.visit(first)
        rest = ast.BoolOp(node.op, others)
        if isinstance(node.op, ast.And):
            return self.choose(first, rest, ast.Constant(False))
        return self.choose(first, ast.Constant(True), rest)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        return self.choose(node.test, node.body, node.orelse)

    def choose(self, test: ast.expr, yes: ast.expr, no: ast.expr) -> Any:
        """One of two values, of which only that one is computed."""
        result = ir.IRBuilder(self.entry).alloca(WORD)
        blocks = [self.builder.append_basic_block() for _ in range(3)]
        self.builder.cbranch(self.truth(test), *blocks[:2])
        for block, value in zip(blocks, (yes, no), strict=False):
            self.builder.position_at_end(block)
            self.builder.store(self.visit(value), result)
            self.builder.branch(blocks[2])
        self.builder.position_at_end(blocks[2])
        return self.builder.load(result)

    def visit_Call(self, node: ast.Call) -> Any:
        assert isinstance(node.func, ast.Name)
        if node.func.id not in FUNCTIONS:
            return self.generic_visit(node)
        return FUNCTIONS[node.func.id](self.builder, *[self.visit(a) for a in node.args])


def llvm_text(source: str) -> str:
    """The LLVM module of a text that defines one function."""
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    return str(Translator(node, symbol_of(source)).module)


def compile_words(source: str) -> tuple[str, bytes]:
    """The symbol and the object code of a text."""
    module = native.optimized(llvm_text(source), symbol_of(source))
    return symbol_of(source), native.target_machine().emit_object(module)
