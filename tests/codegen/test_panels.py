"""Products with packed matrices: of the tiles of a strip, and of batches."""

from __future__ import annotations

import numpy as np
import pytest

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
    assert panels_of(float32, 64, 40, 192, False) is not None
    assert panels_of(float32, 64, 40, 193, False) is None  # rows are no vectors
    assert panels_of(float32, 64, 8, 16, False) is None  # too small
    assert panels_of(float16, 64, 40, 192, False) is None
    assert panels_of(int32, 64, 40, 192, False) is None
    assert 200 % panels_of(float64, 64, 40, 200, True).width == 0
