"""NumPy's meaning of the names that scalar expressions use: the reference semantics."""

from __future__ import annotations

import numpy as np
from scipy import special


def _squares32(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Four rounds of the middle-square Weyl generator *squares* (Widynski, arXiv 2004.06278)."""
    x = counter * key
    y = x
    z = y + key
    half = np.uint64(32)
    for weyl in (y, z, y):
        x = x * x + weyl
        x = (x >> half) | (x << half)
    return (x * x + z) >> half


def _same(function):
    """Keep float16 and float32 what they are (scipy's float32 loops already do)."""

    def call(x):
        x = np.asarray(x)
        if x.dtype == np.float16:
            return function(x.astype(np.float32)).astype(np.float16)
        return function(x)

    return call


def _rsqrt(x: np.ndarray) -> np.ndarray:
    return np.reciprocal(np.sqrt(x))


NAMESPACE = {
    "__builtins__": {},
    "select": np.where,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "rint": np.rint,
    "sqrt": np.sqrt,
    "rsqrt": _rsqrt,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sigmoid": _same(special.expit),
    "erf": _same(special.erf),
    "erfc": _same(special.erfc),
    "erfinv": _same(special.erfinv),
    "lgamma": _same(special.gammaln),
    "digamma": _same(special.digamma),
    "pow": np.power,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "fmod": np.fmod,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "logical_not": np.logical_not,
    "invert": np.invert,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
    "identity": np.asarray,
    "squares32": _squares32,
}
