"""`autograd.Function`: forward and backward by hand, as PyTorch's users write them."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from jitgrad.api.custom import transposed
from jitgrad.errors import CountError, DTypeError, SeedError, TapeError, TraceError, fail
from jitgrad.frontend import tape
from jitgrad.frontend.backward import own
from jitgrad.frontend.custom import with_custom_vjp
from jitgrad.frontend.dispatch import apply
from jitgrad.primitives.elementwise import stop_gradient
from jitgrad.state import Leaf, state
from jitgrad.tensor import Tensor


class Context:
    """What `forward` hands to `backward` in a `Function`. Any attribute may be set on it.

    needs_input_grad  for each argument of `forward`, whether its gradient is wanted.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...] = ()):
        self.needs_input_grad = needs_input_grad
        self._saved: Sequence[Tensor | None] = ()
        self._saved_forward: Sequence[Tensor | None] | None = None
        self._node: weakref.ref[FunctionNode] | None = None
        self._constant: set[int] = set()  # ids of results without a derivative
        self._dirty: set[int] = set()  # ids of arguments that were written to
        self._zeros = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep Tensors for the derivative. Arguments and results keep their history."""
        self._saved = _tensors("save_for_backward", tensors)

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep other Tensors for `jvp` than for `backward`."""
        self._saved_forward = _tensors("save_for_forward", tensors)

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What was kept. RuntimeError if it was freed, or written to since."""
        if self._node is None:
            return tuple(self._saved)
        values = iter(self._node().values())  # type: ignore[union-attr]
        return tuple([None if t is None else next(values) for t in self._saved])

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """These results are constants to every derivative."""
        self._constant = {id(t) for t in tensors}

    def mark_dirty(self, *tensors: Tensor) -> None:
        """These arguments were written to in place, and are returned."""
        self._dirty = {id(t) for t in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default), or None, for results nobody used."""
        self._zeros = bool(value)


def _tensors(name: str, given: tuple) -> tuple[Tensor | None, ...]:
    for t in given:
        if t is not None and not isinstance(t, Tensor):
            raise fail(
                DTypeError,
                f"{name} can only save Tensors, got a {type(t).__name__}",
                instead="ctx.name = value for what is no Tensor",
            )
    return given


class FunctionNode(tape.TapeNode):
    """A call of a `Function` on the tape. `places`: the position of each Tensor argument."""

    __slots__ = ("count", "ctx", "function", "places")

    def cotangents(self, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        if self.saved is None:
            self.values()  # raises
        seeds: list[Any] = [None if g is None else own(g) for g in given]
        if self.ctx._zeros:
            seeds = [tape.zeros(t) if g is None else g for g, t in zip(seeds, self.types)]
        found = returned(self.function, self.function.backward(self.ctx, *seeds), self.count)
        pairs = zip(self.places, self.edges, strict=True)
        return [
            None if edge is None else _fitting(self.function, i, type, found[i])
            for (i, type), edge in pairs
        ]


def returned(function: type[Function], result: Any, count: int) -> tuple[Any, ...]:
    """What `backward` returned, one for each argument; Nones too many do no harm."""
    found = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    while len(found) > count and found[-1] is None:
        found = found[:-1]
    if len(found) != count:
        raise fail(
            CountError,
            f"{function.__name__}.backward returned an incorrect number of gradients"
            f" (expected {count}, got {len(found)})",
            instead="return one gradient for each argument of forward, None for what is no Tensor",
        )
    return found


def _fitting(function: type[Function], position: int, type: Any, gradient: Any) -> Tensor | None:
    """A gradient of an argument's type; floats of another precision are cast."""
    if gradient is None:
        return None
    if not isinstance(gradient, Tensor):
        raise fail(
            TapeError,
            f"{function.__name__}.backward returned a {gradient.__class__.__name__} as the gradient"
            f" of argument {position}",
            instead="return a Tensor or None",
        )
    if gradient.shape != type.shape:
        raise fail(
            SeedError,
            f"{function.__name__}.backward returned an invalid gradient at index {position}: its"
            f" type is {gradient._type}, that of the argument {type}",
        )
    same = gradient.dtype is type.dtype
    return gradient if same else gradient.astype(type.dtype)  # type: ignore[attr-defined]


class Function:
    """A function with a derivative of its own, as in PyTorch: a subclass has the static methods
    ``forward(ctx, *args)`` and ``backward(ctx, *gradients)`` (or `vjp`), and is called by `apply`.
    With ``setup_context(ctx, inputs, output)`` as a third, `forward` does without `ctx`.

    It works in both modes, in `grad`, `jvp` and `vmap`, and to any order if `backward` computes
    with Tensors. A derivative in one direction serves both: where there is no `backward`,
    ``jvp(ctx, *tangents)``, which is linear in the tangents, is transposed; where there is one, the
    forward mode transposes that, and does not need `jvp`.

    >>> import jitgrad.ops
    >>> class Double(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2.0
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         return gradient * 2.0
    >>> x = Tensor(3.0, requires_grad=True)
    >>> Double.apply(x).backward()
    >>> print(x.grad)
    2.0
    """

    @staticmethod
    def forward(*args: Any) -> Any:
        """The computation; every subclass writes its own."""
        raise NotImplementedError("you must implement forward for a custom autograd.Function")

    @staticmethod
    def backward(ctx: Context, *gradients: Any) -> Any:
        """One gradient for each argument, None for what is no Tensor; a subclass writes it."""
        raise NotImplementedError(
            "you must implement backward, or vjp, or jvp, to differentiate your Function"
        )

    jvp: Callable[..., Any] | None = None

    setup_context: Callable[[Context, tuple, Any], None] | None = None

    def __call__(self, *args: Any) -> Any:
        name = type(self).__name__
        raise fail(TapeError, f"an instance of {name} is called", instead=f"{name}.apply(…)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the function."""
        if state.trace is not None or cls._pushes():
            return _by_rule(cls, args)
        return _on_tape(cls, args)

    def __init_subclass__(cls) -> None:
        if "vjp" in vars(cls):
            cls.backward = staticmethod(vars(cls)["vjp"].__func__)

    @classmethod
    def _pushes(cls) -> bool:
        """Whether the derivative that there is, is that for tangents."""
        return cls.backward is Function.backward and cls.jvp is not None

    @classmethod
    def _run(cls, ctx: Context, args: tuple) -> Any:
        if cls.setup_context is None:
            return cls.forward(ctx, *args)
        out = cls.forward(*args)
        cls.setup_context(ctx, args, out)
        return out


def _on_tape(cls: type[Function], args: tuple) -> Any:
    inputs = [(i, x) for i, x in enumerate(args) if isinstance(x, Tensor)]
    edges = {i: tape.edge_of(x) for i, x in inputs}
    ctx = Context(tuple([edges.get(i) is not None for i in range(len(args))]))
    with tape.no_grad():
        out = cls._run(ctx, args)
    if not state.grad or not any(ctx.needs_input_grad):
        return out
    results = [_result(x, ctx) for x in _parts(out)]
    made = [(old, new) for old, new in zip(_parts(out), results) if isinstance(new, Tensor)]
    node = FunctionNode(cls.__name__, [edges[i] for i, _ in inputs], [y._type for _, y in made])
    node.ctx, node.function, node.count = ctx, cls, len(args)
    node.places = [(i, x._type) for i, x in inputs]
    # What is kept is an argument, with where it comes from, or a result, with which one it is.
    origins: dict[int, tuple] = {
        id(y): (new, k, weakref.ref(new)) for k, (y, new) in enumerate(made)
    }
    origins.update({id(x): (x, edges[i], x) for i, x in inputs if id(x) not in ctx._dirty})
    kept = [origins.get(id(t), (t, tape.edge_of(t), t)) for t in ctx._saved if t is not None]
    node.saved = tuple([tape.saved(*origin) for origin in kept])
    ctx._node = weakref.ref(node)
    for index, (old, new) in enumerate(made):
        if new.dtype.is_inexact and id(old) not in ctx._constant:
            new._grad_fn, new._index = node, index
    return tuple(results) if isinstance(out, (tuple, list)) else results[0]


def _result(x: Any, ctx: Context) -> Any:
    """What `forward` returned, as a Tensor of its own."""
    if not isinstance(x, Tensor):
        return x
    if id(x) not in ctx._dirty:
        return Tensor._wrap(x._data.copy(), x._type)  # type: ignore[union-attr]
    if type(x._grad_fn) is Leaf:
        raise fail(TapeError, "a leaf Tensor that requires grad is changed in place")
    return x


def _by_rule(cls: type[Function], args: tuple) -> Any:
    """As a function with a VJP: what was kept of arguments and results is that of the pass."""
    made: list[tuple[Context, Any]] = []

    def forward(*args: Any) -> Any:
        ctx = Context(tuple([isinstance(a, Tensor) and a.dtype.is_inexact for a in args]))
        out = cls._run(ctx, args)
        if ctx._dirty:
            raise fail(
                TraceError,
                f"{cls.__name__} writes to an argument",
                why="it is compiled, or has a jvp and no backward",
                instead="return a new Tensor",
            )
        made.append((ctx, out))
        return out

    def backward(*values: Any) -> Any:
        *given, out, dout = values
        ctx, first = made[-1]
        known = dict(zip(map(id, (*args, *_parts(first))), (*given, *_parts(out))))
        now = Context()
        now.__dict__.update(ctx.__dict__)
        now._saved = [known.get(id(t), t) for t in ctx._saved]
        if cls._pushes():
            if ctx._saved_forward is not None:
                now._saved = [known.get(id(t), t) for t in ctx._saved_forward]
            return transposed(
                lambda tangents: cls.jvp(now, *_directions(given, tangents)),  # type: ignore[misc]
                tuple(given),
                out,
                dout,
                f"{cls.__name__}.jvp",
            )
        found = returned(cls, cls.backward(now, *_parts(dout)), len(args))
        return tuple(
            [
                _fitting(cls, i, x._type, g) if isinstance(x, Tensor) else None
                for i, (x, g) in enumerate(zip(given, found, strict=True))
            ]
        )

    out = with_custom_vjp(forward, backward, args, f"{cls.__name__}.backward")
    ctx, first = made[-1]
    constant = [id(x) in ctx._constant for x in _parts(first)]
    if not any(constant):
        return out
    pairs = zip(_parts(out), constant, strict=True)
    return type(out)([apply(stop_gradient, x) if stop else x for x, stop in pairs])


def _directions(given: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """What `jvp` gets: None for arguments that are no Tensors."""
    return [t if isinstance(x, Tensor) else None for x, t in zip(given, tangents, strict=True)]


def _parts(value: Any) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def once_differentiable(backward: Callable) -> Callable:
    """Declare that a `backward` cannot be differentiated itself: it runs off the tape, and a second
    derivative is an error. In a compiled function it is what it computes, to any order.
    """

    @functools.wraps(backward)
    def once(ctx: Context, *gradients: Any) -> Any:
        if state.trace is not None:
            return backward(ctx, *gradients)
        with tape.no_grad():
            found = backward(ctx, *gradients)
        used = [x for x in (*ctx.saved_tensors, *gradients) if isinstance(x, Tensor)]
        edges = [tape.edge_of(x) for x in used]
        if not state.grad or all(edge is None for edge in edges):
            return found
        tensors = [x for x in _parts(found) if isinstance(x, Tensor)]
        node = tape.TapeNode(
            "a backward marked with @once_differentiable", edges, [t._type for t in tensors]
        )
        tape.attach(node, tensors)
        return found

    return once


__all__ = ["Context", "Function", "once_differentiable"]
