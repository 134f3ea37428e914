"""`custom_vjp` and `custom_jvp`: in every transform, in both modes."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops

X = Tensor([0.5, 1.5], ms.float64)


def close(got, want) -> None:
    np.testing.assert_allclose(got.asnumpy(), want, rtol=1e-12)


def tripled():
    """x², with a gradient that is three times too large: seen wherever it is used."""

    @ms.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (square(x), x), lambda x, g: (6.0 * x * g,))
    return square


def tripled_by_bprop():
    @ms.custom_vjp
    def square(x):
        return x * x

    square.defbwd(lambda x, out, dout: (6.0 * x * dout,))
    return square


def tripled_by_jvp():
    @ms.custom_jvp
    def square(x):
        return x * x

    @square.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return square(x), 6.0 * x * t

    return square


def tripled_by_jvps():
    @ms.custom_jvp
    def square(x):
        return x * x

    square.defjvps(lambda t, out, x: 6.0 * x * t)
    return square


MAKERS = [tripled, tripled_by_bprop, tripled_by_jvp, tripled_by_jvps]


@pytest.mark.parametrize("make", MAKERS)
def test_all_transforms(mode: str, make) -> None:
    f, a = make(), X.asnumpy()
    close(f(X), a * a)
    for g in (ms.grad(f), ms.grad(lambda x: f(x)), ms.jit(ms.grad(f)), ms.grad(ms.jit(f))):
        for _ in range(3):
            close(g(X), 6 * a)
    close(ms.grad(ms.grad(f))(X), [6, 6])
    close(ms.jvp(f, X, X)[1], 6 * a * a)
    close(ms.vjp(f, X)[1](X)[0], 6 * a * a)
    close(ms.vmap(ms.grad(f))(X), 6 * a)
    close(ms.grad(ms.vmap(f))(X), 6 * a)
    close(ms.jacfwd(f)(X), np.diag(6 * a))
    close(ms.jacrev(f)(X), np.diag(6 * a))
    close(ms.hessian(lambda x: f(x).sum())(X), 6 * np.eye(2))


@pytest.mark.parametrize("make", MAKERS)
def test_on_the_tape(make) -> None:
    f = make()
    x = Tensor([0.5, 1.5], ms.float64, requires_grad=True)
    (g,) = ms.autograd.grad(f(x).sum(), x, create_graph=True)
    close(g, [3, 9])
    close(ms.autograd.grad(g.sum(), x)[0], [6, 6])
    with ms.no_grad():
        assert not f(x).requires_grad


def test_what_fwd_keeps_is_differentiated(mode: str) -> None:
    @ms.custom_vjp
    def f(x):
        return ops.exp(x)

    f.defvjp(lambda x: ((y := ops.exp(x)), (y, x)), lambda kept, g: (g * kept[0] * kept[1],))
    a = X.asnumpy()
    close(ms.grad(f)(X), np.exp(a) * a)
    close(ms.grad(ms.grad(f))(X), np.exp(a) * a + np.exp(a))


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_constant_arguments(mode: str, kind: str) -> None:
    if kind == "vjp":

        def power(n, x, y):
            return x**n * y

        f = ms.custom_vjp(power, nondiff_argnums=(0,))
        f.defvjp(
            lambda n, x, y: (f(n, x, y), (x, y)),
            lambda n, kept, g: (n * kept[0] ** (n - 1) * kept[1] * g, kept[0] ** n * g),
        )
    else:
        f = ms.custom_jvp(lambda n, x, y: x**n * y, nondiff_argnums=(0,))

        @f.defjvp
        def rule(n, primals, tangents):
            (x, y), (s, t) = primals, tangents
            return f(n, x, y), n * x ** (n - 1) * y * s + x**n * t

    y = Tensor([2.0, 3.0], ms.float64)
    a, b = X.asnumpy(), y.asnumpy()
    gx, gy = ms.grad(lambda x, y: f(3, x, y), (0, 1))(X, y)
    close(gx, 3 * a**2 * b)
    close(gy, a**3)
    close(ms.grad(f, 1)(2, X, y), 2 * a * b)
    close(
        ms.grad(lambda x: f(n=2, x=x, y=y))(X) if kind == "vjp" else gy,
        2 * a * b if kind == "vjp" else a**3,
    )


def test_nests(mode: str) -> None:
    @ms.custom_vjp
    def f(tree):
        return {"sum": tree["a"] + tree["b"][0], "product": tree["a"] * tree["b"][0]}

    def bwd(tree, g):
        a, b = tree["a"], tree["b"][0]
        return ({"a": g["sum"] + b * g["product"], "b": (10.0 * (g["sum"] + a * g["product"]),)},)

    f.defvjp(lambda tree: (f(tree), tree), bwd)
    tree = {"a": X, "b": (X + 1.0,)}
    found = ms.grad(lambda t: f(t)["product"].sum())(tree)
    close(found["a"], X.asnumpy() + 1)
    close(found["b"][0], 10 * X.asnumpy())


def test_several_arguments_and_outputs_of_jvp(mode: str) -> None:
    @ms.custom_jvp
    def f(x, y):
        return x * y, ops.sin(x)

    f.defjvp(lambda p, t: (f(*p), (p[1] * t[0] + p[0] * t[1], ops.cos(p[0]) * t[0])))
    y = Tensor([2.0, 3.0], ms.float64)
    a, b = X.asnumpy(), y.asnumpy()
    gx, gy = ms.grad(f, (0, 1))(X, y)
    close(gx, b + np.cos(a))
    close(gy, a)
    g = ms.custom_jvp(lambda x, y: x * y)
    g.defjvps(None, lambda t, out, x, y: x * t)
    gx, gy = ms.grad(g, (0, 1))(X, y)
    close(gx, 0 * a)
    close(gy, a)


def test_stable_log1pexp(mode: str) -> None:
    @ms.custom_jvp
    def log1pexp(x):
        return ops.log(1.0 + ops.exp(x))

    log1pexp.defjvps(lambda t, out, x: t * (1.0 - 1.0 / (1.0 + ops.exp(x))))
    assert ms.grad(log1pexp)(Tensor(100.0)).item() == 1


def test_a_method(mode: str) -> None:
    class Model:
        scale = 3.0

        @ms.custom_vjp
        def f(self, x):
            return x * self.scale

    Model.f.defbwd(lambda self, x, out, dout: (None, dout * 10.0 * self.scale))
    close(ms.grad(Model().f)(X), [30, 30])


def test_changed_rules_are_seen(mode: str) -> None:
    f = tripled()
    g = ms.grad(lambda x: f(x) * 1.0)
    close(g(X), 6 * X.asnumpy())
    f.defbwd(lambda x, out, dout: (dout,))
    close(g(X), [1, 1])


ERRORS = {
    "no rule": (lambda: ms.custom_vjp(lambda x: x), TypeError, "has no derivative yet"),
    "no rule of jvp": (lambda: ms.custom_jvp(lambda x: x), TypeError, "has no derivative yet"),
    "count": (
        lambda: with_bwd(lambda kept, g: (g, g)),
        RuntimeError,
        "returned 2 cotangents for 1 arguments",
    ),
    "shape": (lambda: with_bwd(lambda kept, g: (g.sum(),)), ValueError, r"type f64\[\]"),
    "dtype": (lambda: with_bwd(lambda kept, g: (g.astype(ms.float32),)), TypeError, "f32"),
    "number": (lambda: with_bwd(lambda kept, g: (1.0,)), TypeError, "returned a float"),
    "no pair": (lambda: with_fwd(lambda x: x), RuntimeError, "output, what the derivative needs"),
    "tangent": (lambda: with_rule(lambda p, t: (p[0], t[0].sum())), RuntimeError, "a tangent of"),
    "tangents": (lambda: with_rule(lambda p, t: (p[0], t * 2)), ValueError, "2 tangents for 1"),
    "rule": (lambda: with_rule(lambda p, t: t[0]), ValueError, "its tangent"),
}


def with_bwd(bwd):
    f = ms.custom_vjp(lambda x: x * 2.0)
    f.defvjp(lambda x: (f(x), None), bwd)
    return f


def with_fwd(fwd):
    f = ms.custom_vjp(lambda x: x * 2.0)
    f.defvjp(fwd, lambda kept, g: (g,))
    return f


def with_rule(rule):
    f = ms.custom_jvp(lambda x: x * 2.0)
    f.defjvp(rule)
    return f


@pytest.mark.parametrize("name", ERRORS)
def test_errors(mode: str, name: str) -> None:
    make, kind, message = ERRORS[name]
    with pytest.raises(kind, match=message):
        ms.grad(make())(X)


def test_not_callable() -> None:
    for make in (ms.custom_vjp, ms.custom_jvp):
        with pytest.raises(TypeError, match="got a int"):
            make(3)


# --- autograd.Function with a derivative for tangents -------------------------------------------


class Cube(ms.autograd.Function):
    """k x³ and 2 x; no `backward`."""

    @staticmethod
    def forward(x, k):
        return x**3 * k, x * 2.0

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.k = inputs
        ctx.save_for_backward(x * 0.0)  # not what `jvp` gets
        ctx.save_for_forward(x)

    @staticmethod
    def jvp(ctx, t, of_k):
        assert of_k is None
        (x,) = ctx.saved_tensors
        return 3.0 * x * x * t * ctx.k, 2.0 * t


class Square(ms.autograd.Function):
    """Its `backward` by its other name."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def vjp(ctx, g):
        (x,) = ctx.saved_tensors
        return 2.0 * x * g


def test_a_function_with_jvp_alone(mode: str) -> None:
    x = Tensor([1.0, 2.0])

    def f(x):
        cubes, twice = Cube.apply(x, 2.0)
        return (cubes + twice).sum()

    for function in (f, ms.jit(f)):
        np.testing.assert_array_equal(ms.grad(function)(x).asnumpy(), [8, 26])
        np.testing.assert_array_equal(ms.jvp(function, x, x)[1].asnumpy(), 60)
        np.testing.assert_array_equal(ms.hessian(function)(x).asnumpy(), [[12, 0], [0, 24]])
    rows = ms.vmap(ms.grad(f))(Tensor([[1.0, 2.0], [0.0, 3.0]]))
    np.testing.assert_array_equal(rows.asnumpy(), [[8, 26], [2, 56]])


def test_a_function_with_jvp_on_the_tape() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    cubes, twice = Cube.apply(x, 2.0)
    (g,) = ms.autograd.grad((cubes + twice).sum(), x, create_graph=True)
    np.testing.assert_array_equal(g.asnumpy(), [8, 26])
    np.testing.assert_array_equal(ms.autograd.grad(g.sum(), x)[0].asnumpy(), [12, 24])


def test_vjp_is_backward() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    Square.apply(x).sum().backward()
    np.testing.assert_array_equal(x.grad.asnumpy(), [2, 4])
    np.testing.assert_array_equal(ms.jvp(Square.apply, x.detach(), x.detach())[1].asnumpy(), [2, 8])
