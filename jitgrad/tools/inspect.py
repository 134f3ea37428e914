"""What the compiler made of a function, to be read: ``python -m jitgrad lower file.py:function``.

Graphs after each pass, the plan, and the source of each kernel, for the CPU and for CUDA.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from jitgrad.errors import JitgradError
from jitgrad.tools.cache import size

if TYPE_CHECKING:
    from jitgrad.ir.node import Graph
    from jitgrad.runtime.lowered import KernelReport, Lowered

GAP = 3  # columns between two texts side by side


@dataclass(frozen=True, slots=True)
class Listing:
    """One kernel of a plan, however many times it is launched. Totals are over all launches."""

    name: str
    ops: tuple[str, ...]
    lines: tuple[str, ...]  # of the user's program
    operands: tuple[str, ...]  # of the first launch
    cpu: str
    cuda: str  # empty for a call of a library
    launches: int
    nbytes: int
    elements: int
    seconds: float | None = None

    @property
    def header(self) -> str:
        """Comments that say where the kernel comes from and what it moves."""
        parts = [f"# {self.name}: {' '.join(self.ops)}"]
        if self.lines:
            parts.append(f"# from {', '.join(self.lines)}")
        if self.operands:
            parts.append(f"# {signature(self.operands)}")
        times = f"{self.launches} launches, " if self.launches > 1 else ""
        spent = f", {1e6 * self.seconds:.1f} µs" if self.seconds is not None else ""
        parts.append(f"# {times}{self.elements} elements, {size(self.nbytes)}{spent}")
        return "\n".join(parts)


def signature(operands: Sequence[str]) -> str:
    """Types of operands and result in one line.

    >>> signature(("f32[2]", "f32[]", "-> f32[2]"))
    'f32[2], f32[] -> f32[2]'
    """
    *given, result = operands
    return f"{', '.join(given)} {result}".lstrip()


def listings(lowered: Lowered, seconds: Sequence[float] = ()) -> list[Listing]:
    """The distinct kernels of a plan in order of first use.

    `seconds` are the times of the launches, as `Lowered.profile` gives them.
    """
    grouped: dict[str, list[int]] = {}
    for number, kernel in enumerate(lowered.kernels):
        grouped.setdefault(kernel.source, []).append(number)
    return [_listing(lowered.kernels, numbers, seconds) for numbers in grouped.values()]


def _listing(
    kernels: Sequence[KernelReport], numbers: Sequence[int], seconds: Sequence[float]
) -> Listing:
    first, launches = kernels[numbers[0]], [kernels[n] for n in numbers]
    return Listing(
        first.name,
        first.ops,
        tuple(dict.fromkeys([line for k in launches for line in k.lines])),
        first.operands,
        first.source,
        first.cuda,
        len(launches),
        sum(k.nbytes for k in launches),
        sum(k.elements for k in launches),
        sum(seconds[n] for n in numbers) if seconds else None,
    )


def side_by_side(left: str, right: str, titles: tuple[str, str] = ("CPU", "CUDA")) -> str:
    """Two texts in two columns.

    >>> print(side_by_side("a = 1", "b = 2\\nc = 3", titles=("left", "right")))
    left    right
    a = 1   b = 2
            c = 3
    """
    columns = [[title, *text.rstrip().splitlines()] for title, text in zip(titles, (left, right))]
    width = max(map(len, columns[0])) + GAP
    pairs = zip_longest(*columns, fillvalue="")
    return "\n".join([f"{a:<{width}}{b}".rstrip() for a, b in pairs])


# --- the command --------------------------------------------------------------------------------


def trace_of(lowered: Lowered) -> Iterable[tuple[str, Graph]]:
    """The graph as it was traced."""
    return lowered.stages[:1]


def optimized_of(lowered: Lowered) -> Iterable[tuple[str, Graph]]:
    """The graph after the passes, before fusion."""
    return [("optimized", lowered.stages[-2][1])]


def fused_of(lowered: Lowered) -> Iterable[tuple[str, Graph]]:
    """The graph of kernels."""
    return lowered.stages[-1:]


def _graphs(choose: Callable[[Lowered], Iterable[tuple[str, Graph]]]) -> Callable[[Lowered], str]:
    return lambda low: "\n\n".join([f"// {name}\n{graph}" for name, graph in choose(low)])


def _kernels(text: Callable[[Listing], str]) -> Callable[[Lowered], str]:
    return lambda low: "\n\n".join([f"{k.header}\n{text(k).rstrip()}" for k in listings(low)])


PARTS: dict[str, tuple[Callable[[Lowered], str], str]] = {
    "trace": (_graphs(trace_of), "the graph as it was traced"),
    "passes": (_graphs(lambda low: low.stages), "the graph after each pass that changed it"),
    "optimized": (_graphs(optimized_of), "the graph after the passes, before fusion"),
    "fused": (_graphs(fused_of), "the graph of kernels"),
    "plan": (lambda low: str(low.plan), "what runs, in order, over which memory"),
    "kernels": (_kernels(lambda k: k.cpu), "each kernel's source for the CPU"),
    "cuda": (_kernels(lambda k: k.cuda or "# a call of a library"), "the same for CUDA"),
    "both": (_kernels(lambda k: side_by_side(k.cpu, k.cuda)), "the two side by side"),
}
DEFAULT = "passes,plan,kernels"


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``lower``."""
    parser = _parser()
    options = parser.parse_args(argv)
    parts = [part for part in options.show.split(",") if part]
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        parser.error(f"there is nothing named {unknown[0]!r} to show; have {', '.join(PARTS)}")
    lowered = _lowered(options)
    if options.html:
        from jitgrad.tools import view

        Path(options.html).write_text(view.html(lowered, title=options.target), encoding="utf-8")
        print(options.html)
    else:
        text = "\n\n".join([PARTS[part][0](lowered) for part in parts])
        print(text.replace(os.getcwd() + os.sep, ""))  # paths of files, as the user wrote them
    return 0


def _parser() -> argparse.ArgumentParser:
    from jitgrad.tools import target

    shown = "\n".join([f"  {name:<10} {meaning}" for name, (_, meaning) in PARTS.items()])
    parser = argparse.ArgumentParser(
        prog="jitgrad lower",
        description="Show what the compiler makes of a function, or of a graph in text form.",
        epilog=f"what --show can name:\n{shown}\n\n{target.HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="TARGET", help="file.py:function, or a file.ir")
    parser.add_argument("--grad", action="store_true", help="with its gradient")
    parser.add_argument(
        "--show", default=DEFAULT, metavar="A,B", help=f"what to print (default: {DEFAULT})"
    )
    parser.add_argument("--html", metavar="FILE", help="write one self-contained page instead")
    return parser


def _lowered(options: argparse.Namespace) -> Lowered:
    from jitgrad.runtime.lowered import Lowered

    if options.target.endswith(".ir"):
        return Lowered(_graph(Path(options.target), options.grad), {})
    from jitgrad.tools.subject import lower
    from jitgrad.tools.target import load

    target = load(options.target)
    return lower(target.function, target.arguments, grad=options.grad)


def _graph(path: Path, grad: bool) -> Graph:
    import jitgrad.primitives  # noqa: F401  declares the ops that the text names
    from jitgrad.autodiff.reverse import reverse
    from jitgrad.ir.text import parse

    graph = parse(path.read_text(encoding="utf-8"))
    floats = [i for i, x in enumerate(graph.inputs) if x.dtype.is_float]
    if grad and not floats:
        raise JitgradError(f"{path}: no input is a float, so there is no gradient")
    return reverse(graph, floats) if grad else graph
