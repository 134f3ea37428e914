"""One candidate of one workload in a process of its own, driven over stdin.

    python -m benchmarks.harness.worker WORKLOAD CANDIDATE THREADS FILE

It answers in lines of JSON: first what the start cost, then for each `time SECONDS` the samples.
The results of the first call go to FILE. The candidate `reference` computes them in float64.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from typing import Any

import numpy as np

from benchmarks.harness import workload
from benchmarks.harness.workload import CANDIDATES, Arrays, Run

SHORT = 2e-4  # a sample lasts at least this long, or the clock is what is measured


def peak() -> float:
    """The largest resident size so far, in MB, without the libraries' code.

    `ru_maxrss` begins with that of the process that started this one, so Linux is asked elsewhere.
    """
    largest = _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return largest - _status("RssFile")


def resident() -> float:
    """The same of the resident size now; where the system does not say it, the largest so far."""
    return _status("VmRSS") - _status("RssFile") or peak()


def _status(field: str) -> float:
    """A size of this process in MB, as Linux tells it; 0 elsewhere."""
    if not os.path.exists("/proc/self/status"):
        return 0.0
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        sizes = [line.split()[1] for line in file if line.startswith(f"{field}:")]
    return int(sizes[0]) / 1024 if sizes else 0.0


def import_framework(candidate: str, threads: int) -> str:
    """Import it and give it its threads; returns its version."""
    module: Any = importlib.import_module(CANDIDATES[candidate].module)
    if candidate.startswith("torch"):
        module.set_num_threads(threads)
    if candidate == "jitgrad" and hasattr(module, "set_num_threads"):
        module.set_num_threads(threads)
    return str(getattr(module, "__version__", ""))


def samples(run: Run, seconds: float) -> list[float]:
    """Seconds of single calls, for so long; one call is enough where it takes as long as that."""
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    if once > seconds:
        return [once]
    repeat = max(1, int(SHORT / max(once, 1e-8)))
    found: list[float] = []
    end = time.perf_counter() + seconds
    while not found or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(repeat):
            run()
        found.append((time.perf_counter() - start) / repeat)
    return found


def wide(arrays: Arrays) -> Arrays:
    return [np.asarray(a, np.float64) if a.dtype.kind == "f" else a for a in arrays]


def say(**facts: Any) -> None:
    print("=" + json.dumps(facts), flush=True)


def reference(name: str, file: str) -> None:
    """Results in float64 from a peer, whose derivatives are not ours."""
    arrays = wide(workload.load(name).data())
    for candidate in ("jax", "torch"):
        try:
            import_framework(candidate, 1)
        except ImportError:
            continue
        np.savez(file, *workload.flat(workload.prepare(name, candidate, arrays)()))
        say(by=candidate)
        return
    say(by="")


def main() -> None:
    name, candidate, threads, file = sys.argv[1:5]
    if candidate == "reference":
        return reference(name, file)
    if int(threads) == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    start = time.perf_counter()
    version = import_framework(candidate, int(threads))
    imported = time.perf_counter()
    arrays = workload.load(name).data()
    before, begun = resident(), time.perf_counter()
    run = workload.prepare(name, candidate, arrays)
    result = run()
    first = time.perf_counter() - begun
    np.savez(file, *workload.flat(result))
    del result
    say(imports=imported - start, first=first, version=version)
    for line in sys.stdin:
        command, *rest = line.split()
        if command != "time":
            break
        say(samples=samples(run, float(rest[0])), memory=max(0.0, peak() - before), peak=peak())


if __name__ == "__main__":
    main()
