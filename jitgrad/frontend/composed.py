"""Functions made of several ops as one step of the eager mode.

What ``x[1:3]``, ``x @ y`` or ``x + y`` of two shapes comes to depends on types, keys and axes, and
not on values. So it is a graph, traced when the function was often called like this; from then on
that is one call: looked up, computed and recorded as an op is, by `dispatch.perform`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from jitgrad.frontend.steps import Call, Composite, call_of
from jitgrad.frontend.trace import Argument, trace
from jitgrad.ir.node import topological
from jitgrad.ir.types import DType
from jitgrad.runtime.cuda.array import IN_USE
from jitgrad.state import state
from jitgrad.tensor import Parameter, Tensor

NEVER = object()  # not to be composed
OFTEN = 4  # a trace takes about as long as such a step saves in so many calls
KEPT = 4096  # for each function
PLAIN = (int, bool, str, type(None), type(...), DType)


def composed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare that what `function` does to its Tensors follows from their types and from its other
    arguments, and that it gives one Tensor. Where it reads the value of one after all, as of an
    axis, it is called each time: its trace fails.
    """
    known: dict[tuple, Any] = {}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if state.trace is not None or IN_USE:
            return function(*args, **kwargs)
        tensors: list[Tensor] = []
        try:
            parts = [_part(a, tensors) for a in args]
            if kwargs:
                parts += [(name, _part(a, tensors)) for name, a in kwargs.items()]
        except TypeError:  # an argument that is no key
            return function(*args, **kwargs)
        key = tuple(parts)
        found = known.get(key)
        if found is None and len(known) >= KEPT:
            known.clear()
        if found is None or found.__class__ is int:  # how often it was called
            count = (found or 0) + 1
            found = _made(function, args, kwargs, tensors) if count >= OFTEN else count
            known[key] = found
        return found.step(*tensors) if isinstance(found, Call) else function(*args, **kwargs)

    return call


def _part(value: Any, tensors: list[Tensor]) -> Any:
    """What stands for an argument in a key; its Tensors are added to `tensors`. TypeError for what
    can be no part of one.
    """
    kind = value.__class__
    if kind is Tensor or kind is Parameter:
        tensors.append(value)
        return value._type
    if kind in PLAIN:
        return kind, value
    if kind is float:
        return kind, value or str(value)  # 0.0 and -0.0 would be one key
    if kind is tuple or kind is list:
        return kind, *[_part(v, tensors) for v in value]
    if kind is slice:
        return kind, *[_part(v, tensors) for v in (value.start, value.stop, value.step)]
    raise TypeError(kind)


def _made(function: Callable, args: tuple, kwargs: dict[str, Any], tensors: list[Tensor]) -> Any:
    """The function traced for such arguments; NEVER if that fails, for whatever reason: then it is
    called as it is, and what is wrong with the call is said there.
    """

    def run(given: list[Tensor]) -> Any:
        values = iter(given)
        found = [_filled(a, values) for a in args]
        return function(*found, **{name: _filled(a, values) for name, a in kwargs.items()})

    arguments = [Argument(f"x{i}", x._type) for i, x in enumerate(tensors)]
    try:
        traced = trace(run, arguments, getattr(function, "__name__", "function").strip("_"))
    except Exception:
        return NEVER
    graph = traced.graph
    if traced.captures or len(graph.inputs) != len(tensors) or len(graph.outputs) != 1:
        return NEVER
    only = graph.outputs[0]
    if not set(graph.inputs).intersection(topological([only])):
        return NEVER  # a constant, which each call has to make anew
    if only.inputs == graph.inputs:  # a single op
        return call_of(only.op, tuple([x.type for x in only.inputs]), dict(only.attrs))
    return Composite(graph)


def _filled(value: Any, tensors: Iterator[Tensor]) -> Any:
    """An argument with others in the places of its Tensors, in the order of `_part`."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, (tuple, list)):
        return type(value)([_filled(v, tensors) for v in value])
    if isinstance(value, slice):
        return slice(*[_filled(v, tensors) for v in (value.start, value.stop, value.step)])
    return value
