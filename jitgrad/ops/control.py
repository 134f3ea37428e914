"""Functions over nests, and functions with a gradient of the user's own."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable
from typing import Any

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.frontend.control import converted
from jitgrad.frontend.custom import with_custom_vjp
from jitgrad.ops.promote import copied, tensor
from jitgrad.tensor import Parameter, Tensor

# --- functions over nests -----------------------------------------------------------------------


class MultitypeFuncGraph:
    """A function chosen by the types of its arguments, as MindSpore's.

    >>> add = MultitypeFuncGraph("add")
    >>> @add.register("Number", "Number")
    ... def add_numbers(x, y):
    ...     return x + y
    >>> add(1, 2)
    3
    """

    TYPES: dict[str, Any] = {
        "Number": (int, float),
        "Int": int,
        "Float": float,
        "Bool": bool,
        "String": str,
        "Tensor": Tensor,
        "Tuple": tuple,
        "List": list,
        "Dictionary": dict,
        "Parameter": Parameter,
        "NoneType": type(None),
        "Function": Callable,
    }

    def __init__(self, name: str, read_value: bool = False):
        self.name = name
        self.entries: list[tuple[tuple[Any, ...], Callable]] = []

    def register(self, *type_names: Any) -> Callable:
        """A decorator that adds a function for arguments of these types."""
        kinds = tuple(self._kind(name) for name in type_names)

        def add(function: Callable) -> Callable:
            self.entries.append((kinds, function))
            return function

        return add

    def _kind(self, name: Any) -> Any:
        if not isinstance(name, str):
            return name
        if name not in self.TYPES:
            known = ", ".join(self.TYPES)
            raise fail(DTypeError, f"{self.name} knows no type {name!r}", why=f"it knows {known}")
        return self.TYPES[name]

    def __call__(self, *args: Any) -> Any:
        for kinds, function in self.entries:
            if len(kinds) == len(args) and all(
                isinstance(a, k) if k is not Callable else callable(a) for a, k in zip(args, kinds)
            ):
                return function(*args)
        given = ", ".join(type(a).__name__ for a in args)
        raise fail(DTypeError, f"{self.name} has no function for ({given})")

    def __repr__(self) -> str:
        return f"MultitypeFuncGraph[{self.name}]"


class HyperMap:
    """A function applied to the leaves of nests of tuples, lists and dicts.

    >>> HyperMap()(lambda x, y: x + y, (1, [2]), (10, [20]))
    (11, [22])
    """

    def __init__(self, ops: Callable | None = None, reverse: bool = False):
        self.ops, self.reverse = ops, reverse

    def __call__(self, *args: Any) -> Any:
        function, *nests = (self.ops, *args) if self.ops is not None else args
        return self._map(converted(function), nests)

    def _map(self, function: Callable, nests: list[Any]) -> Any:
        first = nests[0]
        if isinstance(first, dict):
            return {key: self._map(function, [n[key] for n in nests]) for key in first}
        if isinstance(first, (tuple, list)) and self._enters(function, nests):
            if any(len(n) != len(first) for n in nests):
                raise fail(ArgumentError, "HyperMap got nests of different lengths")
            places = range(len(first))
            places = builtins.reversed(places) if self.reverse else places
            results = {i: self._map(function, [n[i] for n in nests]) for i in places}
            found = [results[i] for i in range(len(first))]
            return found if isinstance(first, list) else tuple(found)
        return function(*nests)

    def _enters(self, function: Callable, nests: list[Any]) -> bool:
        return all(isinstance(n, (tuple, list)) for n in nests)


class Map(HyperMap):
    """A function applied to the elements of sequences, one level deep.

    >>> ops.Map()(lambda a, b: a + b, [Tensor(1), Tensor(2)], [Tensor(3), Tensor(4)])[1].item()
    6
    """

    def _map(self, function: Callable, nests: list[Any]) -> Any:
        found = [function(*row) for row in zip(*nests)]
        return found if isinstance(nests[0], list) else tuple(found)


class Partial:
    """``Partial()(f, *args)`` is f with its first arguments given.

    >>> ops.Partial()(ops.add, Tensor(1))(Tensor(2)).item()
    3
    """

    def __call__(self, function: Callable, *args: Any, **keywords: Any) -> Callable:
        import functools

        return functools.partial(function, *args, **keywords)


# --- gradients of the user's own ----------------------------------------------------------------


class InsertGradientOf:
    """The identity, whose gradient is what a function makes of it.

    >>> from jitgrad import Tensor, grad, ops
    >>> double = ops.InsertGradientOf(lambda g: g * 2)
    >>> grad(lambda x: double(x) * 3)(Tensor(1.0)).item()
    6.0
    """

    def __init__(self, f: Callable):
        if not callable(f):
            raise fail(DTypeError, f"InsertGradientOf got {f!r}", why="it takes a function")
        self.f = f

    def __call__(self, x: Tensor) -> Tensor:
        def bprop(x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
            return (converted(self.f)(dout),)

        name = "the function of InsertGradientOf"
        return with_custom_vjp(copied, bprop, (tensor("InsertGradientOf", x),), name)


class HookBackward:
    """The identity, which shows its gradient to a function; what that returns, unless None,
    takes the gradient's place.

    The function is called as ``hook_fn(cell_id, (dout,), (dout,))`` if it has three parameters,
    otherwise as ``hook_fn((dout,))``.

    >>> seen = []
    >>> hook = ops.HookBackward(lambda g: seen.append(g[0].item()))
    >>> slope = ms.grad(lambda x: hook(x) * 5)(Tensor(3.0))
    >>> seen
    [5.0]
    """

    def __init__(self, hook_fn: Callable, cell_id: str = ""):
        if not callable(hook_fn):
            raise fail(DTypeError, f"HookBackward got {hook_fn!r}", why="it takes a function")
        self.hook_fn, self.cell_id = hook_fn, cell_id

    def __call__(self, *inputs: Tensor) -> Any:
        outs = tuple(self._one(x) for x in inputs)
        return outs if len(outs) > 1 else outs[0]

    def _one(self, x: Tensor) -> Tensor:
        def bprop(x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
            many = len(inspect.signature(self.hook_fn).parameters) == 3
            args = (self.cell_id, (dout,), (dout,)) if many else ((dout,),)
            found = converted(self.hook_fn)(*args)
            found = found[0] if isinstance(found, tuple) else found
            return (dout if found is None else found,)

        name = "the function of HookBackward"
        return with_custom_vjp(copied, bprop, (tensor("HookBackward", x),), name)


__all__ = [
    "HookBackward", "HyperMap", "InsertGradientOf", "Map", "MultitypeFuncGraph", "Partial",
]  # fmt: skip
