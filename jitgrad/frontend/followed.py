"""What a Tensor says and does about its history: `backward`, hooks, `detach`, `data`."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

from jitgrad.errors import TapeError, fail
from jitgrad.frontend.backward import fitting
from jitgrad.frontend.control import converted
from jitgrad.frontend.custom import with_custom_vjp
from jitgrad.frontend.dispatch import apply
from jitgrad.frontend.history import Tensors, backward
from jitgrad.primitives.elementwise import stop_gradient
from jitgrad.primitives.shape import reshape
from jitgrad.state import Leaf, state
from jitgrad.tensor import Tensor
from jitgrad.views import Detached, connect, is_shared, propagate, replace

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
    node, index = self._grad_fn, self._index
    node.hooks = {**node.hooks, index: node.hooks.get(index, {})}
    return _hung(node.hooks[index], hook)


def _hung(table: dict[int, Callable], hook: Callable) -> Handle:
    key = next(_handles)
    table[key] = hook
    return Handle(table, key)


def _register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> Handle:
    """Call ``hook(tensor)`` after `backward` has added to `grad` of this leaf."""
    if type(self._grad_fn) is not Leaf:
        raise fail(
            TapeError,
            "post accumulate grad hooks cannot be registered on non-leaf tensors, nor on those that"
            " do not require gradients",
            instead="t.register_hook(hook)",
        )
    return _hung(self._grad_fn.after, hook)


def _hook_in_trace(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Handle:
    """The Tensor becomes an identity of itself whose derivative is the hook."""

    def bprop(x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        changed = converted(hook)(dout)
        return (dout if changed is None else fitting("a hook", dout, changed),)

    self._node = with_custom_vjp(lambda x: x, bprop, (self,), "hook")._node
    return Handle({}, 0)


def _retain_grad(self: Tensor) -> None:
    """Keep the gradient of a Tensor that is no leaf in its `grad`, too."""
    if self._grad_fn is None:
        raise fail(TapeError, "can't retain_grad on a Tensor that has requires_grad=False")
    if type(self._grad_fn) is not Leaf:
        node = self._grad_fn
        node.retained = {**node.retained, self._index: weakref.ref(self)}


def _retains_grad(self: Tensor) -> bool:
    """Whether `retain_grad` was called on this Tensor, which is no leaf."""
    return not self.is_leaf and self._index in self._grad_fn.retained


def _output_nr(self: Tensor) -> int:
    """Which result of its `grad_fn` this Tensor is."""
    return self._index


def _detach(self: Tensor) -> Tensor:
    """The same value without history. What is written to it is written to this Tensor."""
    out = _without_history(self)
    connect(out, Detached(self, _without_history, lambda view, base: view))
    return out


def _without_history(x: Tensor) -> Tensor:
    if state.trace is not None:
        return apply(stop_gradient, x)
    return Tensor._wrap(x._held("detached").copy(), x._type)


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
    replace(self, new)
    if is_shared(self):
        propagate(self)


def attach_methods() -> None:
    """Give Tensor its history."""
    Tensor.backward = _tensor_backward  # type: ignore[attr-defined]
    Tensor.register_hook = _register_hook  # type: ignore[attr-defined]
    post = _register_post_accumulate_grad_hook
    Tensor.register_post_accumulate_grad_hook = post  # type: ignore[attr-defined]
    Tensor.retain_grad = _retain_grad  # type: ignore[attr-defined]
    Tensor.retains_grad = property(_retains_grad)  # type: ignore[attr-defined]
    Tensor.output_nr = property(_output_nr)  # type: ignore[attr-defined]
    Tensor.detach = _detach  # type: ignore[attr-defined]
    Tensor.detach_ = _detach_in_place  # type: ignore[attr-defined]
    Tensor.value = _value  # type: ignore[attr-defined]
    Tensor.data = property(_data, _set_data)  # type: ignore[attr-defined]


attach_methods()

__all__ = ["Handle"]
