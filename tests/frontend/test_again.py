"""`checkpoint` on the tape: one node, no records, and the gradients of the function itself."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, autograd, nn, ops

X = np.array([0.5, -1.5, 2.0])


def leaf(value=X) -> Tensor:
    return Tensor(np.array(value), requires_grad=True)


def block(x, y):
    return ops.sin(ops.exp(x) * y), (x * y).sum()


def gradients(call) -> list[np.ndarray]:
    x, y = leaf(), leaf(X[::-1])
    a, b = call(x * 2.0, y)
    (a.sum() * b).backward()
    return [x.grad.asnumpy(), y.grad.asnumpy()]


def test_the_same_gradients() -> None:
    for kept, again in zip(gradients(block), gradients(ms.checkpoint(block)), strict=True):
        np.testing.assert_array_equal(kept, again)


def test_one_node_and_no_records() -> None:
    made: list[weakref.ref] = []

    def noting(x):
        h = ops.exp(x)
        made.append(weakref.ref(h))
        made.append(weakref.ref(h.grad_fn))
        return ops.sin(h)

    x = leaf()
    y = ms.checkpoint(noting)(x)
    assert y.grad_fn.name() == "recompute"
    assert [r() for r in made] == [None, None]
    y.sum().backward()
    assert [r() for r in made] == [None] * 4
    np.testing.assert_allclose(x.grad.asnumpy(), np.cos(np.exp(X)) * np.exp(X), rtol=1e-15)


def test_what_is_used_from_outside() -> None:
    """Parameters, leaves and results, of which one is computed from another."""
    w, x = Parameter(Tensor([2.0, 3.0, 4.0], ms.float64), name="w"), leaf()

    def run(wrap):
        w.grad = x.grad = None
        h = x * w

        def inner(a):
            return a * w * h * x

        out = wrap(inner)(h)
        out.sum().backward()
        return w.grad.asnumpy(), x.grad.asnumpy()

    for kept, again in zip(run(lambda f: f), run(ms.checkpoint), strict=True):
        np.testing.assert_allclose(again, kept, rtol=1e-15)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_higher_orders(order: int) -> None:
    def f(x):
        return (ms.checkpoint(lambda x: ops.sin(x) * x**2)(x) * x).sum()

    def plain(x):
        return (ops.sin(x) * x**3).sum()

    for _ in range(order):
        f, plain = _slope(f), _slope(plain)
    np.testing.assert_allclose(f(Tensor(X)).asnumpy(), plain(Tensor(X)).asnumpy(), rtol=1e-12)


def _slope(f):
    return lambda x: ms.grad(f)(x).sum()


def test_double_backward() -> None:
    x = leaf()
    y = ms.checkpoint(lambda x: x**3)(x).sum()
    (g,) = autograd.grad(y, x, create_graph=True)
    (h,) = autograd.grad(g.sum(), x)
    np.testing.assert_allclose(h.asnumpy(), 6 * X)


def test_nested() -> None:
    inner = ms.checkpoint(lambda x: ops.exp(x) * x)
    outer = ms.checkpoint(lambda x: inner(inner(x)) + x)
    plain = lambda x: ops.exp(ops.exp(x) * x) * (ops.exp(x) * x) + x  # noqa: E731
    x = Tensor(X / 4)
    np.testing.assert_allclose(ms.grad(outer)(x).asnumpy(), ms.grad(plain)(x).asnumpy(), rtol=1e-14)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_same_random_numbers(compiled: bool) -> None:
    def masked(x):
        return ops.dropout(x, p=0.5, training=True)

    drop = ms.jit(masked) if compiled else masked
    x = Tensor(np.ones(64), requires_grad=True)
    y = ms.checkpoint(lambda x: drop(x) * 1.0)(x)
    state = ms.get_rng_state().asnumpy()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.asnumpy(), y.asnumpy())  # 0 or 2
    np.testing.assert_array_equal(ms.get_rng_state().asnumpy(), state)


def test_what_is_written_is_written_once() -> None:
    net = nn.BatchNorm1d(3, momentum=0.5)
    net.set_train()
    x = Tensor(np.arange(12.0, dtype=np.float32).reshape(4, 3), requires_grad=True)
    y = ms.checkpoint(net)(x)
    mean = net.moving_mean.asnumpy().copy()
    assert mean.any()
    (y * y * y).sum().backward()
    np.testing.assert_array_equal(net.moving_mean.asnumpy(), mean)


def test_parameters_that_were_overwritten() -> None:
    w = Parameter(Tensor([2.0]), name="w")
    x = Tensor([3.0], requires_grad=True)
    y = ms.checkpoint(lambda x: x * w)(x)
    w.set_data(Tensor([5.0]))
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.backward()


def test_errors_leave_everything_as_it_was() -> None:
    calls = []

    def fragile(x):
        calls.append(x)
        if len(calls) == 2:
            raise ValueError("the second time")
        return x * x

    x = leaf()
    y = ms.checkpoint(fragile)(x).sum()
    with pytest.raises(ValueError, match="the second time"):
        y.backward()
    assert x.grad is None
    assert autograd.is_grad_enabled()
    y.backward()
    np.testing.assert_array_equal(x.grad.asnumpy(), 2 * X)
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_what_is_not_followed() -> None:
    f = ms.checkpoint(lambda x: (x * 2.0, ops.sin(x)))
    assert all(y.grad_fn is None for y in f(Tensor(X)))
    with autograd.no_grad():
        assert all(y.grad_fn is None for y in f(leaf()))
    kept, still = ms.checkpoint(lambda x: (x * 2.0, ops.stop_gradient(x)))(leaf())
    assert kept.requires_grad
    assert not still.requires_grad
