"""What goes wrong is an error, the same in both modes, and leaves everything as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Parameter, Tensor, nn, ops

X = Tensor([1.0, 2.0])
W = Parameter(Tensor([1.0, 2.0]), name="w")


def f(x, y):
    return x * y


class Odd(nn.Cell):
    """A Cell whose derivative is whatever a function makes of the cotangent."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def construct(self, x):
        return x * 2.0

    def bprop(self, x, out, dout):
        return self.rule(dout)


def inserted(rule):
    gate = ops.InsertGradientOf(rule)
    return ms.grad(lambda x: gate(x * 1.0))


ROWS = {
    "position": (lambda: ms.grad(f, 2)(X, X), IndexError, r"position 2 of f\(x, y\)"),
    "no argument": (lambda: ms.grad(f)(), IndexError, "position 0"),
    "too few": (lambda: ms.grad(f)(X), TypeError, "missing 1 required"),
    "bool": (
        lambda: ms.grad(f)(Tensor([True]), X),
        TypeError,
        r"argument 0 \(x\) of f is of dtype",
    ),
    "int": (lambda: ms.grad(f)(2, X), TypeError, r"argument 0 \(x\) of f is the int 2"),
    "str": (lambda: ms.grad(f, 1)(X, "a"), TypeError, r"argument 1 \(y\) of f is the str 'a'"),
    "None": (lambda: ms.grad(f)(None, X), TypeError, r"argument 0 \(x\) of f is None"),
    "complex": (lambda: ms.grad(f)(np.array([1j]), X), TypeError, "complex output, of type c128"),
    "aux": (lambda: ms.grad(lambda x: x, has_aux=True)(X), ValueError, "more than one outputs"),
    "text": (lambda: ms.grad(lambda x: "a")(X), TypeError, "which has no gradient"),
    "nothing": (lambda: ms.grad(lambda x: None)(X), TypeError, "which has no gradient"),
    "sens shape": (
        lambda: ms.grad(f, sens_param=True)(X, X, Tensor([1.0])),
        ValueError,
        r"a cotangent of shape \[1\] for an output of f32\[2\]",
    ),
    "sens type": (
        lambda: ms.grad(f, sens_param=True)(X, X, "a"),
        TypeError,
        "a str as a cotangent",
    ),
    "sens count": (
        lambda: ms.grad(lambda x: (x, x), sens_param=True)(X, X),
        ValueError,
        "1 cotangents for 2 outputs",
    ),
    "no sens": (lambda: ms.grad(f, sens_param=True)(), ValueError, "the cotangent of the output"),
    "vjp": (lambda: ms.vjp(lambda x: x, X)[1](Tensor(1.0)), ValueError, "a cotangent of shape"),
    "jvp": (lambda: ms.jvp(f, (X, X), (X,)), ValueError, "2 inputs and 1 directions"),
    "jvp shape": (lambda: ms.jvp(lambda x: x, X, Tensor(1.0)), ValueError, "a direction of shape"),
    "in_axes": (lambda: ms.vmap(f, (0,))(X, X), ValueError, "in_axes has 1"),
    "axis": (lambda: ms.vmap(f, 3)(X, X), IndexError, "has no axis 3"),
    "out_axes": (
        lambda: ms.vmap(f, 0, 2)(X, X),
        IndexError,
        r"out_axes 2 for an output of f32\[2\]",
    ),
    "extents": (lambda: ms.vmap(f)(X, Tensor([1.0])), ValueError, "mapped axes have one extent"),
    "bprop count": (lambda: ms.grad(Odd(lambda d: (d, d)))(X), ValueError, "2 gradients for 1"),
    "bprop shape": (lambda: ms.grad(Odd(lambda d: d.sum()))(X), ValueError, r"type f32\[\]"),
    "bprop dtype": (lambda: ms.grad(Odd(lambda d: d.astype(ms.float64)))(X), TypeError, "f64"),
    "inserted shape": (
        lambda: inserted(lambda g: g.sum())(X),
        ValueError,
        "the function of InsertGradientOf returned",
    ),
    "inserted text": (lambda: inserted(lambda g: "a")(X), TypeError, "returned a str"),
    "missing": (
        lambda: ms.get_grad(ms.grad(f, (0, 1), return_ids=True)(X, X), 5),
        RuntimeError,
        "no gradient of 5",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_errors(mode: str, name: str) -> None:
    call, kind, message = ROWS[name]
    with pytest.raises(kind, match=message):
        call()


# --- afterwards ---------------------------------------------------------------------------------


def raising(g):
    raise KeyError("the user's")


class Failing(ms.autograd.Function):
    how = 0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2.0

    @staticmethod
    def backward(ctx, g):
        return (raising, lambda g: (g, g), lambda g: g.sum(), lambda g: "g")[Failing.how](g)


@pytest.mark.parametrize("how", range(6))
def test_a_failed_backward_leaves_the_tape_as_it_was(how: int) -> None:
    """Nothing was accumulated, retained or freed: without the cause the same pass succeeds."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    w = Parameter(Tensor([3.0, 4.0]), name="w")
    h = ops.exp(x * w)
    h.retain_grad()
    seen = []
    if how < 4:
        Failing.how = how
        y = Failing.apply(x)
    else:
        y = x * 2.0
    handle = y.register_hook(lambda g: raising(g) if how == 4 else g.sum() if how == 5 else None)
    out = (h * y).sum()
    h.register_hook(lambda g: seen.append(1))
    with pytest.raises((KeyError, RuntimeError)):
        out.backward()
    assert (x.grad, w.grad, h.grad) == (None, None, None)
    assert ms.autograd.is_grad_enabled()
    handle.remove()
    if how < 4:
        with pytest.raises((KeyError, RuntimeError)):  # not: the graph was freed
            out.backward()
        assert ms.autograd.grad(h.sum(), x)[0].shape == (2,)
    else:
        out.backward()
        assert x.grad is not None
        assert h.grad is not None


def test_a_failed_gradient_leaves_parameters_as_they_were(mode: str) -> None:
    net = nn.Dense(2, 1)
    before = copy.deepcopy(net.weight.asnumpy())

    def bad(x):
        ops.assign(net.weight, net.weight + 1.0)
        return ops.matmul(x, x)  # shapes do not fit

    with pytest.raises(ValueError, match="matmul"):
        ms.grad(bad, None, net.trainable_params())(Tensor([[1.0, 2.0]]))
    if mode == "graph":  # eagerly the assignment came first
        np.testing.assert_array_equal(net.weight.asnumpy(), before)
    assert net.weight.requires_grad
    assert net.weight.is_leaf
    assert net.weight.grad is None
    gradient = ms.grad(net, None, net.trainable_params())(Tensor([[1.0, 2.0]]))
    np.testing.assert_array_equal(gradient[0].asnumpy(), [[1, 2]])


def test_batched_gradients_that_do_not_fit() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    with pytest.raises(RuntimeError, match="Mismatch in shape: got batches"):
        ms.autograd.grad(y, x, Tensor([[1.0, 2.0, 3.0]]), is_grads_batched=True)
    with pytest.raises(RuntimeError, match="got 1 tensors and 2 gradients"):
        ms.autograd.grad(y, x, (X, X), is_grads_batched=True)
    with pytest.raises(
        RuntimeError, match=r"index 1, of type f32\[\], appears .* graph of mul f32"
    ):
        ms.autograd.grad(y, [x, Tensor(1.0, requires_grad=True)], X)


# --- no_grad means the same in both modes -------------------------------------------------------


def half_followed(x):
    with ms.no_grad():
        k = x * x
        with ms.enable_grad():
            m = x * 3.0
    return k * x + m


@ms.no_grad()
def constant(x):
    return x * x


def test_no_grad_in_a_function(mode: str) -> None:
    a = X.asnumpy()
    for g in (ms.grad(half_followed), ms.grad(ms.jit(half_followed))):
        np.testing.assert_allclose(g(X).asnumpy(), a * a + 3)
    np.testing.assert_allclose(ms.grad(lambda x: constant(x) * x)(X).asnumpy(), a * a)
    np.testing.assert_allclose(ms.jvp(half_followed, X, X)[1].asnumpy(), (a * a + 3) * a)
    jitted = ms.jit(lambda x: x * x)
    with ms.no_grad():  # what is compiled in here is used outside as well
        jitted(X)
    np.testing.assert_allclose(ms.grad(jitted)(X).asnumpy(), 2 * a)


# --- edges --------------------------------------------------------------------------------------

EDGES = {  # what docs/gradients.md promises: no nan from what was not chosen
    "relu": (ops.relu, [0.0, -np.inf, np.inf], [0, 0, 1]),
    "relu6": (ops.relu6, [0.0, 6.0, np.inf, -np.inf], [0, 0, 0, 0]),
    "abs": (ops.abs, [0.0, -np.inf, np.inf], [0, -1, 1]),
    "clamp": (lambda x: ops.clamp(x, 0.0, 1.0), [0.0, 1.0, np.inf], [1, 1, 0]),
    "maximum": (lambda x: ops.maximum(x, x * 0.0), [0.0, 2.0, -2.0], [0.5, 1, 0]),
    "logit": (ops.logit, [0.0, 0.5, 1.0], [np.inf, 4, np.inf]),
    "sinc": (ops.sinc, [0.0], [0]),
    "xlogy": (lambda x: ops.xlogy(x * 0.0, x), [1.0, 2.0], [0, 0]),
    "prod": (lambda x: x.prod(), [0.0, 2.0, 3.0], [6, 0, 0]),
    "softplus": (ops.softplus, [1000.0, -1000.0], [1, 0]),
    "logsumexp": (lambda x: ops.logsumexp(x, 0), [1000.0, 0.0, -np.inf], [1, 0, 0]),
    "sigmoid": (ops.sigmoid, [1000.0, -1000.0], [0, 0]),
    "where": (lambda x: ops.where(x > 0, x * 2.0, x * 3.0), [0.0, np.inf, -np.inf], [3, 2, 3]),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(mode: str, name: str) -> None:
    function, at, want = EDGES[name]
    np.testing.assert_array_equal(ms.grad(function)(Tensor(at)).asnumpy(), want)
