"""What a mapped function shows: prints and exceptions, example by example."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jitgrad.tensor import Tensor


class Each:
    """Effects for each example. `nodes`: what they look at, with a leading axis of examples."""

    def __init__(self, effects: Sequence[Any], nodes: Sequence[Any], size: int):
        self.effects, self.nodes, self.size = effects, list(nodes), size
        self.counts = [len(effect.nodes) for effect in effects]

    def at(self, nodes: Sequence[Any]) -> Each:
        """The same with other values."""
        return Each(self.effects, nodes, self.size)

    def show_now(self) -> None:
        """Nothing: the examples have no values."""

    def show(self, values: Sequence[Tensor]) -> None:
        """Show all for one example after the other; an exception says which one raised it."""
        for i in range(self.size):
            left = iter(values)
            try:
                for effect, count in zip(self.effects, self.counts, strict=True):
                    effect.show([_example(v, i) for v in itertools.islice(left, count)])
            except Exception as error:
                note = getattr(error, "add_note", None)  # from Python 3.11 on
                if note is not None:
                    note(f"raised for example {i} of the {self.size} of a vmap")
                raise


def _example(values: Tensor, i: int) -> Tensor:
    return Tensor._wrap(values.asnumpy()[i].copy(), values._type.with_shape(values.shape[1:]))


@dataclass(slots=True)
class Shown:
    """What one example shows, and its exceptions (`control.faults`), if it may raise any."""

    effects: list[Any] = field(default_factory=list)
    faults: Any = None


@contextmanager
def examined(trace: Any) -> Iterator[Shown]:
    """A block that is traced for one example: gives what it shows, once it is over."""
    mark, shown = len(trace.effects), Shown()
    around = trace.faults, trace.printer, trace.turn
    trace.faults = trace.printer = trace.turn = None
    trace.mapped += 1
    try:
        yield shown
        shown.effects, shown.faults = trace.effects[mark:], trace.faults
        del trace.effects[mark:]
    finally:
        trace.mapped -= 1
        trace.faults, trace.printer, trace.turn = around
