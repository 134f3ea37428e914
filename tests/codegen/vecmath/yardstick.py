"""Kernels over one function, run compiled and as plain Python, and errors in ulp."""

from __future__ import annotations

import ctypes
import functools
import re
import warnings

import mpmath
import numpy as np

from jitgrad.codegen import compile as compiler
from jitgrad.codegen.vecmath import intrinsics, table
from jitgrad.runtime import loader

INF, NAN = np.inf, np.nan
PYTHON = intrinsics.namespace_python()
LONG = np.finfo(np.longdouble).nmant >= 63
TYPES = {code: np.dtype(name) for code, name in table.NUMPY_NAMES.items()}


class Kernel:
    """A compiled kernel with the given body, which runs over `range(n)`."""

    def __init__(self, lines):
        self.text = "\n    ".join(["def kernel(ptrs, dims, lo, n):", *lines]) + "\n"
        self.address = loader.address(self.text)

    def llvm(self):
        """Its optimized LLVM text."""
        return str(compiler.optimized_module(self.text))


def compile_loop(expression, inputs, output, reduce=None):
    """out[i] = expression of a[i], b[i], c[i]; or out[0] = a reduction of it."""
    pointers = [f"{v} = {t}_ptr(ptrs, {k})" for k, (v, t) in enumerate(zip("abc", inputs))]
    pointers.append(f"out = {output}_ptr(ptrs, {len(inputs)})")
    loop = ["for i in range(n):", f"    out[i] = {expression}"]
    if reduce is not None:
        loop = ["acc = a[0]", "for i in range(1, n):", f"    acc = {reduce}(acc, {expression})",
                "out[0] = acc"]  # fmt: skip
    return Kernel(pointers + loop)


def call(kernel, arrays, size):
    """Run a kernel on the addresses of arrays."""
    addresses = np.array([x.ctypes.data for x in arrays], np.int64)
    words = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    ctypes.CFUNCTYPE(None, *words)(kernel.address)(addresses.ctypes.data, None, 0, size)


def run(kernel, inputs, output):
    """What the kernel writes, for input arrays of one size."""
    inputs = [np.ascontiguousarray(x) for x in inputs]
    out = np.zeros(inputs[0].size, TYPES[output])
    call(kernel, [*inputs, out], out.size)
    return out


@functools.cache
def compiled(name, arity=1):
    """The loop over one function of one dtype."""
    dtype = name.rsplit("_", 1)[1]
    operands = ", ".join(f"{v}[i]" for v in "abc"[:arity])
    return compile_loop(f"{name}({operands})", [dtype] * arity, dtype)


def evaluate(name, *inputs):
    """(LLVM's values, NumPy's values), and no warning on the way."""
    dtype = name.rsplit("_", 1)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = PYTHON[name](*inputs)
    assert plain.dtype == TYPES[dtype]
    return run(compiled(name, len(inputs)), inputs, dtype), plain


# ------------------------------------------------------------------------------------ the yardstick


def ulps(got, want):
    """|got - want| in units of the last place of the exact value, for a wider ``want``."""
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        over = np.abs(want) >= want.dtype.type(info.max) * (1 + want.dtype.type(info.eps) / 4)
        want = np.where(over, np.copysign(INF, want), want)
        _, exponent = np.frexp(np.where(np.isfinite(want), want, 1))
        unit = np.ldexp(want.dtype.type(1), np.maximum(exponent - 1, info.minexp) - info.nmant)
        error = np.abs(got.astype(want.dtype) - want) / unit
    error[(got == want) | (np.isnan(got) & np.isnan(want))] = 0
    error[np.isnan(error)] = INF
    return error


def exact_ulps(got, want):
    """``ulps`` for a list of mpmath numbers."""
    info, out = np.finfo(got.dtype), []
    for g, w in zip(got.tolist(), want):
        if mpmath.isnan(w) or g != g:
            out.append(0.0 if mpmath.isnan(w) and g != g else INF)
        elif w == 0 or np.isinf(g) or mpmath.isinf(w):
            beyond = abs(w) > mpmath.mpf(float(info.max))
            out.append(0.0 if g == w or (np.isinf(g) and beyond) else INF)
        else:
            exponent = max(int(mpmath.floor(mpmath.log(abs(w), 2))), info.minexp)
            out.append(float(abs(mpmath.mpf(g) - w) / mpmath.mpf(2) ** (exponent - info.nmant)))
    return np.array(out)


def same(got, want):
    """Equal bit for bit, any nan being equal to any other."""
    nan = np.isnan(got) & np.isnan(want)
    return (got == want) & (np.signbit(got) == np.signbit(want)) | nan


def assert_small(name, error, bound, inputs, got, want):
    worst = int(np.argmax(error))
    where = [repr(x[worst]) for x in inputs]
    assert error[worst] <= bound, (
        f"{name}{where}: {got[worst]!r}, exact {want[worst]!r}: {error[worst]:.2f} ulp"
    )


def widest(text, dtype):
    """Lanes of the widest vectors of a float type in an LLVM text."""
    word = {"f32": "float", "f64": "double"}[dtype]
    found = re.findall(rf"<(\d+) x {word}>", text)
    return max(map(int, found), default=1)
