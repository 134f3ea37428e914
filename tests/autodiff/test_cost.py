"""What gradients compute: nothing of the function that they do not need; in how many kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import Tensor, ops
from jitgrad.ir.node import Graph

X, Y = (Tensor(np.linspace(a, b, 12).reshape(3, 4)) for a, b in ((0.2, 1.4), (0.5, 0.9)))
LEAVES = ("input", "constant")


def optimized(function: Callable, *arguments: Tensor) -> Graph:
    """The graph before fusion."""
    stages = ms.jit(function).lower(*arguments).stages
    return next(graph for name, graph in reversed(stages) if name != "fuse")


def counts(graph: Graph) -> Counter:
    return Counter(n.op.name for n in graph.nodes if n.op.name not in LEAVES)


def chain(length: int) -> Callable:
    """An elementwise function of `length` ops or so."""
    steps = (ops.sin, ops.exp, ops.tanh, lambda x: x * 0.5, lambda x: x * x, ops.sigmoid)

    def function(x):
        for k in range(length):
            x = steps[k % len(steps)](x)
        return x

    return function


@pytest.mark.parametrize("length", [1, 2, 7, 16])
@pytest.mark.parametrize("total", [False, True])
def test_gradients_of_elementwise_functions_are_one_kernel(length: int, total: bool) -> None:
    """Up to what one kernel may compute: `MOST_WORK` in `jitgrad/passes/fuse.py`."""
    f = chain(length)
    gradient = ms.grad((lambda x: f(x).sum()) if total else f)
    assert len(ms.jit(gradient).lower(X).kernels) == 1


def test_gradients_in_all_arguments_are_one_kernel() -> None:
    def f(x, y, z):
        return ops.sin(x * y) * ops.exp(z - x) / (1.0 + y * y)

    for gradient in (ms.grad(f, (0, 1, 2)), ms.value_and_grad(f, (0, 1, 2))):
        assert len(ms.jit(gradient).lower(X, Y, X + Y).kernels) == 1


# A function, and the ops of it that its gradient has no use for.
UNUSED: dict[str, tuple[Callable, Sequence[str]]] = {
    "sum": (lambda x: (x * x).sum(), ["reduce_sum"]),
    "mean": (lambda x: ops.sin(x).mean(), ["reduce_sum", "sin"]),
    "norm": (lambda x: (x * 3.0 + 1.0).sum(), ["reduce_sum"]),
    "log": (lambda x: ops.log(x).sum(), ["log", "reduce_sum"]),
    "power": (lambda x: (x**3).sum(), ["reduce_sum", "pow"]),
    "logsumexp": (lambda x: ops.logsumexp(x, 1).sum(), ["log"]),
    "softplus": (lambda x: ops.softplus(x).sum(), ["log1p", "reduce_sum"]),
    "erf": (lambda x: ops.erf(x).sum(), ["erf", "reduce_sum"]),
    "lgamma": (lambda x: ops.lgamma(x).sum(), ["lgamma", "reduce_sum"]),
    "last steps": (lambda x: ops.cos(ops.exp(x)).sum() + 5.0, ["cos", "reduce_sum", "add"]),
    "beside": (lambda x: ops.stop_gradient(ops.sinh(x)).sum() + (x * 2.0).sum(), ["sinh"]),
    "auxiliary": (lambda x: (x * x).sum() + 0.0 * ops.sinh(Y).sum(), ["sinh", "reduce_sum"]),
    "slice": (lambda x: ops.sinh(x)[0].sum() * 0.0 + x[1].sum(), ["reduce_sum"]),
}


@pytest.mark.parametrize("name", UNUSED)
def test_a_gradient_computes_only_what_it_needs(name: str) -> None:
    function, unused = UNUSED[name]
    left = counts(optimized(ms.grad(function), X))
    assert {op: left[op] for op in unused if left[op]} == {}


def test_an_unused_argument_costs_nothing() -> None:
    def f(x, y):
        return (ops.sin(x) * ops.sinh(y)).sum()

    assert counts(optimized(lambda x, y: ms.grad(f)(x, y), X, Y))["sin"] == 0
    assert counts(optimized(lambda x, y: ms.grad(f, 1)(x, y), X, Y))["sinh"] == 0


def test_only_first_outputs_are_differentiated() -> None:
    def f(x):
        return (x * x).sum(), ops.sinh(x)

    assert counts(optimized(lambda x: ms.grad(f, has_aux=True)(x)[0], X)) == counts(
        optimized(ms.grad(lambda x: (x * x).sum()), X)
    )


# --- cheap gradients ----------------------------------------------------------------------------

LAYERS: dict[str, Callable] = {
    "chain": chain(24),
    "products": lambda x: ops.tanh(ops.tanh(ops.tanh(x @ x.T) @ x) @ x.T),
    "softmax": lambda x: ops.softmax(x, 1) * ops.log_softmax(x, 0),
    "norms": lambda x: (x - x.mean(1, keep_dims=True)) * ops.rsqrt(x.var(1, keepdims=True) + 1e-5),
    "branches": lambda x: ops.where(x > 0.5, ops.sin(x), ops.cos(x)) * ops.maximum(x, Y),
    "indices": lambda x: x[1:] * x[:-1] + ops.cumsum(x, 0)[1:],
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_cheap(name: str) -> None:
    """At most five ops for each op of the function, itself included."""
    f = LAYERS[name]
    forward = sum(counts(optimized(f, X)).values())
    both = sum(counts(optimized(ms.value_and_grad(f), X)).values())
    assert both <= 5 * forward
