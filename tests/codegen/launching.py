"""Launching the hand-written kernels: from an op's sample to texts, arrays, dims and ranges."""

from __future__ import annotations

import ctypes
import functools
import itertools

import numpy as np

from jitgrad.codegen import compile as compiler
from jitgrad.codegen.canonical import index, pool, scan, sort
from jitgrad.ir.types import BY_CODE, BY_NUMPY
from jitgrad.runtime import loader

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
    "max_pool2d": pooling("max_pool2d"),
    "max_pool2d_grad": pooling("max_pool2d_grad", planes=True),
    "max_pool2d_pick": pooling("max_pool2d_pick"),
    "avg_pool2d": pooling("avg_pool2d"),
    "avg_pool2d_grad": pooling("avg_pool2d_grad", planes=True),
}
