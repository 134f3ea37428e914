"""A loop as one region: its body is run once, on stand-ins for what it carries.

What an iteration leaves for the next is found by trying: all that the body changes, variables and
places alike, is compared with what it was. What stays the same is a constant of the loop. A Python
number that changes becomes a traced one (`Number`), or a Tensor of the type that the body gives it,
as in eager mode; then the body is tried again, until nothing new is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jitgrad import config, tree
from jitgrad.errors import LimitError, fail
from jitgrad.frontend.control import names, region
from jitgrad.frontend.control.attempt import Outcome, OutsidePlace, Place, TracedPlace, attempt
from jitgrad.frontend.control.branches import write_places
from jitgrad.frontend.control.faults import FaultPlace
from jitgrad.frontend.control.merge import (
    Disagreement,
    described,
    fits,
    is_numeric,
    of_type,
    zeros_like,
)
from jitgrad.frontend.control.merge import same as same_value
from jitgrad.frontend.control.paths import Blocked
from jitgrad.frontend.control.signals import (
    CODE,
    END,
    RETURNED,
    WENT_ON,
    Mixed,
    code_of,
    is_code,
    kinds_of,
    renamed,
)
from jitgrad.frontend.control.variables import UNBOUND, Unbound, Variables
from jitgrad.frontend.dispatch import apply, fill
from jitgrad.frontend.number import FLAG, Number, kind_of, wide
from jitgrad.ir.node import splat
from jitgrad.ir.types import TensorType, float64, int64
from jitgrad.primitives.elementwise import add, logical_and, sub
from jitgrad.tensor import Tensor

ROUNDS = 8  # a carry's type moves up bool, int, float, Tensor: it settles before that


@dataclass(slots=True)
class Leaf:
    """A value that an iteration may change. `type` is None while it is a constant of the loop."""

    entry: Any
    type: TensorType | None = None
    weak: bool = False

    def start(self) -> Tensor:
        """What the loop begins with."""
        assert self.type is not None
        return of_type(self.entry, self.type)


class Slot:
    """A variable (`place` is None) or a place, and the leaves of its value.

    Until the body gives it another, a variable or an item keeps its Tensor: what is written to that
    in place has to be seen under its other names.
    """

    def __init__(self, name: str, place: Place | None, entry: Any):
        self.name, self.place = name, place
        self.set(entry, isinstance(place, (TracedPlace, OutsidePlace)))

    def set(self, entry: Any, carried: bool) -> None:
        """Begin with a value, whose Tensors are carried at once or not."""
        self.entry = entry
        leaves, self.structure = tree.flatten(entry)
        self.leaves = [_leaf(x, carried) for x in leaves]

    def value(self, tensors: Iterator[Any]) -> Any:
        """The nest, with the next of the given Tensors for each leaf that is carried."""
        if not self.carried():
            return self.entry
        found = [x.entry if x.type is None else next(tensors) for x in self.leaves]
        return tree.unflatten(self.structure, found)

    def carried(self) -> list[Leaf]:
        return [x for x in self.leaves if x.type is not None]

    def is_whole(self) -> bool:
        """Whether it is a variable with a list or dict, of which each turn gets another."""
        kind = self.structure.kind
        return self.place is None and kind not in (None, tuple) and bool(self.carried())


def _leaf(x: Any, carried: bool) -> Leaf:
    if isinstance(x, Number):
        return Leaf(x, x._type, True)
    return Leaf(x, x._type) if carried and isinstance(x, Tensor) else Leaf(x)


def _wrapped(leaf: Leaf, tensor: Tensor) -> Tensor:
    return Number.of(tensor) if leaf.weak else tensor


@dataclass(slots=True)
class Turns:
    """How often a loop goes round, and what each turn gets.

    test    the condition of a `while`; None for a `for`.
    item    the item of a turn, from its number.
    length  the number of turns, where it is known; count: where only the program knows it.
    some    whether there is at least one turn; last: the item of the last one, where it is known.
    known   its Python ints are known, and have to be so after it.
    """

    test: Callable[[], Any] | None = None
    item: Callable[[Tensor], Any] | None = None
    length: int | None = None
    count: Tensor | None = None
    some: bool = False
    last: Any = None
    known: bool = False


class Roll:
    """One loop on its way to become a region."""

    def __init__(self, trace: Any, variables: Variables, turns: Turns, body: Callable[..., Any]):
        self.trace, self.variables, self.turns, self.body = trace, variables, turns, body
        self.start = len(trace.made)
        self.places: dict[tuple, Slot] = {}
        self.slots: list[Slot] = []
        entries = zip(variables.names, variables.head, variables.live, variables.get())
        for name, head, live, value in entries:
            # A variable that each turn binds before it reads it begins as nothing in particular.
            free = turns.some and not head
            slot = Slot(name, None, value if (head or live) and not free else UNBOUND)
            self.slots.append(slot)
        self.returned: Slot | None = None
        self.item: Any = None
        self.kinds = frozenset({END})

    def run(self) -> Any:
        """Make the region and bind its results; the loop's signal. Disagreement, Blocked."""
        decided = len(self.trace.decisions)
        try:
            for _ in range(ROUNDS):
                outcome = self.turn()
                if not self.adapt(outcome):
                    return self.finish(outcome)
                del outcome  # what it refers to has no more names than in the program
                self.trace.forget(self.start)
        except (Disagreement, Blocked):
            del self.trace.decisions[decided:]
            raise
        raise Blocked("what the loop carries does not settle")

    # --- one turn on trial ----------------------------------------------------------------------

    def all_slots(self) -> list[Slot]:
        returned = [self.returned] if self.returned is not None else []
        return [*self.slots, *self.places.values(), *returned]

    def turn(self) -> Outcome:
        """The body, run on stand-ins."""
        leaves = [leaf for slot in self.all_slots() for leaf in slot.carried()]
        self.has_code = self.kinds != {END}
        begin = [leaf.start() for leaf in leaves] + ([fill(END, CODE)] if self.has_code else [])
        self.loop = region.Loop(self.trace, begin)
        item = self.turns.item
        own = self.own = [_wrapped(x, self.loop.stand_in(i)) for i, x in enumerate(leaves)]

        def call() -> tuple[Any, Any]:
            stand_ins = iter(own[:])
            values = tuple([slot.value(stand_ins) for slot in self.slots])
            contents = [(s.place, s.value(stand_ins)) for s in self.places.values()]
            own.extend([v for v, s in zip(values, self.slots, strict=True) if s.is_whole()])
            self.variables.put(values)
            del values, stand_ins  # so that nothing but the variables knows them
            write_places(contents, [])  # type: ignore[arg-type]
            contents.clear()
            asked = self.turns.test() if self.turns.test is not None else None
            if item is None:
                return asked, self.body()
            self.item = item(self.loop.number)
            return asked, self.body(self.item)

        kept = [s.entry for s in self.all_slots()], [x.entry for x in self.all_leaves()]
        outcome = attempt(self.trace, self.variables, call, self.start, *kept, *kept, own=own)
        if outcome.error is not None:
            raise Blocked(outcome.error)
        names.check(self.trace, self.named(outcome), outcome, self.start)
        return outcome

    def all_leaves(self) -> list[Leaf]:
        return [x for slot in self.all_slots() for x in slot.leaves]

    def ends(self, outcome: Outcome) -> list[tuple[Slot, Any]]:
        """The slots, each with what the body left in it."""
        found = list(zip(self.slots, outcome.values, strict=True))
        for key, slot in self.places.items():
            content = outcome.places[key][1] if key in outcome.places else slot.entry
            found.append((slot, content))
        if self.returned is not None:
            signal = outcome.signal[1]
            value = signal.value if RETURNED in kinds_of(signal) else self.returned.entry
            found.append((self.returned, value))
        return found

    def named(self, outcome: Outcome) -> list[names.Carried]:
        """The Tensors and containers that are carried, in the order of `own`."""
        found: list[names.Carried] = []
        stand_ins = iter(self.own)
        for slot, value in self.ends(outcome):
            leaves, structure = tree.flatten(outcome.opened(value))
            same = structure == slot.structure
            own = 3 + (slot.place is not None or slot.structure == tree.LEAF)
            for leaf, new in zip(slot.leaves, leaves if same else slot.leaves):
                if leaf.type is not None:
                    stand_in = next(stand_ins)
                    found.append(names.Carried(slot.name, leaf.entry, own, stand_in, new))
        wholes = [(s, v) for s, v in self.ends(outcome) if s.is_whole()]
        for (slot, value), stand_in in zip(wholes, stand_ins, strict=True):
            found.append(names.Carried(slot.name, slot.entry, 3, stand_in, value))
        return found

    def adapt(self, outcome: Outcome) -> bool:
        """Make room for what the turn changed; whether there was anything new."""
        _, signal = outcome.signal
        changed = False
        for key, (place, _) in outcome.places.items():
            if key not in self.places:
                self.places[key] = Slot(place.name(), place, place.content())
                changed = True
        for slot, value, head, live in zip(
            self.slots, outcome.values, self.variables.head, self.variables.live
        ):
            if head or live:
                changed |= self.slot(slot, outcome.opened(value))
        for key, slot in self.places.items():
            if key in outcome.places:
                changed |= self.slot(slot, outcome.opened(outcome.places[key][1]))
        kinds = kinds_of(renamed(signal, WENT_ON, END)) | {END}
        if RETURNED in kinds:
            value = outcome.opened(signal.value)
            if self.returned is None:
                self.returned, changed = Slot("the returned value", None, zeros_like(value)), True
            changed |= self.slot(self.returned, value)
        changed |= kinds != self.kinds
        self.kinds = kinds
        return changed

    def slot(self, slot: Slot, new: Any) -> bool:
        """Whether a slot had to change for a new value; Disagreement if it cannot."""
        if isinstance(slot.entry, Unbound):
            if isinstance(new, Unbound):
                return False
            if not self.turns.some:
                raise Disagreement(slot.name, (described(slot.entry), described(new)))
            slot.set(zeros_like(new), True)
            return True
        leaves, structure = tree.flatten(new)
        if structure != slot.structure:
            raise Disagreement(slot.name, (described(slot.entry), described(new)))
        changed = False
        for leaf, value in zip(slot.leaves, leaves, strict=True):
            changed |= self.leaf(slot, leaf, value)
        return changed

    def leaf(self, slot: Slot, leaf: Leaf, new: Any) -> bool:
        before = leaf.type, leaf.weak
        if leaf.type is None and (new is leaf.entry or same_value(new, leaf.entry)):
            return False
        if leaf.type is None and isinstance(leaf.entry, Tensor):
            leaf.type = leaf.entry._type
            self.leaf(slot, leaf, new)
            return True
        if not is_numeric(new) or not is_numeric(leaf.entry):
            raise Disagreement(slot.name, (described(leaf.entry), described(new)))
        kind = kind_of(new)
        number = leaf.weak or leaf.type is None
        if number and kind is not None:
            kinds = kind, kind_of(leaf.entry), leaf.type and leaf.type.dtype
            leaf.type, leaf.weak = TensorType(float64 if float64 in kinds else int64, ()), True
        elif number:
            if not fits(leaf.entry, new.dtype) or (new.shape and not self.turns.some):
                raise Disagreement(slot.name, (described(leaf.entry), described(new)))
            leaf.type, leaf.weak = new._type, False
        elif kind is not None:
            if leaf.type.shape or not fits(new, leaf.type.dtype):  # type: ignore[union-attr]
                raise Disagreement(slot.name, (str(leaf.type), described(new)))
        elif new._type is not leaf.type:
            raise Disagreement(slot.name, (str(leaf.type), described(new)))
        return (leaf.type, leaf.weak) != before

    # --- the region -----------------------------------------------------------------------------

    def finish(self, outcome: Outcome) -> Any:
        asked, signal = outcome.signal
        if self.turns.known:
            self.check_known()
        signal = renamed(signal, WENT_ON, END)
        self.new = new = [
            t for slot, value in self.ends(outcome) for t in _tensors(slot, value, outcome)
        ]
        new = new + ([code_of(signal)] if self.has_code else [])
        test, options = self.ending(asked)
        if test is not None and not self.loop.changes(test):
            raise Blocked(endless())
        try:
            results = self.loop.finish(self.trace, test, new, self.start, **options)
        except region.TooLarge as error:
            raise Blocked(str(error)) from None
        return self.bind(results, outcome)

    def check_known(self) -> None:
        """Blocked if a Python int that is known would no longer be after the loop."""
        for slot, live in zip(self.slots, self.variables.live):
            if live and any(isinstance(x.entry, int) and x.weak for x in slot.carried()):
                raise Blocked(f"'{slot.name}' is a Python int that is used after the loop")

    def ending(self, asked: Any) -> tuple[Tensor | None, dict[str, Any]]:
        """The test of the region, or how often it goes round."""
        turns = self.turns
        if asked is not None and not isinstance(asked, Tensor):
            asked = None if bool(asked) else fill(False, FLAG)
        fault = self.fault()
        if not self.has_code and asked is None and fault is None:
            if turns.length is None and turns.count is None:
                raise Blocked("the loop never ends")
            return None, {"length": turns.length, "count": turns.count}
        test = asked if asked is None else region.regions.truth(asked)
        if self.has_code:
            code = self.loop.stand_in(len(self.loop.made.stand_ins) - 1)
            running = is_code(Mixed(code, frozenset()), END)
            test = running if test is None else apply(logical_and, running, test)
        if fault is not None:
            fine = fault == 0
            test = fine if test is None else apply(logical_and, fine, test)
        if turns.test is None:  # a `for`, which a jump may end early
            limit = turns.count
            if limit is None:
                limit = fill(turns.length, TensorType(int64, ()))
            more = self.loop.number < limit
            test = more if test is None else apply(logical_and, more, test)
        return test, {"limit": config.get("loop_limit")}

    def fault(self) -> Tensor | None:
        """The number of the exception that an earlier turn raised, if the loop carries one."""
        position = 0
        for slot in self.all_slots():
            if isinstance(slot.place, FaultPlace) and slot.carried():
                return self.loop.stand_in(position)
            position += len(slot.carried())
        return None

    def bind(self, results: list[Tensor], outcome: Outcome) -> Any:
        """Give the results to whom they belong; the loop's signal."""
        code = results.pop() if self.has_code else None
        finals = self.closed_forms()
        leaves = [leaf for slot in self.all_slots() for leaf in slot.carried()]
        wrapped: list[Any] = [_wrapped(x, t) for x, t in zip(leaves, results, strict=True)]
        given = iter(wrapped)
        values = [slot.value(given) for slot in self.slots]
        contents = [(s.place, s.value(given)) for s in self.places.values()]
        returned = self.returned.value(given) if self.returned is not None else None
        wholes = [v for v, s in zip(values, self.slots) if s.is_whole()]
        carried = self.named(outcome)
        names.bind(self.trace, carried, [*wrapped, *wholes], outcome, self.start, self.ran(wrapped))
        for position, value in finals.items():
            values[position] = value
        self.variables.put(tuple(values))
        write_places(contents, [])  # type: ignore[arg-type]
        return None if code is None else Mixed(code, self.kinds, returned)

    def ran(self, results: list[Any]) -> Tensor | None:
        """Whether there is a turn at all; None: there is."""
        if self.turns.some or not results:
            return None
        return self.turns.count > 0 if self.turns.count is not None else self.loop.ran()

    def closed_forms(self) -> dict[int, Any]:
        """Python ints that a loop of known length counts up are known after it, by position."""
        if self.turns.length is None or self.has_code:
            return {}
        found: dict[int, Any] = {}
        index = 0
        for position, slot in enumerate(self.slots):
            carried = slot.carried()
            if len(carried) == 1 and slot.structure == tree.LEAF and carried[0].weak:
                new, entry = self.new[index]._node, carried[0].entry
                step = _step(new, self.loop.made.stand_ins[index])
                if step is not None and isinstance(entry, int):
                    found[position] = entry + step * self.turns.length
                elif isinstance(self.item, Number) and new is self.item._node:
                    found[position] = self.turns.last
            index += len(carried)
        return found


def endless() -> LimitError:
    """The error for a loop that never ends once it has begun."""
    error = fail(
        LimitError,
        "a loop that begins here never ends",
        why="nothing that its condition reads changes in it",
        instead="change it in the loop, or break out of it",
    )
    assert isinstance(error, LimitError)
    return error


def _tensors(slot: Slot, value: Any, outcome: Outcome) -> list[Tensor]:
    """The carried leaves of a new value, in the types that the loop carries."""
    if isinstance(value, Unbound) or not slot.carried():
        return []
    leaves = [outcome.now(x) for x in tree.flatten(outcome.opened(value))[0]]
    return [
        of_type(x, leaf.type) if not leaf.weak else wide(x, leaf.type.dtype)  # type: ignore[union-attr]
        for leaf, x in zip(slot.leaves, leaves, strict=True)
        if leaf.type is not None
    ]


def _step(node: Any, stand_in: Any) -> int | None:
    """c, if a new value is the old one plus the constant c."""
    if node is None or node.op not in (add, sub) or node.inputs[0] is not stand_in:
        return None
    number = splat(node.inputs[1])
    if number is None:
        return None
    return int(number) if node.op is add else -int(number)
