"""What was measured, as a table for the terminal, for the README, as JSON, and as plots."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.harness.drive import Figures, Result, from_json
from benchmarks.harness.workload import FOLDER, ROOT
from jitgrad.tools import tables

STORED = FOLDER / "results" / "results.json"
REPORTS = ROOT / "reports"
LIBRARIES = ("numpy", "numba", "llvmlite", "scipy")


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def _cpu() -> str:
    """The processor's name, and its LLVM name, since hypervisors hide the first."""
    import llvmlite.binding as llvm

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name} ({llvm.get_host_cpu_name()})"


# ------------------------------------------------------------------------------------------- tables


def number(value: float | None, digits: int = 2) -> str:
    """A figure with so many digits that count, or nothing."""
    if value is None or value == 0 or math.isnan(value):
        return ""
    if value >= 100:
        return f"{value:.0f}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"


def _row(name: str, result: Result) -> list[str]:
    best = result.best_peer()
    ours, hand = result.candidates.get("jitgrad"), result.candidates.get("hand")
    if ours is None or ours.failed:
        return [name, result.title, "failed" if ours else "", *[""] * 9]
    peer = result.candidates[best] if best else None
    twice = result.ratio("jitgrad", "jitgrad ×2")
    return [
        name,
        result.title,
        number(ours.least, 3),
        number(hand.least if hand else None, 3),
        f"{number(peer.least, 3)} {best}" if peer else "",
        number(result.ratio("jitgrad", "hand")),
        number(result.ratio("jitgrad", best) if best else None),
        number(twice),
        number(ours.cold),
        number(ours.warm),
        number(ours.memory, 3),
        agreement(ours),
    ]


HEAD = ("name", "workload", "jitgrad ms", "hand ms", "best peer ms", "of hand", "of peer",
        "×2 gains", "cold s", "warm s", "MB", "error")  # fmt: skip


def agreement(figures: Figures) -> str:
    """The difference from the reference, marked if it is too large; ? if there was none."""
    if figures.agrees is None:
        return "?"
    return f"{figures.error:.0e}{'' if figures.agrees else ' TOO LARGE'}"


def summary(results: dict[str, Result]) -> str:
    """One line a workload."""
    rows = [_row(name, result) for name, result in results.items()]
    return tables.columns(HEAD, rows, right=(2, 3, 5, 6, 7, 8, 9, 10))


def details(result: Result) -> str:
    """One line a candidate."""
    head = ("", "median ms", "p10", "min", "cold s", "warm s", "import s", "MB", "error")
    rows, failed = [], []
    for name, f in result.candidates.items():
        if f.failed:
            failed.append(f"{name} failed: {f.failed.splitlines()[-1][:90]}")
            continue
        times = [number(t, 3) for t in (f.median, f.p10, f.least)]
        starts = [number(t) for t in (f.cold, f.warm, f.imports)]
        rows.append([name, *times, *starts, number(f.memory, 3), agreement(f)])
    absent = [f"({', '.join(result.absent)}: not installed)"] if result.absent else []
    return "\n".join([tables.columns(head, rows, right=range(1, 8)), *failed, *absent])


def markdown() -> str:
    """The table of the README, from the stored results."""
    facts, results = stored()
    rows = []
    for result in results.values():
        best = result.best_peer()
        rows.append(
            [
                result.title,
                number(result.candidates["jitgrad"].least, 3) or "failed",
                number(result.ratio("jitgrad", "hand")),
                f"{number(result.ratio('jitgrad', best))} {best}" if best else "",
                number(result.candidates["jitgrad"].cold),
                number(result.candidates["jitgrad"].warm),
            ]
        )
    head = ("value and gradient of", "ms", "of hand", "of best peer", "cold s", "warm s")
    versions = {
        name: figures.version
        for result in results.values()
        for name, figures in result.candidates.items()
        if figures.version and name not in ("jitgrad", "jitgrad ×2", "hand")
    }
    given = ", ".join(f"{n} {v}" for n, v in sorted(versions.items()))
    caption = (
        f"Measured on {facts['date']}, {facts['cpu']}, one thread, Python {facts['python']}, "
        f"Numba {facts['libraries']['numba']}, {given}."
    )
    return f"{tables.markdown(head, rows)}\n\n{caption}"


# -------------------------------------------------------------------------------------------- files


def write(results: dict[str, Result], path: Path) -> None:
    """The results as JSON; those of other workloads that are there already stay."""
    kept = json.loads(path.read_text("utf-8"))["workloads"] if path.exists() else {}
    kept.update({name: result.as_json() for name, result in results.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"machine": machine(), "workloads": dict(sorted(kept.items()))}
    path.write_text(json.dumps(_rounded(whole), indent=1) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    """Figures with four digits: more are noise. JSON has no nan."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    if isinstance(value, float):
        return 0.0 if math.isnan(value) else float(f"{value:.4g}")
    return value


def stored(path: Path = STORED) -> tuple[dict[str, Any], dict[str, Result]]:
    """The machine and the results of a file."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    return facts["machine"], {n: from_json(r) for n, r in facts["workloads"].items()}


def plots(results: dict[str, Result], folder: Path = REPORTS) -> list[Path]:
    """Pictures of speed and of starts; none without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    good = {n: r for n, r in results.items() if r.ratio("jitgrad", "jitgrad")}
    drawn = (
        ("speed", "least", "milliseconds a call, relative to jitgrad"),
        ("starts", "cold", "first call in a fresh process, relative to jitgrad"),
    )
    return [_plot(good, what, label, folder / f"{name}.png") for name, what, label in drawn]


def _plot(results: dict[str, Result], what: str, label: str, path: Path) -> Path:
    """A dot for each candidate of each workload, on a logarithmic axis; jitgrad is at 1."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1.5 + 0.32 * len(results)), layout="constrained")
    candidates = dict.fromkeys(n for r in results.values() for n in r.candidates)
    for name in candidates:
        points = [(r.ratio(name, "jitgrad", what), y) for y, r in enumerate(results.values())]
        drawn = [(x, y) for x, y in points if x]
        if drawn:
            axes.scatter(*zip(*drawn), label=name, s=28)
    axes.axvline(1, color="0.7", zorder=0)
    axes.set(xscale="log", xlabel=label, yticks=range(len(results)))
    axes.set_yticklabels([r.title for r in results.values()])
    axes.invert_yaxis()
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def slow(results: dict[str, Result]) -> Iterable[str]:
    """What is slower than a peer, than 1.5 times a person, or wrong: what to look at first."""
    for name, result in results.items():
        ours = result.candidates.get("jitgrad")
        if ours is None or ours.failed:
            yield f"{name}: failed"
            continue
        best = result.best_peer()
        peer = result.ratio("jitgrad", best) if best else None
        hand = result.ratio("jitgrad", "hand")
        if ours.agrees is False:
            yield f"{name}: wrong by {ours.error:.1e}, where {result.tolerance:.1e} is allowed"
        if peer is not None and peer > 1:
            yield f"{name}: {peer:.2f} times as long as {best}"
        if hand is not None and hand > 1.5:
            yield f"{name}: {hand:.2f} times as long as by hand"
