"""Timing side by side: candidates take turns in one process, medians and minima are compared.

Threads are pinned to one for everybody before anything is imported. Peers that are not installed
are left out, and said so.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

for _name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ.setdefault(f"{_name}_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import numpy as np  # noqa: E402

Run = Callable[[], Any]


def have(module: str) -> bool:
    """Whether a peer is installed; says so if it is not."""
    found = importlib.util.find_spec(module) is not None
    if not found:
        print(f"  ({module} is not installed)")
    return found


def first_call(make: Callable[[], Run]) -> tuple[Run, Any, float]:
    """Build a candidate and call it once: the callable, its result, and the seconds it took."""
    start = time.perf_counter()
    run = make()
    result = run()
    return run, result, time.perf_counter() - start


def side_by_side(
    title: str, makers: dict[str, Callable[[], Run]], rounds: int = 40, least: float = 2e-3
) -> dict[str, float]:
    """Time candidates in turns and print a table; returns the median seconds of each.

    The first candidate is the one that the others' results are compared with.
    """
    print(f"\n{title}")
    runs, first, results = {}, {}, {}
    for name, make in makers.items():
        runs[name], results[name], first[name] = first_call(make)
    repeat = {name: max(1, int(least / max(_once(run), 1e-7))) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        order = list(runs) if turn % 2 == 0 else list(runs)[::-1]
        for name in order:
            start = time.perf_counter()
            for _ in range(repeat[name]):
                runs[name]()
            times[name].append((time.perf_counter() - start) / repeat[name])
    reference = flat(next(iter(results.values())))
    print(
        f"  {'':12s} {'median ms':>10s} {'min ms':>10s} {'ratio':>7s} {'first s':>8s}  difference"
    )
    medians = {name: statistics.median(t) for name, t in times.items()}
    base = medians[next(iter(medians))]
    for name in runs:
        error = difference(reference, flat(results[name]))
        print(
            f"  {name:12s} {medians[name] * 1e3:10.4f} {min(times[name]) * 1e3:10.4f} "
            f"{medians[name] / base:7.2f} {first[name]:8.2f}  {error:.1e}"
        )
    sys.stdout.flush()
    return medians


def _once(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def flat(result: Any) -> list[np.ndarray]:
    """All arrays of a nest of results, as float64."""
    if isinstance(result, (tuple, list)):
        return [a for part in result for a in flat(part)]
    if hasattr(result, "detach"):
        result = result.detach().numpy()
    elif hasattr(result, "asnumpy"):
        result = result.asnumpy()
    return [np.asarray(result, np.float64)]


def difference(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """The largest difference relative to the largest magnitude, over all arrays."""
    if [x.size for x in a] != [x.size for x in b]:
        return float("inf")
    pairs = zip(a, b)
    return max(
        float(np.max(np.abs(x.ravel() - y.ravel())) / (np.max(np.abs(x)) + 1e-30)) for x, y in pairs
    )
