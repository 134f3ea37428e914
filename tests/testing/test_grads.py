"""`check_grads`, and the fixture of it."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, nn, ops

pytest_plugins = ["pytester"]
X = Tensor([0.5, 1.5])


def wrong(factor: float):
    @ms.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (square(x), x), lambda x, g: (factor * x * g,))
    return square


@pytest.fixture(params=[ms.PYNATIVE_MODE, ms.GRAPH_MODE])
def both_modes(request):
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


def test_what_is_right_passes(both_modes) -> None:
    reports = ms.check_grads(
        lambda x, y: (ops.sin(x) * y, ops.exp(y).sum()), X, np.ones(2), order=2
    )
    assert [r.what for r in reports] == [
        "order 1, forward",
        "order 1, reverse",
        "order 2, forward over forward",
        "order 2, reverse over forward",
        "order 2, forward over reverse",
        "order 2, reverse over reverse",
    ]
    assert all(r.wrong == 0 and r.count > 0 for r in reports)
    assert len(ms.check_grads(ops.tanh, X, order=3, modes=("rev",))) == 3
    ms.check_grads(lambda d: d["a"] * d["n"], {"a": 2.0, "n": 3})
    ms.check_grads(nn.Dense(2, 3, activation="tanh"), Tensor([[0.5, 1.5]]), order=1)


def test_what_is_wrong_is_named(both_modes) -> None:
    f = wrong(3.0)

    def g(nest, k):
        return nest["a"] * k, f(nest["b"][0])

    with pytest.raises(AssertionError) as error:
        ms.check_grads(g, {"a": X, "b": (X,)}, 2.0, order=1)
    text = str(error.value)
    assert "the derivative of g is wrong" in text
    assert (
        "order 1, forward: d output[1][1] / d args[0]['b'][0][1] is 4.5, by differences 3" in text
    )
    assert "order 1, reverse" in text
    assert "(2 of 20 elements are wrong)" in text


def test_only_a_higher_order_is_wrong() -> None:
    @ms.custom_vjp
    def f(x):
        return x**3

    f.defvjp(lambda x: (f(x), x), lambda x, g: (3.0 * ops.stop_gradient(x) ** 2 * g,))
    ms.check_grads(f, X, order=1)
    with pytest.raises(AssertionError, match="order 2, reverse over reverse"):
        ms.check_grads(f, X, order=2, modes=("rev",))


def test_tolerances_can_be_given() -> None:
    f = wrong(2.002)
    with pytest.raises(AssertionError):
        ms.check_grads(f, X, order=1)
    ms.check_grads(f, X, order=1, rtol=1e-2, atol=0.0)


def test_errors() -> None:
    with pytest.raises(ValueError, match="modes"):
        ms.check_grads(ops.sin, X, modes=("sideways",))
    with pytest.raises(ValueError, match="order=0"):
        ms.check_grads(ops.sin, X, order=0)
    with pytest.raises(ValueError, match="no floats to vary"):
        ms.check_grads(ops.sin, 3)


def test_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["jitgrad.testing.plugin"]')
    pytester.makepyfile("""
        from jitgrad import Tensor, ops

        def test_right(check_grads):
            check_grads(ops.sin, Tensor([0.5]), order=1)

        def test_wrong(check_grads):
            check_grads(lambda x: ops.stop_gradient(x) * x, Tensor([0.5]), order=1)
    """)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*GradientError*the derivative of*is wrong*"])
