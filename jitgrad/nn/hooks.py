"""What runs around `construct`: hooks of the user, casts of `to_float`, derivatives by `bprop`."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jitgrad import ops, tree
from jitgrad.frontend import guards, trace
from jitgrad.frontend.control import converted
from jitgrad.frontend.custom import between_hooks, with_custom_vjp
from jitgrad.ir.types import DType
from jitgrad.tensor import Tensor

Hooks = Mapping[str, tuple[tuple[int, Callable[..., Any]], ...]]

NONE: Hooks = {}
_numbers = itertools.count()


class Handle:
    """What registering a hook returns: `remove()` takes the hook out again."""

    def __init__(self, cell: Any, kind: str, number: int):
        self._cell, self._kind, self._number = weakref.ref(cell), kind, number

    def remove(self) -> None:
        """Take the hook out; a second time does nothing."""
        cell = self._cell()
        if cell is None:
            return
        guards.bump()
        left = tuple(pair for pair in cell._hooks.get(self._kind, ()) if pair[0] != self._number)
        hooks = {**cell._hooks, self._kind: left}
        cell.__dict__["_hooks"] = hooks if any(hooks.values()) else NONE


def add(cell: Any, kind: str, hook: Callable[..., Any]) -> tuple[Hooks, Handle]:
    """The Cell's hooks with one more, and its handle; TypeError if it cannot be called."""
    if not callable(hook):
        raise TypeError(f"a hook must be callable, not a {type(hook).__name__}")
    number = next(_numbers)
    own = (*cell._hooks.get(kind, ()), (number, hook))
    return {**cell._hooks, kind: own}, Handle(cell, kind, number)


def before(cell: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs after the forward pre-hooks."""
    for _, hook in cell._hooks.get("before", ()):
        result = hook(cell, args)
        if result is not None:
            args = result if isinstance(result, tuple) else (result,)
    return args


def after(cell: Any, args: tuple[Any, ...], output: Any) -> Any:
    """The output after the forward hooks."""
    for _, hook in cell._hooks.get("after", ()):
        result = hook(cell, args, output)
        if result is not None:
            output = result
    return output


# --- derivatives --------------------------------------------------------------------------------


def with_bprop(cell: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`construct` with the derivative that `bprop` gives."""
    if kwargs:
        bound = inspect.signature(cell.construct).bind(*args, **kwargs)
        bound.apply_defaults()
        args = bound.args
    return with_custom_vjp(cell.construct, cell.bprop, args, f"{type(cell).__name__}.bprop")


def watches_backward(cell: Any) -> bool:
    """Whether there are hooks for the backward pass."""
    return bool(cell._hooks.get("backward") or cell._hooks.get("backward_before"))


def with_backward(cell: Any, args: tuple[Any, ...], call: Callable[..., Any]) -> Any:
    """``call(*args)`` between two identities, whose derivatives call the backward hooks.

    The backward pass meets the one behind the Cell first. On the tape that leaves the gradient of
    the output for the hooks that want both.
    """

    def leave(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        for _, hook in cell._hooks.get("backward_before", ()):
            gradients = _replaced(converted(hook)(cell, gradients), gradients)
        return gradients

    def enter(gradients: tuple[Any, ...], of_output: tuple[Any, ...]) -> tuple[Any, ...]:
        for _, hook in cell._hooks.get("backward", ()):
            gradients = _replaced(converted(hook)(cell, gradients, of_output), gradients)
        return gradients

    active = trace.current()
    if active is not None:
        return between_hooks(active, call, args, enter, leave)
    seen: list[tuple[Any, ...]] = []

    def leaving(*values: Any) -> Any:
        seen.append(leave(_as_tuple(values[-1])))
        return seen[-1]

    args = _as_tuple(
        with_custom_vjp(
            _identity, lambda *values: enter(_as_tuple(values[-1]), seen[-1]), args, "backward hook"
        )
    )
    return with_custom_vjp(_identity, leaving, _as_tuple(call(*args)), "backward hook")


def _identity(*values: Any) -> Any:
    return values if len(values) != 1 else values[0]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _replaced(result: Any, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
    return gradients if result is None else _as_tuple(result)


# --- casts --------------------------------------------------------------------------------------


class _Running(threading.local):
    """The Cells whose `to_float` is in force, innermost last."""

    def __init__(self) -> None:
        self.cells: list[Any] = []


_running = _Running()


@contextlib.contextmanager
def casting(cell: Any) -> Iterator[None]:
    """Inside, the Parameters of this Cell are read in the dtype of its `to_float`."""
    if cell._float is None:
        yield
        return
    _running.cells.append(cell)
    try:
        yield
    finally:
        _running.cells.pop()


def cast_parameter(cell: Any, value: Any) -> Any:
    """A Parameter as construct sees it."""
    inside = bool(_running.cells) and _running.cells[-1] is cell
    if not inside or not isinstance(value, Tensor) or not value.dtype.is_float:
        return value
    return value if value.dtype is cell._float else ops.cast(value, cell._float)


def cast_floats(values: Any, dtype: DType | None) -> Any:
    """The same nest with its float Tensors cast."""
    if dtype is None:
        return values

    def cast(value: Any) -> Any:
        floats = isinstance(value, Tensor) and value.dtype.is_float and value.dtype is not dtype
        return ops.cast(value, dtype) if floats else value

    return tree.map(cast, values)
