"""Several names of one thing, in a loop that becomes a region.

The region carries values, and Python carries things: a variable, or an item of a list, may be
another name of a Tensor that is known elsewhere, in the first turn or in each. That makes no
difference until something is written in place. Where the body does so, the loop is no region, as
far as the names may be seen; what is written after the loop goes along links (`aliases`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jitgrad.frontend.aliases import is_known, is_view, link, reaches, tear
from jitgrad.frontend.control.attempt import Outcome
from jitgrad.frontend.control.paths import Blocked
from jitgrad.frontend.decisions import Where
from jitgrad.frontend.regions import truth
from jitgrad.frontend.rows import source
from jitgrad.ir.node import input_op
from jitgrad.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Carried:
    """A Tensor, list or dict that an iteration may replace by another.

    entry      what it was before the loop, and how many references to it are our own.
    stand_in   what stood for it in the body; after: what the body left.
    """

    name: str
    entry: Any
    own: int
    stand_in: Any
    after: Any


def check(trace: Any, carried: Sequence[Carried], outcome: Outcome, start: int) -> None:
    """Blocked if something that is written in place may have another name in some turn."""
    written = outcome.written
    if not written:
        return
    entries = [c.entry for c in carried]
    for i, c in enumerate(carried):
        changed = id(c.stand_in) in written
        ours = sum(e is c.entry for e in entries) - 1
        if is_view(c.entry, c.after) and (changed or reaches(written, c.entry, c.after)):
            raise Blocked(f"'{c.name}' is a view, and it or what it shows is written in place")
        if id(c.entry) in written or (
            changed and is_known(trace, c.entry, c.own + ours, [x.entry for x in carried], entries)
        ):
            raise Blocked(f"'{c.name}' is written in place under two names")
        for other in partners(trace, carried, i, outcome, start):
            if changed or id(other) in written:
                raise Blocked(f"'{c.name}' is written in place under two names")


def partners(
    trace: Any, carried: Sequence[Carried], position: int, outcome: Outcome, start: int
) -> Iterator[Any]:
    """What else the thing that the body left may be, as far as it is known outside of the body or
    carried under another name.
    """
    mine = family(carried[position].after, outcome.links)
    for i, c in enumerate(carried):
        if i != position and any(x is c.stand_in for x in mine):
            yield c.stand_in
        if i != position and any(x is c.after for x in mine):
            yield c.stand_in
            yield c.after
    for x in earlier(carried, mine, outcome):
        if is_older(trace, x, outcome, start, 4):
            yield x


def earlier(carried: Sequence[Carried], mine: list[Any], outcome: Outcome) -> list[Any]:
    """What things may be that a turn takes from others that are carried: in later turns these are
    what a turn before left. Without what is carried itself.
    """
    found = [*mine]
    for known in found:
        for c in carried:
            if known is c.stand_in:
                more = family(c.after, outcome.links)
                found += [x for x in more if not any(x is y for y in found)]
    return [x for x in found if not any(x is c.stand_in for c in carried)]


def family(thing: Any, links: Iterable[Any]) -> list[Any]:
    """A thing, and the Tensors that may be it."""
    found = [thing]
    for known in found:
        for one in links:
            other = one.beside(known) if isinstance(known, Tensor) else None
            if other is not None and not any(x is other for x in found):
                found.append(other)
    return found


def is_older(trace: Any, thing: Any, outcome: Outcome, start: int, own: int) -> bool:
    """Whether a thing was there before the body ran. `own`: how many references the caller has."""
    if not isinstance(thing, Tensor):
        return is_known(trace, thing, 1 + own, outcome.values)
    node = source(thing)
    if node is None or any(p.thing is thing for p, _ in outcome.places.values()):
        return True
    return node.op is input_op or trace.made.get(node, start) < start


def bind(
    trace: Any,
    carried: Sequence[Carried],
    results: Sequence[Any],
    outcome: Outcome,
    start: int,
    ran: Tensor | None,
) -> None:
    """Link what the loop gives, things that take the place of what it carried, to what they may
    be. `ran`: whether there was a turn at all; None: there was.
    """
    some: Where = True if ran is None else trace.diagrams.where(trace.read(truth(ran)))
    for c, result in zip(carried, results, strict=True):
        if not isinstance(result, Tensor):
            if ran is not None or is_older(trace, c.after, outcome, start, 1):
                trace.mixed.append((result, c.entry, c.after))
            continue
        tear(trace, result, (c.entry, c.after))
        if ran is not None:
            link(trace, result, c.entry, trace.diagrams.no(some))
        mine = family(c.after, outcome.links)
        if any(x is c.stand_in for x in mine):  # a turn may leave what it was
            link(trace, result, c.entry, None)
        when = some if len(mine) == 1 else None
        for other, its in zip(carried, results, strict=True):
            if other is not c and any(x is other.stand_in for x in mine):
                link(trace, result, other.entry, None)
            if other is not c and any(x is other.after for x in mine):
                link(trace, result, its, when)
        for x in earlier(carried, mine, outcome):
            if is_older(trace, x, outcome, start, 4):
                link(trace, result, x, when if any(x is y for y in mine) else None)
