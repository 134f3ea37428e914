"""Special functions, element by element."""

from __future__ import annotations

from jitgrad.codegen.canonical.text import fill

CALLED = """def kernel(ptrs, dims, lo, hi):
    # a routine of float64, at an address
{operands}
    out = {T}_ptr(ptrs, {count})
    routine = ptrs[{count} + 1]
    for i in range(lo, hi):
        found = call{count}_f64(routine, {values})
        out[i] = {store}(to_{C}(found))
"""

NEXTAFTER = """def kernel(ptrs, dims, lo, hi):
    # numbers of one sign are in the order of their bits
    x = {T}_ptr(ptrs, 0)
    y = {T}_ptr(ptrs, 1)
    bits = {I}_ptr(ptrs, 0)
    other = {I}_ptr(ptrs, 1)
    out = {I}_ptr(ptrs, 2)
    for i in range(lo, hi):
        a, b = {load}(x[i]), {load}(y[i])
        if a != a:
            out[i] = bits[i]
        elif b != b or a == b:
            out[i] = other[i]
        elif a == {C}(0):
            out[i] = to_{I}({smallest} if b > a else {lowest})
        else:
            away = (b > a) == (a > {C}(0))
            out[i] = to_{I}(to_i64(bits[i]) + (1 if away else -1))
"""

GCD = """def kernel(ptrs, dims, lo, hi):
    # Euclid's algorithm
    x = {T}_ptr(ptrs, 0)
    y = {T}_ptr(ptrs, 1)
    out = {T}_ptr(ptrs, 2)
    for i in range(lo, hi):
        a, b = x[i], y[i]
        while b != {T}(0):
            a, b = b, fmod_{T}(a, b)
        out[i] = abs_{T}(a)
"""


def called(count: int, dtype: str) -> str:
    """ptrs  `count` operands, out, the routine      range  elements."""
    names = [f"x{k}" for k in range(count)]
    operands = "\n".join(f"    {name} = {{T}}_ptr(ptrs, {k})" for k, name in enumerate(names))
    values = ", ".join(f"to_f64({{load}}({name}[i]))" for name in names)
    return fill(CALLED, dtype, operands=operands, count=str(count), values=values)


def nextafter(dtype: str) -> str:
    """ptrs  x, y, out      range  elements."""
    width = int(dtype[1:])
    sign = -(1 << (width - 1)) + 1
    return fill(NEXTAFTER, dtype, I=f"i{width}", smallest="1", lowest=str(sign))


def gcd(dtype: str) -> str:
    """ptrs  x, y, out      range  elements."""
    return fill(GCD, dtype)
