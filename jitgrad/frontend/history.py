"""PyTorch's way to ask for gradients: `backward` and `grad` on results, and a Tensor's history."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad.autodiff.reverse import cotangents
from jitgrad.errors import DTypeError, ShapeError, TapeError, fail
from jitgrad.frontend.backward import accumulate, own, walk
from jitgrad.frontend.custom import with_custom_vjp
from jitgrad.frontend.dispatch import apply, fill
from jitgrad.primitives.elementwise import stop_gradient
from jitgrad.primitives.shape import concat, reshape
from jitgrad.state import Leaf, state
from jitgrad.tensor import Tensor

Tensors = Tensor | Sequence[Tensor]


def as_tuple(tensors: Any, what: str) -> tuple[Any, ...]:
    """One Tensor or several as a tuple; DTypeError for anything else."""
    found = (tensors,) if isinstance(tensors, Tensor) else tensors
    if not isinstance(found, (tuple, list)) or any(not isinstance(t, Tensor) for t in found):
        raise fail(DTypeError, f"{what} must be a Tensor or Tensors, got {tensors!r:.60}")
    return tuple(found)


def seeds_of(outputs: Sequence[Tensor], given: Any) -> list[Tensor]:
    """The cotangents of the outputs: those given, or ones for scalars."""
    if given is None:
        given = (None,) * len(outputs)
    elif not isinstance(given, (tuple, list)):
        given = (given,)
    if len(given) != len(outputs):
        raise fail(TapeError, f"got {len(outputs)} tensors and {len(given)} gradients")
    seeds = []
    for y, g in zip(outputs, given):
        if g is None:
            if y.size != 1:
                raise fail(
                    TapeError,
                    "grad can be implicitly created only for scalar outputs,"
                    f" not for one of shape {list(y.shape)}",
                    instead="pass the cotangent: backward(gradient=…), grad(…, grad_outputs=…)",
                )
            g = fill(1, y._type)
        if not isinstance(g, Tensor):
            g = Tensor(g, y.dtype)
        if g.shape != y.shape:
            raise fail(
                ShapeError,
                f"Mismatch in shape: a gradient of shape {list(g.shape)} for an output of shape"
                f" {list(y.shape)}",
            )
        seeds.append(g if g.dtype is y.dtype else g.astype(y.dtype))  # type: ignore[attr-defined]
    return seeds


def _checked_outputs(outputs: Sequence[Tensor]) -> None:
    for position, y in enumerate(outputs):
        if y._grad_fn is None:
            raise fail(
                TapeError,
                f"element {position} of tensors does not require grad and does not have a grad_fn",
                instead="make an input with requires_grad=True",
            )


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of the tensors to `grad` of the leaves; see `jitgrad.autograd`."""
    outputs = as_tuple(tensors, "tensors")
    if state.trace is not None:
        raise fail(
            TapeError,
            "backward() in a compiled function",
            why="it writes into .grad of Tensors outside",
            instead="jitgrad.autograd.grad(outputs, inputs), which returns the gradients",
        )
    seeds = seeds_of(outputs, grad_tensors)
    _checked_outputs(outputs)
    spots = None
    chosen: tuple[Tensor, ...] = ()
    if inputs is not None:
        chosen = as_tuple(inputs, "inputs")
        if not chosen:
            raise fail(TapeError, "inputs argument to backward cannot be empty")
        spots = [_spot(x) for x in chosen]
    retain = create_graph if retain_graph is None else retain_graph
    starts = [_spot(y) for y in outputs]
    found = walk(starts, seeds, spots, create_graph=create_graph, retain_graph=retain)
    if spots is None:
        for (leaf, _), value in found.items():
            tensor = leaf.tensor() if leaf.tensor is not None else None
            if tensor is not None:
                accumulate(tensor, value)
    else:
        for x, spot in zip(chosen, spots, strict=True):
            if spot in found:
                accumulate(x, found[spot])


def gradients(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """The gradients of the outputs' sum with respect to the inputs; see `jitgrad.autograd`."""
    ys, xs = as_tuple(outputs, "outputs"), as_tuple(inputs, "inputs")
    seeds = seeds_of(ys, grad_outputs)
    if state.trace is not None:
        found = _in_trace(ys, xs, seeds)
    else:
        _checked_outputs(ys)
        spots = [_spot(x) for x in xs]
        retain = create_graph if retain_graph is None else retain_graph
        starts = [_spot(y) for y in ys]
        at = walk(starts, seeds, spots, create_graph=create_graph, retain_graph=retain)
        found = [own(at[spot]) if spot in at else None for spot in spots]
    if not allow_unused and any(g is None for g in found):
        raise fail(
            TapeError,
            "One of the differentiated Tensors appears to not have been used in the graph",
            instead="allow_unused=True, if this is the desired behavior",
        )
    return tuple(found)


def _in_trace(
    ys: Sequence[Tensor], xs: Sequence[Tensor], seeds: Sequence[Tensor]
) -> list[Tensor | None]:
    trace = state.trace
    nodes = trace.resolve([trace.read(y) for y in ys])
    found = cotangents(
        nodes, [trace.read(s) for s in seeds], [trace.read(x) for x in xs], trace.locs
    )
    return [None if g is None else Tensor._of_node(g) for g in found]


def _spot(x: Tensor) -> tuple[Any, int]:
    if x._grad_fn is None:
        raise fail(
            TapeError,
            "One of the differentiated Tensors does not require grad",
            instead="x.requires_grad_() before the computation",
        )
    return x._grad_fn, x._index


def batched_gradients(
    outputs: Tensors, inputs: Tensors, grad_outputs: Any, **options: Any
) -> tuple[Tensor | None, ...]:
    """`gradients` for each of a batch of cotangents, stacked along a leading axis."""
    batch = as_tuple(grad_outputs, "grad_outputs")
    size = batch[0].shape[0]
    rows = []
    for i in range(size):
        options["retain_graph"] = options.get("retain_graph") or i + 1 < size
        rows.append(gradients(outputs, inputs, tuple([g[i] for g in batch]), **options))  # type: ignore[index]
    return tuple([None if g[0] is None else _stacked(g) for g in zip(*rows, strict=True)])


def _stacked(rows: Sequence[Tensor]) -> Tensor:
    parts = [apply(reshape, r, shape=(1, *r.shape)) for r in rows]
    return apply(concat, *parts, axis=0)


# --- methods of Tensor --------------------------------------------------------------------------

_handles = itertools.count()


class Handle:
    """What `register_hook` returns: `remove()` takes the hook away again."""

    def __init__(self, table: dict[int, Callable], key: int):
        self._table, self._key = table, key

    def remove(self) -> None:
        """Take the hook away."""
        self._table.pop(self._key, None)


def _tensor_backward(
    self: Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradient of this Tensor to `grad` of the leaves it was computed from.

    `gradient` is the cotangent of this Tensor, needed unless it has one element only.
    """
    backward(self, gradient, retain_graph, create_graph, inputs)


def _register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Handle:
    """Call ``hook(gradient)`` when the gradient of this Tensor is known; what it returns, if
    anything, replaces the gradient. RuntimeError if the tape does not follow the Tensor.
    """
    if self._node is not None:
        return _hook_in_trace(self, hook)
    if self._grad_fn is None:
        raise fail(
            TapeError,
            "cannot register a hook on a tensor that doesn't require gradient",
            instead="t.requires_grad_() first",
        )
    table = self._grad_fn.hooks.setdefault(self._index, {})
    key = next(_handles)
    table[key] = hook
    return Handle(table, key)


def _hook_in_trace(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Handle:
    """The Tensor becomes an identity of itself whose derivative is the hook."""

    def bprop(x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        changed = hook(dout)
        return (dout if changed is None else changed,)

    self._node = with_custom_vjp(lambda x: x, bprop, (self,), "hook")._node
    return Handle({}, 0)


def _retain_grad(self: Tensor) -> None:
    """Keep the gradient of a Tensor that is no leaf in its `grad`, too."""
    import weakref

    if self._grad_fn is None:
        raise fail(TapeError, "can't retain_grad on a Tensor that has requires_grad=False")
    if type(self._grad_fn) is not Leaf:
        self._grad_fn.retained[self._index] = weakref.ref(self)


def _detach(self: Tensor) -> Tensor:
    """The same value without history: a copy."""
    if state.trace is not None:
        return apply(stop_gradient, self)
    return Tensor._wrap(self._array("detached").copy(), self._type)


def _detach_in_place(self: Tensor) -> Tensor:
    """Forget the history of this Tensor."""
    self._grad_fn, self._index = None, 0
    return self


def _value(self: Tensor) -> Tensor:
    """The value as another Tensor, which gradients flow through."""
    return apply(reshape, self, shape=self.shape)


def _data(self: Tensor) -> Tensor:
    return _detach(self)


def _set_data(self: Tensor, value: Any) -> None:
    """Replace the value and keep the history: what PyTorch programs do in hand-written updates."""
    new = value if isinstance(value, Tensor) else Tensor(value)
    if state.trace is not None:
        state.trace.write(self, new, keep_gradient=False)
    else:
        self._set(np.array(new._array("assigned"), order="C"), new._type)


def attach_methods() -> None:
    """Give Tensor its history."""
    Tensor.backward = _tensor_backward  # type: ignore[attr-defined]
    Tensor.register_hook = _register_hook  # type: ignore[attr-defined]
    Tensor.retain_grad = _retain_grad  # type: ignore[attr-defined]
    Tensor.detach = _detach  # type: ignore[attr-defined]
    Tensor.detach_ = _detach_in_place  # type: ignore[attr-defined]
    Tensor.value = _value  # type: ignore[attr-defined]
    Tensor.data = property(_data, _set_data)  # type: ignore[attr-defined]


attach_methods()

__all__ = ["backward", "batched_gradients", "gradients"]
