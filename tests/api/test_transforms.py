"""`vjp`, `jvp`, `vmap` and the Jacobians, in both modes."""

from __future__ import annotations

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, nn, ops

X, Y = Tensor([1.0, 2.0, 3.0]), Tensor([0.5, -1.0, 2.0])
A, B = X.asnumpy(), Y.asnumpy()


def close(got, want) -> None:
    np.testing.assert_allclose(got.asnumpy(), want, rtol=1e-5, atol=1e-6)


def two(x, y):
    return ops.sin(x) * y, x + y


# --- vjp and jvp --------------------------------------------------------------------------------


def test_vjp(mode: str) -> None:
    (first, second), pull = ms.vjp(two, X, Y)
    close(first, np.sin(A) * B)
    close(second, A + B)
    for scale in (1.0, 10.0):  # more than once
        gx, gy = pull(Y * scale, X)
        close(gx, np.cos(A) * B * B * scale + A)
        close(gy, np.sin(A) * B * scale + A)
    with pytest.raises(ValueError, match="got 1 cotangents for 2 outputs"):
        pull(X)
    _, pull = ms.vjp(lambda x: x * x, X)
    gradient = pull(Y)
    assert isinstance(gradient, tuple)
    close(gradient[0], 2 * A * B)


def test_vjp_of_weights(mode: str) -> None:
    w = Parameter(Tensor([2.0, 2.0, 2.0]), name="w")
    frozen = Parameter(Tensor([1.0, 1.0, 1.0]), name="frozen", requires_grad=False)

    def f(x):
        return x * w * frozen

    _, pull = ms.vjp(f, X, weights=w)
    (gx,), gw = pull(Y)
    close(gx, 2 * B)
    close(gw, A * B)
    _, pull = ms.vjp(f, X, weights=[frozen, w])
    _, (zero, gw) = pull(Y)
    close(zero, 0 * A)
    close(gw, A * B)


def test_vjp_with_aux_and_numbers(mode: str) -> None:
    out, pull, aux = ms.vjp(lambda x, n: (x**n, x - 2.0), X, 2, has_aux=True)
    close(out, A**2)
    close(aux, A - 2)
    (g,) = pull(Y)
    close(g, 2 * A * B)
    _, _, aux = ms.vjp(lambda x: (x, x, x * 2.0), X, has_aux=True)
    assert len(aux) == 2


def test_jvp(mode: str) -> None:
    for _ in range(3):
        (first, second), (d_first, d_second) = ms.jvp(two, (X, Y), (Y, X))
        close(first, np.sin(A) * B)
        close(second, A + B)
        close(d_first, np.cos(A) * B * B + np.sin(A) * A)
        close(d_second, A + B)
    _, d, aux = ms.jvp(lambda x: (x * x, x), X, Y, has_aux=True)
    close(d, 2 * A * B)
    close(aux, A)
    d = ms.jvp(lambda x: ops.stop_gradient(x) * 2.0, X, Y)[1]
    close(d, 0 * A)
    with pytest.raises(ValueError, match="1 inputs and 2 directions"):
        ms.jvp(two, X, (X, Y))
    with pytest.raises(TypeError, match="got a int"):
        ms.jvp(5, X, X)


def test_jvp_follows_python(mode: str) -> None:
    """Eagerly it runs on the tape, so values may decide."""
    if mode == "pynative":
        d = ms.jvp(lambda x: x * x if (x.sum() > 0).item() else x, X, Y)[1]
        close(d, 2 * A * B)


def test_transposition(mode: str) -> None:
    """<u, J v> = <Jᵀ u, v> for a network."""
    net = nn.Dense(3, 2, activation="tanh")
    x, v = Tensor([[0.5, -1.0, 2.0]]), Tensor([[1.0, 0.5, -0.25]])
    u = Tensor([[2.0, -3.0]])
    pushed = ms.jvp(net, x, v)[1]
    (pulled,) = ms.vjp(net, x)[1](u)
    assert (u * pushed).sum().item() == pytest.approx((pulled * v).sum().item(), rel=1e-5)


# --- vmap ---------------------------------------------------------------------------------------

ROWS = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
R = ROWS.asnumpy()

MAPS = [
    (lambda f: ms.vmap(f), (ROWS, ROWS), lambda f: np.stack([f(r, r) for r in R])),
    (lambda f: ms.vmap(f, (0, None)), (ROWS, Y), lambda f: np.stack([f(r, B) for r in R])),
    (lambda f: ms.vmap(f, (None, 0)), (Y, ROWS), lambda f: np.stack([f(B, r) for r in R])),
    (lambda f: ms.vmap(f, (1, 1)), (ROWS, ROWS), lambda f: np.stack([f(c, c) for c in R.T])),
    (
        lambda f: ms.vmap(f, (-1, 0)),
        (ROWS, X),
        lambda f: np.stack([f(c, b) for c, b in zip(R.T, A)]),
    ),
    (lambda f: ms.vmap(f, 0, 1), (ROWS, ROWS), lambda f: np.stack([f(r, r) for r in R], 1)),
    (lambda f: ms.vmap(f, 0, -1), (ROWS, ROWS), lambda f: np.stack([f(r, r) for r in R], -1)),
]


@pytest.mark.parametrize("case", range(len(MAPS)))
def test_vmap_is_a_loop(mode: str, case: int) -> None:
    make, arguments, expected = MAPS[case]

    def f(a, b):
        return a * b + a.sum() if isinstance(a, np.ndarray) else ops.add(a * b, a.sum())

    close(make(f)(*arguments), expected(f))


def test_vmap_of_nests(mode: str) -> None:
    def f(pair, k):
        return {"a": pair[0] * k, "b": (pair[1].sum(), 5)}

    out = ms.vmap(f, ((0, 1), None))((ROWS, Tensor(R.T.copy())), 2.0)
    close(out["a"], 2 * R)
    close(out["b"][0], R.sum(1))
    assert out["b"][1] == 5
    close(ms.vmap(ms.vmap(lambda a: a * a))(ROWS), R * R)
    close(ms.vmap(lambda a: Y)(ROWS), np.stack([B, B]))
    close(ms.vmap(lambda a: a * Y)(ROWS), R * B)
    close(ms.vmap(lambda a, y: a * y)(ROWS, y=Y), R * B)


def test_vmap_and_derivatives(mode: str) -> None:
    def f(x):
        return (x * x * x).sum()

    close(ms.vmap(ms.grad(f))(ROWS), 3 * R**2)
    close(ms.grad(lambda m: ms.vmap(f)(m).sum())(ROWS), 3 * R**2)
    close(ms.jvp(ms.vmap(f), ROWS, ROWS)[1], (3 * R**3).sum(1))
    w = Parameter(Tensor([1.0, 2.0, 3.0]), name="w")
    per_example = ms.vmap(lambda x: ms.grad(lambda x: (x * x * w).sum(), None, w)(x))(ROWS)
    close(per_example, R * R)
    gradient = ms.grad(lambda m: ms.vmap(lambda x: (x * w).sum())(m), None, w)(ROWS)
    close(gradient, R.sum(0))


def test_vmap_on_the_tape() -> None:
    x = Tensor(R, requires_grad=True)
    ms.vmap(lambda r: (r * r).sum())(x).sum().backward()
    close(x.grad, 2 * R)


def test_errors_of_vmap(mode: str) -> None:
    def f(a, b):
        return a * b

    with pytest.raises(ValueError, match="in_axes has 1"):
        ms.vmap(f, (0,))(ROWS, ROWS)
    with pytest.raises(ValueError, match="mapped axes have one extent"):
        ms.vmap(f)(ROWS, X)
    with pytest.raises(ValueError, match="no argument to map over"):
        ms.vmap(f, None)(ROWS, X)
    with pytest.raises(IndexError, match=r"f32\[2,3\] has no axis 2"):
        ms.vmap(f, (2, 0))(ROWS, X)
    with pytest.raises(TypeError, match="an axis is an int or None"):
        ms.vmap(f, "0")
    with pytest.raises(TypeError, match="it takes a function"):
        ms.vmap(5)
    p = Parameter(Tensor(0.0), name="p")
    with pytest.raises(RuntimeError, match="assigned inside of vmap"):
        ms.vmap(lambda a: ops.assign(p, a.sum()))(ROWS)


# --- Jacobians ----------------------------------------------------------------------------------


@pytest.mark.parametrize("jacobian", [ms.jacrev, ms.jacfwd])
def test_jacobians(mode: str, jacobian) -> None:
    def f(x, m):
        return m @ (x * x)

    m = Tensor(R)
    close(jacobian(f)(X, m), R * 2 * A)
    of_m = jacobian(f, 1)(X, m)
    want = np.zeros((2, 2, 3))
    for i in range(2):
        want[i, i] = A * A
    close(of_m, want)
    both = jacobian(f, (0, 1))(X, m)
    assert isinstance(both, tuple)
    close(both[0], R * 2 * A)
    close(both[1], want)
    first, second = jacobian(two)(X, Y)
    close(first, np.diag(np.cos(A) * B))
    close(second, np.eye(3))
    close(jacobian(lambda x: (x * x).sum())(X), 2 * A)
    close(jacobian(lambda x: x * X)(Tensor(2.0)), A)
    close(jacobian(lambda x: x)(Tensor(2.0)), 1.0)
    j, aux = jacobian(lambda x: (x * x, x + 1.0), has_aux=True)(X)
    close(j, np.diag(2 * A))
    close(aux, A + 1)
    close(jacobian(lambda xs: xs[0] * xs[0])([X])[0], np.diag(2 * A))
    with pytest.raises(ValueError, match="must not be negative"):
        jacobian(f, -1)


def test_hessians(mode: str) -> None:
    def f(x):
        return (x**3).sum() + x[0] * x[1]

    want = np.diag(6 * A)
    want[0, 1] = want[1, 0] = 1
    for outer in (ms.jacrev, ms.jacfwd):
        for inner in (ms.jacrev, ms.jacfwd, ms.grad):
            close(outer(inner(f))(X), want)
