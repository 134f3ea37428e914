"""Functions made of several ops as one step of the eager mode.

What ``x[1:3]``, ``x @ y`` or ``x + y`` of two shapes comes to depends on types, keys and axes, and
not on values. So it is a graph, traced when the function was often called like this; from then on
that is one call, looked up, computed and recorded as an op is (`jitgrad.frontend.steps`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jitgrad.frontend.steps import Composite, call_of
from jitgrad.frontend.trace import Argument, trace
from jitgrad.ir.node import topological
from jitgrad.ir.types import DType
from jitgrad.runtime.cuda.array import IN_USE
from jitgrad.state import state
from jitgrad.tensor import Parameter, Tensor

MANY = 1 << 30
OFTEN = 4  # a trace takes about as long as such a step saves in so many calls
KEPT = 4096  # for each function
BOUND = frozenset((int, type(None)))  # of a slice
PLAIN = frozenset((int, bool, str, type(None), type(...), DType))


def composed(function: Callable[..., Any] | None = None, operands: int = MANY) -> Any:
    """Declare that what `function` does to its Tensors follows from their types and from its other
    arguments, and that it gives one Tensor. Where it reads the value of one after all, as of an
    axis, it is called each time: its trace fails. And so it is with more Tensors than `operands`.
    """
    if function is None:
        return functools.partial(composed, operands=operands)
    known: dict[tuple, Any] = {}  # steps, None where there is none, and counts of calls

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if state.trace is not None or IN_USE:
            return function(*args, **kwargs)
        tensors: list[Tensor] = []
        parts: list[Any] = []
        if not _read(args, tensors, parts) or len(tensors) > operands:
            return function(*args, **kwargs)
        if kwargs:
            parts += kwargs
            if not _read(kwargs.values(), tensors, parts):
                return function(*args, **kwargs)
        key = tuple(parts)
        step = known.get(key, 0)
        if step.__class__ is int:  # how often it was called
            if not step and len(known) >= KEPT:
                known.clear()
            step += 1
            known[key] = step = _made(function, args, kwargs, tensors) if step >= OFTEN else step
        return step(*tensors) if callable(step) else function(*args, **kwargs)

    return call


def _read(values: Iterable[Any], tensors: list[Tensor], parts: list[Any]) -> bool:
    """Add the Tensors among arguments to `tensors`, and what a key consists of to `parts`: types of
    Tensors, and classes before other values. False for a value that can be no part of a key.
    """
    for value in values:
        kind = value.__class__
        if kind is Tensor or kind is Parameter:
            tensors.append(value)
            parts.append(value._type)
        elif kind in PLAIN:
            parts += (kind, value)
        elif kind is slice:
            bounds = value.start, value.stop, value.step
            for bound in bounds:
                if bound.__class__ not in BOUND:
                    return False
            parts += (kind, bounds)
        elif kind is tuple or kind is list:
            parts += (kind, len(value))
            if not _read(value, tensors, parts):
                return False
        elif kind is float:
            parts += (kind, value or str(value))  # 0.0 and -0.0 would be one key
        else:
            return False
    return True


def _made(
    function: Callable, args: tuple, kwargs: dict[str, Any], tensors: list[Tensor]
) -> Callable[..., Any] | None:
    """The step of the function, traced for such arguments. None if that fails, for whatever reason:
    then it is called as it is, and what is wrong with the call is said there.
    """

    def run(given: list[Tensor]) -> Any:
        values = iter(given)
        found = [_filled(a, values) for a in args]
        return function(*found, **{name: _filled(a, values) for name, a in kwargs.items()})

    arguments = [Argument(f"x{i}", x._type) for i, x in enumerate(tensors)]
    try:
        traced = trace(run, arguments, getattr(function, "__name__", "function").strip("_"))
    except Exception:
        return None
    graph = traced.graph
    if traced.captures or len(graph.inputs) != len(tensors) or len(graph.outputs) != 1:
        return None
    only = graph.outputs[0]
    if not set(graph.inputs).intersection(topological([only])):
        return None  # a constant, which each call has to make anew
    if only.inputs == graph.inputs:  # a single op
        return call_of(only.op, tuple([x.type for x in only.inputs]), dict(only.attrs)).step
    return Composite(graph).step


def _filled(value: Any, tensors: Iterator[Tensor]) -> Any:
    """An argument with others in the places of its Tensors, in the order of `_read`."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, (tuple, list)):
        return type(value)([_filled(v, tensors) for v in value])
    if isinstance(value, slice):
        return slice(*[_filled(v, tensors) for v in (value.start, value.stop, value.step)])
    return value
