"""Programs made at random (`programs`): loops, branches, jumps, aliases and writes in place.

Each runs eagerly, as converted code over the reference, and compiled; values and gradients agree,
and the gradient agrees with finite differences where the program is smooth.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import jitgrad as ms
from jitgrad import Tensor
from tests.frontend.control.conftest import check_equal, interpreted
from tests.frontend.control.programs import written

SHARED = settings(deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
SEEDS = st.integers(0, 2**32 - 1)  # a failure is made smaller by hand: no step of it is a program
POINTS = [(0.4, [0.1, -0.5, 0.8, 1.3], 3), (-1.1, [1.1, -2.5, 0.3, -0.3], 7)]
UNKNOWN = "that may be one of two"  # the error for a write where nobody knows to what


def arguments(point: tuple) -> tuple[Tensor, ...]:
    a, x, k = point
    return Tensor(np.float64(a)), Tensor(np.array(x)), Tensor(k)


def check(program, jitted) -> None:
    gradient = ms.value_and_grad(program, (0, 1))
    compiled = jitted(gradient)
    for point in POINTS:
        value, slopes = gradient(*arguments(point))
        check_equal(compiled(*arguments(point)), (value, slopes))
        if point is POINTS[0]:
            check_differences(program, point, slopes)


def check_differences(program, point, slopes) -> None:
    """Along one direction, unless a branch flips nearby: then two differences do not agree."""
    direction = np.array([0.3, -0.8, 0.5, 0.9])
    a, x, k = point

    def difference(h: float) -> float:
        moved = [
            program(*arguments((a + s * h, np.array(x) + s * h * direction, k))) for s in (1, -1)
        ]
        return (moved[0].item() - moved[1].item()) / (2 * h)

    coarse, fine = difference(1e-5), difference(1e-6)
    if abs(coarse - fine) < 1e-6 * (1.0 + abs(fine)):
        got = slopes[0].item() + float(slopes[1].asnumpy() @ direction)
        np.testing.assert_allclose(got, fine, rtol=1e-5, atol=1e-5)


def check_seed(seed: int, jitted, depth: int = 3) -> None:
    program, source = written(Random(seed), depth)
    try:
        check(program, jitted)
    except Exception as error:
        assume(UNKNOWN not in str(error))
        raise AssertionError(source) from error


# Many small programs, and some with loops in loops in loops: some 40 seconds of one core.
@pytest.mark.parametrize(("depth", "count"), [(1, 600), (2, 500), (3, 100)])
def test_conversion(depth, count) -> None:
    @given(SEEDS)
    @settings(SHARED, max_examples=count, derandomize=True)
    def check_one(seed) -> None:
        check_seed(seed, interpreted, depth)

    check_one()


@pytest.mark.slow
@given(SEEDS)
@settings(SHARED, max_examples=12, derandomize=True)  # each one compiles
def test_compiled(seed) -> None:
    check_seed(seed, ms.jit)
