"""Why a function is traced, and what that took, in words: for JITGRAD_DEBUG=1 and `explain`."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jitgrad import journal
from jitgrad.frontend.guards import is_cell, short
from jitgrad.locate import Location, user_location
from jitgrad.runtime import loader
from jitgrad.tensor import Parameter, Tensor

if TYPE_CHECKING:
    from jitgrad.api.entry import Entry

SHOWN = 4  # arguments that differ, in one line


@dataclass(frozen=True, slots=True)
class Cost:
    """What a trace took, in seconds, and how its kernels were come by."""

    trace: float
    passes: float
    kernels: float
    compiled: int
    fetched: int

    def __str__(self) -> str:
        steps = ("trace", self.trace), ("passes", self.passes), ("kernels", self.kernels)
        times = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in steps)
        return f"{times} ({self.compiled} compiled, {self.fetched} from the disk cache)"


class Clock:
    """Measures a `Cost`: made before the trace, `traced` after it, `cost` after the rest."""

    def __init__(self) -> None:
        self.before = loader.compiled, loader.fetched, loader.seconds
        self.start = self.middle = time.perf_counter()

    def traced(self) -> None:
        self.middle = time.perf_counter()

    def cost(self) -> Cost:
        compiled, fetched, seconds = self.before
        kernels = loader.seconds - seconds
        rest = time.perf_counter() - self.middle - kernels
        counts = loader.compiled - compiled, loader.fetched - fetched
        return Cost(self.middle - self.start, rest, kernels, *counts)


def described(leaf: Any) -> str:
    """An argument in a word: the type of a Tensor, else the value."""
    if isinstance(leaf, Tensor):
        return f"{'Parameter ' if isinstance(leaf, Parameter) else ''}{leaf._type}"
    return short(leaf)


def reason(
    entries: Sequence[Entry], arguments: dict[str, str], before: dict[str, str] | None
) -> str:
    """Why none of the entries for these kinds of arguments can be used."""
    if entries:
        newest = entries[0]
        if any(tensor._version != version for tensor, version in newest.traced.values):
            return "the value of a Tensor that it looked at"
        if newest.traced.conditions is not None and newest.valid():
            return "these arguments take another path"
        failed = newest.guards.failed
        return failed.changed() if failed is not None else "it was traced for other surroundings"
    if before is None:
        return "first call"
    names = [name for name in {**before, **arguments} if before.get(name) != arguments.get(name)]
    changes = [f"{n}: {before.get(n, 'absent')} -> {arguments.get(n, 'absent')}" for n in names]
    more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return ", ".join(changes[:SHOWN]) + more or "arguments of another nest or identity"


def defined_at(function: Callable) -> Location | None:
    """The line where a function is defined, as far as it has one."""
    found: Any = type(function).construct if is_cell(function) else inspect.unwrap(function)
    code = getattr(found, "__code__", None)
    return Location(code.co_filename, code.co_firstlineno) if code is not None else None


def announce(name: str, function: Callable, why: str) -> None:
    """Say that a function is traced, with the user's lines."""
    if journal.is_read():
        places = [str(line) for line in (defined_at(function),) if line]
        called = user_location()
        places += [f"called at {called}"] if called else []
        journal.say(f"tracing {name} ({', '.join(places)}): {why}")
