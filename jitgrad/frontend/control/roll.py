"""A loop as one region: its body is run once, on stand-ins for what it carries.

What an iteration leaves for the next is found by trying: all that the body changes, variables and
places alike, is compared with what it was. What stays the same is a constant of the loop. A Python
number that changes becomes a traced one (`Number`), or a Tensor of the type that the body gives it,
as in eager mode; then the body is tried again, until nothing new is found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad import config, tree
from jitgrad.errors import LimitError, fail
from jitgrad.frontend.control import appended, growing, names, region, settling
from jitgrad.frontend.control.attempt import ListPlace, Outcome, attempt
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
from jitgrad.frontend.control.slots import Leaf, Slot, Turns, as_leaf
from jitgrad.frontend.control.variables import UNBOUND, Unbound, Variables
from jitgrad.frontend.dispatch import apply, fill
from jitgrad.frontend.number import FLAG, Number, kind_of, wide
from jitgrad.frontend.sums import affine
from jitgrad.ir.types import TensorType, float64, int64
from jitgrad.primitives.elementwise import logical_and
from jitgrad.tensor import Tensor

ROUNDS = 8  # a carry's type moves up bool, int, float, Tensor: it settles before that


class Roll:
    """One loop on its way to become a region."""

    def __init__(self, trace: Any, variables: Variables, turns: Turns, body: Callable[..., Any]):
        self.trace, self.variables, self.turns, self.body = trace, variables, turns, body
        self.start = len(trace.made)
        self.code = getattr(body, "__code__", None)
        self.begin(trace.loops.get(self.code))

    def begin(self, known: settling.Settled | None) -> None:
        """Begin with what it carried when it was traced before, if it was."""
        variables = self.variables
        self.slots: list[Slot] = []
        entries = zip(variables.names, variables.head, variables.live, variables.get())
        for name, head, live, value in entries:
            # A variable that each turn binds before it reads it begins as nothing in particular.
            free = self.turns.some and not head
            slot = Slot(name, None, value if (head or live) and not free else UNBOUND)
            self.slots.append(slot)
        self.before, self.places = settling.begin(known, self.slots)
        self.guess = known is not None
        self.returned: Slot | None = None
        self.item: Any = None
        self.kinds = frozenset({END})

    def run(self) -> Any:
        """Make the region and bind its results; the loop's signal. Disagreement, Blocked."""
        decided, rounds = len(self.trace.decisions), 0
        try:
            while rounds < ROUNDS:
                outcome = self.turn()
                rounds += 1
                if self.guess and settling.idle(self.named(outcome)):
                    self.begin(None)
                    rounds = 0
                elif not self.adapt(outcome):
                    found = settling.settled(self.before, self.slots, list(self.places.values()))
                    self.trace.loops[self.code] = found
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
        lasts = [slot.last for slot, _ in self.lists()]
        return [*self.slots, *self.places.values(), *lasts, *returned]

    def lists(self) -> list[tuple[Slot, appended.Growth]]:
        """The slots of lists that grow."""
        slots = (*self.slots, *self.places.values())
        return [(slot, slot.growth) for slot in slots if slot.growth is not None]

    def turn(self) -> Outcome:
        """The body, run on stand-ins."""
        leaves = [leaf for slot in self.all_slots() for leaf in slot.carried()]
        self.has_code = self.kinds != {END}
        begin = [leaf.start() for leaf in leaves] + ([fill(END, CODE)] if self.has_code else [])
        self.loop = region.Loop(self.trace, begin)
        item = self.turns.item
        own = self.own = [as_leaf(x, self.loop.stand_in(i)) for i, x in enumerate(leaves)]

        def call() -> tuple[Any, Any]:
            stand_ins = iter(own[:])
            values = tuple([slot.value(stand_ins) for slot in self.slots])
            contents = [(s.place, s.value(stand_ins)) for s in self.places.values()]
            for slot, growth in self.lists():
                growth.mark.window = slot.last.value(stand_ins)
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
        around = self.trace.turn
        turn = growing.Turn(self.loop.number, self.turns.length, self.trace.trials)
        self.trace.turn = turn
        try:
            outcome = attempt(self.trace, self.variables, call, self.start, *kept, *kept, own=own)
        finally:
            self.trace.turn = around
        if outcome.error is not None:
            raise Blocked(outcome.error)
        self.guessed = turn.guessed
        if not outcome.written.isdisjoint(self.turns.fixed):
            raise Blocked("it changes what it loops over")
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
        found += [(slot.last, growth.window()) for slot, growth in self.lists()]
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
        changed = self.guessed
        for key, (place, _) in outcome.places.items():
            if key not in self.places:
                self.places[key] = Slot(place.name(), place, place.content())
                changed = True
        for key, slot in self.places.items():
            if key in outcome.places:
                changed |= self.slot(slot, outcome.opened(outcome.places[key][1]))
        for slot, value in self.known_later(outcome):
            place = self.places.get((ListPlace, id(value)))
            if place is None or place.growth is None or value is not slot.entry:
                changed |= self.slot(slot, outcome.opened(value))
            if value is not slot.entry and any(key[1] == id(slot.entry) for key in self.places):
                changed |= slot.renewed()
        kinds = kinds_of(renamed(signal, WENT_ON, END)) | {END}
        if RETURNED in kinds:
            value = outcome.opened(signal.value)
            if self.returned is None:
                self.returned, changed = Slot("the returned value", None, zeros_like(value)), True
            changed |= self.slot(self.returned, value)
        changed |= kinds != self.kinds
        self.kinds = kinds
        return changed

    def known_later(self, outcome: Outcome) -> list[tuple[Slot, Any]]:
        """The variables that are read after the turn, with what is in them then."""
        variables = self.variables
        found = zip(self.slots, outcome.values, variables.head, variables.live, strict=True)
        return [(slot, value) for slot, value, head, live in found if head or live]

    def list(self, slot: Slot, growth: appended.Growth, new: Any) -> bool:
        """As `slot`, for a list that grows."""
        changed = growth.turned(new)
        if changed is None:
            raise Disagreement(slot.name, ("a list that grows", described(new)))
        wanted = growth.mark.wanted
        assert slot.last is not None
        if wanted > len(slot.last.entry):
            slot.last.set(growth.first(wanted), False)
            return True
        return self.slot(slot.last, growth.window()) or changed

    def slot(self, slot: Slot, new: Any) -> bool:
        """Whether a slot had to change for a new value; Disagreement if it cannot."""
        if slot.growth is not None:
            return self.list(slot, slot.growth, new)
        if isinstance(slot.entry, Unbound):
            if isinstance(new, Unbound):
                return False
            if not self.turns.some:
                raise Disagreement(slot.name, (described(slot.entry), described(new)))
            slot.set(zeros_like(new), True)
            return True
        leaves, structure = tree.flatten(new)
        if structure != slot.structure:
            if self.turns.length is not None and slot.grows(new):
                return True
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
        items = self.items(outcome, test)
        records = list(items.records.values()) if items is not None else []
        try:
            results, stacks = self.loop.finish(
                self.trace, test, new, self.start, records, **options
            )
        except region.TooLarge as error:
            raise Blocked(str(error)) from None
        if items is not None:
            items.stacks = dict(zip(items.records, stacks, strict=True))
        return self.bind(results, items, outcome)

    def items(self, outcome: Outcome, test: Tensor | None) -> appended.Columns | None:
        """What the turns add to lists; None where there are none."""
        found = [growth for _, growth in self.lists()]
        if not found:
            return None
        if test is not None:
            raise Blocked("a list grows in it, and data decides how often it goes round")
        later = [value for _, value in self.known_later(outcome)]
        appended.check(self.trace, found, self.named(outcome), outcome, self.start, later)
        made, numbers = self.loop.made, {}
        leaves = [leaf for slot in self.all_slots() for leaf in slot.carried()]
        for leaf, node, new in zip(leaves, made.stand_ins, self.new):
            if leaf.weak and not isinstance(leaf.entry, Tensor):
                numbers[node] = leaf.entry, self.trace.read(new)
        own, length = [*made.stand_ins, made.number], self.turns.length or 0
        fixed = appended.Fixed(self.trace, made.number, length, self.start, own, numbers)
        return appended.prepared(found, fixed)

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

    def bind(self, results: list[Tensor], items: appended.Columns | None, outcome: Outcome) -> Any:
        """Give the results to whom they belong; the loop's signal."""
        code = results.pop() if self.has_code else None
        finals = self.closed_forms()
        leaves = [leaf for slot in self.all_slots() for leaf in slot.carried()]
        found: list[Any] = [as_leaf(x, t) for x, t in zip(leaves, results, strict=True)]
        lists = self.lists()
        for slot, growth in lists:
            slot.entry = growth.content(items)
        given = iter(found)
        values = [slot.value(given) for slot in self.slots]
        contents = [(s.place, s.value(given)) for s in self.places.values()]
        for slot, _ in lists:
            slot.last.value(given)
        returned = self.returned.value(given) if self.returned is not None else None
        wholes = [v for v, s in zip(values, self.slots) if s.is_whole()]
        carried, every = self.named(outcome), [*found, *wholes]
        names.bind(self.trace, carried, every, outcome, self.start, self.ran(found))
        if items is not None:
            appended.bind(self.trace, [g for _, g in lists], carried, every, outcome, items)
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
                step = affine(new, self.loop.made.stand_ins[index])
                if step is not None and step[0] == 1 and isinstance(entry, int):
                    found[position] = entry + step[1] * self.turns.length
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
