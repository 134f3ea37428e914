"""Candidates take turns: each has a process of its own, and only one works at a time."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import peers, workload
from benchmarks.harness.workload import OURS, ROOT, Workload

STARTED_TWICE = ("jitgrad", "jax", "torch.compile")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: `rounds` turns of `seconds` for each candidate."""

    rounds: int = 5
    seconds: float = 0.2


@dataclass(slots=True)
class Figures:
    """What was measured of a candidate; times of calls in milliseconds, of starts in seconds."""

    threads: int
    version: str = ""
    imports: float = 0.0
    cold: float = 0.0  # building and first call, in a fresh process with empty caches
    warm: float = 0.0  # the same with the caches that a cold process left; 0 if not measured
    median: float = 0.0
    p10: float = 0.0
    least: float = 0.0
    memory: float = 0.0  # MB that the process grew by, at most, after the inputs were there
    error: float = float("nan")  # largest difference from the reference
    agrees: bool | None = None
    failed: str = ""


@dataclass(slots=True)
class Result:
    """A workload's candidates by name; `absent` lists peers that are not installed."""

    title: str
    label: str
    tolerance: float
    reference: str
    candidates: dict[str, Figures] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)

    def ratio(self, name: str, other: str, what: str = "least") -> float | None:
        """How many times slower one candidate is than another."""
        pair = [self.candidates.get(n) for n in (name, other)]
        if any(p is None or p.failed or not getattr(p, what) for p in pair):
            return None
        return getattr(pair[0], what) / getattr(pair[1], what)

    def best_peer(self) -> str | None:
        """The fastest of the frameworks."""
        found = {
            name: f.least
            for name, f in self.candidates.items()
            if name.partition(" ")[0] not in OURS and f.threads == 1 and not f.failed
        }
        return min(found, key=lambda n: found[n]) if found else None

    def as_json(self) -> dict[str, Any]:
        """What is written to a file."""
        return asdict(self)


def from_json(facts: dict[str, Any]) -> Result:
    """The result that `as_json` wrote."""
    candidates = {n: Figures(**f) for n, f in facts["candidates"].items()}
    return Result(**{**facts, "candidates": candidates})


class WorkerFailed(Exception):
    """A candidate's process ended early; the message is the end of what it said."""


class Worker:
    """A process that runs one candidate."""

    def __init__(self, name: str, candidate: str, threads: int, folder: Path) -> None:
        self.results = folder / f"{name}-{candidate}-{threads}.npz"
        self.complaints = folder / f"{name}-{candidate}-{threads}.err"
        python = peers.interpreters().get(candidate, _reference_python())
        module = "benchmarks.harness.worker"
        given = [name, candidate, str(threads), str(self.results)]
        with self.complaints.open("w", encoding="utf-8") as err:
            self.process = subprocess.Popen(
                [python, "-m", module, *given],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                cwd=ROOT,
                env=_environment(folder / "caches" / candidate, threads),
            )
        self.start = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("="):
                return json.loads(line[1:])
        self.process.wait()
        said = self.complaints.read_text(encoding="utf-8", errors="replace").strip()
        raise WorkerFailed("\n".join(said.splitlines()[-3:]) or "it ended without a word")

    def ask(self, command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def _reference_python() -> str:
    """The Python that has a peer whose derivatives can be trusted."""
    found = peers.interpreters()
    return found.get("jax") or found.get("torch") or sys.executable


def _environment(caches: Path, threads: int) -> dict[str, str]:
    """One thread policy for all, caches that are nobody else's, NumPy's own choice of kernels, and
    Python's bytecode kept, as it is for users and in the environments of peers.
    """
    dropped = "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE"
    found = {k: v for k, v in os.environ.items() if k not in dropped}
    for library in ("OMP", "MKL", "OPENBLAS", "NUMBA", "JITGRAD"):
        found[f"{library}_NUM_THREADS"] = str(threads)
    if threads == 1:
        found["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    found["PYTHONPATH"] = str(ROOT)
    found["JAX_PLATFORMS"] = "cpu"
    found["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    found["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"
    found["PYTENSOR_FLAGS"] = f"base_compiledir={caches},mode=NUMBA"
    for variable, name in (
        ("JITGRAD_CACHE_DIR", "jitgrad"),
        ("JAX_COMPILATION_CACHE_DIR", "jax"),
        ("TORCHINDUCTOR_CACHE_DIR", "inductor"),
        ("NUMBA_CACHE_DIR", "numba"),
    ):
        found[variable] = str(caches / name)
    return found


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for results and caches, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="jitgrad-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(name: str, wanted: list[tuple[str, int]], effort: Effort) -> Result:
    """Run a workload's candidates, given as (name, threads)."""
    module = workload.load(name)
    facts: Workload = module.WORKLOAD
    there, absent = peers.available([c for c, _ in wanted], module)
    with scratch() as folder, ExitStack() as stack:
        target, by = _reference(name, folder)
        result = Result(facts.title, facts.label, facts.tolerance, by, absent=absent)
        workers: dict[str, Worker] = {}
        for candidate, threads in [(c, t) for c, t in wanted if c in there]:
            shown = candidate if threads == 1 else f"{candidate} ×{threads}"
            figures = result.candidates[shown] = Figures(threads)
            try:
                worker = _started(name, candidate, figures, folder)
            except WorkerFailed as failure:
                figures.failed = str(failure)
                continue
            stack.callback(worker.close)
            workers[shown] = worker
            if target is not None:
                figures.error = difference(target, _arrays(worker.results))
                figures.agrees = figures.error <= facts.tolerance
        _take_turns(workers, result, effort)
    return result


def _started(name: str, candidate: str, figures: Figures, folder: Path) -> Worker:
    """A candidate's process. Those whose starts are compared are started cold, then warm."""
    if candidate in STARTED_TWICE and figures.threads == 1:
        cold = Worker(name, candidate, figures.threads, folder)
        cold.close()
        figures.cold = cold.start["first"]
    worker = Worker(name, candidate, figures.threads, folder)
    figures.imports, figures.version = worker.start["imports"], worker.start["version"]
    if candidate in STARTED_TWICE:
        figures.warm = worker.start["first"]
    else:
        figures.cold = worker.start["first"]
    return worker


def _reference(name: str, folder: Path) -> tuple[list[np.ndarray] | None, str]:
    try:
        worker = Worker(name, "reference", 1, folder)
    except WorkerFailed:
        return None, ""
    worker.close()
    by = worker.start["by"]
    return (_arrays(worker.results) if by else None), by


def _arrays(file: Path) -> list[np.ndarray]:
    with np.load(file) as found:
        return [np.asarray(found[k], np.float64) for k in found.files]


def difference(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """The largest difference relative to the largest magnitude, over all arrays."""
    if [x.size for x in a] != [x.size for x in b]:
        return float("inf")
    return max(
        float(np.max(np.abs(x.ravel() - y.ravel())) / (np.max(np.abs(x)) + 1e-300))
        for x, y in zip(a, b)
    )


def _take_turns(workers: dict[str, Worker], result: Result, effort: Effort) -> None:
    """Time each in turns; the order is turned around each time."""
    found: dict[str, list[float]] = {label: [] for label in workers}
    for turn in range(effort.rounds):
        for label in list(workers) if turn % 2 == 0 else list(workers)[::-1]:
            answer = workers[label].ask(f"time {effort.seconds}")
            found[label] += answer["samples"]
            result.candidates[label].memory = answer["memory"]
    for label, times in found.items():
        figures = result.candidates[label]
        figures.median = statistics.median(times) * 1e3
        figures.p10 = float(np.percentile(times, 10)) * 1e3
        figures.least = min(times) * 1e3
