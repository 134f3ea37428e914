"""Derivatives of derivatives: laws that hold for every way of nesting, in both modes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jitgrad as ms
from jitgrad import Parameter, Tensor, nn, ops

X = Tensor([0.5, 1.5], ms.float64)


def poly(x):
    return x**5 - 2.0 * x**3


DERIVATIVES = [
    lambda a: a**5 - 2 * a**3,
    lambda a: 5 * a**4 - 6 * a**2,
    lambda a: 20 * a**3 - 12 * a,
    lambda a: 60 * a**2 - 12,
    lambda a: 120 * a,
]


def close(got: Tensor, want: np.ndarray) -> None:
    np.testing.assert_allclose(got.asnumpy(), want, rtol=1e-9, atol=1e-12)


def by_jvp(f):
    """The derivative of an elementwise function in forward mode."""
    return lambda x: ms.jvp(f, x, ops.ones_like(x))[1]


def by_vjp(f):
    return lambda x: ms.vjp(f, x)[1](ops.ones_like(x))[0]


def by_tape(f):
    """PyTorch's way, inside of a function: on the tape, or in a trace."""

    def derivative(x):
        y = x * 1.0 if x.requires_grad or x._node is not None else Tensor(x, requires_grad=True)
        return ms.autograd.grad(f(y).sum(), y, create_graph=True)[0]

    return derivative


WAYS = {"grad": ms.grad, "jvp": by_jvp, "vjp": by_vjp, "tape": by_tape}


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_two_orders(mode: str, first: str, second: str) -> None:
    close(WAYS[second](WAYS[first](poly))(X), DERIVATIVES[2](X.asnumpy()))


@pytest.mark.parametrize("jitted", [(), (0,), (1, 2), (3,), (0, 1, 2, 3)])
def test_four_orders_through_jit(mode: str, jitted: tuple[int, ...]) -> None:
    function = poly
    for order in range(1, 5):
        if order - 1 in jitted:
            function = ms.jit(function)
        function = ms.grad(function)
        close(function(X), DERIVATIVES[order](X.asnumpy()))
    close(ms.jit(function)(X), DERIVATIVES[4](X.asnumpy()))


def test_mixed_partials(mode: str) -> None:
    def f(x, y):
        return ops.sin(x * y) * x

    a, b = X.asnumpy(), X.asnumpy()[::-1].copy()
    y = Tensor(b)
    xy = ms.grad(ms.grad(f, 0), 1)(X, y)
    yx = ms.grad(ms.grad(f, 1), 0)(X, y)
    close(xy, yx.asnumpy())
    close(xy, 2 * a * np.cos(a * b) - a * a * b * np.sin(a * b))


# --- perturbation confusion ---------------------------------------------------------------------


def test_closure_over_the_outer_variable(mode: str) -> None:
    x = Tensor(3.0)
    # d/dx (x * d/dy (x + y) at y=1) = 1, and not 2
    assert ms.grad(lambda x: x * ms.grad(lambda y: x + y)(Tensor(1.0)))(x).item() == 1
    # the same variable passed in: d/dy (x * y) at y=x is x, so d/dx (x * x) = 2 x
    assert ms.grad(lambda x: x * ms.grad(lambda y: x * y)(x))(x).item() == 6
    assert ms.grad(lambda x: ms.grad(lambda y: y * y * x)(x))(x).item() == 12
    assert ms.grad(lambda x: ms.jvp(lambda y: x * y, x, Tensor(1.0))[1] * x)(x).item() == 6
    push = ms.jvp(lambda x: x * ms.grad(lambda y: x * y * y)(x), x, Tensor(1.0))[1]
    assert push.item() == 54  # x * 2 x * x = 2 x³


def test_inner_derivative_in_a_constant(mode: str) -> None:
    def f(x):
        return x * ms.grad(lambda y: y * y)(Tensor(3.0))

    assert ms.grad(f)(Tensor(2.0)).item() == 6


def test_weights_of_inner_and_outer(mode: str) -> None:
    w = Parameter(Tensor(3.0), name="w")

    def inner(x):
        return w * w * x

    def outer(x):
        return w * ms.grad(inner, None, w)(x)  # w * 2 w x

    assert ms.grad(outer, None, w)(Tensor(5.0)).item() == 60
    assert ms.grad(outer)(Tensor(5.0)).item() == 18
    assert ms.grad(inner, None, w)(Tensor(5.0)).item() == 30


def test_constant_weights_of_the_outer(mode: str) -> None:
    w, v = Parameter(Tensor(3.0), name="w"), Parameter(Tensor(2.0), name="v")

    def f(x):
        return ms.grad(lambda y: w * v * y * y)(x)  # 2 w v x

    gw, gv = ms.grad(f, None, [w, v])(Tensor(5.0))
    assert (gw.item(), gv.item()) == (20, 30)


def test_stop_gradient(mode: str) -> None:
    def f(x):
        return ops.stop_gradient(x * x) * x

    close(ms.grad(f)(X), X.asnumpy() ** 2)
    close(ms.grad(ms.grad(f))(X), 0 * X.asnumpy())
    close(
        ms.grad(lambda x: ops.stop_gradient(ms.grad(poly)(x)) * x)(X), DERIVATIVES[1](X.asnumpy())
    )


class Inner(nn.Cell):
    def construct(self, x):
        return ops.tanh(x) * x


class Outer(nn.Cell):
    """A gradient inside of a Cell, as in physics-informed networks."""

    def __init__(self):
        super().__init__()
        self.net = Inner()
        self.gradient = ms.grad(self.net)

    def construct(self, x):
        return self.gradient(x) * x


def test_cells_with_gradients_inside(mode: str) -> None:
    t = np.tanh(X.asnumpy())
    a = X.asnumpy()
    first = t + a * (1 - t * t)
    second = 2 * (1 - t * t) - 2 * a * t * (1 - t * t)
    net = Outer()
    for _ in range(3):
        close(net(X), first * a)
        close(ms.grad(net)(X), first + a * second)


def test_jacobian_of_gradient_is_symmetric(mode: str) -> None:
    def f(x):
        return ops.sin(x).sum() * (x * x).sum()

    hessian = ms.jacfwd(ms.grad(f))(X).asnumpy()
    np.testing.assert_allclose(hessian, ms.jacrev(ms.grad(f))(X).asnumpy(), rtol=1e-9)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-9)


# --- random programs ----------------------------------------------------------------------------

UNARY = [ops.sin, ops.tanh, ops.exp, ops.sigmoid, lambda x: x * 0.5, lambda x: -x, lambda x: x * x]
BINARY = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b * 0.3]


@st.composite
def programs(draw):
    """A function of one Tensor: a list of steps over the values so far."""
    steps = []
    for count in range(1, draw(st.integers(2, 7))):
        pick = st.integers(0, count - 1)
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(UNARY)), draw(pick), None))
        else:
            steps.append((draw(st.sampled_from(BINARY)), draw(pick), draw(pick)))

    def program(x):
        values = [x]
        for function, i, j in steps:
            values.append(function(values[i]) if j is None else function(values[i], values[j]))
        return ops.tanh(values[-1])

    return program


@given(programs(), st.floats(-1, 1), st.floats(-1, 1))
def test_forward_and_reverse_agree(program, a: float, b: float) -> None:
    x = Tensor([a, b], ms.float64)
    for make in (lambda f: f, ms.grad):
        f = make(program)
        forward = ms.jvp(f, x, ops.ones_like(x))
        backward = ms.grad(f)(x)
        value = f(x)
        np.testing.assert_array_equal(forward[0].asnumpy(), value.asnumpy())
        np.testing.assert_allclose(forward[1].asnumpy(), backward.asnumpy(), rtol=1e-8, atol=1e-12)


@given(programs(), st.floats(-1, 1))
def test_gradients_are_slopes(program, a: float) -> None:
    e = 1e-5
    slope = ms.grad(program)(np.array([a]))[0]
    low, high = (program(Tensor(np.array([a + d]))).item() for d in (-e, e))
    second = ms.grad(ms.grad(program))(np.array([a]))[0]
    np.testing.assert_allclose(
        slope, (high - low) / (2 * e), rtol=1e-4, atol=1e-6 + 1e-5 * abs(second)
    )


@settings(max_examples=6)  # each one compiles
@given(st.lists(programs(), min_size=1, max_size=2))
def test_modes_agree(chosen) -> None:
    x = Tensor([0.3, -0.7], ms.float64)

    def whole(x):
        for program in chosen:
            x = program(x)
        return x

    found = []
    for mode in (ms.PYNATIVE_MODE, ms.GRAPH_MODE):
        ms.set_context(mode=mode)
        try:
            value, gradient = ms.value_and_grad(whole)(x)
            found.append((value, gradient, ms.grad(ms.grad(whole))(x)))
        finally:
            ms.set_context(mode=ms.PYNATIVE_MODE)
    for eager, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(eager.asnumpy(), compiled.asnumpy(), rtol=1e-9, atol=1e-12)
