"""`vjp` and `jvp`: cotangents pulled back, tangents pushed forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import tree
from jitgrad.api.context import is_graph_mode
from jitgrad.api.grad import (
    check_flags,
    checked_weights,
    given_seeds,
    replaced,
    zeros_like,
)
from jitgrad.api.jit import Compiled, jit
from jitgrad.api.points import Point, in_numpy, point, tensors_of, title, to_numpy
from jitgrad.api.store import artefacts
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.frontend.control import converted
from jitgrad.frontend.graphcall import compiled
from jitgrad.frontend.linear import Linear, linearize
from jitgrad.state import state
from jitgrad.tensor import Parameter, Tensor


def vjp(fn: Callable, *inputs: Any, weights: Any = None, has_aux: bool = False) -> tuple:
    """The output of `fn` at `inputs`, and the function that pulls cotangents back.

    Returns ``(out, vjp_fn)``, with `has_aux` ``(out, vjp_fn, aux)``, where only the first output is
    differentiated. ``vjp_fn(*cotangents)`` takes one cotangent for each output and returns a tuple
    with one gradient for each input; with weights ``(of inputs, of weights)``.

    >>> import jitgrad.ops
    >>> from jitgrad.tensor import Tensor
    >>> out, pull = vjp(lambda x, y: x * y, Tensor([1.0, 2.0]), Tensor([3.0, 4.0]))
    >>> print(pull(Tensor([1.0, 10.0]))[0])
    [ 3. 40.]
    """
    if not callable(fn):
        raise fail(DTypeError, f"vjp got a {type(fn).__name__} to differentiate")
    check_flags(has_aux)
    found = checked_weights(weights)
    points = [p for i in range(len(inputs)) if (p := point(fn, i, inputs, {}, strict=False))]
    run = jit(fn) if state.trace is None and is_graph_mode() else fn
    out, linear = linear_at(run, points, inputs, found)
    aux: tuple = ()
    differentiated = out
    if has_aux:
        differentiated, aux = with_aux(out)
    count = len([x for x in tree.flatten(differentiated)[0] if isinstance(x, Tensor)])

    def vjp_fn(*cotangents: Any) -> tuple:
        seeds = given_seeds(linear.outputs[:count], cotangents)
        pulled = linear.pull([*seeds, *(None for _ in linear.outputs[count:])])
        given = iter(pulled)
        of_inputs = tuple([p.like_input([next(given) for _ in p.leaves]) for p in points])
        if weights is None:
            return of_inputs
        trained = {id(w): g for w, g in zip(_trained(found), given, strict=True)}
        of_weights = tuple([trained[id(w)] if id(w) in trained else zeros_like(w) for w in found])
        return of_inputs, of_weights[0] if isinstance(weights, Parameter) else of_weights

    if in_numpy(inputs):
        out, differentiated, aux = to_numpy((out, differentiated, aux))
    if has_aux:
        return differentiated, vjp_fn, aux[0] if len(aux) == 1 else aux
    return out, vjp_fn


def _trained(weights: Sequence[Parameter]) -> list[Parameter]:
    return list({id(w): w for w in weights if w.requires_grad}.values())


def linear_at(
    fn: Callable, points: Sequence[Point], inputs: tuple, weights: Sequence[Parameter] = ()
) -> tuple[Any, Linear]:
    """What a function returns for `inputs`, and its derivative at the points."""
    args, _ = tensors_of(inputs, {})

    def call(stand_ins: list[Tensor]) -> Any:
        given = iter(stand_ins)
        groups = [[next(given) for _ in p.leaves] for p in points]
        return converted(fn)(*replaced(points, groups, args, {})[0])

    leaves = [x for p in points for x in p.leaves]
    return linearize(call, leaves, _trained(weights), again=True)


def with_aux(out: Any) -> tuple[Any, tuple]:
    """The first output, and the others; ArgumentError if there are none."""
    if not isinstance(out, (tuple, list)) or len(out) < 2:
        raise fail(ArgumentError, "When has_aux is True, origin fn requires more than one outputs.")
    return out[0], tuple(out[1:])


def jvp(fn: Callable, inputs: Any, v: Any, has_aux: bool = False) -> tuple:
    """The output of `fn` at `inputs`, and how it changes in the direction `v`.

    `inputs` and `v` are a Tensor, or tuples of as many as `fn` takes. Returns ``(out, jvp_out)``,
    with `has_aux` ``(out, jvp_out, aux)``.

    >>> import jitgrad.ops
    >>> from jitgrad.tensor import Tensor
    >>> print(jvp(lambda x: x * x, Tensor([1.0, 2.0]), Tensor([1.0, 10.0]))[1])
    [ 2. 40.]
    """
    if not callable(fn):
        raise fail(DTypeError, f"jvp got a {type(fn).__name__} to differentiate")
    check_flags(has_aux)
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    v = tuple(v) if isinstance(v, (tuple, list)) else (v,)
    if len(inputs) != len(v):
        raise fail(ArgumentError, f"jvp got {len(inputs)} inputs and {len(v)} directions")
    run: Callable = _Pushed(fn, has_aux)
    if state.trace is None and is_graph_mode():
        store = artefacts(fn)
        if ("jvp", has_aux) not in store:
            store["jvp", has_aux] = Compiled(run, compiled, functional=True)
        run = store["jvp", has_aux]
    result = run(inputs, v)
    return to_numpy(result) if in_numpy(inputs, v) else result


class _Pushed:
    """The computation of `jvp`."""

    def __init__(self, fn: Callable, has_aux: bool):
        self.__wrapped__, self.has_aux = fn, has_aux
        self.__name__ = f"jvp_of_{title(fn)}"

    def __call__(self, inputs: tuple, v: tuple) -> tuple:
        fn = self.__wrapped__
        points = [point(fn, i, inputs, {}) for i in range(len(inputs))]
        out, linear = linear_at(fn, points, inputs)  # type: ignore[arg-type]
        leaves = [x for p in points for x in p.leaves]  # type: ignore[union-attr]
        pushed = iter(linear.push(given_seeds(leaves, v, "direction", "input")))
        moved = tree.map(lambda x: next(pushed) if isinstance(x, Tensor) else x, out)
        if not self.has_aux:
            return out, moved
        first, aux = with_aux(out)
        return first, moved[0], aux[0] if len(aux) == 1 else aux
