"""A tiny scalar language: one text of a math function runs on NumPy values and on LLVM values.

A function of this package is ordinary Python over *values*.  A value is either a NumPy scalar or
array (reference semantics, un-jitted kernels, the CUDA simulator) or a ``Value``: an SSA value of
an LLVM function under construction (see ``llvm.Traced``).  Values have a ``kind`` -- ``"f"`` float,
``"i"`` signed, ``"u"`` unsigned, ``"b"`` boolean -- and a ``width`` in bits, understand
``+ - * / // % < <= > >= == != & | ^ ~ << >>``, and are never widened: a Python literal takes the
type of the value it meets.  ``//`` and ``%`` are C's truncating integer division.  Both arms of a
``select`` are always computed, so whatever they compute must be harmless.

Every function runs under ``np.errstate(all="ignore")`` (see ``intrinsics.namespace_python``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def _operator(name: str, swapped: bool = False) -> Callable[[Value, Any], Any]:
    def method(self: Value, other: Any) -> Any:
        return self.apply(name, other, self) if swapped else self.apply(name, self, other)

    return method


class Value:
    """An operand that records operations instead of computing; ``apply`` does the recording."""

    __slots__ = ()
    __array_ufunc__ = None  # NumPy operands leave the operation to us
    kind: str
    width: int

    def apply(self, op: str, *args: Any) -> Any:
        """Record operation ``op``; one of ``args`` is self, the others may be Python literals."""
        raise NotImplementedError

    __add__ = _operator("add")
    __radd__ = _operator("add", swapped=True)
    __sub__ = _operator("sub")
    __rsub__ = _operator("sub", swapped=True)
    __mul__ = _operator("mul")
    __rmul__ = _operator("mul", swapped=True)
    __truediv__ = _operator("truediv")
    __rtruediv__ = _operator("truediv", swapped=True)
    __floordiv__ = _operator("floordiv")
    __rfloordiv__ = _operator("floordiv", swapped=True)
    __mod__ = _operator("mod")
    __rmod__ = _operator("mod", swapped=True)
    __and__ = _operator("and")
    __rand__ = _operator("and", swapped=True)
    __or__ = _operator("or")
    __ror__ = _operator("or", swapped=True)
    __xor__ = _operator("xor")
    __rxor__ = _operator("xor", swapped=True)
    __lshift__ = _operator("lshift")
    __rlshift__ = _operator("lshift", swapped=True)
    __rshift__ = _operator("rshift")
    __rrshift__ = _operator("rshift", swapped=True)
    __lt__ = _operator("lt")
    __le__ = _operator("le")
    __gt__ = _operator("gt")
    __ge__ = _operator("ge")
    __eq__ = _operator("eq")  # type: ignore[assignment]
    __ne__ = _operator("ne")  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> Any:
        return self.apply("neg", self)

    def __invert__(self) -> Any:
        return self.apply("invert", self)


def _traced(*args: Any) -> Value | None:
    return next((a for a in args if isinstance(a, Value)), None)


def _literal(x: Any) -> bool:
    return type(x) in (int, float)  # np.float64 is a subclass of float, but no literal


def kind(x: Any) -> str:
    """``"f"``, ``"i"``, ``"u"`` or ``"b"``."""
    return x.kind if isinstance(x, Value) else x.dtype.kind


def width(x: Any) -> int:
    """Bits of x's type: 32 or 64 for floats."""
    return x.width if isinstance(x, Value) else 8 * x.dtype.itemsize


def pick(x: Any, for32: Any, for64: Any) -> Any:
    """The constant or table that belongs to x's width."""
    return for32 if width(x) == 32 else for64


def const(x: Any, literal: float) -> Any:
    """The literal as a value of x's type."""
    return x.apply("const", x, literal) if isinstance(x, Value) else x.dtype.type(literal)


def has_doubles(x: Any) -> bool:
    """Whether float64 costs about what float32 does where x is computed with."""
    return getattr(x, "doubles", True)


def select(c: Any, a: Any, b: Any) -> Any:
    """a where c else b. A literal takes the type of the other, unless that is a plain int."""
    v = _traced(c, a, b)
    if v is not None:
        return v.apply("select", c, a, b)
    if _literal(a) is not _literal(b):
        a, b = (const(b, a), b) if _literal(a) else (a, const(a, b))
    if np.ndim(c) == 0:
        return a if c else b
    return np.where(c, a, b)


def patched(usual: Any, values: Sequence[Any], slow: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    """values where usual, and what slow() gives where not.

    Vectors of which every lane is usual jump over slow(); NumPy calls it if any element needs it.
    """
    if isinstance(usual, Value):
        return usual.apply("patched", usual, values, slow)
    if np.all(usual):
        return values
    return [select(usual, v, w) for v, w in zip(values, slow())]


def fma(a: Any, b: Any, c: Any) -> Any:
    """a*b + c.  LLVM: one rounding.  NumPy: float32 through float64, float64 two roundings.

    So no algorithm may rely on its single rounding in float64: ``two_prod`` is the exact form.
    """
    v = _traced(a, b, c)
    if v is not None:
        return v.apply("fma", a, b, c)
    first = next(t for t in (a, b, c) if not _literal(t))
    if width(first) == 64:
        return a * b + c
    return (np.float64(a) * np.float64(b) + np.float64(c)).astype(np.float32)


def remainder(x: Any, n: Any, c: Any) -> Any:
    """x - n*c for n the integer nearest to x/c, where that is a float, so without any rounding."""
    if _traced(x, n, c) is not None:
        return fma(-n, c, x)
    product, error = two_prod(n, c)
    return (x - product) - error


def two_prod(a: Any, b: Any) -> tuple[Any, Any]:
    """(p, e) with p = round(a*b) and p + e = a*b exactly (while nothing over- or underflows)."""
    p = a * b
    v = _traced(a, b)
    if v is not None:
        return p, v.apply("fma", a, b, -p)
    if width(p) == 32:
        return p, (np.float64(a) * np.float64(b) - np.float64(p)).astype(np.float32)
    a_hi, a_lo = _halves(np.float64(a))
    b_hi, b_lo = _halves(np.float64(b))
    return p, a_lo * b_lo - (((p - a_hi * b_hi) - a_lo * b_hi) - a_hi * b_lo)


def _halves(a: Any) -> tuple[Any, Any]:
    """float64 a as the sum of two 26-bit parts (cut in the bits, so nothing overflows)."""
    hi = (a.view(np.int64) & -(1 << 27)).view(np.float64)
    return hi, a - hi


def _unary(name: str, function: Any, doc: str) -> Any:
    def operation(x: Any) -> Any:
        return x.apply(name, x) if isinstance(x, Value) else function(x)

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = doc
    return operation


floor = _unary("floor", np.floor, "Round down.")
ceil = _unary("ceil", np.ceil, "Round up.")
trunc = _unary("trunc", np.trunc, "Round towards zero.")
rint = _unary("rint", np.rint, "Round to nearest, ties to even.")
sqrt = _unary("sqrt", np.sqrt, "Square root, correctly rounded.")
absolute = _unary("absolute", np.absolute, "Magnitude; of the smallest integer, itself.")


def copysign(x: Any, sign: Any) -> Any:
    """x's magnitude with sign's sign bit."""
    v = _traced(x, sign)
    return v.apply("copysign", x, sign) if v is not None else np.copysign(x, sign)


def minimum(a: Any, b: Any) -> Any:
    """The smaller; nan if either is nan.  Which zero min(-0, 0) gives is not specified."""
    v = _traced(a, b)
    return v.apply("minimum", a, b) if v is not None else np.minimum(a, b)


def maximum(a: Any, b: Any) -> Any:
    """The larger; nan if either is nan.  Which zero max(-0, 0) gives is not specified."""
    v = _traced(a, b)
    return v.apply("maximum", a, b) if v is not None else np.maximum(a, b)


def fmod(a: Any, b: Any) -> Any:
    """C's fmod: exact remainder with a's sign.  A libm call in LLVM, so it does not vectorize."""
    v = _traced(a, b)
    return v.apply("fmod", a, b) if v is not None else np.fmod(a, b)


def whole_power(x: Any, y: Any) -> Any:
    """x**y for integers, wrapping; for y < 0 unspecified.  In LLVM a loop over the bits of y."""
    if isinstance(x, Value):
        return x.apply("whole_power", x, y)
    return np.power(x, np.maximum(y, const(y, 0)))


def bits(x: Any) -> Any:
    """The bit pattern of a float as a signed integer of the same width."""
    if isinstance(x, Value):
        return x.apply("bits", x)
    return x.view(np.int32 if width(x) == 32 else np.int64)


def from_bits(i: Any) -> Any:
    """The float of the same width with these bits."""
    if isinstance(i, Value):
        return i.apply("from_bits", i)
    return i.view(np.float32 if width(i) == 32 else np.float64)


def shr(i: Any, n: Any) -> Any:
    """i shifted right by 0 <= n < width, filled with zeros (``>>`` copies a signed i's sign)."""
    v = _traced(i, n)
    if v is not None:
        return v.apply("shr", i, n)
    unsigned = np.uint32 if width(i) == 32 else np.uint64
    return (i.view(unsigned) >> np.asarray(n).astype(unsigned)).view(i.dtype)


def unsigned(i: Any) -> Any:
    """The same bits as an unsigned integer: ``<`` and ``>>`` then take the top bit as a digit."""
    if isinstance(i, Value):
        return i.apply("unsigned", i)
    return i.view(np.uint32 if width(i) == 32 else np.uint64)


def signed(i: Any) -> Any:
    """The same bits as a signed integer."""
    if isinstance(i, Value):
        return i.apply("signed", i)
    return i.view(np.int32 if width(i) == 32 else np.int64)


def funnel(a: Any, b: Any, n: Any) -> Any:
    """The upper word of the unsigned pair a:b shifted left by 0 <= n < width."""
    if isinstance(a, Value):
        return a.apply("funnel", a, b, n)
    return (a << n) | (b >> 1 >> (width(a) - 1 - n))


def widen(x: Any) -> Any:
    """A float32 as a float64."""
    return x.apply("widen", x) if isinstance(x, Value) else x.astype(np.float64)


def narrow(x: Any) -> Any:
    """A float64 rounded to float32."""
    return x.apply("narrow", x) if isinstance(x, Value) else x.astype(np.float32)


def mul_wide(a: Any, b: Any) -> tuple[Any, Any]:
    """(upper, lower) word of the product of two unsigned integers."""
    if width(a) == 64:
        return _mul_wide_64(a, b)
    if isinstance(a, Value):
        return a.apply("mul_high", a, b), a * b
    return (a.astype(np.uint64) * b >> np.uint64(32)).astype(np.uint32), a * b


def _mul_wide_64(a: Any, b: Any) -> tuple[Any, Any]:
    """In halves: there is no vector instruction for the whole."""
    mask = 0xFFFFFFFF
    a1, a0, b1, b0 = a >> 32, a & mask, b >> 32, b & mask
    low = a0 * b0
    cross = a0 * b1 + (low >> 32)
    other = a1 * b0 + (cross & mask)
    return a1 * b1 + (cross >> 32) + (other >> 32), (other << 32) | (low & mask)


def rounded_float(i: Any) -> Any:
    """A signed integer of any size as a float of its width, rounded to nearest."""
    if isinstance(i, Value):
        return i.apply("rounded_float", i)
    return i.astype(np.float32 if width(i) == 32 else np.float64)


# 1.5 * 2**(mantissa bits): adding it leaves the nearest integer in the low bits of the sum.  Unlike
# a conversion instruction this is defined for every input, nan included, and AVX2 has it in 64 bit.
MAGIC = {32: 12582912.0, 64: 6755399441055744.0}
MAGIC_BITS = {32: 0x4B400000, 64: 0x4338000000000000}


def nearest(x: Any) -> tuple[Any, Any]:
    """(n, i): the nearest integer as float and as integer, for |x| < 2**22 or 2**51."""
    t = x + MAGIC[width(x)]
    return t - MAGIC[width(x)], bits(t) - MAGIC_BITS[width(x)]


def to_int(x: Any) -> Any:
    """A float holding an integer below 2**22 (float32) or 2**51 in magnitude, as an integer."""
    return nearest(x)[1]


def to_float(i: Any) -> Any:
    """An integer below 2**22 (int32) or 2**51 (int64) in magnitude, as a float of its width."""
    return from_bits(i + MAGIC_BITS[width(i)]) - MAGIC[width(i)]


def poly(x: Any, coefficients: Sequence[float]) -> Any:
    """c[0] + c[1] x + c[2] x**2 + ..., fused.

    By Horner's rule, but for long polynomials even and odd powers from x**2 on go side by side: a
    chain of operations that wait for each other is what a loop with much in it is slow by.
    """
    c = list(coefficients)
    if len(c) < 8:
        return _horner(x, c)
    square = x * x
    return _horner(x, [*c[:2], fma(_horner(square, c[3::2]), x, _horner(square, c[2::2]))])


def _horner(x: Any, c: Sequence[Any]) -> Any:
    value = c[-1]
    for term in reversed(c[:-1]):
        value = fma(value, x, term)
    return value


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """(s, e) with s = round(a + b) and s + e = a + b exactly."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def fast_two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """``two_sum`` for |a| >= |b| (or a == 0)."""
    s = a + b
    return s, b - (s - a)
