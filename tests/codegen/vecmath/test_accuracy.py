"""Errors of functions of one operand in ulp, over the whole range.

Every function is run twice, compiled into a loop over raw pointers and on NumPy arrays, and both
are held against a wider reference: float64 for float32, the x86 long double or mpmath for float64.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.special

from jitgrad.codegen.vecmath import table
from tests.codegen.vecmath.inputs import FLOAT32, FLOAT64
from tests.codegen.vecmath.yardstick import (
    INF,
    LONG,
    NAN,
    TYPES,
    assert_small,
    evaluate,
    exact_ulps,
    same,
    ulps,
)


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


# name -> (reference for arrays of any float type, ulp bound)
ARRAYS = {
    "exp": (np.exp, 1.2), "exp2": (np.exp2, 1.2), "expm1": (np.expm1, 1.6),
    "sinh": (np.sinh, 2), "cosh": (np.cosh, 2), "tanh": (np.tanh, 2), "sigmoid": (sigmoid, 2),
    "log": (np.log, 1), "log1p": (np.log1p, 1.1), "log2": (np.log2, 1.4), "log10": (np.log10, 1.4),
    "asinh": (np.arcsinh, 1.8), "acosh": (np.arccosh, 1.6), "atanh": (np.arctanh, 1.7),
    "sin": (np.sin, 1), "cos": (np.cos, 1), "tan": (np.tan, 1.5),
    "asin": (np.arcsin, 1.5), "acos": (np.arccos, 1.5), "atan": (np.arctan, 1.5),
    "sqrt": (np.sqrt, 0.5), "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5),
    "floor": (np.floor, 0), "ceil": (np.ceil, 0), "trunc": (np.trunc, 0), "rint": (np.rint, 0),
    "abs": (np.abs, 0),
}  # fmt: skip
# name -> (NumPy reference for float64, mpmath reference, ulp bound)
SPECIAL = {
    "erf": (scipy.special.erf, mpmath.erf, 2),
    "erfc": (scipy.special.erfc, mpmath.erfc, 2),
    "erfinv": (scipy.special.erfinv, None, 2),
    "lgamma": (scipy.special.gammaln, lambda x: mpmath.loggamma(x).real, 4),
    "digamma": (scipy.special.digamma, mpmath.digamma, 4),
}
# where a special function promises its bound in ulp of the result
POSITIVE = {"lgamma": -0.5, "digamma": 0.0}


# --------------------------------------------------------------------------------------- accuracy


@pytest.mark.parametrize("name", [*ARRAYS, "erf", "erfc", "erfinv", "lgamma", "digamma"])
def test_float32_accuracy(name):
    reference, *_, bound = ARRAYS.get(name) or SPECIAL[name]
    x = FLOAT32
    if name in POSITIVE:
        x = x[~(x <= POSITIVE[name])]
    got, plain = evaluate(f"{name}_f32", x)
    with np.errstate(all="ignore"):
        want = reference(x.astype(np.float64))
    assert_small(name, ulps(got, want), bound, [x], got, want)
    assert_small(name, ulps(plain, want), bound, [x], plain, want)
    assert_small(f"{name}: LLVM against NumPy", ulps(got, plain.astype(float)), 1, [x], got, plain)


@pytest.mark.skipif(not LONG, reason="no extended precision here: nothing to compare with")
@pytest.mark.parametrize("name", ARRAYS)
def test_float64_accuracy(name):
    reference, bound = ARRAYS[name]
    got, plain = evaluate(f"{name}_f64", FLOAT64)
    with np.errstate(all="ignore"):
        want = np.asarray(reference(FLOAT64.astype(np.longdouble)))
    assert_small(name, ulps(got, want), bound, [FLOAT64], got, want)
    assert_small(name, ulps(plain, want), max(bound, 1.3 * bound), [FLOAT64], plain, want)
    difference = ulps(got, plain.astype(np.longdouble))
    assert_small(f"{name}: LLVM against NumPy", difference, 2, [FLOAT64], got, plain)


MPMATH = {
    "exp2": lambda x: mpmath.mpf(2) ** x, "log2": lambda x: mpmath.log(x, 2),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)), "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    **{n: getattr(mpmath, n) for n in ARRAYS if n not in (
        "exp2", "log2", "sigmoid", "rsqrt", "sqrt", "floor", "ceil", "trunc", "rint", "abs")},
}  # fmt: skip


@pytest.mark.parametrize("name", MPMATH)
def test_float64_against_mpmath(name):
    """Where results are finite; on every platform."""
    rng = np.random.default_rng(11)
    x = rng.choice(FLOAT64[np.abs(FLOAT64) < 1e20], 800)
    got, plain = evaluate(f"{name}_f64", x)
    finite = np.isfinite(got) & (x != 0)
    x, got, plain = x[finite], got[finite], plain[finite]
    bound = ARRAYS[name][1]
    with mpmath.workdps(60):
        want = [MPMATH[name](mpmath.mpf(v)) for v in x.tolist()]
        assert_small(name, exact_ulps(got, want), bound, [x], got, want)
        assert_small(name, exact_ulps(plain, want), 1.3 * bound, [x], plain, want)


def gamma_points(rng):
    return np.concatenate([rng.uniform(-0.5, 9, 250), 2.0 ** rng.uniform(-30, 60, 60),
                           1 + rng.normal(0, 1e-3, 30), 2 + rng.normal(0, 1e-3, 30),
                           1.4616321449683622 + rng.normal(0, 1e-4, 30)])  # fmt: skip


@pytest.mark.parametrize("name", ["erf", "erfc", "lgamma", "digamma"])
def test_special_functions_in_float64(name):
    _, exact, bound = SPECIAL[name]
    rng = np.random.default_rng(3)
    x = np.concatenate(
        [rng.uniform(-6, 27, 500), rng.uniform(-2, 2, 400), rng.uniform(1, 2, 300), [-1.3, 0.8499]]
    )
    if name in POSITIVE:
        x = gamma_points(rng)
        x = x[x > POSITIVE[name]]
    got, plain = evaluate(f"{name}_f64", x)
    with mpmath.workdps(40):
        want = [exact(mpmath.mpf(v)) for v in x.tolist()]
        assert_small(name, exact_ulps(got, want), bound, [x], got, want)
        assert_small(name, exact_ulps(plain, want), bound * 1.3, [x], plain, want)


def test_erfinv_in_float64():
    """Through erf and erfc, which are easier to have exactly."""
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.uniform(-1, 1, 300), 1 - 2.0 ** rng.uniform(-53, -1, 300)])
    got, plain = evaluate("erfinv_f64", x)
    with mpmath.workdps(40):
        for y, bound in ((got, 2), (plain, 2.6)):
            for a, b in zip(x.tolist(), y.tolist()):
                a, b = abs(mpmath.mpf(a)), abs(mpmath.mpf(b))
                miss = mpmath.erf(b) - a if a < 0.5 else (1 - a) - mpmath.erfc(b)
                slope = 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-b * b)
                assert abs(miss / slope) <= bound * np.spacing(float(b))


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_huge_arguments(name):
    """The float64 nearest to a multiple of pi/2, the largest float, and many large ones."""
    worst = 6381956970095103.0 * 2.0**797
    rng = np.random.default_rng(5)
    spread = 2.0 ** np.concatenate([rng.uniform(10, 1023, 100), rng.uniform(0, 34, 300)])
    spread[::2] = np.rint(spread[::2] / (np.pi / 2)) * (np.pi / 2)
    near = np.arange(1, 60) * (np.pi / 2)
    x = np.array([worst, -worst, 1.7976931348623157e308, 1e22, 2.0**1023, *spread, *near])
    got, plain = evaluate(f"{name}_f64", x)
    with mpmath.workprec(1300):
        want = [getattr(mpmath, name)(mpmath.mpf(v)) for v in x.tolist()]
        assert_small(name, exact_ulps(got, want), 1.3, [x], got, want)
        assert_small(name, exact_ulps(plain, want), 1.3, [x], plain, want)


@pytest.mark.parametrize("dtype", table.FLOATS)
def test_negative_gamma(dtype):
    """Below -1/2 the error is bounded in ulp of 1, of the result, or of the reflected term."""
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.uniform(-20, -0.5, 200), -(2.0 ** rng.uniform(0, 10, 60))])
    x = x.astype(TYPES[dtype])
    eps = float(np.finfo(x.dtype).eps)
    low, _ = evaluate(f"lgamma_{dtype}", x)
    psi, _ = evaluate(f"digamma_{dtype}", x)
    with mpmath.workdps(40):
        for v, got, derivative in zip(x.tolist(), low.tolist(), psi.tolist()):
            v = mpmath.mpf(v)
            want = mpmath.log(abs(mpmath.gamma(v)))
            assert abs(got - want) <= 4 * eps * max(1, abs(want))
            want, turned = mpmath.digamma(v), mpmath.pi * mpmath.cot(mpmath.pi * v)
            assert abs(derivative - want) <= 4 * eps * max(1, abs(want), abs(turned))


@pytest.mark.parametrize("dtype", table.FLOATS)
def test_gamma_at_its_poles(dtype):
    x = np.array([0.0, -0.0, -1, -2, -100, INF, -INF, NAN, 1, 2], TYPES[dtype])
    for got in evaluate(f"lgamma_{dtype}", x):
        assert same(got, np.array([INF, INF, INF, INF, INF, INF, INF, NAN, 0, 0], got.dtype)).all()
    for got in evaluate(f"digamma_{dtype}", x[:8]):
        want = np.array([-INF, INF, NAN, NAN, NAN, INF, NAN, NAN], got.dtype)
        assert same(got, want).all()
