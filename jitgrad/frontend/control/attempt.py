"""Running a block on trial: what it did is noted, and undone.

A branch or a loop's body is traced by running it. Its results become those of a region, so nothing
of what it did to variables, lists, dicts, attributes or Tensors in place may stay. Variables are
saved by their names; everything else announces itself before it changes (`Trace.write`, and
`touch` in converted code) and is kept in a log.
"""

from __future__ import annotations

import collections
import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jitgrad import tree
from jitgrad.frontend.control.variables import UNBOUND, Variables
from jitgrad.frontend.rows import source
from jitgrad.ir.node import input_op
from jitgrad.state import state
from jitgrad.tensor import Tensor

# --- things that change in place ----------------------------------------------------------------


class Place:
    """Something that can be changed in place. `content` and `put` speak of its value as a nest of
    Tensors, `save` and `restore` of exactly what it was.
    """

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    @property
    def key(self) -> tuple:
        return (type(self), id(self.thing))

    def name(self) -> str:
        return f"a {type(self.thing).__name__}"

    def content(self) -> Any:
        raise NotImplementedError

    def put(self, content: Any) -> None:
        raise NotImplementedError

    def save(self) -> Any:
        return self.content()

    def restore(self, saved: Any) -> None:
        self.put(saved)


class TracedPlace(Place):
    """A traced Tensor that is written to in place."""

    __slots__ = ()

    def name(self) -> str:
        return "a Tensor written in place"

    def content(self) -> Any:
        return Tensor._of_node(self.thing._node, self.thing._data)

    def put(self, content: Any) -> None:
        t = self.thing
        t._node, t._type, t._data = content._node, content._type, content._data
        t._trace = state.trace
        t._version += 1

    def save(self) -> Any:
        t = self.thing
        return t._node, t._type, t._data, t._version, getattr(t, "_trace", None), source(t)

    def restore(self, saved: Any) -> None:
        t = self.thing
        t._node, t._type, t._data, t._version, t._trace, _ = saved


class OutsidePlace(Place):
    """A Tensor or Parameter from outside of the trace."""

    __slots__ = ()

    def name(self) -> str:
        return getattr(self.thing, "name", None) or "a Tensor from outside"

    def content(self) -> Any:
        return Tensor._of_node(state.trace.read(self.thing))

    def put(self, content: Any) -> None:
        state.trace.values[id(self.thing)] = state.trace.read(content)
        state.trace.written[id(self.thing)] = self.thing

    def save(self) -> Any:
        key = id(self.thing)
        return state.trace.values.get(key), key in state.trace.written

    def restore(self, saved: Any) -> None:
        key, (node, written) = id(self.thing), saved
        if node is None:
            state.trace.values.pop(key, None)
        else:
            state.trace.values[key] = node
        if not written:
            state.trace.written.pop(key, None)


class ListPlace(Place):
    """A list or a deque."""

    __slots__ = ()

    def content(self) -> Any:
        return list(self.thing)

    def put(self, content: Any) -> None:
        self.thing.clear()
        self.thing.extend(content)


class ArrayPlace(Place):
    """A NumPy array."""

    __slots__ = ()

    def content(self) -> Any:
        return self.thing.copy()

    def put(self, content: Any) -> None:
        self.thing[...] = content


class DictPlace(Place):
    """A dict, or a set as a dict of its elements."""

    __slots__ = ()

    def content(self) -> Any:
        return dict(self.thing) if isinstance(self.thing, dict) else dict.fromkeys(self.thing)

    def put(self, content: Any) -> None:
        self.thing.clear()
        self.thing.update(content)


class AttributePlace(Place):
    """An attribute of an object."""

    __slots__ = ("attribute",)

    def __init__(self, thing: Any, attribute: str):
        self.thing, self.attribute = thing, attribute

    @property
    def key(self) -> tuple:
        return (type(self), id(self.thing), self.attribute)

    def name(self) -> str:
        return f"the attribute {self.attribute} of a {type(self.thing).__name__}"

    def content(self) -> Any:
        return getattr(self.thing, self.attribute, UNBOUND)

    def put(self, content: Any) -> None:
        if content is not UNBOUND:
            setattr(self.thing, self.attribute, content)
        elif hasattr(self.thing, self.attribute):
            delattr(self.thing, self.attribute)


class CellPlace(Place):
    """A variable of an outer function, which an inner one binds (`nonlocal`)."""

    __slots__ = ()

    def name(self) -> str:
        return "a variable of an outer function"

    def content(self) -> Any:
        try:
            return self.thing.cell_contents
        except ValueError:
            return UNBOUND

    def put(self, content: Any) -> None:
        if content is not UNBOUND:
            self.thing.cell_contents = content
        elif self.content() is not UNBOUND:
            del self.thing.cell_contents


CONTENTS = (TracedPlace, OutsidePlace, ListPlace, DictPlace)  # of things, by what they hold


class Log:
    """The places that were changed while a block ran, each with what it was before.

    variables  are saved as such.
    own        the stand-ins that it was given: nobody else knows them.
    kept       lists of what is referred to while it runs for our own purposes.
    """

    __slots__ = ("before", "kept", "outer", "own", "places", "variables")

    def __init__(
        self,
        outer: Log | None,
        variables: Variables,
        *kept: Sequence[Any],
        own: Sequence[Any] = (),
    ):
        self.places: dict[tuple, Place] = {}
        self.before: dict[tuple, Any] = {}
        self.outer, self.variables, self.own, self.kept = outer, variables, own, (own, *kept)

    def touch(self, place: Place) -> None:
        """Note a place that is about to change."""
        if place.key not in self.places and not self.variables.has(place.thing):
            self.places[place.key] = place
            self.before[place.key] = place.save()

    def touch_tensor(self, tensor: Tensor) -> None:
        """A Tensor is about to be written to in place."""
        self.touch(TracedPlace(tensor) if tensor._node is not None else OutsidePlace(tensor))

    def keep(self) -> None:
        """The block was not on trial after all: the log around it learns what changed."""
        if self.outer is not None:
            for key, place in self.places.items():
                if key not in self.outer.places:
                    self.outer.places[key] = place
                    self.outer.before[key] = self.before[key]

    def undo(self, older: Callable[[Place], bool]) -> dict[tuple, tuple[Place, Any]]:
        """Put everything back as it was, but for what the block made itself, which its results may
        hold; returns what was there, by place.
        """
        places = {k: p for k, p in self.places.items() if older(p)}  # before there are more names
        found = {k: (p, p.content()) for k, p in places.items()}
        for key, (place, _) in reversed(found.items()):
            place.restore(self.before[key])
        return found


# --- trials -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Outcome:
    """What a block did on trial.

    signal   how it ended: None at its end, or a jump.
    values   of the variables; `places`: what was changed in place, with the content it then had.
    error    the exception that ended it, or None.
    written  the ids of what was changed in place, made in the block or not.
    links    between Tensors that the block made names of one another (`aliases`).
    """

    signal: Any
    values: tuple
    places: dict[tuple, tuple[Place, Any]] = field(default_factory=dict)
    error: Exception | None = None
    written: frozenset[int] = frozenset()
    links: tuple = ()

    def now(self, thing: Any) -> Any:
        """What a thing held when the block ended, which has been put back since."""
        if not self.places:
            return thing
        for kind in CONTENTS:
            found = self.places.get((kind, id(thing)))
            if found is not None:
                held, own = found[1], type(thing)
                return held if isinstance(held, (Tensor, own)) else own(held)
        if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
            return self.fields_now(thing)
        return thing

    def fields_now(self, thing: Any) -> Any:
        """A dataclass that had attributes changed is another one until they are written."""
        names = [f.name for f in dataclasses.fields(thing)]
        keys = {name: (AttributePlace, id(thing), name) for name in names}
        if not any(key in self.places for key in keys.values()):
            return thing
        held = [
            self.places[key][1] if key in self.places else getattr(thing, name)
            for name, key in keys.items()
        ]
        return tree.assembled(type(thing), tuple(names), held)

    def opened(self, value: Any) -> Any:
        """A nest whose containers hold what they held when the block ended."""
        held = value if isinstance(value, Tensor) else self.now(value)
        found = tree.parts(held)
        if found is None:
            return held
        children = [self.opened(x) for x in found[1]]
        same = all(x is y for x, y in zip(children, found[1], strict=True))
        return held if same else tree.assembled(type(held), found[0], children)


def attempt(
    trace: Any,
    variables: Variables,
    call: Callable[[], Any],
    mark: int,
    *kept: Sequence[Any],
    own: Sequence[Any] = (),
) -> Outcome:
    """Run a block, and undo it. `mark`: nodes made since count as the block's own, as do the
    stand-ins in `own`; `kept`: what our caller refers to (see `aliases.is_known`).
    """
    before = variables.get()
    log = trace.log = Log(trace.log, variables, before, *kept, own=own)
    links, mixed = trace.links, len(trace.mixed)
    trace.links = dict(links)
    trace.trials += 1
    signal, error = None, None
    try:
        signal = call()
    except Exception as raised:  # whatever it is: the other branch may be the one that is taken
        error = raised
    finally:
        values = variables.get()
        trace.trials -= 1
        trace.log = log.outer
        variables.put(before)
    made = collections.Counter(_inside((values, getattr(signal, "value", None)), log))
    places = log.undo(lambda place: _is_older(trace, log, place, made, mark))
    written = frozenset(key[1] for key in log.places)
    found = tuple([x for key, x in trace.links.items() if links.get(key) is not x])
    trace.links = links
    del trace.mixed[mixed:]
    return Outcome(signal, values, places, error, written, found)


def unless(
    trace: Any, variables: Variables, call: Callable[[], Any], undone: Callable[[Any], bool]
) -> Any:
    """Run a block for good, and undo it only if its signal is such; gives the signal."""
    before, effects = variables.get(), len(trace.effects)
    links, mixed = trace.links, len(trace.mixed)
    trace.links = dict(links)
    log = trace.log = Log(trace.log, variables, before)
    signal = None
    try:
        signal = call()
    finally:
        trace.log = log.outer
        if undone(signal):
            variables.put(before)
            log.undo(lambda place: True)
            trace.links = links
            del trace.effects[effects:], trace.mixed[mixed:]
        else:
            log.keep()
    return signal


def _is_older(trace: Any, log: Log, place: Place, made: Mapping[int, int], mark: int) -> bool:
    """Whether somebody outside of the block knows the thing. What the block made itself is known,
    when its variables are put back, to its log and to its results alone.
    """
    if any(x is place.thing for x in log.own):
        return False
    if isinstance(place, TracedPlace):
        node = log.before[place.key][-1]
        if node in trace.made:
            return trace.made[node] < mark
        if node.op is input_op:
            return True
    ours = 2 + sum(s.holder is place.thing for s in trace.stores.values())  # with this argument
    return sys.getrefcount(place.thing) > ours + made[id(place.thing)]


def _inside(value: Any, log: Log) -> Iterator[int]:
    """The containers in a nest, and in what a block added to lists, each as often as it is there,
    by their ids.
    """
    seen: set[int] = set()
    yield from _names_in([value], seen)
    for key, place in log.places.items():
        if type(place.thing) is list and id(place.thing) not in seen:
            before = set(map(id, log.before[key]))
            seen.add(id(place.thing))
            yield from _names_in([x for x in place.thing if id(x) not in before], seen)


def _names_in(stack: list[Any], seen: set[int]) -> Iterator[int]:
    while stack:
        found = stack.pop()
        if isinstance(found, (list, tuple, dict, set)):
            if id(found) not in seen:
                stack += found.values() if isinstance(found, dict) else found
            seen.add(id(found))
        elif not isinstance(found, Tensor) and not hasattr(found, "__dict__"):
            continue
        yield id(found)
