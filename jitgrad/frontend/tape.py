"""The eager tape: every operation on a Tensor that is followed leaves a node behind.

A node keeps, for each input, the edge to where it came from, and the values that its derivative
needs. The derivative itself is the op's VJP as a small graph (`pull`), built once for each kind of
call. `backward` walks from the outputs to the leaves.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jitgrad.errors import TapeError, fail
from jitgrad.frontend import remote
from jitgrad.frontend.pull import Pull
from jitgrad.ir.types import TensorType
from jitgrad.primitives.declare import not_differentiable
from jitgrad.runtime.cuda.array import IN_USE, any_there
from jitgrad.state import FUNCTIONAL, OFF, ON, Leaf, state
from jitgrad.tensor import Tensor

Edge = tuple[Any, int] | None  # the node (or Leaf) that made a Tensor, and which of its results

serials = itertools.count(1)

NONE: Mapping[int, Any] = types.MappingProxyType({})  # no hooks: most nodes have none


class Saved(NamedTuple):
    """A value that a derivative needs. It must still be what it was.

    tensor   the Tensor, or a weak reference to it: a node that held a result of its own would only
             go with the garbage collector.
    edge     where it comes from; for a result of the node itself, which one it is.
    version  of the Tensor, when it was saved.
    strict   whether it is an error if the Tensor was written to since.
    """

    tensor: Any
    array: Any
    type: TensorType
    version: int
    edge: Edge | int
    strict: bool

    def now(self, node: TapeNode) -> np.ndarray:
        """The array; TapeError if it was changed in place since."""
        tensor = self.tensor
        if type(tensor) is weakref.ref:
            tensor = tensor()
        if tensor is None or tensor._version == self.version:
            return self.array
        # A write through `_set` leaves the old array as it was; only PyTorch's face, where this
        # is an error, and memory that was overwritten are refused.
        if self.strict or tensor._data is self.array:
            raise fail(
                TapeError,
                f"a Tensor of type {tensor._type} that the gradient of {node.label} needs has"
                " been modified by an in-place operation",
                why=f"it is at version {tensor._version}, expected version {self.version}",
                instead="compute a new Tensor, or write in place after the backward pass",
            )
        return self.array

    def get(self, node: TapeNode) -> Tensor:
        """The value with its history; TapeError if it was changed in place since."""
        value = Tensor._wrap(self.now(node), self.type)
        if isinstance(self.edge, int):
            value._grad_fn, value._index = node, self.edge
        elif self.edge is not None:
            value._grad_fn, value._index = self.edge
        return value


def saved(tensor: Tensor, edge: Edge | int, held: Any) -> Saved:
    """A Tensor as it is now; `held` is what is kept of it."""
    strict = state.grad == ON
    return Saved(held, tensor._data, tensor._type, tensor._version, edge, strict)


_wrap, Reference = Tensor._wrap, weakref.ref


class TapeNode:
    """A recorded operation. What it saved are the fields of `Saved`, or `Saved` itself."""

    __slots__ = (
        "__weakref__",
        "edges",
        "hooks",
        "label",
        "pull",
        "retained",
        "saved",
        "serial",
        "types",
    )

    def __init__(self, label: str, edges: Sequence[Edge], results: Sequence[TensorType]):
        self.label = label  # the op, or the function
        self.edges = edges
        self.types = results
        self.serial = next(serials)
        self.hooks: Mapping[int, dict[int, Any]] = NONE  # by result: the hooks on it
        self.retained: Mapping[int, Any] = (
            NONE  # by result: a weak reference to who wants its .grad
        )
        self.saved: Sequence[tuple] | None = ()
        self.pull: Pull | None = None

    def values(self) -> list[Tensor]:
        """The saved values; TapeError if they were freed by an earlier backward pass."""
        if self.saved is None:
            raise self.freed()
        return [Saved._make(s).get(self) for s in self.saved]

    def arrays(self, saved: Iterable[tuple]) -> list[Any]:
        """The arrays of saved values; TapeError if one was changed in place since."""
        found = []
        for kept in saved:
            tensor, array, _, version, _, _ = kept
            if tensor.__class__ is Reference:
                tensor = tensor()
            same = tensor is None or tensor._version == version
            found.append(array if same else Saved._make(kept).now(self))
        return found

    def freed(self) -> Exception:
        return fail(
            TapeError,
            f"trying to backward through the graph a second time, at {self.label}",
            why="the values saved for the gradient were freed by the first pass",
            instead="pass retain_graph=True to the first backward() or autograd.grad()",
        )

    def cotangents(self, given: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        """The cotangents of the inputs from those of the results."""
        pull = self.pull
        if pull is None:
            raise not_differentiable(self.label)
        if state.grad != OFF or state.trace is not None:  # recorded, or traced
            from jitgrad.frontend.replay import replay

            seeds = [zeros(t) if g is None else g for g, t in zip(given, self.types)]
            results = replay(pull.graph, [*self.values(), *seeds])
            return placed(results, pull.targets, len(self.edges))
        if self.saved is None:
            raise self.freed()
        arrays = self.arrays(self.saved)
        for g, type in zip(given, self.types):
            arrays.append(zeros(type)._data if g is None else g._data)
        run = remote.run(pull.graph) if IN_USE and any_there(arrays) else pull.run
        values = [_wrap(array, type) for array, type in zip(run(*arrays), pull.types)]
        return values if pull.is_whole else placed(values, pull.targets, len(self.edges))

    def release(self) -> None:
        """Free what was saved."""
        if self.saved:
            self.saved = None

    def name(self) -> str:
        """What was recorded: an op, or a function."""
        return self.label

    @property
    def next_functions(self) -> tuple:
        """The nodes before this one, as PyTorch shows them."""
        return tuple([edge if edge is not None else (None, 0) for edge in self.edges])

    def __repr__(self) -> str:
        return f"<{self.label} backward>"


def zeros(type: TensorType) -> Tensor:
    """Zeros of a type."""
    return Tensor._wrap(np.zeros(type.shape, type.dtype.numpy), type)


def placed(values: Iterable[Tensor], places: Sequence[int], count: int) -> list[Tensor | None]:
    """The values at their places among `count`, None elsewhere."""
    found: list[Tensor | None] = [None] * count
    for place, value in zip(places, values):
        found[place] = value
    return found


# --- recording ----------------------------------------------------------------------------------


def edge_of(tensor: Tensor) -> Edge:
    """Where a Tensor comes from, or None if the tape does not follow it (here and now)."""
    fn = tensor._grad_fn
    if fn is None:
        return None
    if type(fn) is Leaf and fn.parameter and state.grad == FUNCTIONAL:
        return None
    return fn, tensor._index


def is_tracked(tensor: Tensor) -> bool:
    """Whether an operation on this Tensor would be recorded."""
    return bool(state.grad) and edge_of(tensor) is not None


def followed(results: Sequence[TensorType], integers: bool) -> tuple[int, ...]:
    """Which results are followed: floats, and integers if they come from `integers` that are."""
    return tuple(
        [k for k, t in enumerate(results) if t.dtype.is_float or (integers and t.dtype.is_int)]
    )


def attach(node: TapeNode, outputs: Sequence[Tensor], integers: bool = False) -> None:
    """Make the node the origin of the outputs that are followed."""
    for index in followed([out._type for out in outputs], integers):
        out = outputs[index]
        out._grad_fn, out._index = node, index


# --- on and off ---------------------------------------------------------------------------------


class _Mode(contextlib.ContextDecorator):
    """Switch the tape inside of a ``with`` block or a decorated function."""

    enabled = False

    def __init__(self, function: Any = None):
        self._before: list[int] = []
        self._function = function
        if function is not None:
            functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._function is None:  # @no_grad() decorates, @no_grad did
            return super().__call__(*args, **kwargs)
        with type(self)():
            return self._function(*args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __enter__(self) -> None:
        self._before.append(state.grad)
        _switch(self.enabled)

    def __exit__(self, *exc: Any) -> None:
        state.grad = self._before.pop()


def _switch(enabled: bool) -> None:
    state.grad = state.recording if enabled else OFF


class no_grad(_Mode):
    """Record nothing inside of the block: what is computed there is constant to every derivative,
    in compiled functions too. Also a decorator.

    >>> x = ms.tensor(2.0, requires_grad=True)
    >>> ms.no_grad()(lambda: x * 3)().requires_grad
    False
    """


class enable_grad(_Mode):
    """Record inside of the block, in a `no_grad` block for instance; also a decorator.

    >>> ms.enable_grad()(ms.is_grad_enabled)()
    True
    """

    enabled = True


class inference_mode(_Mode):
    """As `no_grad`; ``inference_mode(False)`` as `enable_grad`. Also a decorator.

    >>> ms.inference_mode()(ms.is_grad_enabled)()
    False
    """

    def __init__(self, mode: Any = True):
        super().__init__(mode if callable(mode) else None)
        self.enabled = not mode


class set_grad_enabled(_Mode):
    """Record or not, from the call on; as a context, until the end of the block. Also a
    decorator.
    """

    def __init__(self, mode: bool):
        super().__init__()
        self.enabled = bool(mode)
        self._found = state.grad
        _switch(self.enabled)

    def __enter__(self) -> None:
        self._before.append(self._found)
        _switch(self.enabled)

    def __call__(self, function: Any) -> Any:
        state.grad = self._found  # as a decorator it switches nothing by itself

        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            with set_grad_enabled(self.enabled):
                return function(*args, **kwargs)

        return switched


@contextlib.contextmanager
def functional() -> Iterator[None]:
    """Inside of `grad(f)`: record, with all Parameters constants except the weights."""
    before = state.grad, state.recording
    state.grad = state.recording = FUNCTIONAL
    try:
        yield
    finally:
        state.grad, state.recording = before


def is_grad_enabled() -> bool:
    """Whether operations are recorded.

    >>> ms.is_grad_enabled()
    True
    """
    return state.grad != OFF
