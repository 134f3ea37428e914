"""Functions of two operands: their tables of special cases, and errors in ulp."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.codegen.vecmath import pow, table
from tests.codegen.vecmath.inputs import corner_pairs, integer_pairs
from tests.codegen.vecmath.yardstick import LONG, TYPES, assert_small, evaluate, same, ulps


def is_exact(want):
    """Where a result has no rounding in it: 0, 1, inf, nan and their negatives."""
    return ~np.isfinite(want) | np.isin(np.abs(want), [0, 1])


@pytest.mark.parametrize("dtype", table.FLOATS)
@pytest.mark.parametrize(
    ("name", "reference"), [("pow", np.power), ("atan2", np.arctan2), ("fmod", np.fmod),
                            ("mod", np.remainder), ("floordiv", np.floor_divide),
                            ("copysign", np.copysign)],
)  # fmt: skip
def test_special_cases_of_two_operands(name, reference, dtype):
    x, y = corner_pairs(TYPES[dtype])
    with np.errstate(all="ignore"):
        want = reference(x, y)
    exact = is_exact(want) if name in ("pow", "atan2") else np.ones(want.shape, bool)
    for got in evaluate(f"{name}_{dtype}", x, y):
        bad = exact & ~same(got, want)
        assert not bad.any(), list(zip(x[bad], y[bad], got[bad], want[bad]))[:5]
        assert ulps(got, want.astype(np.longdouble))[~bad].max() <= 3


def power_operands(dtype, size):
    """x**y over the whole range of results, x near 1 with huge y, and modest numbers."""
    rng = np.random.default_rng(7)
    top = np.finfo(dtype).maxexp
    near = 1 + rng.choice([-1, 1], size) * 2.0 ** rng.uniform(-top.bit_length() * 2.5, -1, size)
    x = np.concatenate([2.0 ** rng.uniform(-top - 20, top, size), near, rng.uniform(0, 9, size)])
    with np.errstate(all="ignore"):
        x = x.astype(dtype)
        y = rng.uniform(-top - 30, top + 5, x.size) / np.log2(x.astype(np.longdouble))
        y[-size:] = rng.uniform(-20, 20, size)
        x[::5] *= -1
        y[::5] = np.rint(y[::5])
        return x, y.astype(dtype)


@pytest.mark.parametrize("dtype", table.FLOATS)
def test_pow_accuracy(dtype):
    if dtype == "f64" and not LONG:
        pytest.skip("no extended precision here: nothing to compare with")
    x, y = power_operands(TYPES[dtype].type, 20_000)
    wide = np.float64 if dtype == "f32" else np.longdouble
    with np.errstate(all="ignore"):
        want = np.power(x.astype(wide), y.astype(wide))
    for got in evaluate(f"pow_{dtype}", x, y):
        assert_small("pow", ulps(got, want), 1.5, [x, y], got, want)


def test_pow_without_doubles() -> None:
    """What GPUs compute in float32: within the same bound."""
    x, y = power_operands(np.float32, 20_000)
    x = np.abs(x)
    usual = (x > 0) & np.isfinite(x) & np.isfinite(y)
    x, y = x[usual], y[usual]
    with np.errstate(all="ignore"):
        want = np.power(x.astype(np.float64), y.astype(np.float64))
        got = pow.power_in_pairs(x, y)
    assert got.dtype == np.float32
    assert_small("pow", ulps(got, want), 1.5, [x, y], got, want)


@pytest.mark.parametrize("dtype", table.FLOATS)
def test_atan2_accuracy(dtype):
    if dtype == "f64" and not LONG:
        pytest.skip("no extended precision here: nothing to compare with")
    rng = np.random.default_rng(8)
    y, x = ((rng.choice([-1, 1], 40_000) * 2.0 ** rng.uniform(-20, 20, 40_000))
            .astype(TYPES[dtype]) for _ in range(2))  # fmt: skip
    wide = np.float64 if dtype == "f32" else np.longdouble
    want = np.arctan2(y.astype(wide), x.astype(wide))
    for got in evaluate(f"atan2_{dtype}", y, x):
        assert_small("atan2", ulps(got, want), 2, [y, x], got, want)


@pytest.mark.parametrize("dtype", [*table.FLOATS, *table.INTEGERS])
def test_minimum_and_maximum(dtype):
    x, y = corner_pairs(TYPES[dtype]) if dtype in table.FLOATS else integer_pairs(dtype)
    for name, reference in (("minimum", np.minimum), ("maximum", np.maximum)):
        for got in evaluate(f"{name}_{dtype}", x, y):
            assert np.array_equal(got, reference(x, y), equal_nan=dtype in table.FLOATS)
