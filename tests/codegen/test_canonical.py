"""The hand-written kernels against the NumPy reference, un-jitted and compiled."""

from __future__ import annotations

import re

import numpy as np
import pytest

import jitgrad.primitives  # noqa: F401  (fills the table of ops)
from jitgrad.codegen.canonical import index, scan, sort
from jitgrad.ir.op import OPS, Sample
from jitgrad.ir.types import bool_, float16, float32, float64, int8, int32, int64, uint8
from tests.codegen.launching import LAUNCH, MACHINES, Run

RNG = np.random.default_rng(0)


def check(name: str, sample: Sample, machine: str) -> None:
    inputs = [np.array(x, order="C") for x in sample.inputs]
    with np.errstate(all="ignore"):
        want = OPS[name].numpy(*inputs, **sample.attrs)
    want = want if isinstance(want, tuple) else (want,)
    outputs = [np.zeros(w.shape, w.dtype) for w in want]
    LAUNCH[name](Run(machine), inputs, sample.attrs, outputs)
    for got, expected in zip(outputs, want):
        exact = got.dtype.kind != "f" or not re.match("pool|max_pool2d_grad|avg", name)
        tolerance = 0 if exact else 20 * np.finfo(got.dtype).eps
        np.testing.assert_allclose(got, expected, tolerance, tolerance)


machines = pytest.mark.parametrize("machine", MACHINES)

# --- the samples of the ops ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [float64, float32, float16, int32, uint8, bool_], ids=str)
@pytest.mark.parametrize("name", LAUNCH)
def test_un_jitted(name, dtype):
    for sample in OPS[name].samples(dtype):
        check(name, sample, "python")


def wide(sample: Sample) -> bool:
    """Whether its indices are int64. Another text to compile, tried with `take` only."""
    return sample.attrs.get("dtype") is int64 or any(x.dtype == np.int64 for x in sample.inputs)


@pytest.mark.parametrize("name", LAUNCH)
def test_compiled(name):
    for sample in OPS[name].samples(float32):
        if name == "take" or not wide(sample):
            check(name, sample, "numba")


# Numba widens integers, so what becomes of them again in memory is worth a look.
SMALL = [
    *(("take", bool_), ("cumsum", uint8), ("recurrence", int8), ("cummax", uint8)),
    *(("sort", int8), ("argmax", uint8), ("max_pool2d", int8), ("max_pool2d_grad", int8)),
]


@pytest.mark.parametrize(("name", "dtype"), SMALL, ids=str)
def test_compiled_integers(name, dtype):
    for sample in OPS[name].samples(dtype):
        if not wide(sample):
            check(name, sample, "numba")


@machines
@pytest.mark.parametrize("mode", ["add", "mul", "max", "min", "set"])
def test_scatter_of_small_integers(mode, machine):
    base, updates = (RNG.integers(-128, 128, s, np.int8) for s in ((4, 3), (6, 3)))
    idx = np.array([3, 0, 3, 1, 3, 0], np.int32)
    check("scatter", Sample((base, idx, updates), {"mode": mode}), machine)


@pytest.mark.parametrize("name", [n for n in LAUNCH if "pool" in n])
def test_compiled_for_one_window(name):
    """The same numbers from the text for a window as from that for all."""
    sample = next(s for s in OPS[name].samples(float32))
    attrs = sample.attrs
    every, one = Run("numba"), Run("numba")
    made = []
    one.windows = True
    for run in (every, one):
        outputs = [np.zeros_like(OPS[name].numpy(*sample.inputs, **attrs))]
        LAUNCH[name](run, [np.array(x) for x in sample.inputs], attrs, outputs)
        made.append(outputs[0])
    np.testing.assert_array_equal(made[0], made[1])


# --- what samples do not show -------------------------------------------------------------------


def special(*shape):
    """Few values, so ties, with nan and both infinities and zeros among them."""
    values = np.array([0.0, -0.0, 1, 1, 2, -3, np.inf, -np.inf, np.nan], np.float32)
    return values[RNG.integers(0, len(values), shape)]


@machines
@pytest.mark.parametrize("name", ["argmax", "argmin", "cummax", "cummin", "sort"])
def test_special_values(name, machine):
    for shape, axis in (((3, 50), 1), ((50, 3), 0), ((2, 20, 3), 1), ((4, 1), 1)):
        attrs = {"axis": axis, "dtype": int32}
        for descending in (False, True) if name == "sort" else (None,):
            more = {} if descending is None else {"descending": descending}
            check(name, Sample((special(*shape),), {**attrs, **more}), machine)


@machines
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 32, 33, 100, 257])
def test_sort_of_all_lengths(n, machine):
    x = RNG.integers(0, 40, (2, n, 2)).astype(np.float32)
    for axis in (1, 2):
        for descending in (False, True):
            attrs = {"axis": axis, "descending": descending, "dtype": int32}
            check("sort", Sample((x,), attrs), machine)


@machines
def test_scatter_specials(machine):
    for mode in ("max", "min", "add", "mul"):
        idx = RNG.integers(0, 4, 30).astype(np.int32)
        check("scatter", Sample((special(4, 2), idx, special(30, 2)), {"mode": mode}), machine)


@machines
def test_pools_of_specials(machine):
    for kernel, stride, pad in (((2, 2), (2, 2), (0,) * 4), ((3, 2), (2, 3), (2, 1, 1, 2)),
                                ((2, 3), (1, 1), (3, 0, 0, 4))):  # fmt: skip
        x = special(2, 3, 7, 8)
        attrs = {"kernel": kernel, "stride": stride, "pad": pad}
        check("max_pool2d", Sample((x,), attrs), machine)
        y = OPS["max_pool2d"].numpy(x, **attrs)
        g, t = (RNG.standard_normal(s).astype(np.float32) for s in (y.shape, x.shape))
        check("max_pool2d_grad", Sample((x, g), attrs), machine)
        check("max_pool2d_pick", Sample((x, t), attrs), machine)
        for whole in (False, True):
            mean = {**attrs, "count_include_pad": whole}
            check("avg_pool2d", Sample((t,), mean), machine)
            check("avg_pool2d_grad", Sample((g,), {**mean, "size": (7, 8)}), machine)


@machines
@pytest.mark.parametrize("bad", [4, -1, 2**40])
@pytest.mark.parametrize("rows", [1, 3])
def test_indices_outside(bad, rows, machine):
    x, idx = np.arange(4 * rows, dtype=np.float32).reshape(4, rows), np.array([1, bad, 2])
    out, status = np.zeros((3, rows), np.float32), np.zeros(2, np.int64)
    Run(machine)(index.take("f32", "i64"), [x, idx, out, status], [4, rows], 3)
    np.testing.assert_array_equal(status, [1, bad])
    np.testing.assert_array_equal(out, [x[1], 0 * x[0], x[2]])
    base, status = np.zeros((4, rows), np.float32), np.zeros(2, np.int64)
    source = index.scatter("set", "f32", "i64")
    Run(machine)(source, [idx, x[:3].copy(), base, status], [3, 4, rows], 4)
    np.testing.assert_array_equal(status, [1, bad])
    np.testing.assert_array_equal(base[:3], [0 * x[0], x[0], x[2]])


@machines
def test_an_index_into_nothing(machine):
    status = np.zeros(2, np.int64)
    arrays = [np.array([0]), np.zeros((1, 3), np.float32), np.zeros((0, 3), np.float32), status]
    Run(machine)(index.scatter("add", "f32", "i64"), arrays, [1, 0, 3], 1)
    np.testing.assert_array_equal(status, [1, 0])


@machines
@pytest.mark.parametrize(("axis", "dims"), [(1, [5, 4]), (2, [4, 1])])
def test_in_place(axis, dims, machine):
    """Where a result may take the place of an operand, says the kernel's docstring."""
    x, a = RNG.standard_normal((2, 3, 5, 4)).astype(np.float32)
    run, lines = Run(machine), x.size // dims[0]
    for name in ("cumsum", "cumprod"):
        y = x.copy()
        run(getattr(scan, name)("f32"), [y, y], [*dims, 1], lines)
        np.testing.assert_array_equal(y, OPS[name].numpy(x, axis=axis, reverse=True))
    want = OPS["recurrence"].numpy(a, x, axis=axis, reverse=False)
    for target in (0, 1):
        arrays = [a.copy(), x.copy()]
        run(scan.recurrence("f32"), [*arrays, arrays[target]], [*dims, 0], lines)
        np.testing.assert_array_equal(arrays[target], want)
    y, places = x.copy(), np.zeros(x.shape, np.int32)
    run(scan.cummax("f32", "i32"), [y, y, places], [*dims, 0], lines)
    np.testing.assert_array_equal(y, np.maximum.accumulate(x, axis))
    y, work = x.copy(), [np.zeros(2 * x.size, np.float32), np.zeros(2 * x.size, np.int32)]
    run(sort.sort(False, "f32", "i32"), [y, y, places, *work], dims, lines)
    np.testing.assert_array_equal(y, np.sort(x, axis))


def test_no_conversion_is_left():
    """Only float16 is converted; for other dtypes the text reads as if written for them."""
    text = scan.recurrence("f32")
    assert "product0 = to_f32(factor[at0] * state0)\n" in text
    assert "{" not in text
    assert "f16" not in text
    text = scan.recurrence("f16")
    assert "product0 = unpack_f16(pack_f16(to_f32(unpack_f16(factor[at0]) * state0)))\n" in text
