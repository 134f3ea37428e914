"""Text with traced values in it: f-strings and `print`, shown once it has run."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any

from jitgrad import tree
from jitgrad.frontend.control.paths import Blocked, computed
from jitgrad.frontend.control.traced import is_traced
from jitgrad.frontend.number import Number
from jitgrad.state import state
from jitgrad.tensor import Tensor

CONVERSIONS = {"": lambda x: x, "r": repr, "s": str, "a": ascii}


class Text(str):
    """An f-string with traced values; as a plain string it shows their types.

    `parts` are strings and (value, conversion, spec).
    """

    parts: tuple[Any, ...]


def text(*parts: Any) -> str:
    """An f-string."""
    traced = any(is_traced(p[0]) or isinstance(p[0], Text) for p in parts if isinstance(p, tuple))
    if not traced:
        return "".join([p if isinstance(p, str) else _formatted(*p) for p in parts])
    shown = [p if isinstance(p, str) else repr(p[0]) for p in parts]
    new = Text("".join(shown))
    new.parts = parts
    return new


def message(*parts: Any) -> str:
    """An f-string of an exception. If it is raised while tracing, it is for these arguments, and
    has their values; a block on trial may become part of a region, which knows them later.
    """
    trace = state.trace
    if trace.trials:
        return text(*parts)
    known = [
        (_value(p[0]), *p[1:]) if isinstance(p, tuple) and is_traced(p[0]) else p for p in parts
    ]
    return str(text(*known))


def _value(x: Tensor) -> Any:
    """A traced Tensor as it is for the arguments of this trace; the Tensor itself if unknown."""
    found = computed(state.trace, x)
    if found is None:
        return x
    return found.item() if isinstance(x, Number) else Tensor._wrap(found.copy(), x._type)


def _formatted(value: Any, conversion: str, spec: str) -> str:
    return format(CONVERSIONS[conversion](value), spec)


class Template:
    """A nest of values and texts, some of them traced. numbers: which of `tensors` are Numbers."""

    def __init__(self, args: Sequence[Any]):
        leaves, self.structure = tree.flatten([_spread(a) for a in args])
        self.leaves = [x if is_traced(x) else _frozen(x) for x in leaves]
        self.places = [i for i, x in enumerate(self.leaves) if is_traced(x)]
        self.numbers = [isinstance(self.leaves[i], Number) for i in self.places]
        self.tensors: list[Tensor] = [self.leaves[i] for i in self.places]

    def filled(self, values: Sequence[Tensor]) -> list[Any]:
        """The nest with what the traced values are."""
        leaves = list(self.leaves)
        for place, number, found in zip(self.places, self.numbers, values, strict=True):
            leaves[place] = found.item() if number and found._data is not None else found
        return [_joined(a) for a in tree.unflatten(self.structure, leaves)]


class Print:
    """A `print` of traced values: it waits for them."""

    def __init__(self, args: tuple, kwargs: dict):
        self.template, self.kwargs = Template(args), kwargs
        self.nodes = [state.trace.read(t) for t in self.template.tensors]

    def at(self, nodes: Sequence[Any]) -> Print:
        """The same with other values."""
        new = copy.copy(self)
        new.template = copy.copy(self.template)
        new.nodes, new.template.tensors = list(nodes), [Tensor._of_node(n) for n in nodes]
        return new

    def show_now(self) -> None:
        """Print for the arguments of this trace, as far as they have values."""
        found = [_value(t) for t in self.template.tensors]
        self.show([Tensor(x) if not isinstance(x, Tensor) else x for x in found])

    def show(self, values: Sequence[Tensor]) -> None:
        """Print, with the values that the function computed."""
        print(*self.template.filled(values), **self.kwargs)


def _frozen(x: Any) -> Any:
    return (
        Tensor._wrap(x._data.copy(), x._type)
        if isinstance(x, Tensor) and x._data is not None
        else x
    )


class Parts(list):
    """The parts of an f-string as a nest."""


def _spread(value: Any) -> Any:
    return (
        Parts([Parts(p) if isinstance(p, tuple) else p for p in value.parts])
        if isinstance(value, Text)
        else value
    )


def _joined(value: Any) -> Any:
    if isinstance(value, Parts):
        return "".join(
            [p if isinstance(p, str) else _formatted(_joined(p[0]), *p[1:]) for p in value]
        )
    return value


def traced_print(*args: Any, **kwargs: Any) -> None:
    """`print` in converted code: at each call, whatever it shows."""
    from jitgrad.frontend.control.prints import printed

    trace = state.trace
    file = kwargs.get("file")
    kwargs = {**kwargs, "file": file if file is not sys.stdout else None}
    if trace.turn is not None or (trace.mapped and trace.trials):
        printed(trace, args, kwargs)
    elif trace.trials:
        raise Blocked("it prints")
    else:
        trace.effects.append(Print(args, kwargs))
