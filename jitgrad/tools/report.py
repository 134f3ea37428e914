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
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

if TYPE_CHECKING:
    from jitgrad.tools.demo import Comparison, Run

COLORS = {"eager": "#c2571a", "compiled": "#1f5fa8"}
LONG_GRAPH = 400  # lines of a graph that are shown before it is cut


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
    lowered = comparison.compiled.lowered
    found: dict[str, Any] = {
        "comparison": comparison,
        "curves": curves(comparison.runs),
        "stages": [],
        "kernels": [],
        "plan": "",
        "launches": 0,
    }
    if lowered is not None:
        first, last = lowered.stages[0], lowered.stages[-1]
        found["stages"] = [(name, len(g.nodes), cut(str(g))) for name, g in (first, last)]
        found["passes"] = [(name, len(graph.nodes)) for name, graph in lowered.stages]
        found["plan"] = str(lowered.plan)
        found["launches"] = len(lowered.kernels)
        found["kernels"] = kernels(comparison.compiled, formatter)
    return found


def kernels(run: Run, formatter: Any) -> list[dict[str, Any]]:
    """The kernels, each source once, the most expensive first."""
    lowered = run.lowered
    seconds = run.kernel_times or [0.0] * len(lowered.kernels)
    rows: dict[str, dict[str, Any]] = {}
    for kernel, spent in zip(lowered.kernels, seconds, strict=True):
        row = rows.setdefault(
            kernel.source,
            {"name": kernel.name, "ops": " ".join(kernel.ops), "calls": 0, "time": 0.0, "bytes": 0},
        )
        row["calls"] += 1
        row["time"] += spent
        row["bytes"] += kernel.nbytes
        row.setdefault("text", kernel.text)
    total = sum(row["time"] for row in rows.values()) or 1.0
    for row in rows.values():
        row["share"] = 100 * row["time"] / total
        row["html"] = highlight(row.pop("text"), PythonLexer(), formatter)
    return sorted(rows.values(), key=lambda row: -row["time"])


def cut(text: str) -> str:
    """A long text without its middle."""
    lines = text.splitlines()
    if len(lines) <= LONG_GRAPH:
        return text
    half = LONG_GRAPH // 2
    left_out = f"  // … {len(lines) - 2 * half} lines …"
    return "\n".join([*lines[:half], left_out, *lines[-half:]])


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

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="loss over the steps">']
    for power in range(int(low), int(high) + 1):
        at = y(10.0**power)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">1e{power}</text>')
    for step in range(0, steps, max(steps // 6, 1)):
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
