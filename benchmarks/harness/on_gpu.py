"""The workloads on a GPU, beside JAX and PyTorch on the same one.

    python -m benchmarks.harness.on_gpu [NAME ...]

All three run in this process, one after the other, on arrays that are on the device before the
clock starts. Times are the least of several stretches of calls, each until the device is done.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.harness import cuda_model, workload
from benchmarks.harness.workload import Run
from jitgrad import config, cuda
from jitgrad.tools.gpu import PEAKS
from jitgrad.tools.tables import columns

STRETCH, STRETCHES, WARM = 0.2, 5, 5  # seconds, how many, calls before


def ours(name: str) -> tuple[Run, Callable[[], Any]]:
    import jitgrad

    config.put("device", "GPU")
    return workload.load(name).program(jitgrad, workload.load(name).data()), cuda.synchronize


def of_jax(name: str) -> tuple[Run, Callable[[], Any]]:
    """JAX puts its arrays on the GPU by itself, and its workloads wait by themselves."""
    return workload.load(name).jax(workload.load(name).data()), lambda: None


def of_torch(name: str) -> tuple[Run, Callable[[], Any]]:
    """What the workload makes of NumPy's arrays is made on the device."""
    import torch

    torch.set_default_device("cuda")
    plain = torch.from_numpy
    torch.from_numpy = lambda array: plain(array).cuda()
    try:
        return workload.load(name).torch(workload.load(name).data()), torch.cuda.synchronize
    finally:
        torch.from_numpy = plain


CANDIDATES = {"jitgrad": ours, "jax": of_jax, "torch": of_torch}


def seconds(run: Run, wait: Callable[[], Any]) -> float:
    """Of one call."""
    for _ in range(WARM):
        run()
    wait()
    best = float("inf")
    for _ in range(STRETCHES):
        start, calls = time.perf_counter(), 0
        while time.perf_counter() - start < STRETCH:
            run()
            calls += 1
        wait()
        best = min(best, (time.perf_counter() - start) / calls)
    return best


def row(name: str, found: Sequence[str]) -> tuple[str, ...]:
    """A workload's times, and the least that the model allows."""
    cells = []
    for candidate in found:
        if hasattr(workload.load(name), {"jitgrad": "program"}.get(candidate, candidate)):
            cells.append(f"{seconds(*CANDIDATES[candidate](name)) * 1e6:.1f} µs")
        else:
            cells.append("")
    capability = cuda.get_device_capability()
    nearest = max((sm for sm in PEAKS if sm <= capability), default=min(PEAKS))
    return name, *cells, f"{cuda_model.model(name).seconds(nearest) * 1e6:.1f} µs"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; the exit status is 1 without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness.on_gpu")
    parser.add_argument("workloads", nargs="*", help="names; all by default")
    options = parser.parse_args(argv)
    if reason := cuda.reason():
        print(f"there is no GPU to run on: {reason}")
        return 1
    found = [c for c in CANDIDATES if importlib.util.find_spec(c) is not None]
    rows = [row(name, found) for name in options.workloads or workload.names()]
    print(cuda.get_device_name())
    print(columns(("workload", *found, "at least"), rows, right=range(1, len(found) + 2)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
