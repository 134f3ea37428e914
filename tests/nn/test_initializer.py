"""Initializers: shapes, moments, bounds, names and seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

import jitgrad as ms
from jitgrad.common import initializer as ini

SHAPE = (300, 200)  # fan_in 200, fan_out 300

CONSTANTS = [
    ("zeros", ini.Zero(), 0.0),
    ("ones", ini.One(), 1.0),
    ("zero", ini.Zero(), 0.0),
    ("one", ini.One(), 1.0),
    (0.25, ini.Constant(0.25), 0.25),
]


@pytest.mark.parametrize(("short", "full", "value"), CONSTANTS)
def test_constants(short: object, full: ini.Initializer, value: float) -> None:
    for init in (short, full):
        got = ini.initializer(init, (2, 3), ms.float64)
        assert got.dtype is ms.float64
        np.testing.assert_array_equal(got.asnumpy(), np.full((2, 3), value))


# (initializer, standard deviation, bound or None)
RANDOM = [
    (ini.Uniform(0.5), 0.5 / math.sqrt(3), 0.5),
    (ini.Normal(0.3), 0.3, None),
    (ini.TruncatedNormal(0.5), 0.5 * 0.8796, 1.0),
    (ini.XavierUniform(2.0), 2 * math.sqrt(2 / 500), 2 * math.sqrt(6 / 500)),
    (ini.XavierNormal(), math.sqrt(2 / 500), None),
    (ini.HeUniform(), math.sqrt(2 / 200), math.sqrt(6 / 200)),
    (ini.HeUniform(math.sqrt(5)), math.sqrt(1 / 600), math.sqrt(1 / 200)),
    (ini.HeNormal(mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 300), None),
    (ini.VarianceScaling(3.0), math.sqrt(3 / 200), None),
    (ini.VarianceScaling(1.0, "fan_avg", "uniform"), math.sqrt(1 / 250), math.sqrt(3 / 250)),
    (ini.VarianceScaling(1.0, "fan_out", "untruncated_normal"), math.sqrt(1 / 300), None),
]


@pytest.mark.parametrize(("init", "sigma", "bound"), RANDOM, ids=lambda v: repr(v)[:40])
def test_moments(init: ini.Initializer, sigma: float, bound: float | None) -> None:
    values = ini.initializer(init, SHAPE, ms.float64).asnumpy()
    assert abs(values.mean()) < 5 * sigma / math.sqrt(values.size)
    assert values.std() == pytest.approx(sigma, rel=0.02)
    if bound is not None:
        assert np.abs(values).max() <= bound


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = ini.initializer(ini.Orthogonal(2.0), shape, ms.float64).asnumpy()
    matrix = matrix.reshape(shape[0], -1)
    small = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_identity_dirac_sparse() -> None:
    np.testing.assert_array_equal(ini.initializer("identity", (2, 3)).asnumpy(), np.eye(2, 3))
    dirac = ini.initializer(ini.Dirac(groups=2), (4, 2, 3, 3)).asnumpy()
    assert dirac.sum() == 4
    assert [dirac[o, o % 2, 1, 1] for o in range(4)] == [1, 1, 1, 1]
    sparse = ini.initializer(ini.Sparse(0.5), (10, 4)).asnumpy()
    assert ((sparse == 0).sum(0) == 5).all()


def test_seed_fixes_values() -> None:
    ms.set_seed(3)
    first = [ini.initializer("normal", (4,)).asnumpy() for _ in range(2)]
    ms.set_seed(3)
    again = [ini.initializer("normal", (4,)).asnumpy() for _ in range(2)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


def test_own_initializer() -> None:
    class Ramp(ini.Initializer):
        def _initialize(self, arr: np.ndarray) -> None:
            arr[...] = np.arange(arr.size).reshape(arr.shape)

    np.testing.assert_array_equal(ini.initializer(Ramp(), (2, 2)).asnumpy(), [[0, 1], [2, 3]])


def test_tensors_are_taken_as_they_are() -> None:
    values = ms.Tensor([1.0, 2.0])
    assert ini.initializer(values, (2,)) is values


BAD = [
    (("normla", (2,)), ValueError, "there is no initializer named 'normla'"),
    (("xavier_uniform", (2,)), ValueError, "has no fan-in"),
    (("zeros",), ValueError, "needs a shape"),
    (("zeros", (-1, 2)), ValueError, "negative shape"),
    ((None, (2,)), TypeError, "initializer got None"),
    ((ms.Tensor([1.0]), (2,)), ValueError, r"have shape \[1\], but \[2\] is needed"),
]


@pytest.mark.parametrize(("args", "kind", "text"), BAD)
def test_errors(args: tuple, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        ini.initializer(*args)
