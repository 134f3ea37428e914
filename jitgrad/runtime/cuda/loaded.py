"""A program on a device: its launches as words, and those words for memory that is given.

Every argument of every launch is a 64-bit word: an address or an integer. A program has them all
in one array, the addresses left open. For given memory they are filled in once (`Bound`); called
again with the same memory, as a training loop does, nothing is computed, and from the third time on
the launches are one: the machine's recording of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jitgrad import config, journal
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.launch import Status
from jitgrad.errors import DeviceError, fail
from jitgrad.passes.plan import ALIGNMENT
from jitgrad.runtime.cuda.driven import Driven
from jitgrad.runtime.cuda.machine import Failure
from jitgrad.runtime.cuda.program import STATUS_BYTES, DeviceProgram, span

if TYPE_CHECKING:
    from jitgrad.runtime.cuda.device import Device

WORD = 8
# How much longer arithmetic in float64 takes, by compute capability; 64 on all others.
DOUBLES = {(7, 0): 2, (7, 5): 32, (8, 0): 2, (9, 0): 2, (10, 0): 2}
BOUND = 8  # sets of addresses that a program remembers
RECORDED = 2  # calls with the same memory before they are recorded


class Words:
    """An array of words, some of which are addresses: `offsets` from `bases[which]`."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.places: list[int] = []
        self.which: list[int] = []
        self.offsets: list[int] = []

    def add(self, value: int) -> None:
        self.values.append(value)

    def add_address(self, base: int, offset: int) -> None:
        self.places.append(len(self.values))
        self.which.append(base)
        self.offsets.append(offset)
        self.values.append(0)

    def filled(self, bases: np.ndarray) -> np.ndarray:
        words = np.array(self.values, np.int64)
        words[self.places] = bases[self.which] + np.array(self.offsets, np.int64)
        return words


class Loaded:
    """A program's kernels and constants on a device."""

    def __init__(self, device: Device, program: DeviceProgram):
        self.device, self.program, plan = device, program, program.plan
        machine = device.machine
        self.kernels = [
            machine.kernel(launch) if isinstance(launch, Grid) else None
            for _, launch in program.launches
        ]
        self.driven = any(isinstance(launch, Driven) for _, launch in program.launches)
        can_fail = [any(isinstance(p, Status) for p in g.pointers) for _, g in program.launches]
        self.failing = [i for i, fails in enumerate(can_fail) if fails]
        self.at_constants: list[int] = []
        size = 0
        for array in plan.constants:
            self.at_constants.append(size)
            size += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        self.constants = device.pool.take(size, "constants")
        for array, at in zip(plan.constants, self.at_constants, strict=True):
            if array.nbytes:
                machine.upload(array, self.constants.address + at)
        status = np.zeros(STATUS_BYTES * len(self.failing), np.uint8)
        self.status = device.pool.take(status.nbytes, "status")
        machine.upload(status, self.status.address)
        self.say_what_doubles_cost()
        self.count = len(plan.inputs), len(plan.outputs)
        self.lay_out()
        self.bound: dict[bytes, Bound] = {}

    def say_what_doubles_cost(self) -> None:
        grids = self.program.grids
        doubles = sum("f64" in grid.source for _, grid in grids)
        if doubles and journal.is_read():
            about = self.device.machine.properties()
            times = DOUBLES.get((about.major, about.minor), 64)
            journal.say(
                f"{self.program.graph.name}: {doubles} of {len(grids)} kernels compute in float64,"
                f" whose arithmetic takes {times} times as long as float32's on {about.name}"
            )

    def lay_out(self) -> None:
        """All words: those of the kernels' parameters, and of tables in the device's memory."""
        self.parameters, self.tables = Words(), Words()
        self.starts: list[int] = []
        inputs, outputs = self.count
        first = {"input": 0, "output": inputs}
        fixed = ("constant", "arena", "status", "table")
        first |= {home: inputs + outputs + i for i, home in enumerate(fixed)}
        for number, (_, launch) in enumerate(self.program.launches):
            self.starts.append(len(self.parameters.values))
            parameters, tables = self.parameters, self.tables
            by_table = isinstance(launch, Grid) and not launch.codes
            if by_table:
                parameters.add_address(first["table"], WORD * len(tables.values))
            for pointer in launch.pointers:
                home, at, offset, _ = span(pointer)
                if home == "constant":
                    at, offset = 0, offset + self.at_constants[at]
                elif home == "status":
                    offset = STATUS_BYTES * self.failing.index(number)
                (tables if by_table else parameters).add_address(first[home] + at, offset)
            rest = launch.dims if isinstance(launch, Grid) else ()
            if by_table:
                parameters.add_address(first["table"], WORD * len(tables.values))
                count = rest[0]
                for value in rest[1 : 1 + count]:
                    tables.add(value)
                rest = rest[1 + count :]
            for value in rest:
                parameters.add(value)
        self.starts.append(len(self.parameters.values))

    def __call__(self, memory: Sequence[int]) -> None:
        """Launch everything, over the memory of inputs and outputs."""
        arena = self.device.arena(self.program.plan.arena)
        key = np.array([*memory, self.constants.address, arena.address, self.status.address])
        bound = self.bound.get(key.tobytes())
        if bound is None:
            if len(self.bound) >= BOUND:
                del self.bound[next(iter(self.bound))]
            bound = self.bound[key.tobytes()] = Bound(self, key)
        bound()
        if self.failing:
            self.device.unchecked[self] = None

    def check(self) -> None:
        """Raise what launches reported since the last check; they have all run."""
        status = np.zeros((len(self.failing), STATUS_BYTES // WORD), np.int64)
        machine = self.device.machine
        machine.download(self.status.address, status)
        if status.any():
            machine.upload(np.zeros_like(status), self.status.address)
            for words, number in zip(status, self.failing, strict=True):
                self.program.explain(words, number)


class Bound:
    """A program's launches over certain memory."""

    def __init__(self, loaded: Loaded, bases: np.ndarray):
        machine, self.loaded = loaded.device.machine, loaded
        nbytes = WORD * len(loaded.tables.values)
        if nbytes:
            self.table = loaded.device.pool.take(nbytes, "addresses")
            bases = np.append(bases, self.table.address)
            machine.upload(loaded.tables.filled(bases), self.table.address)
        self.words = loaded.parameters.filled(bases)
        self.launches: list[Callable[[], None]] = []
        for number, (_, launch) in enumerate(loaded.program.launches):
            words = self.words[loaded.starts[number] : loaded.starts[number + 1]]
            if isinstance(launch, Driven):
                self.launches.append(launch.bind(loaded.device, words))
                continue
            extents = [last - first for _, _, first, last in map(span, launch.pointers)]
            self.launches.append(machine.call(loaded.kernels[number], launch, words, extents))
        self.uses = 0
        self.recorded: Callable[[], None] | None = None

    def __call__(self) -> None:
        if config.get("cuda_sync"):
            self.one_by_one()
        elif self.recorded is not None:
            self.recorded()
        else:
            self.uses += not self.loaded.driven
            if self.uses > RECORDED:
                self.recorded = self.loaded.device.machine.record(self.launch)
            (self.recorded or self.launch)()

    def launch(self) -> None:
        for launch in self.launches:
            launch()

    def one_by_one(self) -> None:
        """Wait for each launch, so that what it reports is known to be its own."""
        loaded = self.loaded
        for number, launch in enumerate(self.launches):
            position, _ = loaded.program.launches[number]
            try:
                launch()
                loaded.device.machine.synchronize()
            except Failure as failure:
                raise fail(
                    DeviceError,
                    f"launch {number}, {loaded.program.name(position)}, failed: {failure}",
                    where=loaded.program.where(position),
                ) from None
            if number in loaded.failing:
                loaded.check()
