"""The demo in the terminal: a progress bar for each training, and the table at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from jitgrad.tools.demo import Comparison, Plan

console = Console()


def say(text: str) -> None:
    """A line of text."""
    console.print(text, highlight=False, soft_wrap=True)


def shown(compare: Callable[..., Comparison], plan: Plan, data: Any) -> Comparison:
    """Run a comparison with a bar for each mode."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:

        @contextlib.contextmanager
        def watch(plan: Plan, mode: str, steps: int) -> Iterator[Callable[[float], None]]:
            task = progress.add_task(f"{plan.name:>5} {mode:<8}", total=steps, loss=float("nan"))
            yield lambda loss: progress.update(task, advance=1, loss=loss)

        return compare(plan, data, watch)


def table(comparisons: list[Comparison]) -> None:
    """All results, one row for each training."""
    out = Table(box=SIMPLE, collapse_padding=True, pad_edge=False)
    for name in ("network", "mode"):
        out.add_column(name, no_wrap=True)
    for name in ("loss", "accuracy", "ms/step", "compile", "memory", "speed-up"):
        out.add_column(name, justify="right", no_wrap=True)
    for comparison in comparisons:
        for run in comparison.runs:
            compiled = run.mode == "compiled"
            out.add_row(
                comparison.name if not compiled else "",
                run.mode,
                f"{run.final_loss:.5f}",
                f"{100 * run.accuracy:.1f} %",
                f"{1e3 * run.step:.3f}",
                f"{run.compile:.2f} s" if compiled else "",
                f"{run.peak / 2**20:.0f} MB",
                f"{comparison.speedup:.1f}x" if compiled else "",
                end_section=compiled,
            )
    console.print(out)
    for comparison in comparisons:
        say(f"{comparison.name}: {comparison.differences}")
