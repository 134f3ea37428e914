"""The hand-written kernels against the NumPy reference, un-jitted and compiled."""

from __future__ import annotations

import ctypes
import functools
import itertools
import re

import numpy as np
import pytest

import jitgrad.primitives  # noqa: F401  (fills the table of ops)
from jitgrad.codegen import compile as compiler
from jitgrad.codegen.canonical import conv, index, pool, scan, sort
from jitgrad.codegen.canonical.text import working
from jitgrad.ir.op import OPS, Sample
from jitgrad.ir.types import (
    BY_CODE,
    BY_NUMPY,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int32,
    int64,
    uint8,
)
from jitgrad.runtime import loader

RNG = np.random.default_rng(0)
F16 = {"f16_ptr": lambda ptrs, k: ptrs[k], "pack_f16": np.float16, "unpack_f16": np.float32}


def code(array: np.ndarray) -> str:
    return BY_NUMPY[array.dtype].code


def zeros(shape, of: str) -> np.ndarray:
    return np.zeros(shape, BY_CODE[of].numpy)


# --- running a text -----------------------------------------------------------------------------


def run_python(source, arrays, dims, lo, hi):
    kernel = compiler.function(source, {**compiler.plain_names(), **F16})
    flat = [a.reshape(-1).view(np.uint8) if a.dtype == bool else a.reshape(-1) for a in arrays]
    with np.errstate(all="ignore"):
        kernel(flat, list(dims), lo, hi)


@functools.cache
def compiled(source):
    words = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    return ctypes.CFUNCTYPE(None, *words)(loader.address(source))


def run_numba(source, arrays, dims, lo, hi):
    addresses = np.array([a.ctypes.data for a in arrays], np.int64)
    numbers = np.array([*dims, 0], np.int64)
    compiled(source)(addresses.ctypes.data, numbers.ctypes.data, lo, hi)


MACHINES = {"python": run_python, "numba": run_numba}


class Run:
    """Launches texts in parts, in another order than a loop would."""

    def __init__(self, machine: str):
        self.machine = MACHINES[machine]
        self.windows = machine == "python"  # every window is another text to compile

    def __call__(self, source, arrays, dims, extent):
        assert all(a.flags.c_contiguous for a in arrays)
        assert [line for line in source.splitlines() if len(line) > 100] == []
        cuts = sorted({0, extent // 3, extent * 2 // 3, extent})
        for lo, hi in reversed(list(itertools.pairwise(cuts))):
            self.machine(source, arrays, dims, lo, hi)


# --- from an op to launches ---------------------------------------------------------------------
# Each takes (run, inputs, attributes, outputs of zeros) and launches what computes the outputs.


def around(array, axis):
    """(A, n, B): the extents before, at and after an axis."""
    return (
        int(np.prod(array.shape[:axis])), array.shape[axis], int(np.prod(array.shape[axis + 1 :])),
    )  # fmt: skip


def take(run, inputs, attrs, outputs):
    x, idx = inputs
    status = np.zeros(2, np.int64)
    rows = int(np.prod(x.shape[1:]))
    source = index.take(code(x), code(idx))
    run(source, [x, idx, outputs[0], status], [x.shape[0], rows], idx.size)
    assert not status.any()


def scatter(run, inputs, attrs, outputs):
    base, idx, updates = inputs
    status = np.zeros(2, np.int64)
    outputs[0][...] = base
    dims = [idx.size, base.shape[0], int(np.prod(base.shape[1:]))]
    source = index.scatter(attrs["mode"], code(base), code(idx))
    run(source, [idx, updates, outputs[0], status], dims, max(base.shape[0], 1))
    assert not status.any()


def dynamic_slice(run, inputs, attrs, outputs):
    x, *starts = inputs
    if not starts:
        outputs[0][...] = x
        return
    sizes = attrs["sizes"]
    source = index.dynamic_slice(code(x), code(starts[0]))
    dims = [x.ndim, *x.shape, *sizes]
    run(source, [x, *starts, outputs[0]], dims, int(np.prod(sizes[:-1])))


def dynamic_update_slice(run, inputs, attrs, outputs):
    x, update, *starts = inputs
    outputs[0][...] = x if starts else update
    if starts:
        source = index.dynamic_update_slice(code(x), code(starts[0]))
        dims = [x.ndim, *x.shape, *update.shape]
        run(source, [update, *starts, outputs[0]], dims, int(np.prod(update.shape[:-1])))


def scans(name):
    def launch(run, inputs, attrs, outputs):
        a, n, b = around(inputs[0], attrs["axis"])
        source = getattr(scan, name)(code(inputs[0]))
        run(source, [*inputs, *outputs], [n, b, int(attrs["reverse"])], a * b)

    return launch


def extremes(name):
    def launch(run, inputs, attrs, outputs):
        a, n, b = around(inputs[0], attrs["axis"])
        source = getattr(scan, name)(code(inputs[0]), attrs["dtype"].code)
        run(source, [*inputs, *outputs], [n, b, 0], a * b)

    return launch


def args(name):
    def launch(run, inputs, attrs, outputs):
        a, n, b = around(inputs[0], attrs["axis"])
        source = getattr(sort, name)(code(inputs[0]), attrs["dtype"].code)
        run(source, [*inputs, *outputs], [n, b], a * b)

    return launch


def sorting(run, inputs, attrs, outputs):
    (x,), of = inputs, attrs["dtype"].code
    a, n, b = around(x, attrs["axis"])
    work = [zeros(2 * x.size, code(x)), zeros(2 * x.size, of)]
    source = sort.sort(attrs["descending"], code(x), of)
    run(source, [x, *outputs, *work], [n, b], a * b)


class Panels:
    """The geometry of a convolution, and its matrices for a panel of images and a group."""

    def __init__(self, run, x_shape, w_shape, out, attrs, of, panel=2):
        self.run, self.of, self.panel = run, of, panel
        self.n, self.c, *self.size = x_shape
        self.filters, self.depth, *self.kernel = w_shape
        self.out, self.attrs, self.groups = out, attrs, attrs["groups"]
        self.k = self.depth * self.kernel[0] * self.kernel[1]
        self.p = out[0] * out[1]
        self.o = self.filters // self.groups

    def __iter__(self):
        for group in range(self.groups):
            for first in range(0, self.n, self.panel):
                yield group, first, min(self.panel, self.n - first)

    def dims(self, group, first, count):
        area = self.size[0] * self.size[1]
        start = (first * self.c + group * self.depth) * area
        at = self.attrs
        geometry = (*self.size, *self.kernel, *self.out, *at["stride"], *at["dilation"])
        return [start, self.c * area, count, *geometry, at["pad"][0], at["pad"][2]]

    def columns(self, x, *panel):
        columns = zeros((self.k, panel[2] * self.p), working(self.of))
        self.run(conv.im2col(self.of), [x, columns], self.dims(*panel), self.k)
        return columns

    def images(self, columns, x, *panel):
        dims = [*self.dims(*panel), self.depth]
        self.run(conv.col2im(working(self.of)), [columns, x], dims, panel[2] * self.depth)

    def place(self, group, first, count):
        """dims of `rows` in [N, O, P] and in [O, count, P]."""
        start = (first * self.filters + group * self.o) * self.p
        return (start, self.p, self.filters * self.p), (0, count * self.p, self.p)

    def rows(self, g, *panel):
        out = zeros((self.o, panel[2] * self.p), working(self.of))
        here, there = self.place(*panel)
        dims = [panel[2], self.p, *here, *there]
        self.run(conv.rows(self.of, working(self.of)), [g, out], dims, self.o * panel[2])
        return out

    def unrows(self, y, out, *panel):
        here, there = self.place(*panel)
        dims = [panel[2], self.p, *there, *here]
        y = np.ascontiguousarray(y)
        self.run(conv.rows(working(self.of), self.of), [y, out], dims, self.o * panel[2])

    def filters_of(self, w, group):
        w = w.reshape(self.groups, self.o, self.k)[group]
        return w.astype(BY_CODE[working(self.of)].numpy)


def conv2d(run, inputs, attrs, outputs):
    x, w = inputs
    panels = Panels(run, x.shape, w.shape, outputs[0].shape[2:], attrs, code(x))
    for panel in panels:
        y = panels.filters_of(w, panel[0]) @ panels.columns(x, *panel)
        panels.unrows(y, outputs[0], *panel)


def conv2d_input(run, inputs, attrs, outputs):
    g, w = inputs
    panels = Panels(run, outputs[0].shape, w.shape, g.shape[2:], attrs, code(g))
    into = zeros(outputs[0].shape, working(code(g)))
    for panel in panels:
        columns = panels.filters_of(w, panel[0]).T @ panels.rows(g, *panel)
        panels.images(np.ascontiguousarray(columns), into, *panel)
    outputs[0][...] = into


def conv2d_weight(run, inputs, attrs, outputs):
    x, g = inputs
    panels = Panels(run, x.shape, outputs[0].shape, g.shape[2:], attrs, code(x), panel=1)
    total = zeros((attrs["groups"], panels.o, panels.k), working(code(x)))
    for panel in panels:
        total[panel[0]] += panels.rows(g, *panel) @ panels.columns(x, *panel).T
    outputs[0][...] = total.reshape(outputs[0].shape)


def pooling(name, planes=False):
    def launch(run, inputs, attrs, outputs):
        if name == "avg_pool2d_grad":
            image, out = outputs[0], inputs[0]
        else:
            image, out = inputs[0], inputs[1] if planes else outputs[0]
        pad, whole = attrs["pad"], attrs.get("count_include_pad")
        dims = [*image.shape[2:], *out.shape[2:], *attrs["kernel"], *attrs["stride"]]
        dims += [pad[0], pad[2]] + ([] if whole is None else [int(whole)])
        count = image.shape[0] * image.shape[1]
        extent = count if planes else count * out.shape[2]
        window = (*attrs["kernel"], *attrs["stride"])
        for made_for in (None, window) if run.windows else (None,):
            source = getattr(pool, name)(code(image), made_for)
            outputs[0].fill(77)
            run(source, [*inputs, *outputs], dims, extent)

    return launch


LAUNCH = {
    "take": take,
    "scatter": scatter,
    "dynamic_slice": dynamic_slice,
    "dynamic_update_slice": dynamic_update_slice,
    **{name: scans(name) for name in ("cumsum", "cumprod", "recurrence")},
    **{name: extremes(name) for name in ("cummax", "cummin")},
    **{name: args(name) for name in ("argmax", "argmin")},
    "sort": sorting,
    "conv2d": conv2d,
    "conv2d_input": conv2d_input,
    "conv2d_weight": conv2d_weight,
    "max_pool2d": pooling("max_pool2d"),
    "max_pool2d_grad": pooling("max_pool2d_grad", planes=True),
    "max_pool2d_pick": pooling("max_pool2d_pick"),
    "avg_pool2d": pooling("avg_pool2d"),
    "avg_pool2d_grad": pooling("avg_pool2d_grad", planes=True),
}


def check(name: str, sample: Sample, machine: str) -> None:
    inputs = [np.array(x, order="C") for x in sample.inputs]
    with np.errstate(all="ignore"):
        want = OPS[name].numpy(*inputs, **sample.attrs)
    want = want if isinstance(want, tuple) else (want,)
    outputs = [np.zeros(w.shape, w.dtype) for w in want]
    LAUNCH[name](Run(machine), inputs, sample.attrs, outputs)
    for got, expected in zip(outputs, want):
        exact = got.dtype.kind != "f" or not re.match("conv|pool|max_pool2d_grad|avg", name)
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
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("pad", [(0, 0, 0, 0), (2, 0, 1, 5), (0, 3, 4, 0)])
def test_convolutions(stride, pad, machine):
    attrs = {"stride": stride, "pad": pad, "dilation": (1, 2), "groups": 2}
    x, w = (RNG.standard_normal(s).astype(np.float32) for s in ((3, 4, 5, 6), (6, 2, 3, 2)))
    check("conv2d", Sample((x, w), attrs), machine)
    g = RNG.standard_normal(OPS["conv2d"].numpy(x, w, **attrs).shape).astype(np.float32)
    check("conv2d_input", Sample((g, w), {**attrs, "size": (5, 6)}), machine)
    check("conv2d_weight", Sample((x, g), {**attrs, "kernel": (3, 2)}), machine)


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
    assert "product = to_f32(factor[at] * state)\n" in text
    assert "{" not in text
    assert "f16" not in text
    text = scan.recurrence("f16")
    assert "product = unpack_f16(pack_f16(to_f32(unpack_f16(factor[at]) * state)))\n" in text
