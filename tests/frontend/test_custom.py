"""Derivatives that the user wrote: `bprop` of a Cell and `with_custom_vjp`, in both modes."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, nn, ops
from jitgrad.frontend.custom import with_custom_vjp

x = Tensor([0.5, 2.0])


class Cube(nn.Cell):
    """x cubed, with a derivative ten times too large."""

    def construct(self, x):
        return x * x * x

    def bprop(self, x, out, dout):
        return (30.0 * x * x * dout,)


def test_orders(mode: str) -> None:
    cube = Cube()
    np.testing.assert_allclose(cube(x).asnumpy(), [0.125, 8])
    np.testing.assert_allclose(ms.grad(cube)(x).asnumpy(), [7.5, 120])
    np.testing.assert_allclose(ms.grad(ms.grad(cube))(x).asnumpy(), [30, 120])  # 60 x, exact
    np.testing.assert_allclose(ms.grad(ms.grad(ms.grad(cube)))(x).asnumpy(), [60, 60])
    outer = ms.grad(lambda t: (cube(t * t) * t).sum())
    a = np.array([0.5, 2.0])
    np.testing.assert_allclose(outer(x).asnumpy(), a**6 + a * 30 * a**4 * 2 * a, rtol=1e-6)


def test_output_in_the_derivative(mode: str) -> None:
    """The second derivative goes through `out` as well."""

    class Exp(nn.Cell):
        def construct(self, x):
            return ops.exp(x)

        def bprop(self, x, out, dout):
            return (2.0 * out * dout,)

    e = np.exp([0.5, 2.0])
    np.testing.assert_allclose(ms.grad(Exp())(x).asnumpy(), 2 * e, rtol=1e-6)
    np.testing.assert_allclose(ms.grad(ms.grad(Exp()))(x).asnumpy(), 4 * e, rtol=1e-6)


def test_parameters_in_the_derivative(mode: str) -> None:
    class Scaled(nn.Cell):
        def __init__(self):
            super().__init__()
            self.w = Parameter(Tensor([2.0, 3.0]), name="w")

        def construct(self, x):
            return x * self.w

        def bprop(self, x, out, dout):
            return (dout * self.w * 10.0,)

    net = Scaled()
    gradient = ms.grad(net)
    for scale in (1.0, 2.0):
        net.w.set_data(Tensor([2.0 * scale, 3.0 * scale]))
        assert gradient(x).tolist() == [20 * scale, 30 * scale]
    assert ms.grad(net, None, net.w)(x).tolist() == [0, 0]


def test_several_outputs_and_nests(mode: str) -> None:
    def function(pair, n):
        a, b = pair
        return {"sum": a + b, "product": [a * b, n]}

    def bprop(pair, n, out, dout):
        a, b = pair
        g = dout["sum"] + dout["product"][0]
        return (g * a, g * b * out["product"][1]), None

    def f(a, b):
        out = with_custom_vjp(function, bprop, ((a, b), 3))
        return out["sum"] * 2.0 + out["product"][0]

    ga, gb = ms.grad(f, (0, 1))(x, x)
    np.testing.assert_allclose(ga.asnumpy(), [1.5, 6])
    np.testing.assert_allclose(gb.asnumpy(), [4.5, 18])


WRONG = {
    "count": (lambda x, y, out, dout: (dout,), ValueError, "returned 1 gradients for 2 inputs"),
    "shape": (
        lambda x, y, out, dout: (dout, dout.sum()),
        ValueError,
        r"a gradient of type f32\[\] for input 1",
    ),
    "dtype": (
        lambda x, y, out, dout: (dout.astype(ms.float64), dout),
        TypeError,
        r"a gradient of type f64\[2\] for input 0",
    ),
    "type": (lambda x, y, out, dout: (1.0, dout), TypeError, "returned a float as the gradient"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_results(name: str, mode: str) -> None:
    bprop, error, message = WRONG[name]

    def f(x, y):
        return with_custom_vjp(lambda x, y: x * y, bprop, (x, y), "Mul.bprop")

    with pytest.raises(error, match=f"Mul.bprop {message}|Mul.bprop returned {message}"):
        ms.grad(f)(x, x)


def test_forward_mode_and_vmap(mode: str) -> None:
    cube = Cube()
    out, pushed = ms.jvp(cube, x, Tensor([1.0, 10.0]))
    np.testing.assert_allclose(out.asnumpy(), [0.125, 8])
    np.testing.assert_allclose(pushed.asnumpy(), [7.5, 1200])
    rows = Tensor([[0.5, 2.0], [1.0, 3.0]])
    mapped = ms.vmap(ms.grad(lambda t: cube(t).sum()))(rows)
    np.testing.assert_allclose(mapped.asnumpy(), 30 * rows.asnumpy() ** 2)
    np.testing.assert_allclose(ms.jacfwd(cube)(x).asnumpy(), np.diag([7.5, 120]))
    np.testing.assert_allclose(ms.jacrev(cube)(x).asnumpy(), np.diag([7.5, 120]))


def test_on_the_tape() -> None:
    cube = Cube()
    t = Tensor([0.5, 2.0], requires_grad=True)
    cube(t).sum().backward()
    np.testing.assert_allclose(t.grad.asnumpy(), [7.5, 120])
    (g,) = ms.autograd.grad(cube(t).sum(), t, create_graph=True)
    (h,) = ms.autograd.grad(g.sum(), t)
    np.testing.assert_allclose(h.asnumpy(), [30, 120])
    f = ms.jit(lambda t: cube(t).sum())
    (g,) = ms.autograd.grad(f(t), t, create_graph=True)
    (h,) = ms.autograd.grad(g.sum(), t)
    np.testing.assert_allclose(h.asnumpy(), [30, 120])


def test_hook_inside_of_a_function(mode: str) -> None:
    def f(t):
        y = t * t
        y.register_hook(lambda g: g * 10.0)
        return (y * 3.0).sum()

    np.testing.assert_allclose(ms.grad(f)(x).asnumpy(), 60 * x.asnumpy())


class Square(ms.autograd.Function):
    """PyTorch's form, with a factor to be told from the true derivative."""

    @staticmethod
    def forward(ctx, x, n):
        y = x * x
        ctx.save_for_backward(x, y)
        ctx.n = n
        return y

    @staticmethod
    def backward(ctx, gradient):
        x, y = ctx.saved_tensors
        return gradient * (2.0 * x + 0.0 * y) * float(ctx.n), None


def test_function(mode: str) -> None:
    def f(t):
        return Square.apply(t, 3).sum()

    assert f(x).item() == 4.25
    assert ms.grad(f)(x).tolist() == [3, 12]
    assert ms.grad(lambda t: ms.grad(f)(t).sum())(x).tolist() == [6, 6]
    t = Tensor([0.5, 2.0], requires_grad=True)
    (g,) = ms.autograd.grad(f(t), t, create_graph=True)
    (h,) = ms.autograd.grad(g.sum(), t)
    assert (g.tolist(), h.tolist()) == ([3, 12], [6, 6])
