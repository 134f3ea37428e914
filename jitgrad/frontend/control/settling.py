"""What a loop carried when it was traced before, in the turn of another loop: it begins with that.

To find it takes a turn for each thing that is new, and a loop in a loop is traced as often as the
one around it. What turns out not to change after all is found again from the beginning.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jitgrad import tree
from jitgrad.frontend.control.attempt import OutsidePlace, TracedPlace
from jitgrad.frontend.control.names import Carried
from jitgrad.frontend.control.slots import Slot
from jitgrad.frontend.control.variables import Unbound
from jitgrad.ir.types import TensorType
from jitgrad.tensor import Tensor

Types = tuple[tuple[TensorType | None, bool], ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """For each variable what it began as, and the types that were carried; and the Tensors that
    were written to.
    """

    variables: tuple[tuple[Any, Types], ...]
    places: tuple[tuple[type, weakref.ReferenceType[Tensor]], ...]


def _begins(slot: Slot) -> Any:
    if isinstance(slot.entry, Unbound):
        return None
    kinds = [x.entry._type if isinstance(x.entry, Tensor) else type(x.entry) for x in slot.leaves]
    return slot.structure, tuple(kinds)


def settled(before: Sequence[Any], slots: Sequence[Slot], places: Sequence[Slot]) -> Settled:
    """What a loop carried in the end. `before`: what its variables began as."""
    types = [tuple([(x.type, x.weak) for x in slot.leaves]) for slot in slots]
    written = [s.place for s in places if isinstance(s.place, (TracedPlace, OutsidePlace))]
    kept = [(type(p), weakref.ref(p.thing)) for p in written]
    return Settled(tuple(zip(before, types, strict=True)), tuple(kept))


def begin(known: Settled | None, slots: Sequence[Slot]) -> tuple[list[Any], dict[tuple, Slot]]:
    """What the variables begin as, which carry what they did before; and the places that do."""
    before = [_begins(slot) for slot in slots]
    places: dict[tuple, Slot] = {}
    if known is None or len(known.variables) != len(slots):
        return before, places
    for slot, now, (then, types) in zip(slots, before, known.variables, strict=True):
        if now is not None and now == then and slot.structure == tree.flatten(slot.entry)[1]:
            for leaf, (type_, weak) in zip(slot.leaves, types, strict=True):
                leaf.type, leaf.weak = type_, weak
    for kind, reference in known.places:
        thing = reference()
        if thing is not None:
            place = kind(thing)
            places[place.key] = Slot(place.name(), place, place.content())
    return before, places


def idle(carried: Sequence[Carried]) -> bool:
    """Whether something that is carried is the same after a turn."""
    tensors = [(c.stand_in, c.after) for c in carried if isinstance(c.after, Tensor)]
    return any(a is b or a._node is b._node for a, b in tensors)
