"""Run the benchmarks: `python -m benchmarks`, `make bench`, or some: `make bench ARGS=NAME`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import drive, report, scaling, workload

PEERS = ("jax", "torch", "autograd", "pytensor", "mindspore")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status is 1 if jitgrad failed, or disagreed with the reference."""
    options = parser().parse_args(argv)
    if options.scaling:
        return scaling.run(options.store, options.table)
    if options.table:
        print(report.markdown())
        return 0
    names = [resolve(n) for n in options.workloads] or workload.names()
    effort = drive.Effort(options.rounds, options.seconds)
    wanted = candidates(options)
    results, start = {}, time.perf_counter()
    for name in names:
        result = results[name] = drive.measure(name, wanted, effort)
        print(f"\n{name}: {result.title}, {workload.load(name).WORKLOAD.dtype}")
        print(report.details(result), flush=True)
        report.write({name: result}, report.REPORTS / "benchmarks.json")
        if options.store:
            report.write({name: result}, report.STORED)
    print(f"\n{report.summary(results)}\n")
    for line in report.slow(results):
        print(line)
    drawn = [str(p.relative_to(workload.ROOT)) for p in report.plots(results)]
    written = ["reports/benchmarks.json", *drawn]
    print(f"\n{time.perf_counter() - start:.0f} s; written: {', '.join(written)}")
    ours = [r.candidates.get("jitgrad") for r in results.values()]
    return int(any(f is not None and (f.failed or f.agrees is False) for f in ours))


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = found.add_argument
    add("workloads", nargs="*", help="names, files or labels as W1; all by default")
    add("--only", metavar="NAMES", help="candidates, as in --only jitgrad,hand")
    add("--compile", action="store_true", help="torch.compile as well: it takes minutes to start")
    add("--threads", type=int, default=1, help="threads of everybody")
    add("--rounds", type=int, default=5, help="turns of each candidate")
    add("--seconds", type=float, default=0.2, help="seconds of a turn")
    add("--store", action="store_true", help="keep the results for the README's table")
    add("--scaling", action="store_true", help="how costs grow with loops, and nothing else")
    add("--table", action="store_true", help="print the README's table, and measure nothing")
    return found


def candidates(options: argparse.Namespace) -> list[tuple[str, int]]:
    """Who takes part, with how many threads: jitgrad also with two, where there are two."""
    if options.only:
        chosen = options.only.split(",")
        unknown = [c for c in chosen if c not in workload.CANDIDATES]
        if unknown:
            sys.exit(f"no candidate {unknown[0]!r}; have {', '.join(workload.CANDIDATES)}")
        return [(name, options.threads) for name in chosen]
    found = [("jitgrad", options.threads), ("hand", 1)]
    if options.threads == 1 and (os.cpu_count() or 1) > 1:
        found.insert(1, ("jitgrad", 2))
    found += [(name, options.threads) for name in PEERS]
    if options.compile:
        found.append(("torch.compile", options.threads))
    return found


def resolve(given: str) -> str:
    """A workload's name from a name, a file or a label."""
    names = workload.names()
    if Path(given).stem in names:
        return Path(given).stem
    labels = {workload.load(name).WORKLOAD.label.lower(): name for name in names}
    if given.lower() in labels:
        return labels[given.lower()]
    sys.exit(f"no workload {given!r}; have {', '.join(names)}")


if __name__ == "__main__":
    sys.exit(main())
