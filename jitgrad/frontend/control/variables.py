"""The variables of a user's function, as blocks of converted code share them."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Unbound:
    """Stands for a variable without a value. `why` says more than that it was never bound."""

    __slots__ = ("why",)

    def __init__(self, why: str = ""):
        self.why = why

    def __repr__(self) -> str:
        return "<unbound>"


UNBOUND = Unbound()


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables that a block binds: how to read and write them in the user's function.

    live      by name, whether the value may be read after the construct.
    returned  by name, whether it may be read when a block of the construct has returned.
    head      by name, whether it may be read in the next turn of a loop before it is bound.
    """

    names: tuple[str, ...] = ()
    live: tuple[bool, ...] = ()
    returned: tuple[bool, ...] = ()
    head: tuple[bool, ...] = ()
    getters: tuple[Callable[[], Any], ...] = ()
    setter: Callable[[tuple], None] | None = None

    def get(self) -> tuple:
        """The values; `Unbound` where there is none."""
        return tuple([load(getter) for getter in self.getters])

    def has(self, thing: Any) -> bool:
        """Whether a thing is the cell of one of them."""
        cells = [c for g in self.getters for c in g.__closure__ or ()]
        return type(thing) is types.CellType and any(c is thing for c in cells)

    def put(self, values: tuple) -> None:
        """Bind all of them."""
        if self.setter is not None:
            self.setter(values)


NO_VARIABLES = Variables()


@dataclass(frozen=True, slots=True)
class Binding:
    """A later part of an expression that binds variables (`:=`), as a function."""

    call: Callable[[], Any]
    variables: Variables

    def __call__(self) -> Any:
        return self.call()


def bound_in(*parts: Callable[[], Any] | None) -> Variables:
    """The variables that parts of an expression bind."""
    found = [p.variables for p in parts if isinstance(p, Binding)]
    if len(found) < 2:
        return found[0] if found else NO_VARIABLES
    ends = list(itertools.accumulate(len(v.names) for v in found))

    def put(values: tuple) -> None:
        for v, end in zip(found, ends, strict=True):
            v.put(values[end - len(v.names) : end])

    chain = itertools.chain.from_iterable
    return Variables(
        tuple(chain(v.names for v in found)),
        tuple(chain(v.live for v in found)),
        tuple(chain(v.returned for v in found)),
        tuple(chain(v.head for v in found)),
        tuple(chain(v.getters for v in found)),
        put,
    )


def load(getter: Callable[[], Any]) -> Any:
    """The value of a variable, or `Unbound`."""
    try:
        return getter()
    except NameError:
        return UNBOUND
