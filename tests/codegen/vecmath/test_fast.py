"""JITGRAD_MATH=fast: other functions in the text, at most 8 ulp, the same special cases."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad
from jitgrad import config, ops
from jitgrad.codegen.vecmath import table
from tests.codegen.vecmath.inputs import FLOAT32, FLOAT64
from tests.codegen.vecmath.yardstick import TYPES, assert_small, evaluate, same, ulps


@pytest.mark.parametrize("dtype", table.FLOATS)
@pytest.mark.parametrize("name", [f.__name__ for f in table.FAST])
def test_fast_functions_are_close_to_the_accurate_ones(name, dtype):
    """These are good to 2 ulp, so 6 from them are 8 from the exact value."""
    x = FLOAT32 if dtype == "f32" else FLOAT64
    exact, _ = evaluate(f"{name}_{dtype}", x)
    special = ~np.isfinite(exact) | (exact == 0)
    wide = exact.astype(np.longdouble)
    for got in evaluate(f"fast_{name}_{dtype}", x):
        assert same(got, exact)[special].all()
        assert_small(name, ulps(got, wide), 6, [x], got, exact)


def loss(x):
    return ops.tanh(x) + ops.erfc(x) + ops.exp(x)


@pytest.mark.parametrize("jit", [True, False])
def test_the_setting_chooses_functions(jit):
    x = jitgrad.Tensor(np.linspace(-3, 3, 1001, dtype=np.float32))
    function = jitgrad.jit(loss)
    with config.override(jit=jit):
        accurate = function(x).asnumpy()
        with config.override(math="fast"):
            fast = function(x).asnumpy()
        assert np.array_equal(function(x).asnumpy(), accurate)
    assert not np.array_equal(fast, accurate)
    assert np.abs(fast - accurate).max() <= 16 * np.finfo(np.float32).eps * accurate.max()


def test_the_setting_is_in_the_text():
    x = jitgrad.Tensor(np.ones(3, np.float32))
    assert "fast_" not in jitgrad.jit(loss).lower(x).kernels[0].text
    with config.override(math="fast"):
        text = jitgrad.jit(loss).lower(x).kernels[0].text
    assert "fast_tanh_f32" in text
    assert "fast_erfc_f32" in text
    assert " exp_f32" in text  # has no faster version


def test_a_misspelt_setting_is_refused():
    with pytest.raises(ValueError, match="accurate or fast"), config.override(math="quick"):
        pass


def test_every_fast_function_has_an_accurate_one():
    for dtype in table.FLOATS:
        for function in table.FAST:
            assert f"{function.__name__}_{dtype}" in table.NAMES
            assert TYPES[dtype].kind == "f"
