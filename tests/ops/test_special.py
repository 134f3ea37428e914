"""Special functions: edges, derivatives in parameters, and values compiled."""

from __future__ import annotations

from collections.abc import Sequence

import mpmath
import numpy as np
import pytest
import scipy.special as sp

import jitgrad as ms
from jitgrad import Tensor, mint, ops
from jitgrad.errors import ArgumentError, DTypeError
from tests.ops.table_special import INTEGERS

EDGES = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, np.inf, -np.inf, np.nan])
UNARY = {
    **{f"bessel_{n}": n for n in ("i0", "i0e", "i1", "i1e", "j0", "j1", "k0", "k0e", "k1", "k1e")},
    "bessel_y0": "y0",
    "bessel_y1": "y1",
    "expint": "expi",
    **{n: n for n in ("erfcx", "dawsn", "log_ndtr", "ndtri", "ndtr", "entr", "spence", "exp1")},
}


@pytest.mark.parametrize("name", UNARY)
def test_edges(name: str) -> None:
    with np.errstate(all="ignore"):
        wanted = getattr(sp, UNARY[name])(EDGES)
    for function in (getattr(ops, name), ms.jit(getattr(ops, name))):
        np.testing.assert_allclose(function(Tensor(EDGES)).asnumpy(), wanted, rtol=1e-15)
    assert getattr(ops, name)(Tensor(np.float32(0.5))).dtype is ms.float32
    assert getattr(ops, name)(Tensor(np.zeros((0, 2)))).shape == (0, 2)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_polygamma(n: int) -> None:
    x = np.array([0.0, -1.0, np.inf, np.nan, 0.25, -0.75, -3.25, 1e-5, 40.0])
    found = ops.polygamma(n, Tensor(x)).asnumpy()
    wanted = sp.polygamma(n, x)
    inside = np.isfinite(wanted) & (x != 0) & (x != -1)
    np.testing.assert_allclose(found[inside], wanted[inside], rtol=1e-13)
    assert np.isnan(found[3])
    assert found[2] == 0
    with pytest.raises(ArgumentError, match="polygamma got n=-1"):
        ops.polygamma(-1, Tensor(1.0))


def test_zeta_edges() -> None:
    x, q = np.array([1.0, 0.5, 2.0, 2.0, 2.5]), np.array([2.0, 2.0, 0.0, -3.0, -0.5])
    found = ops.zeta(Tensor(x), Tensor(q)).asnumpy()
    np.testing.assert_array_equal(found, sp.zeta(x, q))


@pytest.mark.parametrize(("name", "x", "y", "dtype"), INTEGERS)
def test_integers(name: str, x: np.ndarray, y: np.ndarray, dtype: str) -> None:
    x, y = x.astype(dtype), y.astype(dtype)
    for function in (getattr(ops, name), ms.jit(getattr(ops, name))):
        found = function(Tensor(x), Tensor(y)).asnumpy()
        np.testing.assert_array_equal(found, getattr(np, name)(x, y), strict=True)
    with pytest.raises(DTypeError, match=name):
        getattr(ops, name)(Tensor(1.5), Tensor(2.5))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nextafter(dtype) -> None:
    x = np.array([0.0, -0.0, 1.0, -1.0, 65504.0, np.inf, -np.inf, np.nan, 0.5, 6e-8], dtype)
    x, y = (v.ravel() for v in np.meshgrid(x, x))
    with np.errstate(all="ignore"):
        wanted = np.nextafter(x, y)
    for function in (ops.nextafter, ms.jit(ops.nextafter)):
        found = function(Tensor(x), Tensor(y)).asnumpy()
        np.testing.assert_array_equal(found, wanted, strict=True)


# Parameters and x: small, large, on both sides of the peak, far from it.
PARAMETERS = {
    "igamma": [(1e-3, 1e-4), (0.3, 0.2), (0.3, 4), (1, 1), (5, 2), (40, 44), (1e3, 950)],
    "igammac": [(0.02, 2), (1.3, 0.9), (30, 20), (8, 20)],
    "betainc": [
        *((0.3, 0.4, 0.2), (2, 3, 0.9), (0.02, 40, 1e-3), (400, 0.02, 0.9999), (60, 50, 0.5)),
    ],
}


def _exact(name: str, point: Sequence[float], place: int) -> float:
    """The derivative in a parameter, by mpmath's differences in 40 digits."""

    def function(parameter):
        *given, x = [*point[:place], parameter, *point[place + 1 :]]
        if name == "betainc":
            return mpmath.betainc(*given, 0, x, regularized=True)
        ends = (0, x) if name == "igamma" else (x, mpmath.inf)
        return mpmath.gammainc(*given, *ends, regularized=True)

    with mpmath.workdps(40):
        return float(mpmath.diff(function, mpmath.mpf(point[place])))


@pytest.mark.parametrize("name", PARAMETERS)
def test_derivatives_in_parameters(name: str) -> None:
    function = getattr(ops, name)
    for point in PARAMETERS[name]:
        xs = [Tensor(np.array(float(v))) for v in point]
        places = tuple(range(len(point) - 1))
        for gradient in (ms.grad(function, places), ms.jit(ms.grad(function, places))):
            found = gradient(*xs)
            for place, g in zip(places, found if len(places) > 1 else (found,)):
                within = 2e-10 / point[place]  # of the derivative in the logarithm
                assert g.item() == pytest.approx(_exact(name, point, place), rel=1e-9, abs=within)


def test_derivatives_of_parameters_on_edges() -> None:
    """P(a, 0) = 0 and P(a, inf) = 1, I(a, b, 0) = 0 and I(a, b, 1) = 1 for all parameters."""
    for x in (0.0, np.inf):
        assert ms.grad(ops.igamma)(Tensor(1.5), Tensor(x)).item() == 0
    for x in (0.0, 1.0):
        found = ms.grad(ops.betainc, (0, 1))(Tensor(1.5), Tensor(2.0), Tensor(x))
        assert [g.item() for g in found] == [0, 0]
    assert ms.grad(ops.igamma, 1)(Tensor(1.0), Tensor(0.0)).item() == 1  # 1 - exp(-x)
    assert ms.grad(ops.igamma)(Tensor([1.5, 2.0]), Tensor([2.0, 0.5])).dtype is ms.float32


def test_derivatives_at_zero() -> None:
    """Where the formula divides by x."""
    for function, slope in ((ops.bessel_i1, 0.5), (ops.bessel_j1, 0.5), (ops.bessel_i1e, 0.5)):
        assert ms.grad(function)(Tensor(0.0)).item() == slope
    third = ms.grad(ms.grad(ms.grad(ops.bessel_j1)))
    assert third(Tensor(np.array(0.0))).item() == pytest.approx(-3 / 8)


def test_names_of_pytorch() -> None:
    assert mint.special.gammainc is ops.igamma
    assert Tensor([4]).gcd(Tensor([6])).tolist() == [2]
    assert Tensor(0.5).i0().item() == pytest.approx(sp.i0(0.5))
