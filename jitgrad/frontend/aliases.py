"""Tensors that may be one Tensor: what is written to one in place has to reach the others.

After ``if c: y = a`` and ``else: y = b`` on data, y is a Tensor of its own in the trace, with the
value of one or the other. Two `Link`s remember what it really is: another name of `a` where `c`
holds, of `b` elsewhere. A write to any of the three goes along the links, under their conditions.
All Tensors that may be one are linked directly, however they came to be.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jitgrad import tree
from jitgrad.errors import TraceError, fail
from jitgrad.frontend.decisions import Where, masks
from jitgrad.frontend.dispatch import apply
from jitgrad.frontend.number import Number
from jitgrad.frontend.regions import truth
from jitgrad.primitives.elementwise import select
from jitgrad.primitives.shape import broadcast
from jitgrad.tensor import Tensor
from jitgrad.views import View, chain, connect, view_of

Reference = weakref.ReferenceType[Tensor]


Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Link:
    """Two Tensors that may be one. They are where `sure` holds, and are not where `possible` does
    not; nobody knows about the rest.
    """

    one: Reference
    other: Reference
    sure: Where
    possible: Where

    def beside(self, tensor: Tensor) -> Tensor | None:
        """The other Tensor of the two, if it still exists."""
        if self.one() is tensor:
            return self.other()
        return self.one() if self.other() is tensor else None

    @property
    def pair(self) -> tuple[Tensor, Tensor] | None:
        """Both Tensors, if they still exist."""
        one, other = self.one(), self.other()
        return None if one is None or other is None else (one, other)


def alive(links: Mapping[Pair, Link]) -> dict[Pair, Link]:
    """The links of which both Tensors exist."""
    return {key: x for key, x in links.items() if x.pair is not None}


def beside(trace: Any, thing: Tensor) -> list[tuple[Tensor, Link]]:
    """The Tensors that a Tensor may be."""
    own, links = id(thing), trace.links.items()
    near = [x for key, x in links if own in key]  # or of one that is gone and had the same id
    return [(y, x) for x in near if (y := x.beside(thing)) is not None]


def link(trace: Any, one: Any, other: Any, where: Where | None) -> None:
    """Remember where two values are one, None: where nobody knows, and so are all that either may
    be. Only Tensors change in place, numbers do not.
    """
    tensors = all(isinstance(x, Tensor) and not isinstance(x, Number) for x in (one, other))
    if tensors and one is not other:
        _link(trace, one, other, (False, True) if where is None else (where, where))


def _link(trace: Any, one: Tensor, other: Tensor, known: tuple[Where, Where]) -> None:
    both = trace.diagrams.both

    def family(thing: Tensor) -> list[tuple[Tensor, Where, Where]]:
        found = [(y, x.sure, x.possible) for y, x in beside(trace, thing)]
        return [(thing, True, True), *found]

    others = family(other)
    for x, sure, possible in family(one):
        sure, possible = both(sure, known[0]), both(possible, known[1])
        if possible is not False:  # as what a choice's one side was is never what the other is
            for y, surely, possibly in others:
                if x is not y:
                    _widen(trace, x, y, both(sure, surely), both(possible, possibly))


def _widen(trace: Any, one: Tensor, other: Tensor, sure: Where, possible: Where) -> None:
    """Two Tensors are one in more cases than was known."""
    if possible is False:
        return
    key = (id(one), id(other)) if id(one) < id(other) else (id(other), id(one))
    old = trace.links.get(key)
    if old is not None and old.pair is not None:
        sure = trace.diagrams.any(old.sure, sure)
        possible = trace.diagrams.any(old.possible, possible)
    trace.links[key] = Link(weakref.ref(one), weakref.ref(other), sure, possible)


def link_again(trace: Any, links: Iterable[Link]) -> None:
    """Remember links that a choice's blocks have made on trial. What one block made is never what
    the other did: these are all.
    """
    trace.links = alive(trace.links)
    for x in links:
        if x.pair is not None:
            _widen(trace, *x.pair, x.sure, x.possible)


def link_choice(trace: Any, result: Tensor, origins: Sequence[Any], pred: Tensor) -> None:
    """The result of a branch is one thing where its condition holds, and another elsewhere."""
    where = trace.diagrams.where(trace.read(truth(pred)))
    link(trace, result, origins[0], where)
    link(trace, result, origins[1], trace.diagrams.no(where))


def reached(trace: Any, target: Tensor, value: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The other Tensors that a write of `value` to `target` may reach, each with what it holds
    then. TraceError where that is not known.
    """
    trace.links = alive(trace.links)
    found = beside(trace, target)
    if any(x.sure is not x.possible or y._type is not value._type for y, x in found):
        raise ambiguous(target)
    known = masks(x.sure for _, x in found)
    for other, x in found:
        yield other, value if x.sure is True else chosen(known[x.sure], value, other)


def chosen(mask: Tensor, value: Tensor, other: Tensor) -> Tensor:
    """The value where a condition holds, the other elsewhere."""
    if value.ndim:
        mask = apply(broadcast, mask, shape=value.shape, dims=())
    return apply(select, mask, value, other)


def ambiguous(target: Tensor) -> Exception:
    """The error for a write whose meaning only the running program knows."""
    return fail(
        TraceError,
        f"a Tensor of type {target._type} that may be one of two is written in place",
        why="a loop that depends on data made it another name of a Tensor, which would change"
        " with it",
        instead="compute a new Tensor, as in y = y + 1, or copy it, as in y = x.copy()",
    )


# --- views --------------------------------------------------------------------------------------


def inherit(
    trace: Any, result: Tensor, origins: Sequence[Any], pred: Tensor, held: Sequence[Any]
) -> None:
    """Make the result of a branch a view as far as what it is made of is one. `held`: what the
    branches' dead variables refer to.
    """
    views = [_known_view(trace, x, held) for x in origins]
    found = [v for v in views if v is not None]
    if not found:
        return
    one, other = views
    if one is None or other is None or one.base is not other.base:
        for view in found:
            connect(result, torn(result, view.base))
        return

    def derive(base: Tensor) -> Tensor:
        return chosen(pred, one.derive(base), other.derive(base))

    def back(view: Tensor, base: Tensor) -> Tensor:
        return chosen(pred, one.write_back(base, view), other.write_back(base, view))

    connect(result, View(one.base, derive, back))


def _known_view(trace: Any, thing: Any, held: Sequence[Any] = ()) -> View | None:
    """A Tensor as a view of the nearest base that somebody else knows."""
    view = view_of(thing) if isinstance(thing, Tensor) else None
    own = 1
    while view is not None and not is_known(trace, view.base, own, held):
        view, own = view.of_base(), 2  # the view that is left out and the new one refer to it
    return view


def tear(trace: Any, result: Tensor, things: Sequence[Any]) -> None:
    """Make a Tensor one that must not be written to if one of these is a view."""
    for thing in things:
        view = _known_view(trace, thing)
        if view is not None:
            connect(result, torn(result, view.base))


def torn(result: Tensor, base: Tensor) -> View:
    """As a view of something, but nobody knows of what part."""

    def refuse(*_: Tensor) -> Tensor:
        raise fail(
            TraceError,
            f"a Tensor of type {result._type} that may be a view of another is written in place, or"
            " that other is",
            why="a branch or loop that depends on data made it one, so what the write reaches is"
            " not known",
            instead="write to the other itself, as in x[i, j] = 1, or copy it first: x[i].copy()",
        )

    return View(base, refuse, refuse)


# --- by counting references ---------------------------------------------------------------------


def _references(thing: Any) -> int:
    return sys.getrefcount(thing)


ALONE = _references(object())  # what a function sees of its argument that nobody else refers to


def is_known(trace: Any, thing: Any, own: int, *held: Sequence[Any]) -> bool:
    """Whether anybody refers to a thing but for `own` references that the caller knows of, those
    in what the caller `held`, and what blocks on trial keep for themselves.
    """
    count = sys.getrefcount(thing) - ALONE - own
    count -= sum(v is thing for values in held for v in values)
    count -= sum(s.holder is thing for s in trace.stores.values())
    log = trace.log
    while log is not None:
        count -= sum(v is thing for values in log.kept for v in values)
        count -= sum(p.thing is thing for p in log.places.values())
        log = log.outer
    for entry in trace.mixed:
        count -= sum(x is thing for x in entry)
        if count > 0:
            count -= sum(_holds(trace, x, thing) for x in entry)
    return count > 0


def _holds(trace: Any, container: Any, thing: Any) -> bool:
    """Whether a container that nobody knows any more holds a thing."""
    inside = any(x is thing for x in (tree.parts(container) or ((), ()))[1])
    return inside and not is_known(trace, container, 1)


def is_view(*things: Any) -> bool:
    """Whether one of these is a view."""
    return any(isinstance(t, Tensor) and view_of(t) is not None for t in things)


def reaches(written: Iterable[int], *things: Any) -> bool:
    """Whether something that these are views of was written to; `written` has ids."""
    found = [view for t in things if isinstance(t, Tensor) for view in chain(t)]
    return any(id(view.base) in written for view in found)


def check_mixed(trace: Any, thing: Any) -> None:
    """TraceError if a list, dict or object that may be one of two is about to change, and somebody
    knows it under another name.
    """
    for entry in trace.mixed:
        if any(x is thing for x in entry):
            for other in entry:
                if other is not thing and is_known(trace, other, 1):
                    raise fail(
                        TraceError,
                        f"a {type(thing).__name__} that may be one of two is changed",
                        why="a branch or loop that depends on data made it another name of one,"
                        " which would change with it",
                        instead=f"make a new {type(thing).__name__} of its items",
                    )
