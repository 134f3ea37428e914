"""NumPy's meaning of the names that scalar expressions use: the reference semantics."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


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


def _special(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function of `scipy.special`, imported when it is called: most programs never need it.

    It keeps float16 what it is; SciPy's loops keep float32 and float64.
    """

    def call(x: np.ndarray) -> np.ndarray:
        from scipy import special

        function = getattr(special, name)
        x = np.asarray(x)
        if x.dtype == np.float16:
            return function(x.astype(np.float32)).astype(np.float16)
        return function(x)

    return call


def _lgamma(x: np.ndarray) -> np.ndarray:
    """SciPy's, but inf at -inf, as in C."""
    return np.where(np.isneginf(x), -np.asarray(x), _special("gammaln")(x))


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
    "sigmoid": _special("expit"),
    "erf": _special("erf"),
    "erfc": _special("erfc"),
    "erfinv": _special("erfinv"),
    "lgamma": _lgamma,
    "digamma": _special("digamma"),
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

OPERATORS: dict[type, np.ufunc] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide,
    ast.USub: np.negative, ast.Lt: np.less, ast.LtE: np.less_equal, ast.Eq: np.equal,
    ast.NotEq: np.not_equal, ast.BitAnd: np.bitwise_and, ast.BitOr: np.bitwise_or,
    ast.BitXor: np.bitwise_xor, ast.LShift: np.left_shift, ast.RShift: np.right_shift,
}  # fmt: skip


def applied(tree: ast.expr) -> tuple[Any, Sequence[ast.expr]]:
    """NumPy's function that an expression applies last, or None, and to what."""
    match tree:
        case ast.BinOp(left, operator, right) | ast.Compare(left, [operator], [right]):
            return OPERATORS.get(type(operator)), (left, right)
        case ast.UnaryOp(operator, operand):
            return OPERATORS.get(type(operator)), (operand,)
        case ast.Call(ast.Name(name), arguments):
            return NAMESPACE.get(name), arguments
    return None, ()
