"""Products with packed matrices: of the tiles of a strip, and of batches."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad
from jitgrad import config
from jitgrad.codegen.panels import panels_of
from jitgrad.ir.types import float16, float32, float64, int32
from jitgrad.primitives.elementwise import tanh
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.shape import transpose
from jitgrad.runtime.executable import Executable
from tests.programs import graph_of

RNG = np.random.default_rng(3)


def normal(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def swap(x):
    return transpose(x, perm=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def texts(made):
    return "".join(launch.source for _, launch in made.program.flattened)


def types(*arrays):
    return " ".join(f"f{a.itemsize * 8}[{','.join(map(str, a.shape))}]" for a in arrays)


def two_layers(x, v, w):
    """Rows through two matrices, the second read swapped."""
    return matmul(tanh(matmul(x, v)), swap(w))


@pytest.mark.parametrize("rows", [1000, 1024, 517])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_a_strip(rows, dtype):
    x, v, w = normal(rows, 40, dtype=dtype), normal(40, 192, dtype=dtype), normal(160, 192)
    w = w.astype(dtype)
    made = Executable(graph_of(two_layers, types(x, v, w)), {})
    assert texts(made).count("taps_") == 2
    (got,) = made(x, v, w)
    exact = [a.astype(np.float64) for a in (x, v, w)]
    want = np.tanh(exact[0] @ exact[1]) @ exact[2].T
    np.testing.assert_allclose(got, want, 0, 1e3 * np.finfo(dtype).eps)


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize(("m", "n"), [(128, 128), (5, 144), (1, 128)])
def test_batches_of_swapped_operands(m, n, jit):
    """Rows of a times rows of b, as in attention."""
    a, b = normal(3, m, 40), normal(3, n, 40)
    with config.override(jit=jit):
        made = Executable(graph_of(lambda a, b: matmul(a, swap(b)), types(a, b)), {})
        assert ("taps_" in texts(made)) == (m > 1)
        (got,) = made(a, b)
    want = a.astype(np.float64) @ b.astype(np.float64).swapaxes(1, 2)
    np.testing.assert_allclose(got, want, 0, 1e2 * np.finfo(np.float32).eps)


def test_what_is_left_to_the_library():
    assert panels_of(float32, (64, 64), 40, 192, False) is not None
    assert panels_of(float32, (64, 64), 40, 193, False) is None  # rows are no vectors
    assert panels_of(float32, (64, 64), 8, 16, False) is None  # too small
    assert panels_of(float16, (64, 64), 40, 192, False) is None
    assert panels_of(int32, (64, 64), 40, 192, False) is None


@pytest.mark.parametrize("vectors", [1, 5, 11, 25, 49])
def test_all_columns_are_in_panels(vectors):
    panels = panels_of(float64, (64, 9), 512, 8 * vectors, True)
    first = 0
    for column, count, wide in panels.columns():
        assert column == first
        first += 8 * count * wide
    assert first == panels.n


WHOLE = {  # batch, rows, terms, columns; which operands are swapped
    "a panel": ((1, 100, 64, 64), (False, False)),
    "rows that fill no block": ((1, 61, 70, 112), (False, False)),
    "columns that fill no panel": ((1, 40, 96, 272), (False, False)),
    "the left one swapped": ((1, 45, 130, 176), (True, False)),
    "the right one swapped": ((1, 7, 100, 208), (False, True)),
    "both swapped": ((1, 33, 50, 272), (True, True)),
    "a batch": ((3, 37, 96, 96), (False, False)),
    "a batch, the left one swapped": ((2, 50, 90, 96), (True, False)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", WHOLE)
def test_whole_products(case, dtype):
    (batch, m, k, n), swapped = WHOLE[case]
    a, b = normal(batch, m, k, dtype=dtype), normal(batch, k, n, dtype=dtype)
    given = [np.ascontiguousarray(x.swapaxes(1, 2)) if s else x for x, s in zip((a, b), swapped)]
    given = [x[0] for x in given] if batch == 1 else given

    def product(x, y):
        return matmul(swap(x) if swapped[0] else x, swap(y) if swapped[1] else y)

    made = Executable(graph_of(product, types(*given)), {})
    assert "taps_" in texts(made)
    want = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(made(*given)[0].reshape(want.shape), want, 0, 2e2 * eps(dtype))


def eps(dtype):
    return np.finfo(dtype).eps


@pytest.mark.parametrize("columns", [40, 43])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_over_the_rows_of_a_strip(columns, dtype):
    """A weight's gradient, to which each tile adds."""
    x, v = normal(1100, columns, dtype=dtype), normal(columns, 272, dtype=dtype)

    def loss(x, v):
        return matmul(swap(x), tanh(matmul(x, v)))

    made = Executable(graph_of(loss, types(x, v)), {})
    assert "gemm_" not in texts(made)
    x, v = x.astype(np.float64), v.astype(np.float64)
    (got,) = made(x.astype(dtype), v.astype(dtype))
    np.testing.assert_allclose(got, x.T @ np.tanh(x @ v), 0, 1e4 * eps(dtype))


def test_products_that_the_library_is_left_with():
    for m, k, n in ((31, 100, 128), (64, 32, 64), (600, 1024, 512), (100, 100, 100)):
        shape = f"f32[{m},{k}] f32[{k},{n}]"
        made = Executable(graph_of(matmul, shape), {})
        assert "gemm_" in texts(made), shape


def test_the_same_bits_for_any_number_of_threads():
    a, b = normal(300, 256), normal(256, 208)
    made = Executable(graph_of(matmul, types(a, b)), {})
    before = jitgrad.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            jitgrad.set_num_threads(threads)
            found.append(made(a, b)[0].tobytes())
    finally:
        jitgrad.set_num_threads(before)
    assert len(set(found)) == 1


def test_a_loop_packs_once_what_stays_the_same():
    x, r = jitgrad.Tensor(normal(30, 32, 96)), jitgrad.Tensor(normal(96, 96) / 10)

    def last(x, r):
        h = x[0]
        for t in range(30):
            h = jitgrad.ops.tanh(x[t] + h @ r)
        return h.sum()

    gradient = jitgrad.jit(jitgrad.grad(last, 1))
    lowered = gradient.lower(x, r)
    (loop,) = [k.source for k in lowered.kernels if "call_kernel(" in k.source]
    calls = [line for line in loop.splitlines() if "call_kernel(" in line]
    depths = [len(line) - len(line.lstrip()) for line in calls]
    assert len(depths) == 4  # the panels of r and of r', and the products
    assert depths == sorted(depths)
    assert depths.count(4) == 2
    want = jitgrad.grad(last, 1)(x, r)
    np.testing.assert_allclose(gradient(x, r).asnumpy(), want.asnumpy(), 1e-4, 1e-4)
