"""Views: Tensors that show elements of another one. What is written to either shows in both.

No two Tensors share memory, and in a trace there is no memory to share. So a view is a Tensor of
its own that remembers how it comes from its base, and a write is computed again for every Tensor
that shows the same elements: `derive` gives a view for its base, `write_back` a base for its view.
Both are made of ops, so a write means the same eagerly, in a trace and to derivatives.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jitgrad.errors import TapeError, fail
from jitgrad.runtime.cuda.array import beside
from jitgrad.state import ON, Leaf, state

if TYPE_CHECKING:
    from jitgrad.value import Tensor

NONE: Mapping[str, Any] = MappingProxyType({})  # no keywords


class View:
    """What a view shows: ``function(base, *rest)``. If the view is written to, the base becomes
    ``back(view, base, *rest)``.
    """

    __slots__ = ("back", "base", "function", "keywords", "rest")

    def __init__(
        self,
        base: Tensor,
        function: Callable[..., Tensor],
        back: Callable[..., Tensor],
        rest: Sequence[Any] = (),
        keywords: Mapping[str, Any] = NONE,
    ):
        self.base, self.function, self.back = base, function, back
        self.rest, self.keywords = rest, keywords

    def derive(self, base: Tensor) -> Tensor:
        """The view of a base."""
        return self.function(base, *self.rest, **self.keywords)

    def write_back(self, base: Tensor, view: Tensor) -> Tensor:
        """The base of a view that was written to."""
        return self.back(view, base, *self.rest, **self.keywords)

    def check(self) -> None:
        """An error if the base may not be written to."""
        check_leaf(self.base)

    def write(self, view: Tensor) -> None:
        """Give the base what the view holds now."""
        self.base._take(self.write_back(before(self.base), view))

    def of_base(self) -> View | None:
        """The same elements as a view of what the base is a view of."""
        outer = view_of(self.base)
        if outer is None:
            return None

        def derive(base: Tensor) -> Tensor:
            return self.derive(outer.derive(base))

        def back(view: Tensor, base: Tensor) -> Tensor:
            return outer.write_back(base, self.write_back(outer.derive(base), view))

        return View(outer.base, derive, back)


class Detached(View):
    """The value of a Tensor without its history. What is written to it is the base's new value, and
    the base keeps its history, as PyTorch has it.
    """

    __slots__ = ()

    def check(self) -> None:
        return

    def write(self, view: Tensor) -> None:
        replace(self.base, self.write_back(self.base, view))


def connect(tensor: Tensor, view: View) -> None:
    """Make a Tensor a view. Its base knows it as long as somebody else does."""
    tensor._view = view
    known = view.base._views
    if known is None:
        view.base._views = [weakref.ref(tensor)]
        return
    count = len(known)
    if count >= 8 and count & (count - 1) == 0:  # now and then, those that are gone
        known[:] = [r for r in known if r() is not None]
    known.append(weakref.ref(tensor))


def view_of(tensor: Tensor) -> View | None:
    """What a Tensor is a view of; None if it is none."""
    return tensor._view


def views_on(tensor: Tensor) -> Iterator[Tensor]:
    """The views of a Tensor."""
    for reference in tensor._views or ():
        found = reference()
        if found is not None:
            yield found


def is_shared(tensor: Tensor) -> bool:
    """Whether a write to a Tensor concerns others."""
    return tensor._view is not None or next(views_on(tensor), None) is not None


def chain(tensor: Tensor) -> Iterator[View]:
    """What a Tensor is a view of, what that is a view of, and so on."""
    view = view_of(tensor)
    while view is not None:
        yield view
        view = view_of(view.base)


def root(tensor: Tensor) -> Tensor:
    """The Tensor that is no view, and that this is a view of, through others or by itself."""
    return [tensor, *(view.base for view in chain(tensor))][-1]


# --- writing ------------------------------------------------------------------------------------


def check_leaf(tensor: Tensor) -> None:
    """TapeError if a Tensor is a leaf, whose gradient a write would make meaningless."""
    fn = tensor._grad_fn
    if state.grad == ON and type(fn) is Leaf and not fn.parameter:
        raise fail(
            TapeError,
            "a leaf Tensor that requires grad is changed in place",
            instead="with jitgrad.autograd.no_grad(): …, or compute a new Tensor",
        )


def before(tensor: Tensor) -> Tensor:
    """The value before a write, for the tape to keep: its array is not written to."""
    if tensor._grad_fn is None or state.trace is not None:
        return tensor
    old = tensor._wrap(tensor._held("written in place"), tensor._type)
    old._grad_fn, old._index = tensor._grad_fn, tensor._index
    return old


def replace(tensor: Tensor, value: Tensor) -> None:
    """Give a Tensor another value and let it keep its history; views do not learn of it."""
    if state.trace is not None:
        state.trace.write(tensor, value, keep_gradient=False)
    else:
        tensor._set(beside(tensor._data, value._held("assigned").copy()), value._type)


def become(tensor: Tensor, other: Tensor) -> None:
    """Give a Tensor another's value and history, and its base and views what follows from that."""
    if not is_shared(tensor):
        tensor._take(other)
        return
    if state.trace is None:
        for view in chain(tensor):  # before anything has changed
            view.check()
    tensor._take(other)
    propagate(tensor)


def propagate(written: Tensor) -> None:
    """Compute anew what shares elements with a Tensor that was just written to."""
    pending: list[tuple[Tensor, Tensor | None]] = [(written, None)]
    while pending:
        tensor, source = pending.pop()
        view = view_of(tensor)
        if view is not None and view.base is not source:
            view.write(tensor)
            pending.append((view.base, tensor))
        for other in views_on(tensor):
            found = view_of(other)
            if other is not source and found is not None:
                other._take(found.derive(tensor))
                pending.append((other, tensor))


__all__ = [
    "Detached", "View", "become", "before", "chain", "check_leaf", "connect", "is_shared",
    "propagate", "replace", "root", "view_of", "views_on",
]  # fmt: skip
