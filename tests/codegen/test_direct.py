"""Kernels straight from their text to LLVM: as through Numba; errors where that would widen."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from jitgrad import config
from jitgrad.codegen import compile as compiler
from jitgrad.codegen import direct
from jitgrad.errors import IRError
from jitgrad.runtime.executable import Executable
from tests.programs import graph_of, softmax

GOLDEN = Path(__file__).parents[1] / "golden" / "codegen"
DIMENSIONS = "PPii"


KERNELS = [
    text
    for path in sorted(GOLDEN.glob("*.cpu.py"))
    for text in re.split(r"^(?=def kernel)", path.read_text("utf-8"), flags=re.M)[1:]
]


def kernel(*lines: str) -> str:
    return "\n".join(["def kernel(ptrs, dims, lo, hi):", *(f"    {line}" for line in lines), ""])


def vectors(source: str, frontend: str) -> int:
    """How many operations on vectors LLVM makes of it."""
    with config.override(frontend=frontend):
        return len(re.findall(r"= \w+ <\d+ x", str(compiler.optimized_module(source))))


@pytest.mark.parametrize("source", KERNELS)
def test_it_vectorizes_as_through_numba(source: str) -> None:
    both = [vectors(source, frontend) for frontend in ("direct", "numba")]
    assert abs(both[0] - both[1]) <= 0.1 * both[1]


@pytest.mark.parametrize("frontend", ["direct", "numba"])
def test_both_ways_give_the_same(frontend: str) -> None:
    """Numba's way stays open: for kernels that need it, and for looking for mistakes."""
    graph = graph_of(lambda x: softmax(x * 1.25), "f32[8,5]")
    x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    with config.override(frontend=frontend, cache=False):
        (got,) = Executable(graph, {})(x)
    e = np.exp(1.25 * x - (1.25 * x).max(1, keepdims=True))
    np.testing.assert_allclose(got, e / e.sum(1, keepdims=True), rtol=1e-6)


# The text of an integer expression of a and b, and what Python makes of it.
WHOLE = ["a // b", "a % b", "a // 16 * 16", "-a", "~a", "(a & b) | (a ^ 3)", "a << 2", "a >> 1",
         "a if a > b and not b < 0 else b", "to_i64(a >= b or a == -7)"]  # fmt: skip


@pytest.mark.parametrize("text", WHOLE)
def test_integers_are_python_s(text: str) -> None:
    import ctypes

    from jitgrad.runtime import loader

    source = kernel(
        "x = i64_ptr(ptrs, 0)", "y = i64_ptr(ptrs, 1)", "r = i64_ptr(ptrs, 2)",
        "for k in range(lo, hi):", "    a, b = x[k], y[k]", f"    r[k] = {text}",
    )  # fmt: skip
    assert direct.knows(direct.parsed(source))
    a = np.array([-7, -7, 7, 7, 0, 33, -16, 5])
    b = np.array([2, -2, 2, -2, 3, 16, 16, 5])
    r = np.zeros_like(a)
    addresses = np.array([x.ctypes.data for x in (a, b, r)])
    words = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    ctypes.CFUNCTYPE(None, *words)(loader.address(source))(addresses.ctypes.data, None, 0, len(a))
    assert r.tolist() == [
        int(eval(text, {"to_i64": int}, {"a": int(p), "b": int(q)})) for p, q in zip(a, b)
    ]


def test_a_variable_may_change_its_type() -> None:
    """As long as there is no doubt about it."""
    source = kernel(
        "x = f32_ptr(ptrs, 0)",
        "if lo == 0:", "    v = x[0]", "    x[1] = v",
        "else:", "    v = lo", "    x[2] = to_f32(v)",
        "v = hi", "x[3] = to_f32(v)",
    )  # fmt: skip
    direct.lowered(direct.parsed(source), DIMENSIONS, "k")


WRONG = {
    "v is of one type or another": [
        "if lo == 0:", "    v = f32(1)", "else:", "    v = 1", "i64_ptr(ptrs, 0)[0] = to_i64(v)"],
    "v changes its type in a loop": ["v = 0", "for k in range(hi):", "    v = f32(1)"],
    "computes with f32 and f64 at once": ["v = f32(1) + 0.5"],
    "computes with i64 and f32 at once": ["v = lo + f32(1)"],
    "computes with i64 and u64 at once": ["v = lo + u64(1)"],
    "divides integers by /": ["v = lo / hi"],
    "stores f64 among f32": ["f32_ptr(ptrs, 0)[0] = 0.5"],
    "exp_f32 does not take f64": ["v = exp_f32(0.5)"],
    "either f32 or i64": ["v = f32(1) if lo > 0 else 1"],
    "nowhere has no value": ["v = nowhere"],
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_what_numba_would_widen_silently_is_an_error(message: str) -> None:
    with pytest.raises(IRError, match=message):
        direct.lowered(direct.parsed(kernel(*WRONG[message])), DIMENSIONS, "k")


def test_kernels_that_call_something_else_are_numba_s() -> None:
    assert not direct.knows(direct.parsed(kernel("v = strange_f32(lo, hi)")))
    assert not direct.knows(direct.parsed(kernel("v = ptrs.item(0)")))
