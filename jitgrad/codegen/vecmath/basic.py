"""Division with remainder and integer powers, with NumPy's conventions."""

from __future__ import annotations

from typing import Any

from jitgrad.codegen.vecmath.lang import (
    Value,
    const,
    copysign,
    floor,
    fmod,
    kind,
    select,
    whole_power,
    width,
)


def _divide(a: Any, b: Any) -> tuple[Any, Any]:
    """(quotient, remainder), truncated; by 0: (0, 0).  No trap: the divisor is made harmless."""
    zero = b == 0
    bad = zero
    if kind(a) == "i":  # the one quotient that overflows: -2**(w-1) / -1 wraps to itself
        bad = zero | ((b == -1) & (a == const(a, -(1 << (width(a) - 1)))))
    b = select(bad, 1, b)
    quotient = a // b if isinstance(a, Value) else _truncated(a, b)
    quotient = select(zero, 0, quotient)
    return quotient, select(zero, 0, a - quotient * b)


def _truncated(a: Any, b: Any) -> Any:
    quotient = a // b
    return quotient + (((a ^ b) < 0) & (quotient * b != a)).astype(a.dtype)


def int_fmod(a: Any, b: Any) -> Any:
    """Remainder with a's sign (C's %); by 0 gives 0, as NumPy."""
    return _divide(a, b)[1]


def int_floordiv(a: Any, b: Any) -> Any:
    """floor(a / b); by 0 gives 0; the smallest integer // -1 wraps to itself."""
    quotient, remainder = _divide(a, b)
    if kind(a) == "u":
        return quotient
    return select((remainder != 0) & ((a ^ b) < 0), quotient - 1, quotient)


def int_mod(a: Any, b: Any) -> Any:
    """Remainder with b's sign (Python's %); by 0 gives 0."""
    remainder = _divide(a, b)[1]
    if kind(a) == "u":
        return remainder
    return select((remainder != 0) & ((a ^ b) < 0), remainder + b, remainder)


def int_pow(x: Any, y: Any) -> Any:
    """x**y, wrapping.  By squaring, a loop: it does not vectorize, and small y are quick.

    For y < 0 the truncated 1 / x**-y: 0 unless x is 1 or -1 (NumPy refuses negative exponents).
    """
    result = whole_power(x, y)
    if kind(x) == "u":
        return result
    unit = select(x == 1, 1, select(x == -1, 1 - 2 * (y & 1), const(x, 0)))
    return select(y < 0, unit, result)


def float_mod(a: Any, b: Any) -> Any:
    """np.remainder: exact, with b's sign; by 0 nan.  Calls libm's fmod: not vectorized."""
    r = fmod(a, b)
    shifted = select((b < 0.0) != (r < 0.0), r + b, r)
    return select(r == 0.0, copysign(const(a, 0.0), b), shifted)


def float_floordiv(a: Any, b: Any) -> Any:
    """np.floor_divide: the quotient that belongs to ``float_mod``; by 0 a/b."""
    r = fmod(a, b)
    q = (a - r) / b
    q = select((r != 0.0) & ((b < 0.0) != (r < 0.0)), q - 1.0, q)
    whole = floor(q)
    whole = select(q - whole > 0.5, whole + 1.0, whole)
    whole = select(q == 0.0, copysign(const(a, 0.0), a / b), whole)
    return select(b == 0.0, a / b, whole)


def squares32(counter: Any, key: Any) -> Any:
    """32 random bits of a uint64 counter: four rounds of *squares* (Widynski, arXiv 2004.06278)."""
    x = counter * key
    y, z = x, x + key
    for weyl in (y, z, y):
        x = x * x + weyl
        x = (x >> 32) | (x << 32)
    return (x * x + z) >> 32
