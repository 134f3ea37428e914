"""Scalar expressions: an op's declared text, written for one dtype.

This is the only place that writes literals and casts, because Numba widens silently: a bare 0.5
makes double arithmetic, and int32 + int32 is int64.
"""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Sequence

import numpy as np

from jitgrad import config
from jitgrad.codegen.vecmath.table import NAMES
from jitgrad.errors import IRError
from jitgrad.ir.node import Graph, Node
from jitgrad.ir.op import Op
from jitgrad.ir.types import DType, TensorType, float16, float32, float64, int64, uint64

# Names of scalar expressions that need no function: {0}, {1} are the operands.
INLINE = {
    "logical_and": "{0} & {1}",
    "logical_or": "{0} | {1}",
    "logical_xor": "{0} ^ {1}",
    "logical_not": "{0} ^ True",
    "identity": "{0}",
    "isnan": "{0} != {0}",
    "isinf": "abs_{T}({0}) == {T}(inf)",
    "isfinite": "abs_{T}({0}) < {T}(inf)",
}
# The sign of a number, by kind of dtype; nan stays nan, and that of -0.0 is 0.0.
SIGN = {
    "f": "select({0} > {T}(0), {T}(1), select({0} < {T}(0), {T}(-1), {0} + {T}(0)))",
    "i": "to_{T}({0} > {T}(0)) - to_{T}({0} < {T}(0))",
    "u": "to_{T}({0} > {T}(0))",
}
# Shifts by all bits or more (or by less than none) leave nothing, or the sign.
SHIFTS = {
    (ast.LShift, "i"): "select(to_u64({1}) < u64(64), to_{T}({0} << {1}), {T}(0))",
    (ast.LShift, "u"): "select(to_u64({1}) < u64(64), to_{T}({0} << {1}), {T}(0))",
    (ast.RShift, "i"): "to_{T}({0} >> select(to_u64({1}) < u64(64), {1}, {T}(63)))",
    (ast.RShift, "u"): "select(to_u64({1}) < u64(64), to_{T}({0} >> {1}), {T}(0))",
}
# One function for all dtypes, resolved by its operands.
GENERIC = frozenset({"select"})


def working(dtype: DType) -> DType:
    """The dtype a kernel computes in: float16 is only stored."""
    return float32 if dtype is float16 else dtype


def literal(value: np.ndarray, dtype: DType) -> str:
    """A number in a dtype's own width."""
    if dtype.kind == "b":
        return str(bool(value))
    if dtype.is_int:
        return f"{int(value)}" if dtype is int64 else f"{dtype.code}({int(value)})"
    number = float(value)
    code = working(dtype).code
    if math.isnan(number):
        return f"{code}(nan)"
    if math.isinf(number):
        return f"{code}(inf)" if number > 0 else f"-{code}(inf)"
    return f"{code}({_shortest(value, working(dtype))})"


def number(value: np.ndarray, op: Op, dtype: DType) -> int | None:
    """The bits of a number that is a parameter of the kernel, so that other learning rates and
    sizes need no other kernel; None if it stays in the text: where machine code depends on it. It
    does for functions, and for numbers of two significant bits at most, such as 0, 2 and 0.75.
    """
    if dtype.kind != "f" or not isinstance(_tree(op.scalar or "x"), (ast.BinOp, ast.Compare)):
        return None
    width = working(dtype)
    real = float(width.numpy.type(value))
    if not math.isfinite(real) or (4 * math.frexp(real)[0]).is_integer():
        return None
    return int(width.numpy.type(real).view(f"i{width.size}"))


def of_bits(name: str, dtype: DType) -> str:
    """The number whose bits a parameter has."""
    return f"number_{working(dtype).code}({name})"


def _shortest(value: np.ndarray, dtype: DType) -> str:
    """The shortest decimal that is still this number after rounding through a double."""
    short = str(dtype.numpy.type(value))
    exact = dtype.numpy.type(float(short)) == dtype.numpy.type(value)
    return short if exact else repr(float(value))


def convert(text: str, source: DType, target: DType) -> str:
    """Cast a value; float16 rounds but stays in a float32 register."""
    if source is target:
        return text
    if target is float16:
        return f"round_f16({convert(text, working(source), float32)})"
    if working(source) is target:
        return text
    return f"to_{target.code}({text})"


@functools.cache
def _tree(scalar: str) -> ast.expr:
    return ast.parse(scalar, mode="eval").body


def expression(op: Op, operands: Sequence[str], dtype: DType, result: DType) -> str:
    """The text of an elementwise op. `dtype` is that of its operands (a selector aside)."""
    names = dict(zip(op.operands, operands, strict=True))
    text = _write(_tree(op.scalar), names, dtype, outermost=True)
    if result is float16:
        return f"round_f16({text})"
    keeps_width = result in (int64, uint64) or not result.is_int
    if keeps_width or isinstance(_tree(op.scalar), ast.Call):
        return text
    return f"to_{result.code}({text})"


BINARY = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.BitAnd: "&", ast.BitOr: "|",
    ast.BitXor: "^",
}  # fmt: skip
COMPARE = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def _write(tree: ast.expr, names: dict[str, str], dtype: DType, outermost: bool = False) -> str:
    def inner(part: ast.expr) -> str:
        return _write(part, names, dtype)

    if isinstance(tree, ast.Name):
        return names[tree.id]
    if isinstance(tree, ast.Constant):
        return literal(np.asarray(tree.value), dtype)
    if isinstance(tree, ast.UnaryOp):
        text = f"-{inner(tree.operand)}"
    elif isinstance(tree, ast.BinOp) and (type(tree.op), dtype.kind) in SHIFTS:
        form = SHIFTS[type(tree.op), dtype.kind]
        return form.format(inner(tree.left), inner(tree.right), T=dtype.code)
    elif isinstance(tree, ast.BinOp):
        text = f"{inner(tree.left)} {BINARY[type(tree.op)]} {inner(tree.right)}"
    elif isinstance(tree, ast.Compare):
        text = f"{inner(tree.left)} {COMPARE[type(tree.ops[0])]} {inner(tree.comparators[0])}"
    elif isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return _call(tree.func.id, [inner(a) for a in tree.args], dtype)
    else:
        raise IRError(f"a scalar expression cannot hold {ast.dump(tree)}")
    return text if outermost else f"({text})"


def _call(name: str, operands: list[str], dtype: DType) -> str:
    if name == "invert":
        name, operands = ("logical_not", operands) if dtype.kind == "b" else (name, operands)
        if name == "invert":
            return f"to_{dtype.code}(~{operands[0]})"
    code = working(dtype).code
    if name == "sign":
        return f"to_{code}({SIGN[dtype.kind].format(*operands, T=code)})"
    if name in INLINE:
        return INLINE[name].format(*operands, T=code)
    if name in GENERIC:
        return f"{name}({', '.join(operands)})"
    if config.get("math") == "fast" and f"fast_{name}_{code}" in NAMES:
        name = f"fast_{name}"
    return f"{name}_{code}({', '.join(operands)})"


# Accumulation: identity, the step in a register (any order of a float sum is right, and only
# then can LLVM vectorize it), and the step in memory.
MONOIDS: dict[str, tuple[str, str, str]] = {
    "reduce_sum": ("zero", "add_reassoc", "{0} + {1}"),
    "reduce_prod": ("one", "mul_reassoc", "{0} * {1}"),
    "reduce_max": ("lowest", "max_reassoc", "maximum"),
    "reduce_min": ("highest", "min_reassoc", "minimum"),
    "reduce_any": ("zero", "{0} | {1}", "{0} | {1}"),
    "reduce_all": ("one", "{0} & {1}", "{0} & {1}"),
}


# Reductions into which an op's result may go without being rounded first: a multiply-add.
UNROUNDED: dict[str, tuple[str, str]] = {"reduce_sum": ("mul", "mul_reassoc")}


def unrounded(body: Graph) -> set[Node]:
    """Products that are only summed."""
    users: dict[Node, list[Node | None]] = {o: [None] for o in body.outputs}
    for node in body.nodes:
        for i in node.inputs:
            users.setdefault(i, []).append(node)
    return {
        node
        for node, using in users.items()
        if isinstance(node.type, TensorType)
        and node.dtype in (float32, float64)
        and all(u is not None and UNROUNDED.get(u.op.name, ("",))[0] == node.op.name for u in using)
    }


def product(node: Node, operands: Sequence[str]) -> str:
    """The text of a product that goes into a sum unrounded."""
    forms = dict(UNROUNDED.values())
    return f"{forms[node.op.name]}_{node.dtype.code}({', '.join(operands)})"


def identity_number(op: Op, dtype: DType) -> np.ndarray:
    """The number that a reduction starts from."""
    kind = MONOIDS[op.name][0]
    if kind in ("zero", "one"):
        return np.asarray(int(kind == "one"))
    if dtype.is_float:
        return np.asarray(-math.inf if kind == "lowest" else math.inf)
    info = np.iinfo(dtype.numpy)
    return np.asarray(info.min if kind == "lowest" else info.max)


def identity(op: Op, dtype: DType) -> str:
    """The literal that a reduction starts from."""
    return literal(identity_number(op, dtype), dtype)


def accumulate(op: Op, total: str, value: str, dtype: DType, in_memory: bool) -> str:
    """One step of a reduction."""
    _, register, memory = MONOIDS[op.name]
    form = memory if in_memory or not dtype.is_float else register
    if "{0}" in form:
        text = form.format(total, value)
        narrow = dtype.is_int and dtype not in (int64, uint64)
        return f"to_{dtype.code}({text})" if narrow else text
    return f"{form}_{working(dtype).code}({total}, {value})"
