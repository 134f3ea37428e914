"""A device: arrays go there, programs run there, values are read from there."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator

import numpy as np

from jitgrad import config
from jitgrad.errors import DeviceError, fail
from jitgrad.runtime.cuda.array import IN_USE, Array, DeviceArray
from jitgrad.runtime.cuda.loaded import Loaded
from jitgrad.runtime.cuda.machine import Failure, Machine
from jitgrad.runtime.cuda.pool import Block, Pool
from jitgrad.runtime.cuda.program import DeviceProgram


class Device:
    """A machine with its memory and the programs that are loaded. One thread at a time uses it."""

    name = "GPU"

    def __init__(self, machine: Machine):
        self.machine, self.pool = machine, Pool(machine)
        IN_USE.append(self.name)
        self.lock = threading.RLock()
        self.unchecked: dict[Loaded, None] = {}  # what may have found an index out of bounds
        self.tapes: dict[int, list] = {}  # records of unknown length, by where their place is
        self.arenas: list[Block | None] = []  # by depth: a program's loops run programs
        self.depth = 0

    # --- arrays ---

    def empty(self, shape: tuple[int, ...], dtype: np.dtype, label: str) -> DeviceArray:
        """An array with any contents; DeviceMemoryError."""
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        return DeviceArray(self, self.pool.take(nbytes, label), shape, dtype)

    def put(self, array: Array) -> DeviceArray:
        """An array's elements on this device: itself where it is there already."""
        if type(array) is DeviceArray:
            if array.device is self:
                return array
            array = array.numpy()
        assert isinstance(array, np.ndarray)
        with self.lock:
            made = self.empty(array.shape, array.dtype, f"{array.dtype}{list(array.shape)}")
            if array.nbytes:
                self.machine.upload(np.ascontiguousarray(array), made.address)
            return made

    def duplicate(self, array: DeviceArray) -> DeviceArray:
        with self.lock:
            label = f"{array.dtype}{list(array.shape)}"
            made = self.empty(array.shape, array.dtype, label)
            if array.nbytes:
                self.machine.duplicate(array.address, made.address, array.nbytes)
            return made

    def read(self, array: DeviceArray) -> np.ndarray:
        """The elements in the host's memory, after all work before; what went wrong is raised."""
        made = np.empty(array.shape, array.dtype)
        with self.lock, _worded():
            if array.nbytes:
                self.machine.download(array.address, made)
            self.check()
        return made

    def synchronize(self) -> None:
        """Wait for all work; what went wrong is raised."""
        with self.lock, _worded():
            self.machine.synchronize()
            self.check()

    def check(self) -> None:
        unchecked, self.unchecked = list(self.unchecked), {}
        for loaded in unchecked:
            loaded.check()

    # --- programs ---

    def arena(self, nbytes: int) -> Block:
        """Memory that all programs of one depth share: they run one after the other."""
        if self.depth > len(self.arenas):
            self.arenas.append(None)
        found = self.arenas[self.depth - 1]
        if found is None or found.nbytes < nbytes:
            self.arenas[self.depth - 1] = found = None
            self.arenas[self.depth - 1] = found = self.pool.take(nbytes, "the arena of all plans")
        return found

    def run(self, program: DeviceProgram, *arrays: Array) -> list[DeviceArray]:
        """The outputs for inputs, of which those in the host's memory are copied; what is
        overwritten there is copied back.
        """
        with self.lock, _worded():
            self.machine.enter()
            loaded = program.loaded.get(self)
            if loaded is None:
                loaded = program.loaded[self] = Loaded(self, program)
            held = [self.put(array) for array in arrays]
            results = [
                self.empty(shape, dtype, label)
                for (shape, dtype), label in zip(program.outputs, program.labels, strict=True)
            ]
            self.depth += 1
            try:
                loaded([a.address for a in (*held, *results)])
            finally:
                self.depth -= 1
                if not self.depth:
                    self.tapes.clear()
            for target in program.updates.values():
                array = arrays[target]
                if isinstance(array, np.ndarray) and array.nbytes:
                    self.machine.download(held[target].address, array)
            return results


@contextlib.contextmanager
def _worded() -> Iterator[None]:
    """What a machine reports, as an error of ours."""
    try:
        yield
    except Failure as failure:
        raise fail(
            DeviceError,
            f"the GPU reports {failure}",
            why="one of the launches since it was last waited for has failed",
            instead="JITGRAD_CUDA_SYNC=1 to wait after each, and see which, and whose line",
        ) from None


@functools.cache
def emulated() -> Device:
    """The device of JITGRAD_CUDA=emulate."""
    from jitgrad.runtime.cuda.emulated import Emulated

    return Device(Emulated())


@functools.cache
def physical() -> Device:
    """The GPU; DeviceError where there is none."""
    from jitgrad.runtime.cuda.native import Native, why_not

    if reason := why_not():
        raise fail(
            DeviceError,
            f"there is no GPU to run on: {reason}",
            instead="run it on the CPU, or set JITGRAD_CUDA=emulate to see what would happen",
        )
    return Device(Native())


def device() -> Device:
    """Where programs for GPUs run: the GPU, or with JITGRAD_CUDA=emulate Python. DeviceError."""
    return emulated() if config.get("cuda") == "emulate" else physical()
