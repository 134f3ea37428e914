"""Integer division, powers and magnitudes, as NumPy has them."""

from __future__ import annotations

import numpy as np
import pytest

from jitgrad.codegen.vecmath import table
from tests.codegen.vecmath.inputs import integer_pairs
from tests.codegen.vecmath.yardstick import evaluate


@pytest.mark.parametrize("dtype", table.INTEGERS)
def test_integer_division(dtype):
    x, y = integer_pairs(dtype)
    with np.errstate(all="ignore"):
        cases = {"floordiv": np.floor_divide(x, y), "mod": np.remainder(x, y),
                 "fmod": np.fmod(x, y)}  # fmt: skip
    for name, want in cases.items():
        for got in evaluate(f"{name}_{dtype}", x, y):
            assert np.array_equal(got, want), name


@pytest.mark.parametrize("dtype", table.INTEGERS)
def test_integer_power(dtype):
    x, y = integer_pairs(dtype)
    negative = np.zeros(x.shape, bool) if dtype[0] == "u" else y < 0
    want = np.power(x, np.where(negative, 0, y).astype(x.dtype))
    units = np.where(x == 1, 1, np.where(np.abs(x.astype(float)) == 1, 1 - 2 * (y % 2 == 1), 0))
    want = np.where(negative, units, want.astype(object)).astype(x.dtype)
    for got in evaluate(f"pow_{dtype}", x, y):
        assert np.array_equal(got, want)


@pytest.mark.parametrize("dtype", [t for t in table.INTEGERS if t[0] == "i"])
def test_integer_magnitude(dtype):
    x, _ = integer_pairs(dtype)
    for got in evaluate(f"abs_{dtype}", x):
        assert np.array_equal(got, np.abs(x))
