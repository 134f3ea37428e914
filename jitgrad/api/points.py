"""Which arguments of a call are differentiated: by position, in any kind of nest, of any kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.errors import BoundsError, DTypeError, fail
from jitgrad.frontend.guards import is_cell
from jitgrad.state import state
from jitgrad.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Point:
    """One differentiated argument.

    position   as the user counts; `key` is where it is: an index of args or a name in kwargs.
    structure  its nest; `leaves` its Tensors, which may have been NumPy arrays or floats.
    arrays     for each leaf, whether it was a NumPy array or scalar.
    """

    position: int
    key: int | str
    structure: tree.Structure
    leaves: tuple[Tensor, ...]
    arrays: tuple[bool, ...]

    def rebuilt(self, leaves: Sequence[Any]) -> Any:
        """The nest with other leaves."""
        return tree.unflatten(self.structure, list(leaves))

    def like_input(self, gradients: Sequence[Tensor]) -> Any:
        """The gradients in this nest: NumPy where the input was. In a trace there are no values."""
        if state.trace is not None:
            return self.rebuilt(gradients)
        return self.rebuilt(
            [g.asnumpy()[()] if a else g for g, a in zip(gradients, self.arrays, strict=True)]
        )


def point(
    function: Callable, position: int, args: tuple, kwargs: dict, *, strict: bool = True
) -> Point | None:
    """The argument at a position. BoundsError if there is none, DTypeError if it cannot be
    differentiated (None instead, if not `strict`).
    """
    key: int | str = position
    if position < len(args):
        value = args[position]
    else:
        names = parameter_names(function)
        if position >= len(names) or names[position] not in kwargs:
            raise fail(
                BoundsError,
                f"there is no argument at position {position} of"
                f" {title(function)}({', '.join(names)})",
                why=f"it was called with {len(args) + len(kwargs)}",
            )
        key = names[position]
        value = kwargs[key]
    if type(value) is Tensor and value.dtype.kind != "b":  # the common case
        return Point(position, key, tree.LEAF, (value,), (False,))
    leaves, structure = tree.flatten(value)
    converted = [differentiable(x) for x in leaves]
    if not leaves or any(x is None for x in converted):
        if not strict:
            return None
        bad = value if not leaves else leaves[next(i for i, x in enumerate(converted) if x is None)]
        raise _refused(function, position, bad)
    arrays = tuple([isinstance(x, (np.ndarray, np.generic)) for x in leaves])
    return Point(position, key, structure, tuple(converted), arrays)  # type: ignore[arg-type]


def differentiable(value: Any) -> Tensor | None:
    """The value as a Tensor that can be differentiated, or None."""
    if isinstance(value, (np.ndarray, np.generic, float, complex)):
        if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind not in "fiuc":
            return None
        value = Tensor(value)
    if isinstance(value, Tensor) and value.dtype.kind != "b":
        return value
    return None


def _refused(function: Callable, position: int, value: Any) -> Exception:
    names = parameter_names(function)
    where = f"argument {position}" + (f" ({names[position]})" if position < len(names) else "")
    what = f"a {type(value).__name__}" if value is not None else "None"
    if isinstance(value, (Tensor, np.ndarray)):
        what = f"of dtype {value.dtype}"
    elif isinstance(value, (bool, int, str)):
        what = f"the {type(value).__name__} {value!r}"
    return fail(
        DTypeError,
        f"{where} of {title(function)} is {what}",
        why="only Tensors and NumPy arrays of numbers, and floats, can be differentiated",
        instead="pass a Tensor, or name another position",
    )


def tensors_of(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments with their NumPy arrays as Tensors."""

    def convert(value: Any) -> Any:
        return Tensor(value) if isinstance(value, np.ndarray) else value

    leaves, structure = tree.flatten((args, kwargs))
    if not any(isinstance(x, np.ndarray) for x in leaves):
        return args, kwargs
    return tree.unflatten(structure, [convert(x) for x in leaves])


def in_numpy(*values: Any) -> bool:
    """Whether a call is answered in NumPy: it was given arrays, and no Tensors."""
    leaves = tree.flatten(values)[0]
    arrays = any(isinstance(x, (np.ndarray, np.generic)) for x in leaves)
    return arrays and state.trace is None and not any(isinstance(x, Tensor) for x in leaves)


def to_numpy(value: Any) -> Any:
    """The nest with its Tensors as NumPy arrays and scalars."""
    return tree.map(lambda x: x.asnumpy()[()] if isinstance(x, Tensor) else x, value)


def parameter_names(function: Callable) -> list[str]:
    """The positional parameters' names, as far as they are known."""
    try:
        parameters = inspect.signature(
            function.construct if is_cell(function) else function
        ).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def title(function: Callable) -> str:
    """What to call a function in a message."""
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__
