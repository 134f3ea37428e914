"""What the hand-written kernels use: Numba, and this project's vectorizing functions.

Numba calls a scalar `exp` from libm, which no careful person would accept in a loop. The
polynomials of `jitgrad.codegen.vecmath` can be called from any Numba function, so a person may use
them too; all else in the hand-written kernels is theirs. As a person would, they write into arrays
that are allocated once, allow the compiler to contract products and sums, and let it reorder their
long sums (`add_reassoc_f32`): Numba's `fastmath=True` would do so inside of the polynomials too.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from jitgrad.codegen.vecmath import intrinsics

f32 = np.float32
_names = intrinsics.namespace_numba()
exp_f32, exp_f64 = _names["exp_f32"], _names["exp_f64"]
log_f32, log_f64 = _names["log_f32"], _names["log_f64"]
tanh_f32, erf_f32 = _names["tanh_f32"], _names["erf_f32"]
sin_f64, cos_f64 = _names["sin_f64"], _names["cos_f64"]

add_f32, add_f64 = _names["add_reassoc_f32"], _names["add_reassoc_f64"]


def njit(function: Any, inline: str = "never") -> Any:
    """`numba.njit` as these kernels want it: divisions unchecked, products and sums contracted."""
    how = {"error_model": "numpy", "fastmath": {"contract", "nsz"}}
    return numba.njit(inline=inline, **how)(function)


def inlined(function: Any) -> Any:
    """The same for what is large and called in a loop, which LLVM would not inline by itself."""
    return njit(function, "always")


def polynomial(coefficients: tuple[float, ...]) -> Any:
    """A Numba function of x: the polynomial, highest power first, unrolled."""
    text = f"{coefficients[0]!r}"
    for c in coefficients[1:]:
        text = f"({text}) * x + {c!r}"
    space: dict[str, Any] = {}
    exec(f"def horner(x):\n    return {text}\n", space)
    return njit(space["horner"])


@njit
def highest(row: Any) -> Any:
    """The largest of a row, in 32 lanes that LLVM can keep in vectors."""
    lanes = np.empty(32, row.dtype)
    lanes[:] = row[0]
    whole = row.size // 32
    for i in range(whole):
        part = row[i * 32 : i * 32 + 32]
        for j in range(32):
            lanes[j] = part[j] if part[j] > lanes[j] else lanes[j]
    top = lanes[0]
    for j in range(32):
        top = max(top, lanes[j])
    for i in range(whole * 32, row.size):
        top = max(top, row[i])
    return top
