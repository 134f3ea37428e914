"""Programs on an NVIDIA GPU, through `numba.cuda`: memory, kernels, launches.

A program's buffers are allocated, its constants copied and its arguments made once. A call copies
the inputs, launches everything on the program's stream, and waits when it reads the outputs.
Numba's simulator (NUMBA_ENABLE_CUDASIM=1) runs the same code.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad.codegen.compile import function
from jitgrad.codegen.cuda import names
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.cuda.offline import signature
from jitgrad.codegen.launch import Status
from jitgrad.codegen.vecmath.table import NUMPY_NAMES
from jitgrad.errors import DeviceError, fail
from jitgrad.runtime.device import STATUS_BYTES, DeviceProgram

IN_MEMORY = {"bool": "uint8", "f16": "uint16"}
LEAST = 64  # bytes of a buffer: there are none of 0


def why_not() -> str:
    """Why there is no GPU to run on, or "". It asks the driver, and imports nothing."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "jitgrad[cuda] is not installed"
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver"
    count = ctypes.c_int(0)
    if error := library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count)):
        return f"the NVIDIA driver answers with error {error}"
    return "" if count.value else "the NVIDIA driver sees no device"


@functools.cache
def driver() -> Driver:
    """The GPU; DeviceError without one."""
    from numba import config

    simulated = bool(getattr(config, "ENABLE_CUDASIM", False))
    if not simulated and (reason := why_not()):
        raise fail(
            DeviceError,
            f"there is no GPU to run on: {reason}",
            instead="run it on the CPU, or set JITGRAD_CUDA=emulate to see what would happen",
        )
    return Driver(simulated)


@dataclass(slots=True)
class Loaded:
    """A program on the device: its buffers by home, and its launches, ready to go."""

    stream: Any
    homes: dict[str, list[Any]]
    launches: list[tuple[int, bool, Callable[[], None]]]  # step, whether it can fail, the launch


class Driver:
    """Runs programs on the current device, or in Numba's simulator."""

    def __init__(self, simulated: bool):
        from numba import cuda

        self.cuda, self.simulated = cuda, simulated
        self.kernels: dict[tuple[str, tuple[str, ...], int], Any] = {}
        self.loaded: weakref.WeakKeyDictionary[DeviceProgram, Loaded] = weakref.WeakKeyDictionary()

    def __call__(self, program: DeviceProgram, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs for contiguous inputs, some of which are overwritten."""
        loaded = self.loaded.get(program)
        if loaded is None:
            loaded = self.loaded[program] = self.load(program)
        stream = loaded.stream
        for array, buffer in zip(arrays, loaded.homes["input"], strict=True):
            self.to_device(array, buffer, stream)
        for position, can_fail, launch in loaded.launches:
            launch()
            if can_fail:
                status = np.zeros(STATUS_BYTES, np.uint8)
                self.to_host(loaded.homes["status"][0], status, stream)
                if status.any():
                    self.to_device(np.zeros_like(status), loaded.homes["status"][0], stream)
                program.explain(status.view(np.int64), position)
        results = [np.empty(shape, dtype) for shape, dtype in program.outputs]
        for array, buffer in zip(results, loaded.homes["output"], strict=True):
            self.to_host(buffer, array, stream)
        for target in program.updates.values():
            self.to_host(loaded.homes["input"][target], arrays[target], stream)
        return results

    # --- memory ---

    def buffer(self, nbytes: int) -> Any:
        return self.cuda.device_array(max(nbytes, LEAST), np.uint8)

    def to_device(self, array: np.ndarray, buffer: Any, stream: Any) -> None:
        if array.nbytes:
            buffer[: array.nbytes].copy_to_device(_bytes(array), stream=stream)

    def to_host(self, buffer: Any, array: np.ndarray, stream: Any) -> None:
        if array.nbytes:
            buffer[: array.nbytes].copy_to_host(_bytes(array), stream=stream)
            if not self.simulated:
                stream.synchronize()

    # --- programs ---

    def load(self, program: DeviceProgram) -> Loaded:
        stream = self.cuda.stream()
        plan = program.plan
        sizes = {
            "input": [b.nbytes for b in plan.inputs], "output": [b.nbytes for b in plan.outputs],
            "constant": [c.nbytes for c in plan.constants], "arena": [plan.arena],
            "status": [STATUS_BYTES],
        }  # fmt: skip
        homes = {home: [self.buffer(n) for n in held] for home, held in sizes.items()}
        for array, buffer in zip(plan.constants, homes["constant"], strict=True):
            self.to_device(array, buffer, stream)
        self.to_device(np.zeros(STATUS_BYTES, np.uint8), homes["status"][0], stream)
        launches = []
        for position, grid in program.grids:
            can_fail = any(isinstance(p, Status) for p in grid.pointers)
            launches.append((position, can_fail, self.launch(program, grid, homes, stream)))
        return Loaded(stream, homes, launches)

    def launch(
        self, program: DeviceProgram, grid: Grid, homes: dict[str, list[Any]], stream: Any
    ) -> Callable[[], None]:
        """A launch with all of its arguments."""
        held = []
        for pointer in grid.pointers:
            home, at, first, last = program.whole(pointer)
            held.append(homes[home][at][first : max(last, first + 1)])
        if grid.codes:
            dtypes = [IN_MEMORY.get(c) or NUMPY_NAMES[c] for c in grid.codes]
            pointers = [self.pointer(b, d) for b, d in zip(held, dtypes, strict=True)]
            args = [*pointers, *grid.dims]
        else:
            count = grid.dims[0]
            args = [self.table(held), self.integers(grid.dims[1 : 1 + count])]
            args += grid.dims[1 + count :]
        kernel = self.kernel(grid)[grid.blocks, grid.threads, stream]
        return functools.partial(kernel, *args)

    def pointer(self, buffer: Any, dtype: str) -> Any:
        """What a kernel gets for memory of a dtype."""
        if not self.simulated:
            return buffer.device_ctypes_pointer.value
        size = np.dtype(dtype).itemsize
        return buffer[: buffer.size // size * size].view(np.dtype(dtype))

    def table(self, buffers: Sequence[Any]) -> Any:
        if self.simulated:
            return list(buffers)
        addresses = [b.device_ctypes_pointer.value for b in buffers]
        return self.integers(addresses)

    def integers(self, values: Sequence[int]) -> Any:
        if self.simulated:
            return list(values)
        made = self.cuda.to_device(np.array(values or [0], np.int64))
        return _Kept(made.device_ctypes_pointer.value, made)

    def kernel(self, grid: Grid) -> Any:
        """The compiled kernel of a launch."""
        key = grid.source, grid.codes, len(grid.dims)
        if key not in self.kernels:
            if self.simulated:
                space = {**names.namespace_python(), **_typed_pointers(), "cuda": self.cuda}
                self.kernels[key] = self.cuda.jit(function(grid.source, space))
            else:
                made = function(grid.source, names.namespace_numba())
                self.kernels[key] = self.cuda.jit(signature(grid))(made)
        return self.kernels[key]


class _Kept(int):
    """An address that keeps alive what is there."""

    memory: Any

    def __new__(cls, address: int, memory: Any) -> _Kept:
        made = super().__new__(cls, address)
        made.memory = memory
        return made


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)


def _typed_pointers() -> dict[str, Callable[..., Any]]:
    """The k-th array of a table as its dtype, in the simulator."""

    def opened(dtype: np.dtype) -> Callable[..., Any]:
        return lambda ptrs, k: ptrs[k][: ptrs[k].size // dtype.itemsize * dtype.itemsize].view(
            dtype
        )

    codes = (*NUMPY_NAMES.items(), ("f16", "float16"))
    return {f"{c}_ptr": opened(np.dtype(IN_MEMORY.get(c, name))) for c, name in codes}
