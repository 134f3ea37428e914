"""How time, memory and compilation grow with a loop, each figure from a process of its own.

python -m benchmarks --scaling [--store]
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import workload
from jitgrad.tools import tables

STORED = workload.ROOT / "benchmarks" / "results" / "scaling.json"
HEAD = ("what grows", "figures", "largest ratio of neighbours", "goal")


@dataclass(frozen=True, slots=True)
class Series:
    """One figure for several sizes of a program."""

    title: str
    unit: str
    sizes: tuple[int, ...]
    measure: Callable[[int], float]
    goal: str


def scan(count: int) -> float:
    """Milliseconds of the gradient of a recursion along an array, written in place."""
    import numpy as np

    import jitgrad as ms

    def loss(x: Any) -> Any:
        y = x * 1.0
        for i in range(1, count):
            y[i] = 0.9 * y[i - 1] * (1.0 - 0.1 * y[i]) + y[i]
        return (y * y).sum()

    x = ms.Tensor(np.random.default_rng(0).standard_normal(count))
    return least(ms.jit(ms.grad(loss)), x) * 1000


def collected(count: int) -> float:
    """Processor seconds of the first call of a gradient through a list that a loop fills, with an
    empty cache.
    """
    import numpy as np

    import jitgrad as ms

    def loss(x: Any) -> Any:
        h, found = x, []
        for _ in range(count):
            h = ms.ops.tanh(h) * x
            found.append(h)
        return ms.ops.stack(found).sum()

    x = ms.Tensor(np.linspace(0.1, 1.0, 8, dtype=np.float32))
    ms.jit(ms.grad(lambda x: ms.ops.sin(x).sum()))(x)  # what every first call loads
    start = time.process_time()
    ms.jit(ms.grad(loss))(x)
    return time.process_time() - start


def checkpointed(count: int) -> float:
    """MB that the gradient through so many steps of three numbers needs, with checkpoints."""
    import numpy as np

    import jitgrad as ms
    from benchmarks.harness.worker import peak, resident

    def step(_: Any, state: Any) -> Any:
        x, y, z = state
        return x + 1e-4 * (y - x), y + 1e-4 * (x * (2.0 - z) - y), z + 1e-4 * (x * y - z)

    def loss(v: Any, n: Any) -> Any:
        return sum(ms.ops.fori_loop(0, n, step, (v[0], v[1], v[2]), checkpoint="binomial"))

    gradient = ms.jit(ms.grad(loss))
    v = ms.Tensor(np.array([1.0, 0.5, 0.2]))
    gradient(v, ms.Tensor(10))
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5", encoding="ascii")  # the largest size so far is that of now
    before = resident()
    gradient(v, ms.Tensor(count)).asnumpy()
    return peak() - before


SERIES = {
    "scan": Series(
        "in-place scan of n elements, gradient", "ms", (1000, 2000, 4000, 8000), scan, "≤ 2.2"
    ),
    "collected": Series(
        "n steps that append to a list, first gradient", "s", (10, 100, 1000), collected,
        "flat",
    ),
    "checkpointed": Series(
        "n steps of three float64, memory of the gradient", "MB", (10**5, 10**6, 10**7),
        checkpointed, "≤ 100 MB",
    ),
}  # fmt: skip


def least(run: Callable[..., Any], *args: Any) -> float:
    """Seconds of the fastest call."""
    run(*args)
    found, end = [], time.perf_counter() + 0.5
    while time.perf_counter() < end or len(found) < 5:
        start = time.perf_counter()
        run(*args)
        found.append(time.perf_counter() - start)
    return min(found)


def measured() -> dict[str, dict[str, float]]:
    """All figures, by the name of the series and the size."""
    return {
        name: {str(n): min(_alone(name, n) for _ in range(3)) for n in series.sizes}
        for name, series in SERIES.items()
    }


def _alone(name: str, size: int) -> float:
    """One figure, from a process with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        place = {**os.environ, "JITGRAD_CACHE_DIR": folder, "JITGRAD_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.harness.scaling", name, str(size)]
        done = subprocess.run(
            command, cwd=workload.ROOT, env=place, capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def store(figures: dict[str, dict[str, float]]) -> None:
    """Keep the figures for the README's table."""
    rounded = {k: {n: float(f"{x:.3g}") for n, x in v.items()} for k, v in figures.items()}
    STORED.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def run(keep: bool, stored: bool) -> int:
    """Print the table: of what is stored, or measured now and, if so wished, kept."""
    figures = json.loads(STORED.read_text(encoding="utf-8")) if stored else measured()
    print(markdown(figures))
    if keep and not stored:
        store(figures)
    return 0


def markdown(figures: dict[str, dict[str, float]]) -> str:
    """The table of these figures."""
    rows = []
    for name, values in figures.items():
        series, all_ = SERIES[name], list(values.values())
        shown = ", ".join(f"{int(n):,}: {x:.3g} {series.unit}" for n, x in values.items())
        ratio = max((b / a for a, b in itertools.pairwise(all_) if a), default=0.0)
        rows.append([series.title, shown, f"{ratio:.2f}", series.goal])
    return tables.markdown(HEAD, rows)


if __name__ == "__main__":
    print(SERIES[sys.argv[1]].measure(int(sys.argv[2])))
