"""The language of words: what it computes is what Python does."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest

from jitgrad.codegen.words import llvm_text
from jitgrad.runtime import loader

CONTROL = """
def control(a, b):
    total, count = 0, 0
    for k in range(a):
        if k == 7:
            break
        total += k * b
        k = 100
        count += 1
    while True:
        total -= 3
        if total < -20 or count > 5 and b != 2:
            return total if a > b else count
        elif not count:
            count = 6
        else:
            count = count + 1
    return 1
"""
ARITHMETIC = """
def arithmetic(a, b):
    x = (a << 3) - b * -a
    return (x >> 2) + (x & 255) + (a * a // (b * b + 1)) + (a < b) + (a >= b) * 2
"""
TABLES = """
def tables(t, n):
    mine = stack(n + 1)
    for k in range(1, n + 1):
        mine[k] = t[n - k] * 2
    rest = at(mine, 1)
    for k in range(n):
        t[k] = rest[k]
    first = atomic_add(t, 0, 5)
    second = atomic_exchange(t, 1, first)
    third = atomic_replace(t, 2, 9, 8) + atomic_replace(t, 3, t[3], 8)
    atomic_store(t, 4, second)
    pause()
    return third * 1000 + atomic_load(t, 4)
"""
SHORT = """
def short(t, n):
    good = n > 0 and t[n] == 3
    return good or t[0]
"""


def compiled(source: str):
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    return kind(loader.routine(source))


def in_python(source: str):
    space: dict = {}
    exec(source, space)
    return next(f for name, f in space.items() if name != "__builtins__")


@pytest.mark.parametrize("source", [CONTROL, ARITHMETIC], ids=["control", "arithmetic"])
def test_the_same_as_python(source: str) -> None:
    native, plain = compiled(source), in_python(source)
    for a, b in itertools.product((0, 1, 2, 6, 7, 8, 40), repeat=2):
        assert native(a, b) == int(plain(a, b))


def test_tables_and_atomic_operations() -> None:
    words = np.array([1, 2, 3, 4, 5, 6], np.int64)
    result = compiled(TABLES)(words.ctypes.data, 6)
    assert words.tolist() == [17, 12, 8, 8, 10, 2]
    assert result == (8 + 6) * 1000 + 10


def test_what_is_not_needed_is_not_computed() -> None:
    """An address that does not exist would end the process."""
    words = np.array([5, 3], np.int64)
    assert compiled(SHORT)(words.ctypes.data, 1) == 1
    assert compiled(SHORT)(words.ctypes.data, -(1 << 50)) == 5


def test_calls_by_address() -> None:
    source = "\ndef calls(f, x):\n    return call(f, x, 4) + call(f, 1, x)\n"
    assert compiled(source)(ctypes.cast(compiled(ARITHMETIC), ctypes.c_void_p).value, 9) == int(
        in_python(ARITHMETIC)(9, 4) + in_python(ARITHMETIC)(1, 9)
    )


@pytest.mark.parametrize(
    "body", ["return x + 1.5", "return unknown(a)", "return y", "a.b = 1", "for k in a: pass"]
)
def test_everything_else_is_an_error(body: str) -> None:
    with pytest.raises(SyntaxError):
        llvm_text(f"def wrong(a, x):\n    {body}\n")
