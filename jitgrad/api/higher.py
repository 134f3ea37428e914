"""Derivatives made of derivatives: `hessian`, `hvp`, `linearize`, `jet`, `derivative`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jitgrad import tree
from jitgrad.api.context import is_graph_mode
from jitgrad.api.grad import given_seeds, value_and_grad
from jitgrad.api.jacobian import jacfwd, jacrev
from jitgrad.api.jit import Compiled, jit
from jitgrad.api.points import in_numpy, point, title, to_numpy
from jitgrad.api.store import artefacts
from jitgrad.api.transforms import jvp, linear_at
from jitgrad.errors import ArgumentError, CountError, DTypeError, SeedError, fail
from jitgrad.frontend import dispatch
from jitgrad.frontend.graphcall import compiled
from jitgrad.ir.types import TensorType, float32
from jitgrad.ops import stack
from jitgrad.state import state
from jitgrad.tensor import Tensor


def hessian(fn: Callable, grad_position: Any = 0, has_aux: bool = False) -> Callable:
    """The function that returns the second derivatives of `fn`, forward over reverse mode: for an
    output of shape `out` and an argument of shape `in` a Tensor of shape ``(*out, *in, *in)``.

    A nest at the position gives a nest of nests, several positions a tuple of tuples. With
    `has_aux` only the first output is differentiated, and ``(hessian, aux)`` returned.

    >>> import jitgrad as ms
    >>> print(ms.hessian(lambda x: (x * x * x).sum())(ms.Tensor([1.0, 2.0])))
    [[ 6.  0.]
     [ 0. 12.]]
    """
    return jacfwd(jacrev(fn, grad_position, has_aux), grad_position, has_aux)


def hvp(fn: Callable, inputs: Any, v: Any) -> tuple:
    """The output of `fn`, and its Hessian at `inputs` times `v`, without the Hessian.

    `inputs` and `v` are one argument, or tuples of as many as `fn` takes; the product has the form
    of the inputs. The output, if not a scalar, is summed, as by `grad`.

    >>> import jitgrad as ms
    >>> x = ms.Tensor([1.0, 2.0])
    >>> print(ms.hvp(lambda x: (x * x * x).sum(), x, ms.Tensor([1.0, 10.0]))[1])
    [  6. 120.]
    """
    several = isinstance(inputs, (tuple, list))
    where = tuple(range(len(inputs))) if several else 0
    (value, _), (_, product) = jvp(value_and_grad(fn, where), inputs, v)
    return value, (product,) if several and len(inputs) == 1 else product


def linearize(fn: Callable, *inputs: Any) -> tuple:
    """The output of `fn` at `inputs`, and the function that pushes directions forward there.

    Called as ``linearize(f, x, y)``, or ``linearize(f, (x, y))`` as in MindSpore. The function
    takes one direction for each input, or a tuple of them, and returns what `jvp` would; `fn` does
    not run again.

    >>> import jitgrad as ms
    >>> out, push = ms.linearize(lambda x: x * x, ms.Tensor([1.0, 2.0]))
    >>> print(push(ms.Tensor([1.0, 10.0])))
    [ 2. 40.]
    """
    if not callable(fn):
        raise fail(DTypeError, f"linearize got a {type(fn).__name__}", why="it takes a function")
    if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)):
        inputs = tuple(inputs[0])
    points = [p for i in range(len(inputs)) if (p := point(fn, i, inputs, {}))]
    run = jit(fn) if state.trace is None and is_graph_mode() else fn
    out, linear = linear_at(run, points, inputs)
    leaves = [x for p in points for x in p.leaves]
    numpy = in_numpy(inputs)

    def push(*directions: Any) -> Any:
        if len(directions) == 1 and len(inputs) != 1 and isinstance(directions[0], (tuple, list)):
            directions = tuple(directions[0])
        pushed = iter(linear.push(given_seeds(leaves, directions, "direction", "input")))
        moved = tree.map(lambda x: next(pushed) if isinstance(x, Tensor) else x, out)
        return to_numpy(moved) if numpy else moved

    return (to_numpy(out) if numpy else out), push


def jet(fn: Callable, primals: Any, series: Any) -> tuple:
    """The output of `fn` along a curve, and its derivatives.

    `primals` is a Tensor, or a tuple of as many as `fn` takes: where the curve is; `series` its
    first to n-th derivative, along a leading axis (without one, the first only). Returns the output
    and its first to n-th derivative, along a leading axis. Integers are taken as Float32.

    >>> import jitgrad as ms
    >>> x, series = ms.Tensor(2.0), ms.Tensor([1.0, 0.0, 0.0])
    >>> out, derivatives = ms.jet(lambda x: x ** 4, x, series)
    >>> print(out, derivatives)
    16.0 [32. 48. 48.]

    TypeError: no Tensors. ValueError: their numbers, or their shapes, do not fit.
    """
    alone = not isinstance(primals, (tuple, list))
    xs = [_float("jet", x) for x in ((primals,) if alone else primals)]
    given = [_float("jet", s) for s in ((series,) if alone else series)]
    if len(xs) != len(given):
        raise fail(CountError, f"jet got {len(xs)} primals and {len(given)} series")
    given = [s.reshape((1, *s.shape)) if s.shape == x.shape else s for x, s in zip(xs, given)]  # type: ignore[attr-defined]
    for x, s in zip(xs, given, strict=True):
        if s.shape[1:] != x.shape or not s.shape[:1] or s.shape[0] != given[0].shape[0]:
            raise fail(
                SeedError,
                f"jet got a series of type {s._type} for a primal of type {x._type}",
                why="it has one more, leading axis, of as many elements as there are orders",
            )
    run = _Along(fn, given[0].shape[0])
    if state.trace is None and is_graph_mode():
        store = artefacts(fn)
        key = "jet", run.order
        if key not in store:
            store[key] = Compiled(run, compiled, functional=True)
        return store[key](xs, given)
    return run(xs, given)


def derivative(fn: Callable, primals: Any, order: int) -> tuple:
    """The output of `fn`, and its derivative of some order as all inputs grow at rate 1.

    >>> import jitgrad as ms
    >>> print(ms.derivative(lambda x: x ** 4, ms.Tensor(2.0), 2)[1])
    48.0

    TypeError: `order` is no int. ValueError: it is less than 1.
    """
    if isinstance(order, bool) or not isinstance(order, int):
        raise fail(DTypeError, f"derivative got the order {order!r}", instead="an int")
    if order < 1:
        raise fail(ArgumentError, f"derivative got the order {order}", instead="1 or more")
    alone = not isinstance(primals, (tuple, list))
    xs = [_float("derivative", x) for x in ((primals,) if alone else primals)]
    series = []
    for x in xs:
        rates = [dispatch.fill(1 if k == 0 else 0, x._type) for k in range(order)]
        series.append(stack(rates))
    out, found = jet(fn, xs[0] if alone else tuple(xs), series[0] if alone else tuple(series))
    return out, tree.map(lambda s: s[order - 1], found)


def _float(name: str, x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise fail(DTypeError, f"{name} got a {type(x).__name__}", instead="Tensors")
    return x if x.dtype.is_float else x.astype(float32)  # type: ignore[attr-defined]


class _Along:
    """The computation of `jet`: derivatives by t at 0 of ``fn(x + s1 t + s2 t² / 2 + …)``."""

    def __init__(self, fn: Callable, order: int):
        self.__wrapped__, self.order = fn, order
        self.__name__ = f"jet_of_{title(fn)}"

    def __call__(self, xs: list[Tensor], series: list[Tensor]) -> tuple:
        fn = self.__wrapped__

        def along(t: Tensor) -> tuple:
            moved = []
            for x, s in zip(xs, series, strict=True):
                step = t.astype(x.dtype)  # type: ignore[attr-defined]
                powers = [step ** (k + 1) / math.factorial(k + 1) for k in range(self.order)]
                moved.append(sum([s[k] * p for k, p in enumerate(powers)], x))  # type: ignore[index]
            return (fn(*moved),)

        function = along
        for _ in range(self.order):
            function = _with_derivative(function)
        type = TensorType(xs[0].dtype, ())
        out, *derivatives = function(dispatch.fill(0, type))
        return out, tree.map(lambda *orders: stack(orders), *derivatives)


def _with_derivative(function: Callable) -> Callable:
    """What a function of t returns, and the derivative of the last part of it."""

    def following(t: Tensor) -> tuple:
        values, slopes = jvp(function, t, dispatch.fill(1, t._type))
        return (*values, slopes[-1])

    return following


__all__ = ["derivative", "hessian", "hvp", "jet", "linearize"]
