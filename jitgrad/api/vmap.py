"""`vmap`: a function mapped over an axis of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jitgrad import tree
from jitgrad.api.bygraph import ByGraph
from jitgrad.api.points import tensors_of, title
from jitgrad.api.store import artefacts
from jitgrad.errors import ArgumentError, BoundsError, DTypeError, ShapeError, fail
from jitgrad.frontend import dispatch
from jitgrad.frontend.control import converted
from jitgrad.frontend.vectorize import vectorize
from jitgrad.primitives.shape import transpose
from jitgrad.tensor import Tensor


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
        store[key] = ByGraph(Mapped(fn, in_axes, out_axes))
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
            to_axis(x, 0, _checked_place(self.__name__, x, a)) if isinstance(x, Tensor) else x
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


def _checked_place(name: str, x: Tensor, axis: int) -> int:
    if not -x.ndim <= axis < x.ndim:
        raise fail(
            BoundsError,
            f"{name}: out_axes {axis} for an output of {x._type}",
            why="it has no such axis",
        )
    return axis


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
