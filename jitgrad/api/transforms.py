"""`vjp`, `jvp`, `vmap`, `jacfwd`, `jacrev`: derivatives and maps in other shapes than `grad`'s."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jitgrad import tree
from jitgrad.api.context import is_graph_mode
from jitgrad.api.grad import (
    checked_positions,
    checked_weights,
    given_seeds,
    ones_seed,
    replaced,
    zeros_like,
)
from jitgrad.api.jit import Compiled, jit
from jitgrad.api.points import Point, point, tensors_of, title
from jitgrad.api.store import artefacts
from jitgrad.errors import ArgumentError, BoundsError, DTypeError, ShapeError, fail
from jitgrad.frontend import dispatch
from jitgrad.frontend.control import converted
from jitgrad.frontend.graphcall import compiled, interpreted
from jitgrad.frontend.linear import Linear, linearize
from jitgrad.frontend.vectorize import vectorize
from jitgrad.ir.types import TensorType, int64
from jitgrad.primitives.elementwise import equal
from jitgrad.primitives.shape import cast, iota, reshape, transpose
from jitgrad.state import state
from jitgrad.tensor import Parameter, Tensor

# --- vjp and jvp --------------------------------------------------------------------------------


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
    found = checked_weights(weights)
    points = [p for i in range(len(inputs)) if (p := point(fn, i, inputs, {}, strict=False))]
    run = jit(fn) if state.trace is None and is_graph_mode() else fn
    out, linear = _linear(run, points, inputs, found)
    aux: tuple = ()
    differentiated = out
    if has_aux:
        differentiated, aux = _with_aux(out)
    count = len([x for x in tree.flatten(differentiated)[0] if isinstance(x, Tensor)])

    def vjp_fn(*cotangents: Any) -> tuple:
        seeds = given_seeds(linear.outputs[:count], cotangents)
        pulled = linear.pull([*seeds, *(None for _ in linear.outputs[count:])])
        given = iter(pulled)
        of_inputs = tuple([p.rebuilt([next(given) for _ in p.leaves]) for p in points])
        if weights is None:
            return of_inputs
        trained = {id(w): g for w, g in zip(_trained(found), given, strict=True)}
        of_weights = tuple([trained[id(w)] if id(w) in trained else zeros_like(w) for w in found])
        return of_inputs, of_weights[0] if isinstance(weights, Parameter) else of_weights

    if has_aux:
        return differentiated, vjp_fn, aux[0] if len(aux) == 1 else aux
    return out, vjp_fn


def _trained(weights: Sequence[Parameter]) -> list[Parameter]:
    return list({id(w): w for w in weights if w.requires_grad}.values())


def _linear(
    fn: Callable, points: Sequence[Point], inputs: tuple, weights: Sequence[Parameter] = ()
) -> tuple[Any, Linear]:
    args, _ = tensors_of(inputs, {})

    def call(stand_ins: list[Tensor]) -> Any:
        given = iter(stand_ins)
        groups = [[next(given) for _ in p.leaves] for p in points]
        return converted(fn)(*replaced(points, groups, args, {})[0])

    leaves = [x for p in points for x in p.leaves]
    return linearize(call, leaves, _trained(weights), again=True)


def _with_aux(out: Any) -> tuple[Any, tuple]:
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
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    v = tuple(v) if isinstance(v, (tuple, list)) else (v,)
    if len(inputs) != len(v):
        raise fail(ArgumentError, f"jvp got {len(inputs)} inputs and {len(v)} directions")
    if state.trace is None and is_graph_mode():
        store = artefacts(fn)
        if ("jvp", has_aux) not in store:
            store["jvp", has_aux] = Compiled(_Pushed(fn, has_aux), compiled, functional=True)
        return store["jvp", has_aux](inputs, v)
    return _Pushed(fn, has_aux)(inputs, v)


class _Pushed:
    """The computation of `jvp`."""

    def __init__(self, fn: Callable, has_aux: bool):
        self.__wrapped__, self.has_aux = fn, has_aux
        self.__name__ = f"jvp_of_{title(fn)}"

    def __call__(self, inputs: tuple, v: tuple) -> tuple:
        fn = self.__wrapped__
        points = [point(fn, i, inputs, {}) for i in range(len(inputs))]
        out, linear = _linear(fn, points, inputs)  # type: ignore[arg-type]
        leaves = [x for p in points for x in p.leaves]  # type: ignore[union-attr]
        pushed = iter(linear.push(given_seeds(leaves, v)))
        moved = tree.map(lambda x: next(pushed) if isinstance(x, Tensor) else x, out)
        if not self.has_aux:
            return out, moved
        first, aux = _with_aux(out)
        return first, moved[0], aux[0] if len(aux) == 1 else aux


# --- vmap ---------------------------------------------------------------------------------------


def vmap(fn: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    """The function that maps `fn` over an axis of its arguments, as one batched program.

    in_axes   the axis of each argument, or one for all; None for an argument that is not mapped.
              For a nest of Tensors one axis stands for all of them, or a nest of axes.
    out_axes  where the axis goes in each output.

    >>> import jitgrad.ops
    >>> from jitgrad.tensor import Tensor
    >>> rows = Tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> print(vmap(lambda a, b: (a * b).sum())(rows, rows))
    [ 5. 25.]
    """
    if not callable(fn):
        raise fail(DTypeError, f"vmap got a {type(fn).__name__}", why="it takes a function")
    in_axes, out_axes = _frozen(in_axes), _frozen(out_axes)
    store = artefacts(fn)
    key = "vmap", in_axes, out_axes
    if key not in store:
        store[key] = _ByGraph(Mapped(fn, in_axes, out_axes))
    return store[key]


class _Keyed(NamedTuple):
    """Axes for the values of a dict."""

    items: tuple[tuple[Any, Any], ...]


def _frozen(axes: Any) -> Any:
    if isinstance(axes, dict):
        return _Keyed(tuple([(key, _frozen(a)) for key, a in axes.items()]))
    if isinstance(axes, (tuple, list)):
        return tuple([_frozen(a) for a in axes])
    if axes is not None and (isinstance(axes, bool) or not isinstance(axes, (int, np.integer))):
        raise fail(DTypeError, f"vmap got the axis {axes!r}", why="an axis is an int or None")
    return axes if axes is None else int(axes)


class _ByGraph:
    """A function that exists as a graph only: compiled in GRAPH_MODE, interpreted otherwise."""

    def __init__(self, function: Callable):
        self.__wrapped__ = function
        self.__name__ = function.__name__
        self._compiled = Compiled(function, compiled, functional=True)
        self._interpreted = Compiled(function, interpreted, functional=True)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.trace is not None:
            return self.__wrapped__(*args, **kwargs)
        run = self._compiled if is_graph_mode() else self._interpreted
        return run(*args, **kwargs)

    def __reduce__(self) -> tuple:
        """A copy is compiled anew."""
        return type(self), (self.__wrapped__,)


class Mapped:
    """The computation of `vmap`; runs in a trace."""

    def __init__(self, fn: Callable, in_axes: Any, out_axes: Any):
        self.__wrapped__, self.in_axes, self.out_axes = fn, in_axes, out_axes
        self.__name__ = f"vmap_of_{title(fn)}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = tensors_of(args, kwargs)
        leaves, structure = tree.flatten((args, kwargs))
        axes = [*self.axes_of(args), *(None for _ in tree.flatten(kwargs)[0])]
        mapped = [i for i, a in enumerate(axes) if a is not None and isinstance(leaves[i], Tensor)]
        if not mapped:
            raise fail(ArgumentError, f"{self.__name__} has no argument to map over")
        sizes = {_extent(self.__name__, leaves[i], axes[i]) for i in mapped}
        if len(sizes) != 1:
            shapes = ", ".join(f"{leaves[i]._type} along {axes[i]}" for i in mapped)
            raise fail(
                ShapeError, f"{self.__name__} got {shapes}", why="mapped axes have one extent"
            )
        examples = [to_axis(leaves[i], axes[i], 0) for i in mapped]

        def call(stand_ins: list[Tensor]) -> Any:
            filled = list(leaves)
            for i, x in zip(mapped, stand_ins, strict=True):
                filled[i] = x
            new_args, new_kwargs = tree.unflatten(structure, filled)
            return converted(self.__wrapped__)(*new_args, **new_kwargs)

        outputs, out_structure = vectorize(call, examples, sizes.pop())
        placed = [
            to_axis(x, 0, a) if isinstance(x, Tensor) else x
            for x, a in zip(outputs, self.places(out_structure), strict=True)
        ]
        return tree.unflatten(out_structure, placed)

    def axes_of(self, args: tuple) -> list[int | None]:
        """An axis for each leaf of the arguments."""
        given = self.in_axes
        if not isinstance(given, tuple) or isinstance(given, _Keyed):
            given = (given,) * len(args)
        if len(given) != len(args):
            raise fail(
                ArgumentError,
                f"{self.__name__} got {len(args)} arguments, but in_axes has {len(given)}",
            )
        return [a for axes, arg in zip(given, args, strict=True) for a in _spread(axes, arg)]

    def places(self, structure: tree.Structure) -> list[int]:
        dummy = tree.unflatten(structure, list(range(structure.leaves)))
        places = _spread(self.out_axes, dummy)
        if any(a is None for a in places):
            raise fail(ArgumentError, "vmap got out_axes None", why="every output has the axis")
        return places  # type: ignore[return-value]


def _spread(axes: Any, value: Any) -> list[int | None]:
    """One axis for each leaf of a value."""
    if not isinstance(axes, tuple):
        return [axes] * len(tree.flatten(value)[0])
    if isinstance(axes, _Keyed):
        by_key = dict(axes.items)
        if not isinstance(value, dict) or by_key.keys() != value.keys():
            raise fail(ArgumentError, f"vmap got axes {by_key} for something of another structure")
        axes = tuple([by_key[key] for key in value])
    children = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(children, (tuple, list)) or len(children) != len(axes):
        raise fail(ArgumentError, f"vmap got axes {axes} for something of another structure")
    return [a for inner, child in zip(axes, children, strict=True) for a in _spread(inner, child)]


def _extent(name: str, x: Tensor, axis: int) -> int:
    if not -x.ndim <= axis < x.ndim:
        raise fail(BoundsError, f"{name}: {x._type} has no axis {axis}")
    return x.shape[axis]


def to_axis(x: Tensor, source: int, target: int) -> Tensor:
    """The Tensor with one axis moved."""
    source, target = source % x.ndim, target % x.ndim
    if source == target:
        return x
    order = [a for a in range(x.ndim) if a != source]
    order.insert(target, source)
    return dispatch.apply(transpose, x, perm=tuple(order))


# --- Jacobians ----------------------------------------------------------------------------------


def jacrev(fn: Callable, grad_position: Any = 0, has_aux: bool = False) -> Callable:
    """The function that returns the Jacobian of `fn`, computed row by row in reverse mode.

    For an output of shape `out` and an argument of shape `in` it is of shape ``(*out, *in)``.
    Several outputs give a tuple of Jacobians, a tuple of positions a tuple inside of it. With
    `has_aux` only the first output is differentiated, and ``(jacobian, aux)`` returned.

    >>> import jitgrad.ops
    >>> from jitgrad.tensor import Tensor
    >>> print(jacrev(lambda x: x * x)(Tensor([1.0, 2.0])))
    [[2. 0.]
     [0. 4.]]
    """
    return _jacobian(fn, grad_position, has_aux, True)


def jacfwd(fn: Callable, grad_position: Any = 0, has_aux: bool = False) -> Callable:
    """The function that returns the Jacobian of `fn`, computed column by column in forward mode.

    Arguments and results are those of `jacrev`; better where outputs outnumber inputs.
    """
    return _jacobian(fn, grad_position, has_aux, False)


def _jacobian(fn: Callable, position: Any, has_aux: bool, reverse: bool) -> Callable:
    if not callable(fn):
        raise fail(DTypeError, f"a Jacobian of a {type(fn).__name__} was asked for")
    positions = checked_positions(position)
    store = artefacts(fn)
    key = "jacobian", position, has_aux, reverse
    if key not in store:
        store[key] = _ByGraph(Jacobian(fn, positions, isinstance(position, int), has_aux, reverse))
    return store[key]


class Jacobian:
    """The computation of `jacrev` and `jacfwd`; runs in a trace."""

    def __init__(
        self, fn: Callable, positions: tuple[int, ...], alone: bool, has_aux: bool, reverse: bool
    ):
        self.__wrapped__, self.positions, self.alone = fn, positions, alone
        self.has_aux, self.reverse = has_aux, reverse
        self.__name__ = f"{'jacrev' if reverse else 'jacfwd'}_of_{title(fn)}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        fn = self.__wrapped__
        points = [p for i in self.positions if (p := point(fn, i, args, kwargs))]
        for p in points:
            if p.structure.kind is not None:
                raise fail(DTypeError, f"{self.__name__}: argument {p.position} must be a Tensor")
        xs = [p.leaves[0] for p in points]

        def call(stand_ins: list[Tensor]) -> Any:
            new_args, new_kwargs = replaced(points, [[x] for x in stand_ins], args, kwargs)
            return converted(fn)(*new_args, **new_kwargs)

        out, linear = linearize(call, xs)
        aux: tuple = ()
        if self.has_aux:
            out, aux = _with_aux(out)
        ys, structure = tree.flatten(out)
        ys = [y for y in ys if isinstance(y, Tensor)]
        rows = self.by_rows(linear, xs, ys) if self.reverse else self.by_columns(linear, xs, ys)
        parts = [row[0] if self.alone else tuple(row) for row in rows]
        result = tree.unflatten(structure, parts)
        return (result, aux[0] if len(aux) == 1 else aux) if self.has_aux else result

    def by_rows(self, linear: Linear, xs: list, ys: list) -> list[list[Tensor]]:
        rows = []
        for k, y in enumerate(ys):
            if ones_seed(y, False) is None:
                rows.append([_zeros((*y.shape, *x.shape), x) for x in xs])
                continue

            def pull(seeds: list[Tensor], k: int = k) -> tuple:
                given: list[Tensor | None] = [None] * len(linear.outputs)
                given[k] = seeds[0]
                return tuple(linear.pull(given)[: len(xs)])

            found, _ = vectorize(pull, [basis(y._type)], y.size)
            rows.append(
                [
                    dispatch.apply(reshape, g, shape=(*y.shape, *x.shape))
                    for g, x in zip(found, xs, strict=True)
                ]
            )
        return rows

    def by_columns(self, linear: Linear, xs: list, ys: list) -> list[list[Tensor]]:
        rows: list[list[Tensor]] = [[] for _ in ys]
        for j, x in enumerate(xs):

            def push(seeds: list[Tensor], j: int = j) -> tuple:
                given: list[Tensor | None] = [None] * len(xs)
                given[j] = seeds[0]
                return tuple(linear.push(given)[: len(ys)])

            found, _ = vectorize(push, [basis(x._type)], x.size)
            for row, t, y in zip(rows, found, ys, strict=True):
                last = dispatch.apply(transpose, t, perm=(*range(1, t.ndim), 0))
                row.append(dispatch.apply(reshape, last, shape=(*y.shape, *x.shape)))
        return rows


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return dispatch.fill(0, TensorType(like.dtype, shape))


def basis(type: TensorType) -> Tensor:
    """All unit vectors of a type, along a new leading axis."""
    n = math.prod(type.shape)
    rows, columns = (dispatch.apply(iota, shape=(n, n), axis=axis, dtype=int64) for axis in (0, 1))
    eye = dispatch.apply(cast, dispatch.apply(equal, rows, columns), dtype=type.dtype)
    return dispatch.apply(reshape, eye, shape=(n, *type.shape))


__all__ = ["jacfwd", "jacrev", "jvp", "vjp", "vmap"]
