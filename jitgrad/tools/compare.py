"""One function in both modes: the same values, the same gradients, and what compiling brings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jitgrad.api import context
from jitgrad.errors import DTypeError, fail
from jitgrad.ops import placement
from jitgrad.tensor import Tensor
from jitgrad.tools.cache import size
from jitgrad.tools.difference import Pair, pairs
from jitgrad.tools.subject import (
    Program,
    Subject,
    gradient_of,
    leaf_names,
    name_of,
    title,
    uncompiled,
)
from jitgrad.tools.tables import columns
from jitgrad.tools.target import as_tensors

# --- the report ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """Both modes of one function side by side; printing it gives a table."""

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[Pair, ...]
    gradients: tuple[Pair, ...]
    written: tuple[Pair, ...]
    programs: tuple[Program, ...]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All results."""
        return (*self.outputs, *self.gradients, *self.written)

    @property
    def agrees(self) -> bool:
        """Whether the two modes give the same results, up to rounding."""
        return all(pair.agrees for pair in self.pairs)

    @property
    def difference(self) -> float:
        """The largest absolute difference of all."""
        return max([pair.absolute for pair in self.pairs], default=0.0)

    @property
    def title(self) -> str:
        """The function and the types of its arguments."""
        return f"{self.name}({', '.join(self.arguments)})"

    def tables(self) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
        """The two tables as (head, rows): results, then costs."""
        results = [
            (
                p.name,
                str(p.type),
                f"{p.scale:.6g}",
                f"{p.absolute:.2g}",
                f"{p.ulps:.4g}",
                _verdict(p),
            )
            for p in self.pairs
        ]
        head = ("result", "type", "largest value", "difference", "ulp", "")
        costs = [(name, *[show(p) for p in self.programs]) for name, show in COSTS]
        return [(head, results), (("", *[p.name for p in self.programs]), costs)]

    def __str__(self) -> str:
        parts = [self.title]
        parts += [columns(*table, right=range(1, 9)) for table in self.tables()]
        return "\n\n".join([*parts, self.verdict])

    @property
    def verdict(self) -> str:
        """The answer in one line."""
        if self.agrees:
            return "The modes agree."
        wrong = ", ".join([pair.name for pair in self.pairs if not pair.agrees])
        return f"THE MODES DIFFER in {wrong}."


def _verdict(pair: Pair) -> str:
    return "" if pair.agrees else "differs"


COSTS: tuple[tuple[str, Callable[[Program], str]], ...] = (
    ("eager", lambda p: duration(p.eager_seconds)),
    ("compiled", lambda p: duration(p.compiled_seconds)),
    ("speed-up", lambda p: f"{p.speedup:.3g}x"),
    ("first call", lambda p: duration(p.compile_seconds)),
    ("launches", lambda p: str(p.kernels)),
    ("kernels", lambda p: f"{p.sources} ({p.compiled_now} new)"),
    ("bytes moved", lambda p: size(p.bytes_moved)),
    ("peak, eager", lambda p: size(p.eager_peak)),
    ("peak, compiled", lambda p: size(p.compiled_peak)),
)


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(2.5e-6), duration(0.0123), duration(3.0)
    ('2.50 µs', '12.3 ms', '3.00 s')
    """
    number, unit = seconds, "s"
    for factor, smaller in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            number, unit = seconds * factor, smaller
            break
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{digits}f} {unit}"


def compare(
    fn: Callable[..., Any],
    *args: Any,
    grad: bool = True,
    repeat: int = 20,
    show: bool = True,
    devices: Sequence[str] = ("CPU",),
) -> Report:
    """Run a function or Cell eagerly and compiled, and report how they differ.

    grad     compare the gradients too: in every float argument and every trained Parameter that
             `fn` reads, of the sum of all outputs.
    repeat   the most measurements of each; fewer if they take longer than two seconds.
    show     print the report.
    devices  "CPU", "GPU" or both: the compiled function runs on a GPU as well, and what it gives
             there is held against the eager results. Times are the CPU's. DeviceError without one.

    What `fn` writes, Parameters and random state, is as it was afterwards. NumPy arrays among the
    arguments are made Tensors. TypeError if `fn` cannot be called.

    >>> import jitgrad
    >>> report = compare(lambda x: (x * x).sum(), jitgrad.Tensor([1.0, 2.0]), repeat=1, show=False)
    >>> report.agrees, report.outputs[0].name, report.gradients[0].compiled
    (True, 'output', array([2., 4.], dtype=float32))
    """
    if not callable(fn):
        raise fail(DTypeError, f"compare got a {type(fn).__name__}", why="it takes a function")
    args = tuple([as_tensors(x) for x in args])
    mode = context.get_context("mode")
    context.set_context(mode=context.PYNATIVE_MODE)
    try:
        elsewhere = [place for place in map(placement.place_named, devices) if place != "CPU"]
        report = _report(uncompiled(fn), args, grad, repeat, elsewhere)
    finally:
        context.set_context(mode=mode)
    if show:
        _print(report)
    return report


def _report(
    fn: Callable[..., Any], args: tuple, grad: bool, repeat: int, elsewhere: Sequence[str]
) -> Report:
    value = Subject("value", fn, args, tracked=False)
    eager, compiled = value.results(value.eager), value.results(value.compiled)
    labels = leaf_names("output", eager[0])
    names = [f"{name_of(x, i)} after" for i, x in enumerate(value.state)]
    outputs, written = pairs(labels, eager[0], compiled[0]), pairs(names, eager[1], compiled[1])
    for place in elsewhere:
        there = value.results_on(place)
        outputs += pairs(_there(labels, place), eager[0], there[0])
        written += pairs(_there(names, place), eager[1], there[1])
    programs, gradients = [value.program(repeat)], ()
    gradient, of = gradient_of(value) if grad else (None, [])
    if gradient is not None:
        eager, compiled = (gradient.results(f) for f in (gradient.eager, gradient.compiled))
        labels = [f"gradient of {x}" for x in of]
        gradients = pairs(labels, eager[0][1], compiled[0][1])
        for place in elsewhere:
            there = gradient.results_on(place)
            gradients += pairs(_there(labels, place), eager[0][1], there[0][1])
        programs.append(gradient.program(repeat))
    types = tuple([str(x._type) if isinstance(x, Tensor) else repr(x) for x in args])
    return Report(title(fn), types, outputs, tuple(gradients), written, tuple(programs))


def _there(names: Sequence[str], place: str) -> list[str]:
    return [f"{name} on the {place}" for name in names]


# --- printing and the command -------------------------------------------------------------------


def _print(report: Report) -> None:
    """In colour on a terminal, if rich is there; plain text otherwise."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(report)
        return
    if not sys.stdout.isatty():
        print(report)
        return
    console = Console()
    console.print(report.title, style="bold", highlight=False)
    for head, rows in report.tables():
        table = Table(*head[:1])
        for name in head[1:]:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*row, style="red" if row[-1] == "differs" else None)
        console.print(table)
    console.print(report.verdict, style="green" if report.agrees else "bold red")


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``compare``; the exit status is 1 where the modes differ."""
    from jitgrad.tools import target

    parser = argparse.ArgumentParser(
        prog="jitgrad compare",
        description="Run a function of a file eagerly and compiled, and compare values,\n"
        "gradients, time and memory. The exit status is 1 if the modes differ.",
        epilog=target.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="FILE:FUNCTION", help="as in model.py:loss")
    parser.add_argument("--no-grad", action="store_true", help="leave the gradient out")
    parser.add_argument(
        "--repeat", type=int, default=20, metavar="N", help="measurements of each (default: 20)"
    )
    parser.add_argument(
        "--devices", default="CPU", metavar="A,B", help="CPU (the default) or CPU,GPU: where to run"
    )
    options = parser.parse_args(argv)
    if options.repeat < 1:
        parser.error("--repeat must be at least 1")
    found = target.load(options.target)
    report = compare(
        found.function,
        *found.arguments,
        grad=not options.no_grad,
        repeat=options.repeat,
        devices=options.devices.split(","),
    )
    return 0 if report.agrees else 1
