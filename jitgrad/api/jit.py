"""`jit`: a function, compiled for the types of its arguments when it is called."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jitgrad import config, journal, tree
from jitgrad.api import reasons
from jitgrad.api.entry import Entry
from jitgrad.api.points import title
from jitgrad.api.shortest import MISS
from jitgrad.api.store import artefacts
from jitgrad.api.tracebacks import for_user
from jitgrad.autodiff.custom import erase
from jitgrad.errors import DTypeError, LeakError, fail
from jitgrad.frontend import graphcall
from jitgrad.frontend.control import converted
from jitgrad.frontend.guards import PLAIN, guards_of, is_cell
from jitgrad.frontend.trace import Argument, trace
from jitgrad.garbage import uncollected
from jitgrad.state import state
from jitgrad.tensor import Parameter, Tensor

if TYPE_CHECKING:
    from jitgrad.runtime.lowered import Lowered

VARIANTS = 64  # entries kept for arguments of one kind; the oldest goes
KEYS = 512  # kinds of arguments
GPUS = ("cuda", "gpu", "GPU")  # backends that are GPUs
BY_VALUE = (*PLAIN, slice, range, type(Ellipsis), np.dtype)


def jit(function: Callable | None = None, **options: Any) -> Any:
    """Compile a function; also a decorator, with or without options, and for methods.

    The function runs once for each combination of argument types, on traced Tensors, and its graph
    is compiled. Tensors and NumPy arrays among the arguments, in nests of tuples, lists, dicts and
    dataclasses too, are inputs; everything else is a constant, and another value means another
    trace. Globals, closures and attributes that the function reads are watched: when they change,
    it is traced anew. With ``backend="cuda"`` it runs on an NVIDIA GPU. Other `options` are
    MindSpore's; they are accepted and change nothing.

    >>> from jitgrad.tensor import Tensor
    >>> import jitgrad.ops
    >>> @jit
    ... def f(x, n):
    ...     return x ** n
    >>> print(f(Tensor([1.0, 2.0]), 3))
    [1. 8.]

    Raises:
        TypeError: `function` cannot be called.
        TraceError: the function asks a traced Tensor for its value.
    """
    function = options.pop("fn", function)  # as MindSpore once called it
    if function is None:
        return functools.partial(jit, **options)
    if isinstance(function, Compiled):
        return function
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(jit(function.__func__))
    if not callable(function):
        raise fail(DTypeError, f"jit got a {type(function).__name__}", why="it takes a function")
    on_gpu = options.get("backend") in GPUS
    return Compiled(function, graphcall.on_device if on_gpu else graphcall.compiled)


class Compiled:
    """A function that is compiled when it is called. Made by `jit`."""

    def __init__(
        self,
        function: Callable,
        make: graphcall.Maker = graphcall.compiled,
        functional: bool = False,
        like: Any = None,
    ):
        """`like`: the callable whose name and signature the graphs show."""
        functools.update_wrapper(self, like or function, updated=())
        self.__wrapped__ = function
        self._function, self._make, self._functional = function, make, functional
        shown = like or function
        self._shown: Any = shown
        owner = getattr(shown, "__self__", None)
        if getattr(shown, "__name__", "") == "_run" and is_cell(owner):
            self._shown = owner  # it is what a Cell compiles of itself
        self._entries: dict[Any, list[Entry]] = {}
        self._fast: Callable[[tuple, dict], Any] | None = None
        self._given: dict[str, str] | None = None  # the arguments traced last, described

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        fast = self._fast
        if fast is not None and state.trace is None:
            result = fast(args, kwargs)
            if result is not MISS:
                return result
        if state.trace is not None:
            return converted(self._function)(*args, **kwargs)
        try:
            entry, tensors = self.entry(args, kwargs)
            result = entry.run(tensors)
        except Exception as error:
            raise for_user(error)  # noqa: B904 (the same error)
        self._fast = entry.quick()
        return result

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        found = artefacts(instance)
        if self not in found:
            method = types.MethodType(self._function, instance)
            found[self] = Compiled(method, self._make, self._functional)
        return found[self]

    def entry(self, args: tuple, kwargs: dict) -> tuple[Entry, list[Tensor]]:
        """The entry for arguments, traced and compiled if need be, and the Tensors it takes."""
        leaves, structure = tree.flatten((args, kwargs))
        arrays = {i for i, x in enumerate(leaves) if isinstance(x, np.ndarray)}
        leaves = [_normal(x) if i in arrays else x for i, x in enumerate(leaves)]
        key = structure, tuple([_kind(x) for x in leaves]), _aliases(leaves), config.code()
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        entries = self._entries.get(key)
        if entries is None:
            entries = self._entries[key] = []
            if len(self._entries) > KEYS:
                del self._entries[next(iter(self._entries))]
        entry = next((e for e in entries if e.valid() and e.applies(tensors)), None)
        if entry is None:
            with uncollected():
                entry = self._trace(leaves, structure, args, kwargs, entries)
            entries.insert(0, entry)
            del entries[VARIANTS:]
        if arrays and entry.written:  # NumPy arrays of the user's are not written to
            tensors = [Tensor(x) if i in arrays else x for i, x in enumerate(leaves)]
            tensors = [x for x in tensors if isinstance(x, Tensor)]
        return entry, tensors

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """What a call with these arguments runs: graphs after each pass, plan, kernels.

        >>> from jitgrad.tensor import Tensor
        >>> import jitgrad.ops
        >>> print(len(jit(lambda x: (x * x + 1.0).sum()).lower(Tensor([1.0, 2.0])).kernels))
        1
        """
        from jitgrad.runtime.lowered import Lowered

        entry, tensors = self.entry(args, kwargs)
        traced = entry.traced
        arrays = [graphcall.contiguous(x) for x in [*tensors, *traced.captures]]
        return Lowered(erase(traced.graph), dict(traced.writes), arrays)

    def _trace(
        self,
        leaves: list[Any],
        structure: tree.Structure,
        args: tuple,
        kwargs: dict,
        outdated: list[Entry],
    ) -> Entry:
        others = [x for x in leaves if not isinstance(x, Tensor) and type(x) not in PLAIN]
        guards = guards_of([self._function, *others])
        names = _names(self._shown, args, kwargs)
        given = dict(zip(names, map(reasons.described, leaves), strict=True))
        why, self._given = reasons.reason(outdated, given, self._given), given
        reasons.announce(title(self._shown), self._shown, why)
        clock = reasons.Clock()
        arguments = [
            Argument(name, x._type, x if isinstance(x, Parameter) else None)
            for name, x in zip(names, leaves, strict=True)
            if isinstance(x, Tensor)
        ]
        places = {id(x): i for i, x in enumerate([x for x in leaves if isinstance(x, Tensor)])}

        def call(stand_ins: list[Tensor]) -> Any:
            filled = [stand_ins[places[id(x)]] if isinstance(x, Tensor) else x for x in leaves]
            call_args, call_kwargs = tree.unflatten(structure, filled)
            before = tree.flatten((call_args, call_kwargs))[0]
            result = converted(self._function)(*call_args, **call_kwargs)
            self._check_given(before, tree.flatten((call_args, call_kwargs))[0])
            return result

        values = [graphcall.held(x) for x in leaves if isinstance(x, Tensor)]
        traced = trace(call, arguments, _graph_name(self._shown), values)
        clock.traced()
        entry = Entry(traced, guards, self._make, leaves, structure, self._functional)
        entry.prepare([x for x in leaves if isinstance(x, Tensor)])
        entry.why, entry.cost = why, clock.cost()
        journal.say(f"{title(self._shown)}: {len(traced.graph.nodes)} nodes, {entry.cost}")
        return entry

    def _check_given(self, before: list[Any], after: list[Any]) -> None:
        """LeakError if the function changed a list or dict among its arguments."""
        if len(after) != len(before) or any(a is not b for a, b in zip(after, before)):
            raise fail(
                LeakError,
                f"{title(self._shown)} changes a list or dict that it was given",
                why="a compiled function works on a copy, and its caller would not see it",
                instead="return what changed",
            )

    def __reduce__(self) -> tuple:
        """A copy is compiled anew."""
        return type(self), (self._function, self._make, self._functional)

    def __repr__(self) -> str:
        return f"<jit of {self._function!r}>"


def _names(function: Callable, args: tuple, kwargs: dict) -> list[str]:
    """A name for each leaf of the arguments: the parameter's, counted on inside of nests."""
    given = [*parameter_names(function, len(args)), *kwargs]
    names: list[str] = []
    for name, value in zip(given, (*args, *kwargs.values()), strict=True):
        count = len(tree.flatten(value)[0])
        flat = count == 1 and isinstance(value, (Tensor, np.ndarray))
        names += [name] if flat else [f"{name}_{i}" for i in range(count)]
    return names


def parameter_names(function: Callable, count: int) -> list[str]:
    """The names of the first `count` parameters, as graphs show them."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    try:
        called = function.construct if is_cell(function) else function
        parameters = list(inspect.signature(called).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "arg")
    return (names + [f"{rest}_{i}" for i in range(count)])[:count]


def _graph_name(function: Callable) -> str:
    name = title(function)
    return name if name.isidentifier() else "function"


def _normal(array: np.ndarray) -> Tensor:
    """A Tensor of an array: contiguous, aligned, of native byte order; never written to."""
    if (
        array.flags.c_contiguous
        and array.flags.aligned
        and array.dtype.isnative
        and state.grad == 0
    ):
        return Tensor._wrap(array)
    return Tensor(array)


def _kind(leaf: Any) -> Any:
    """What of an argument decides which entry is used."""
    if type(leaf) is Tensor:
        return leaf._type
    if isinstance(leaf, Tensor):
        return Parameter, leaf._type, leaf.requires_grad
    if type(leaf) in BY_VALUE or isinstance(leaf, np.generic):
        return type(leaf), repr(leaf)
    return type(leaf), id(leaf)  # the entry keeps it alive


def _aliases(leaves: list[Any]) -> tuple[int, ...] | None:
    """Which arguments are one Tensor, if any are."""
    ids = [id(x) for x in leaves if isinstance(x, Tensor)]
    if len(set(ids)) == len(ids):
        return None
    return tuple([ids.index(i) for i in ids])
