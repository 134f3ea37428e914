"""What the workloads would cost on a GPU, by the roofline model.

    python -m benchmarks.harness.cuda_model [NAME ...]

Nothing is computed, and no GPU is needed: a machine takes the place of the driver that keeps the
launches instead of running them. Each is bound by the bytes that it has to move or by its
operations (one an element and step of a loop nest, two a term of a product: a lower bound where
there are functions); one follows another as in a CUDA graph.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.harness import workload
from jitgrad import config
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.errors import JitgradError
from jitgrad.runtime.cuda import device as devices
from jitgrad.runtime.cuda.device import Device
from jitgrad.runtime.cuda.emulated import Emulated
from jitgrad.tools.gpu import PEAKS, Roof, roof
from jitgrad.tools.tables import columns

LAUNCH = 1e-6  # seconds from one kernel of a graph to the next
LONGEST = 100  # iterations of loops whose end depends on values: there are none
HEAD = ("workload", "launches", "MB", "Mop", *("sm_{}{}".format(*sm) for sm in PEAKS), "bound by")


class Modelled(Emulated):
    """A machine that keeps what it was to run."""

    def __init__(self) -> None:
        super().__init__(total=1 << 36)
        self.launches: list[Grid] = []

    def run(self, grid: Grid, memory: Sequence[np.ndarray], blocks: int) -> None:
        self.launches.append(grid)


@dataclass(slots=True)
class Model:
    """One call of a workload: its launches, and for each architecture their bounds."""

    name: str
    launches: list[Grid]
    roofs: dict[tuple[int, int], list[Roof]] = field(default_factory=dict)

    def seconds(self, capability: tuple[int, int]) -> float:
        """The least time of all launches, one after the other."""
        return sum(max(r.memory, r.arithmetic) + LAUNCH for r in self.roofs[capability])

    @property
    def bound(self) -> str:
        """What most of that time goes into, on the newest architecture."""
        roofs = self.roofs[max(self.roofs)]
        memory = sum(r.memory for r in roofs if r.memory >= r.arithmetic)
        arithmetic = sum(r.arithmetic for r in roofs if r.arithmetic > r.memory)
        parts = {"memory": memory, "arithmetic": arithmetic, "launches": LAUNCH * len(roofs)}
        return max(parts, key=lambda part: parts[part])

    @property
    def row(self) -> tuple[str, ...]:
        moved, work = (sum(getattr(g, what) for g in self.launches) for what in ("bytes", "work"))
        times = [f"{self.seconds(sm) * 1e6:.1f} µs" for sm in PEAKS]
        count = str(len(self.launches))
        return self.name, count, f"{moved / 1e6:.2f}", f"{work / 1e6:.2f}", *times, self.bound


def model(name: str) -> Model:
    """The model of a workload's second call: the first one also copies what it finds."""
    machine = Modelled()
    device, before = Device(machine), devices.emulated
    settings = {"cuda": "emulate", "device": "GPU", "loop_limit": LONGEST}
    devices.emulated = lambda: device  # type: ignore[assignment]
    try:
        with config.override(**settings):
            import jitgrad

            arrays = workload.load(name).data()
            run = workload.load(name).program(jitgrad, arrays)
            run()
            machine.launches.clear()
            run()
    finally:
        devices.emulated = before
    made = Model(name, machine.launches)
    made.roofs = {sm: [roof(grid, sm) for grid in made.launches] for sm in PEAKS}
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness.cuda_model")
    parser.add_argument("workloads", nargs="*", help="names; all by default")
    rows, failed = [], []
    for name in parser.parse_args(argv).workloads or workload.names():
        try:
            rows.append(model(name).row)
        except JitgradError as error:
            failed.append(f"{name}: {str(error).splitlines()[0]}")
    print(columns(HEAD, rows, right=range(1, 6)))
    print("\n".join(["", *failed]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
