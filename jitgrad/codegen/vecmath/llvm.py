"""The LLVM side of ``lang``: values that emit instructions through llvmlite's IRBuilder.

No instruction carries fast-math flags, so LLVM keeps the order and the rounding of every
operation; contraction is written out (``fma``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from jitgrad.codegen.vecmath.lang import Value

FLOATS = {32: ir.FloatType(), 64: ir.DoubleType()}
COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "truediv": "fdiv", "fmod": "frem"}
INT_OPS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "and": "and_",
    "or": "or_",
    "xor": "xor",
    "lshift": "shl",
    "shr": "lshr",
}
SIGNED_OPS = {"floordiv": "sdiv", "mod": "srem", "rshift": "ashr"}
UNSIGNED_OPS = {"floordiv": "udiv", "mod": "urem", "rshift": "lshr"}
INTRINSICS = {
    "floor": "llvm.floor",
    "ceil": "llvm.ceil",
    "trunc": "llvm.trunc",
    "rint": "llvm.rint",
    "sqrt": "llvm.sqrt",
    "absolute": "llvm.fabs",
    "copysign": "llvm.copysign",
    "fma": "llvm.fma",
}


def type_of(kind: str, width: int, lanes: int = 1) -> ir.Type:
    """The LLVM type of a kind and width, or a vector of that many lanes."""
    scalar = FLOATS[width] if kind == "f" else ir.IntType(width)
    return scalar if lanes == 1 else ir.VectorType(scalar, lanes)


class Traced(Value):
    """An LLVM value with the builder that makes more of them."""

    __slots__ = ("builder", "ir", "kind", "lanes", "width")

    def __init__(
        self, builder: ir.IRBuilder, value: Any, kind: str, width: int, lanes: int = 1
    ) -> None:
        self.builder, self.ir, self.kind, self.width = builder, value, kind, width
        self.lanes = lanes

    def make(self, value: Any, kind: str | None = None, width: int | None = None) -> Traced:
        """A result, of self's type if no other is given."""
        return type(self)(self.builder, value, kind or self.kind, width or self.width, self.lanes)

    def type(self, kind: str | None = None, width: int | None = None) -> ir.Type:
        """The LLVM type of self, or one with another kind or width."""
        return type_of(kind or self.kind, width or self.width, self.lanes)

    def lift(self, x: Any) -> Traced:
        """x, or the literal x as a constant of self's type."""
        if isinstance(x, Traced):
            if (x.kind, x.width) != (self.kind, self.width):
                raise TypeError(f"mixed types {self.kind}{self.width} and {x.kind}{x.width}")
            return x
        if self.kind == "f":
            x = float(x)
        elif not isinstance(x, int):
            raise TypeError(f"literal {x!r} meets an integer")
        return self.make(ir.Constant(self.type(), x))

    def apply(self, op: str, *args: Any) -> Any:
        b = self.builder
        special = _SPECIAL.get(op)
        if special is not None:
            return special(self, *args)
        operands = [self.lift(a).ir for a in args]
        if op in COMPARE:
            return self.make(self._compare(COMPARE[op], *operands), "b", 1)
        if self.kind == "f":
            if op in FLOAT_OPS:
                return self.make(getattr(b, FLOAT_OPS[op])(*operands))
            return self.call(INTRINSICS[op], *operands)
        name = INT_OPS.get(op) or (SIGNED_OPS if self.kind == "i" else UNSIGNED_OPS)[op]
        return self.make(getattr(b, name)(*operands))

    def call(self, intrinsic: str, *operands: Any, flags: tuple[str, ...] = ()) -> Traced:
        """Call an overloaded LLVM intrinsic on operands of self's type."""
        return self.make(self.declared(intrinsic, self.type(), operands, flags))

    def declared(
        self, intrinsic: str, result: ir.Type, operands: Sequence[Any], flags: tuple[str, ...] = ()
    ) -> Any:
        """Call an LLVM intrinsic that is overloaded on self's type."""
        vector = "" if self.lanes == 1 else f"v{self.lanes}"
        name = f"{intrinsic}.{vector}{'f' if self.kind == 'f' else 'i'}{self.width}"
        module = self.builder.module
        fn = module.globals.get(name)
        if fn is None:
            fn = ir.Function(module, ir.FunctionType(result, [o.type for o in operands]), name)
        return self.builder.call(fn, operands, fastmath=flags)

    def _compare(self, sign: str, a: Any, b: Any) -> Any:
        if self.kind == "f":
            test = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        else:
            test = self.builder.icmp_signed if self.kind == "i" else self.builder.icmp_unsigned
        return test(sign, a, b)


def _select(self: Traced, c: Traced, a: Any, b: Any) -> Traced:
    model = a if isinstance(a, Traced) else b
    return model.make(self.builder.select(c.ir, model.lift(a).ir, model.lift(b).ir))


def _extreme(self: Traced, a: Any, b: Any, which: str) -> Traced:
    a, b = self.lift(a), self.lift(b)
    if self.kind == "f":  # nsz: saves ordering the zeros, which NumPy does not do either
        return self.call(f"llvm.{which}", a.ir, b.ir, flags=("nsz",))
    sign = "s" if self.kind == "i" else "u"
    return self.call(f"llvm.{sign}{which[:3]}", a.ir, b.ir)


def _absolute(self: Traced, x: Traced) -> Traced:
    if self.kind == "f":
        return self.call("llvm.fabs", x.ir)
    return x if self.kind == "u" else _select(self, x < 0, -x, x)


def _negative(self: Traced, x: Traced) -> Traced:
    return self.make(self.builder.fneg(x.ir)) if self.kind == "f" else 0 - x


def _bits(self: Traced, x: Traced) -> Traced:
    return self.make(self.builder.bitcast(x.ir, self.type("i")), "i")


def _from_bits(self: Traced, x: Traced) -> Traced:
    return self.make(self.builder.bitcast(x.ir, self.type("f")), "f")


def _mul_high(self: Traced, x: Traced, y: Traced) -> Traced:
    b, wide = self.builder, self.type("u", 2 * self.width)
    product = b.mul(b.zext(x.ir, wide), b.zext(y.ir, wide))
    return self.make(b.trunc(b.lshr(product, ir.Constant(wide, self.width)), x.ir.type))


def _patched(
    self: Traced, usual: Traced, values: Sequence[Any], slow: Callable[[], Sequence[Any]]
) -> list[Any]:
    b = self.builder
    everywhere = usual.ir
    if usual.lanes > 1:
        everywhere = usual.declared("llvm.vector.reduce.and", ir.IntType(1), [usual.ir])
    elif "alwaysinline" in b.function.attributes:  # selects, so that a loop can become vectors
        return [_select(self, usual, v, w) for v, w in zip(values, slow())]
    start = b.block
    rare, done = (b.function.append_basic_block() for _ in range(2))
    b.cbranch(everywhere, done, rare).set_weights([1 << 20, 1])
    b.position_at_end(rare)
    mended = [_select(self, usual, v, w) for v, w in zip(values, slow())]
    end = b.block
    b.branch(done)
    b.position_at_end(done)
    results = []
    for value, other in zip(values, mended):
        phi = b.phi(value.ir.type)
        phi.add_incoming(value.ir, start)
        phi.add_incoming(other.ir, end)
        results.append(value.make(phi))
    return results


def _whole_power(self: Traced, x: Traced, y: Traced) -> Traced:
    b = self.builder
    entry = b.block
    head, step, done = (b.function.append_basic_block() for _ in range(3))
    b.branch(head)
    b.position_at_end(head)
    result, square, rest = (self.make(b.phi(x.ir.type)) for _ in range(3))
    for phi, start in ((result, self.lift(1)), (square, x), (rest, y)):
        phi.ir.add_incoming(start.ir, entry)
    b.cbranch(rest.apply("ne", rest, 0).ir, step, done)
    b.position_at_end(step)
    odd = (rest & 1) != 0
    for phi, value in (
        (result, _select(self, odd, result * square, result)),
        (square, square * square),
        (rest, rest.apply("shr", rest, 1)),
    ):
        phi.ir.add_incoming(value.ir, step)
    b.branch(head)
    b.position_at_end(done)
    return result


_SPECIAL: dict[str, Callable[..., Any]] = {
    "const": lambda self, x, literal: self.lift(literal),
    "select": _select,
    "minimum": lambda self, a, b: _extreme(self, a, b, "minimum"),
    "maximum": lambda self, a, b: _extreme(self, a, b, "maximum"),
    "absolute": _absolute,
    "neg": _negative,
    "invert": lambda self, x: self.make(self.builder.not_(x.ir)),
    "bits": _bits,
    "from_bits": _from_bits,
    "unsigned": lambda self, x: self.make(x.ir, "u"),
    "signed": lambda self, x: self.make(x.ir, "i"),
    "funnel": lambda self, a, b, n: self.call("llvm.fshl", a.ir, b.ir, n.ir),
    "mul_high": _mul_high,
    "whole_power": _whole_power,
    "rounded_float": lambda self, x: self.make(
        self.builder.sitofp(x.ir, self.type("f")), "f"),
    "patched": _patched,
    "widen": lambda self, x: self.make(self.builder.fpext(x.ir, self.type("f", 64)), "f", 64),
    "narrow": lambda self, x: self.make(self.builder.fptrunc(x.ir, self.type("f", 32)), "f", 32),
}  # fmt: skip


def convert(x: Any, kind: str, width: int) -> Any:
    """x as C and NumPy convert it on x86: floats truncate, integers wrap, to bool is ``x != 0``.

    A float outside the integer range gives what x86 gives: below 32 bits the low bits of the
    int32, uint32 the low bits of the int64, uint64 wraps negative values.
    """
    b, ty = x.builder, type_of(kind, width)
    if (x.kind, x.width) == (kind, width):
        return x
    if kind == "b":
        return x != 0
    if x.kind == "f":
        if kind == "f":
            return x.make((b.fpext if width > x.width else b.fptrunc)(x.ir, ty), "f", width)
        return _float_to_int(x, kind, width)
    if kind == "f":
        cast = b.sitofp if x.kind == "i" else b.uitofp
    elif width < x.width:
        cast = b.trunc
    elif width == x.width:
        return x.make(x.ir, kind, width)
    else:
        cast = b.sext if x.kind == "i" else b.zext
    return x.make(cast(x.ir, ty), kind, width)


def _float_to_int(x: Any, kind: str, width: int) -> Any:
    b = x.builder
    if kind == "u" and width == 64:
        big = x >= 9223372036854775808.0
        low = _select(x, big, x - 9223372036854775808.0, x)
        whole = x.make(b.fptosi(low.ir, ir.IntType(64)), "u", 64)
        return _select(x, big, whole ^ (1 << 63), whole)
    wide = 64 if (kind == "u" and width == 32) or width == 64 else 32
    return convert(x.make(b.fptosi(x.ir, ir.IntType(wide)), "i", wide), kind, width)
