"""The names of this package: each math function once, with its number of operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad.codegen.vecmath import (
    arc,
    basic,
    erfinv,
    exp,
    fast,
    gamma,
    lang,
    log,
    pow,
    special,
    trig,
)

FLOATS = ("f32", "f64")
INTEGERS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
DTYPES = (*FLOATS, *INTEGERS, "bool")
NUMPY_NAMES = {
    "f32": "float32", "f64": "float64", "bool": "bool",
    **{d: d.replace("i", "int").replace("u", "uint") for d in INTEGERS},
}  # fmt: skip

# family name -> (function over values, arity); a family has one member per dtype: exp_f32, exp_f64
Families = dict[str, tuple[Callable[..., Any], int]]
UNARY = (
    *(exp.exp, exp.exp2, exp.expm1, exp.sinh, exp.cosh, exp.tanh, exp.sigmoid),
    *(log.log, log.log1p, log.log2, log.log10, log.asinh, log.acosh, log.atanh),
    *(trig.sin, trig.cos, trig.tan, arc.asin, arc.acos, arc.atan),
    *(special.erf, special.erfc, erfinv.erfinv, special.rsqrt, gamma.lgamma, gamma.digamma),
    *(lang.floor, lang.ceil, lang.trunc, lang.rint, lang.sqrt),
)
# under JITGRAD_MATH=fast, fast_tanh_f32 ... are called in the place of tanh_f32 ...
FAST = (fast.tanh, fast.tan, fast.acosh, fast.atanh, fast.erfc)
FLOAT_FUNCTIONS: Families = {
    **{f.__name__: (f, 1) for f in UNARY},
    **{f"fast_{f.__name__}": (f, 1) for f in FAST},
    "pow": (pow.pow, 2),
    "atan2": (arc.atan2, 2),
    "copysign": (lang.copysign, 2),
    "fma": (lang.fma, 3),
    "fmod": (lang.fmod, 2),
    "mod": (basic.float_mod, 2),
    "floordiv": (basic.float_floordiv, 2),
}
# not inlined at each use, but called: what is long, and what has rare cases to jump over
CALLED = frozenset(
    {"sin", "cos", "tan", "pow", "erfc", "erfinv", "lgamma", "digamma", "fast_tan", "fast_erfc"}
)
INTEGER_FUNCTIONS: Families = {
    "fmod": (basic.int_fmod, 2),
    "mod": (basic.int_mod, 2),
    "floordiv": (basic.int_floordiv, 2),
    "pow": (basic.int_pow, 2),
}  # fmt: skip
COMMON_FUNCTIONS: Families = {  # floats and integers
    "abs": (lang.absolute, 1),
    "minimum": (lang.minimum, 2),
    "maximum": (lang.maximum, 2),
}  # fmt: skip
UNSIGNED_FUNCTIONS: Families = {"squares32": (basic.squares32, 2)}  # of uint64
# accumulators, one per float dtype: op(acc, v) that LLVM may reorder, so that loops vectorize
REASSOC = ("add_reassoc", "mul_reassoc", "max_reassoc", "min_reassoc")


def functions() -> dict[str, tuple[Callable[..., Any], int, str]]:
    """name -> (function over values, arity, dtype) of everything that maps one dtype to itself."""
    out = {}
    for families, dtypes in (
        (FLOAT_FUNCTIONS, FLOATS),
        (INTEGER_FUNCTIONS, INTEGERS),
        (COMMON_FUNCTIONS, FLOATS + INTEGERS),
        (UNSIGNED_FUNCTIONS, ("u64",)),
    ):
        for name, (function, arity) in families.items():
            for dtype in dtypes:
                out[f"{name}_{dtype}"] = function, arity, dtype
    return out


NAMES: dict[str, int] = {
    **{name: arity for name, (_, arity, _) in functions().items()},
    **{f"{name}_{dtype}": 2 for name in REASSOC for dtype in FLOATS},
    **{f"{dtype}_ptr": 2 for dtype in DTYPES},
    **{f"to_{dtype}": 1 for dtype in DTYPES},
    "select": 3,
}  # fmt: skip
