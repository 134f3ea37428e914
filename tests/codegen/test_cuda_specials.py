"""The special functions of devices, as plain Python, against SciPy's over their domains."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from jitgrad.codegen.compile import function, plain_names
from jitgrad.codegen.cuda import specials

RNG = np.random.default_rng(2)
THEIRS = {"igamma": "gammainc", "igammac": "gammaincc"}
EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 1.0, 2.0, 4.0, 20.0, 25.0, 40.0]
ONE = np.concatenate(
    [np.linspace(-30, 30, 61), np.linspace(0.02, 0.98, 25), [1e-300, 1e-9, 1e3, -1e3], EDGES]
)
SMALL, WIDE = RNG.uniform(0.1, 4, 40), 10 ** RNG.uniform(-2, 4, 40)
NEAR = RNG.uniform(0.5, 1.5, 40)
POINTS = {
    ("x",): (ONE,),
    ("a", "b"): (np.append(SMALL, WIDE), np.append(SMALL[::-1], WIDE[::-1])),
    ("a", "x"): (
        np.concatenate([SMALL, WIDE, [0, 0, 1, 1, np.inf, -1, 1]]),
        np.concatenate([SMALL[::-1], WIDE * NEAR, [0, 1, 0, np.inf, 1, 1, -1]]),
    ),
    ("a", "b", "x"): (
        np.concatenate([SMALL, WIDE, [0, 1, 1, 1, 1, -1, np.inf, 1]]),
        np.concatenate([SMALL[::-1], WIDE[::-1], [1, 0, 1, 1, 1, 1, 1, np.inf]]),
        np.concatenate([RNG.uniform(0, 1, 80), [0.5, 0.5, 0, 1, 1.5, 0.5, 0.5, 0.5]]),
    ),
}
# Up to where SciPy's are right: phases lose their digits, and exponentials overflow too early.
UNKNOWN = {"j": 100.0, "y": 100.0, "i": 700.0}


def known(name: str, points: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    most = UNKNOWN.get(name.removeprefix("bessel_")[0]) if name.startswith("bessel") else None
    return points if most is None else tuple(x[~(np.abs(x) > most)] for x in points)


def run(name: str, points: tuple[np.ndarray, ...]) -> np.ndarray:
    operands, body = specials.BODIES[name]
    names = plain_names()
    names["f64_ptr"] = lambda ptrs, k: ptrs[k]
    out = np.empty_like(points[0])
    with np.errstate(all="ignore"):
        text = specials.text_of(operands, body, "f64")
        function(text, names)([*points, out], [], 0, out.size)
    return out


@pytest.mark.parametrize("name", specials.BODIES)
def test_equals_scipy(name: str) -> None:
    """To 1e-13 of the result, or of 1 next to a zero; exponents lose what their size costs."""
    points = known(name, POINTS[specials.BODIES[name][0]])
    theirs = getattr(special, THEIRS.get(name, name.removeprefix("bessel_")))
    with np.errstate(all="ignore"):
        want = theirs(*points)
    bound = 1e-9 if name == "betaln" else 1e-13
    np.testing.assert_allclose(run(name, points), want, rtol=bound, atol=1e-14)


@pytest.mark.parametrize("name", ["log_ndtr", "ndtri", "erfcx", "bessel_k1", "bessel_i1", "exp1"])
def test_tails_keep_their_digits(name: str) -> None:
    x = 10 ** np.linspace(-200, -1, 30) if name == "ndtri" else np.linspace(-25, 25, 41)
    theirs = getattr(special, name.removeprefix("bessel_"))
    with np.errstate(all="ignore"):
        want = theirs(x)
    np.testing.assert_allclose(run(name, (x,)), want, rtol=5e-14)


def test_the_difference_of_large_logarithms() -> None:
    """B(a, 1) = 1 / a, where SciPy's loses half of its digits."""
    a = 10.0 ** np.arange(1, 12)
    np.testing.assert_allclose(run("betaln", (a, np.ones_like(a))), -np.log(a), rtol=1e-14)
