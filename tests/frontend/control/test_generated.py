"""Programs made at random (`programs`) run eagerly, as converted code over the reference, and some
of them compiled. Values and gradients agree, and gradients agree with finite differences where the
program is smooth; forward and second derivatives, recomputation and `vmap` take turns.

JITGRAD_PROGRAMS=10 makes ten times as many, JITGRAD_PROGRAMS_SEED=7 others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

import jitgrad as ms
from jitgrad import Tensor, tree
from jitgrad.errors import JitgradError, LeakError
from tests.frontend.control.conftest import interpreted
from tests.frontend.control.programs import written

MORE = int(os.environ.get("JITGRAD_PROGRAMS", "1"))
FIRST = int(os.environ.get("JITGRAD_PROGRAMS_SEED", "0"))
# None of these is a number of `grammar`, where a comparison would flip right beside the point.
POINTS = [(0.4, [0.1, -0.5, 0.8, 1.3], 3), (-1.15, [1.12, -2.5, 0.35, -0.34], 7)]
DIRECTION = np.array([0.3, -0.8, 0.5, 0.9])
UNKNOWN = "that may be one of two"  # the error for a write where nobody knows to what

Arguments = tuple[Tensor, Tensor, Tensor]


def arguments(a: float, x: Any, k: int) -> Arguments:
    return Tensor(np.float64(a)), Tensor(np.array(x)), Tensor(k)


def along(slopes: tuple[Tensor, Tensor]) -> float:
    """The derivative in the direction that finite differences take."""
    return slopes[0].item() + float(slopes[1].asnumpy() @ DIRECTION)


def close(got: Any, want: Any, rtol: float = 1e-9) -> None:
    """All is float64, so little is forgiven."""
    for a, b in zip(tree.flatten(got)[0], tree.flatten(want)[0], strict=True):
        assert a._type is b._type
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=rtol, atol=rtol)


# --- what holds for every program -----------------------------------------------------------------


def same_in_both_modes(program: Callable, jitted: Callable) -> tuple[Arguments, Any] | None:
    """Checks values, gradients and exceptions; gives the last point and the gradient there, or None
    where the program raises.
    """
    gradient = ms.value_and_grad(program, (0, 1))
    compiled, slopes = jitted(gradient), None
    for point in POINTS:
        args = arguments(*point)
        try:
            want = gradient(*args)
        except JitgradError:
            raise
        except Exception as error:
            with pytest.raises(type(error)):
                compiled(*args)
            return None
        assume(abs(want[0].item()) < 1e6)
        close(compiled(*args), want)
        slopes = want[1]
    agrees_with_differences(program, POINTS[-1], slopes)
    return args, slopes


def agrees_with_differences(program: Callable, point: tuple, slopes: Any) -> None:
    """Unless a branch flips nearby: then two differences do not agree."""
    a, x, k = point

    def difference(h: float) -> float:
        sides = [arguments(a + s * h, np.array(x) + s * h * DIRECTION, k) for s in (1, -1)]
        up, down = (program(*side).item() for side in sides)
        return (up - down) / (2 * h)

    fine, got = difference(1e-6), along(slopes)
    if abs(got - fine) > 1e-5 * (1.0 + abs(fine)):
        smooth = abs(difference(1e-5) - fine) < 1e-6 * (1.0 + abs(fine))
        assert not smooth, f"the gradient is {got}, the difference {fine}"


# --- what takes turns -----------------------------------------------------------------------------


def forwards(program: Callable, args: Arguments, slopes: Any) -> None:
    """Forward mode gives what reverse mode does."""

    def derivative(a, x, k):
        moved = Tensor(np.float64(1.0)), Tensor(DIRECTION)
        return ms.jvp(lambda a, x: program(a, x, k), (a, x), moved)[1]

    for run in (derivative, interpreted(derivative)):
        np.testing.assert_allclose(run(*args).item(), along(slopes), rtol=1e-8, atol=1e-8)


def once_more(program: Callable, args: Arguments, slopes: Any) -> None:
    """Recomputed instead of stored."""
    gradient = interpreted(ms.grad(ms.recompute(program), (0, 1)))
    with RegionsAreRefused():
        close(gradient(*args), slopes)


def second(program: Callable, args: Arguments, slopes: Any) -> None:
    """The gradient of a gradient is the same in both modes."""

    def slope(a, x, k):
        return (ms.grad(program, (0, 1))(a, x, k)[1] * Tensor(DIRECTION)).sum()

    twice = ms.grad(slope, (0, 1))
    close(interpreted(twice)(*args), twice(*args), rtol=1e-7)


def mapped(program: Callable, args: Arguments, slopes: Any) -> None:
    """Several points at once."""
    a, x = (Tensor(np.stack([p[i] for p in POINTS])) for i in (0, 1))
    try:
        each = [program(a[i], x[i], args[2]).item() for i in range(len(POINTS))]
    except ValueError:  # the program's own
        return
    for jitted in (lambda f: f, interpreted):
        with RegionsAreRefused():
            found = jitted(ms.vmap(program, (0, 0, None)))(a, x, args[2])
            np.testing.assert_allclose(found.asnumpy(), each, rtol=1e-8, atol=1e-8)


class RegionsAreRefused:
    """Where no path can be followed, branches that disagree are errors: of ours, and not silent."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: Any, _: Any) -> bool:
        return isinstance(error, JitgradError) and not isinstance(error, LeakError)


TURNS = [None] * 4 + [forwards, once_more, second, mapped]

# --- the programs ---------------------------------------------------------------------------------


def check(random: Random, jitted: Callable, depth: int, turns: list) -> None:
    program, source = written(random, depth)
    turn = turns[random.randrange(len(turns))]
    try:
        found = same_in_both_modes(program, jitted)
        if turn is not None and found is not None:
            turn(program, *found)
    except Exception as error:
        assume(UNKNOWN not in str(error))
        raise AssertionError(f"{turn and turn.__name__}:\n{source}") from error


def programs(count: int, number: int, depth: int, jitted: Callable, turns: list) -> None:
    """Checks so many programs; which ones, the number decides."""

    @seed(FIRST * 1000 + number)
    @given(st.randoms(use_true_random=False))
    @settings(
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        max_examples=count * MORE,
        database=None,
    )
    def check_one(random: Random) -> None:
        check(random, jitted, depth, turns)

    check_one()


# Half of them with loops in loops.
@pytest.mark.parametrize("number", range(40))
def test_conversion(number) -> None:
    programs(50, number, 1 + number % 2, interpreted, TURNS)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(40, 43))
def test_compiled(number) -> None:
    programs(9, number, 1, ms.jit, [None])
