"""`print` inside of compiled loops: what it shows is carried along, and shown after the run.

Each `print` of the program has a buffer for what it shows, and a number for each time says what
came first. Both are carried by regions like all that changes in place; no op is needed. A buffer
that is full drops the rest, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from jitgrad import config
from jitgrad.frontend.control.attempt import Place
from jitgrad.frontend.control.text import Template
from jitgrad.frontend.dispatch import apply, fill
from jitgrad.frontend.number import INT
from jitgrad.ir.types import TensorType
from jitgrad.locate import Location, user_location
from jitgrad.primitives.block import dynamic_update_slice
from jitgrad.primitives.elementwise import value_of
from jitgrad.primitives.shape import reshape
from jitgrad.tensor import Tensor

BYTES = 2**24  # of one buffer at most


@dataclass(slots=True, eq=False)
class Site:
    """One `print`. used: how often it ran; order: as which of all prints; columns: the values."""

    text: Template
    kwargs: dict[str, Any]
    rows: int
    used: Tensor
    order: Tensor
    columns: list[Tensor]

    def add(self, now: Tensor, values: Sequence[Tensor]) -> None:
        """Keep what is printed as number `now`. What goes beyond the end goes to the last row."""
        self.order = _put(self.order, self.used, now)
        self.columns = [_put(c, self.used, v) for c, v in zip(self.columns, values, strict=True)]
        self.used = self.used + fill(1, INT)


def _put(buffer: Tensor, at: Tensor, value: Tensor) -> Tensor:
    row = apply(reshape, value, shape=(1, *value.shape))
    row = apply(value_of, row) if value.dtype.is_float else row
    zeros = [fill(0, INT)] * value.ndim
    return apply(dynamic_update_slice, buffer, row, at, *zeros)


@dataclass(slots=True, eq=False)
class Printer:
    """What a compiled loop prints. count: how often it has."""

    trace: Any
    count: Tensor
    sites: dict[tuple, Site] = field(default_factory=dict)

    def site(self, text: Template, kwargs: dict[str, Any], where: Location | None) -> Site:
        """The buffers of a `print`."""
        types = tuple([t._type for t in text.tensors])
        plain = [repr(x) for i, x in enumerate(text.leaves) if i not in text.places]
        key = where, text.structure, types, *plain
        if key not in self.sites:
            size = max([t.size * t.dtype.size for t in types], default=1)
            rows = max(1, min(config.get("print_limit"), BYTES // max(size, 1)))
            order, *columns = [
                fill(0, TensorType(t.dtype, (rows + 1, *t.shape))) for t in (INT, *types)
            ]
            self.sites[key] = Site(text, kwargs, rows, fill(0, INT), order, columns)
        return self.sites[key]


class CountPlace(Place):
    """How often a loop has printed."""

    __slots__ = ()

    def name(self) -> str:
        return "what is printed"

    def content(self) -> Any:
        return self.thing.count

    def put(self, content: Any) -> None:
        printer: Printer = self.thing
        printer.count = content
        if not printer.trace.trials:
            printer.trace.printer = None  # what comes later prints after it
            printer.trace.effects.append(Printing(printer))

    def restore(self, saved: Any) -> None:
        self.thing.count = saved


class SitePlace(Place):
    """What a `print` has shown."""

    __slots__ = ()

    def name(self) -> str:
        return "what is printed"

    def content(self) -> Any:
        return [self.thing.used, self.thing.order, *self.thing.columns]

    def put(self, content: Any) -> None:
        self.thing.used, self.thing.order, *self.thing.columns = content


class Printing:
    """After each run: prints what a loop left. `given`: the nodes of what it looks at."""

    def __init__(self, printer: Printer, given: Sequence[Any] | None = None):
        self.printer, self.given = printer, given

    @property
    def nodes(self) -> list[Any]:
        if self.given is not None:
            return list(self.given)
        kept = [t for s in self.printer.sites.values() for t in (s.used, s.order, *s.columns)]
        return [self.printer.trace.read(t) for t in kept]

    def at(self, nodes: Sequence[Any]) -> Printing:
        """The same with other values."""
        return Printing(self.printer, nodes)

    def show_now(self) -> None:
        """Nothing: the loop has not run."""

    def show(self, values: Sequence[Tensor]) -> None:
        """Print all that was kept, in the order of the program."""
        left = iter(values)
        kept = [row for site in self.printer.sites.values() for row in _rows(site, left)]
        for _, site, shown in sorted(kept, key=lambda row: row[0]):
            print(*shown, **site.kwargs)


def _rows(site: Site, values: Iterator[Tensor]) -> Iterator[tuple[int, Site, list[Any]]]:
    """What a `print` showed, each time with its number."""
    used, order, *columns = [next(values) for _ in range(2 + len(site.columns))]
    count, numbers = int(used.item()), order.asnumpy()
    arrays = [(c.asnumpy(), t._type) for c, t in zip(columns, site.text.tensors, strict=True)]
    for i in range(min(count, site.rows)):
        shown = [Tensor._wrap(a[i].copy(), t) for a, t in arrays]
        yield int(numbers[i]), site, site.text.filled(shown)
    if count > site.rows:
        rest = f"… and {count - site.rows} times more (JITGRAD_PRINT_LIMIT)"
        yield int(numbers[site.rows]), site, [rest]


def printed(trace: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """A `print` in a loop on trial."""
    if trace.printer is None:
        trace.printer = Printer(trace, fill(0, INT))
    printer, text = trace.printer, Template(args)
    site = printer.site(text, kwargs, user_location())
    trace.log.touch(SitePlace(site))
    trace.log.touch(CountPlace(printer))
    site.add(printer.count, text.tensors)
    printer.count = printer.count + fill(1, INT)


__all__ = ["printed"]
