"""Casts, select and accumulators."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from jitgrad.codegen.vecmath import table
from tests.codegen.vecmath.inputs import integer_pairs
from tests.codegen.vecmath.yardstick import (
    INF,
    NAN,
    PYTHON,
    TYPES,
    Kernel,
    call,
    compile_loop,
    run,
    widest,
)


def cast_values(source):
    if source == "bool":
        return np.array([False, True])
    if source in table.FLOATS:
        values = [0.0, -0.0, 0.5, 1, 1.5, 2.5, 100.75, 127, NAN, INF, 255, 3e9, 1e19, 2.0**63]
        if source == "f64":
            values += [1e300, 1e-300, 0.1]
        return np.array(values, TYPES[source])
    return np.unique(next(integer_pairs(source)))


def cast_all(target, sources):
    """Every source array cast by one kernel; they are repeated up to one size."""
    size = max(x.size for x in sources.values())
    outs = {source: np.zeros(size, TYPES[target]) for source in sources}
    pointers, loop, arrays = [], ["for i in range(n):"], []
    for k, (source, x) in enumerate(sources.items()):
        pointers.append(f"a{k} = {source}_ptr(ptrs, {2 * k})")
        pointers.append(f"out{k} = {target}_ptr(ptrs, {2 * k + 1})")
        loop.append(f"    out{k}[i] = to_{target}(a{k}[i])")
        arrays += [np.resize(x, size), outs[source]]
    call(Kernel(pointers + loop), arrays, size)
    return {source: out[: sources[source].size] for source, out in outs.items()}


@pytest.mark.parametrize("target", table.DTYPES)
def test_casts(target):
    """astype, from every type, of the values that fit; both versions agree on more."""
    sources = {source: cast_values(source) for source in table.DTYPES}
    compiled_casts, to = cast_all(target, sources), TYPES[target]
    for source, x in sources.items():
        got = compiled_casts[source]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plain = np.array([PYTHON[f"to_{target}"](v) for v in x], to)
            assert np.array_equal(PYTHON[f"to_{target}"](x), plain, equal_nan=to.kind == "f")
        with np.errstate(all="ignore"):
            want = x.astype(to)
        fits = np.ones(x.shape, bool)
        if source in table.FLOATS and target in table.INTEGERS:
            info = np.iinfo(to)
            fits = (x > float(info.min) - 1) & (x < float(info.max)) | (x == 0)
            known = np.abs(x) < 2.0**31  # beyond, LLVM's conversion is poison
            assert np.array_equal(got[known], plain[known]), source
        for y in (got, plain):
            assert np.array_equal(y[fits], want[fits], equal_nan=to.kind == "f"), source


def test_negative_floats_wrap_in_unsigned_integers():
    x = np.array([-1.0, -2.5, -255.0], np.float32)
    for target in ("u8", "u16", "u32", "u64"):
        got = run(compile_loop(f"to_{target}(a[i])", ["f32"], target), [x], target)
        want = x.astype(np.int64).astype(TYPES[target])
        assert np.array_equal(got, want)
        assert np.array_equal(PYTHON[f"to_{target}"](x), want)


@pytest.mark.parametrize("dtype", ["f32", "f64", "i8", "u16", "i64"])
def test_select(dtype):
    rng = np.random.default_rng(9)
    condition = rng.integers(0, 2, 50).astype(bool)
    x, y = (rng.integers(0, 100, 50).astype(TYPES[dtype]) for _ in range(2))
    kernel = compile_loop("select(a[i], b[i], c[i])", ["bool", dtype, dtype], dtype)
    want = np.where(condition, x, y)
    assert np.array_equal(run(kernel, [condition, x, y], dtype), want)
    assert np.array_equal(PYTHON["select"](condition, x, y), want)
    assert PYTHON["select"](True, x[0], y[0]) == x[0]


def test_select_of_a_comparison_and_a_stored_boolean():
    x = np.array([1, -2, 3, NAN], np.float32)
    kernel = compile_loop("to_bool(select(a[i] < b[i], a[i], b[i]))", ["f32", "f32"], "bool")
    assert run(kernel, [x, np.zeros(4, np.float32)], "bool").tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("dtype", table.FLOATS)
@pytest.mark.parametrize("op", table.REASSOC)
def test_accumulators_vectorize_and_keep_nan(op, dtype):
    name = f"{op}_{dtype}"
    kernel = compile_loop("a[i]", [dtype], dtype, reduce=name)
    assert widest(kernel.llvm(), dtype) >= 2
    x = np.random.default_rng(10).uniform(0.9, 1.1, 1003).astype(TYPES[dtype])
    reference = {"add": np.sum, "mul": np.prod, "max": np.max, "min": np.min}[op[:3]]
    assert np.isclose(run(kernel, [x], dtype)[0], reference(x.astype(float)), rtol=1e-4)
    for place in (0, 500, 1002):
        holed = x.copy()
        holed[place] = NAN
        assert np.isnan(run(kernel, [holed], dtype)[0])
    assert PYTHON[name](x[0], x[1]) == reference(x[:2])
