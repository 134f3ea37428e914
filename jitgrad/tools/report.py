"""The demo's HTML report: one file without references to others."""

from __future__ import annotations

import html
import platform
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numba
import numpy as np
from pygments.formatters import HtmlFormatter

from jitgrad.tools import view
from jitgrad.tools.cache import size
from jitgrad.tools.draw import arena_svg
from jitgrad.tools.inspect import listings

if TYPE_CHECKING:
    from jitgrad.tools.demo import Comparison, Run

COLORS = {"eager": "#c2571a", "compiled": "#1f5fa8"}


def write(path: str | Path, comparisons: Sequence[Comparison], data: Any) -> None:
    """Write the report of some comparisons."""
    text = files("jitgrad.tools").joinpath("templates/demo.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    formatter = HtmlFormatter(style="friendly", cssclass="source")
    page = environment.from_string(text).render(
        comparisons=[section(c, formatter) for c in comparisons],
        style=formatter.get_style_defs(".source"),
        colors=COLORS,
        counts=(len(data[0][1]), len(data[1][1])),
        machine=f"Python {platform.python_version()}, NumPy {np.__version__}, Numba"
        f" {numba.__version__}, {platform.machine()}",
    )
    Path(path).write_text(page, encoding="utf-8")


def section(comparison: Comparison, formatter: Any) -> dict[str, Any]:
    """What the template shows of one network."""
    run = comparison.compiled
    lowered = run.lowered
    first, *_, last = lowered.stages
    return {
        "comparison": comparison,
        "curves": curves(comparison.runs),
        "passes": [(name, len(graph.nodes)) for name, graph in lowered.stages],
        "graphs": [
            (name, len(graph.nodes), view.graph_html(graph)) for name, graph in (first, last)
        ],
        "plan": str(lowered.plan),
        "arena": arena_svg(lowered.plan),
        "arena_size": size(lowered.plan.arena),
        "launches": len(lowered.kernels),
        "kernels": kernels(run, formatter),
    }


def kernels(run: Run, formatter: Any) -> list[dict[str, Any]]:
    """The distinct kernels, the most expensive first."""
    found = listings(run.lowered, run.kernel_times)
    return view.kernels(sorted(found, key=lambda k: -(k.seconds or 0.0)), formatter)


# --- curves -------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 240, 52, 28


def curves(runs: Sequence[Run]) -> str:
    """The losses over the steps as inline SVG, on a logarithmic scale."""
    every = [max(loss, 1e-12) for run in runs for loss in run.losses if np.isfinite(loss)]
    low, high = np.floor(np.log10(min(every))), np.ceil(np.log10(max(every)))
    high = max(high, low + 1)
    steps = max(len(run.losses) for run in runs)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - 8) * step / max(steps - 1, 1)

    def y(loss: float) -> float:
        height = (np.log10(max(loss, 1e-12)) - low) / (high - low)
        return 8 + (HEIGHT - BOTTOM - 8) * (1 - height)

    parts = [f'<svg class="curves" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="losses">']
    for power in range(int(low), int(high) + 1):
        at = y(10.0**power)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">1e{power}</text>')
    for step in range(0, steps, _round(steps / 6)):
        parts.append(f'<text x="{x(step):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{step}</text>')
    for number, run in enumerate(runs):
        points = " ".join(
            f"{x(step):.1f},{y(loss):.1f}"
            for step, loss in enumerate(run.losses)
            if np.isfinite(loss)
        )
        # The curves lie on each other; the second is dashed, so that both are seen.
        dash = ' stroke-dasharray="5 4"' if number else ""
        color = COLORS[run.mode]
        title = html.escape(run.mode)
        parts.append(
            f'<polyline fill="none" stroke="{color}" stroke-width="1.6"{dash} points="{points}">'
            f"<title>{title}</title></polyline>"
        )
    return "".join([*parts, "</svg>"])


def _round(number: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, …"""
    power = 10 ** max(int(np.floor(np.log10(max(number, 1)))), 0)
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= number)
