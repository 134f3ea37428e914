"""NVIDIA's driver, called through ctypes: what `Machine` asks for and nothing else.

Kernels come from Numba and `ptxas`. Everything happens in the device's primary context, which is
that of Numba, CuPy and PyTorch too, on one stream, in order with the default stream of these.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import weakref
from collections.abc import Callable, Sequence
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

import numpy as np

from jitgrad.codegen.cuda.grid import Grid
from jitgrad.runtime.cuda import images
from jitgrad.runtime.cuda.machine import Failure, OutOfMemory, Properties

OUT_OF_MEMORY = 2
MAJOR, MINOR, PROCESSORS, THREADS, SHARED, REGISTERS = 75, 76, 16, 39, 81, 82  # attributes
RELAXED = 2  # capturing: what other threads do meanwhile is their affair


def library() -> Any:
    """The driver; OSError where there is none."""
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


def why_not() -> str:
    """Why there is no GPU to run on, or "". It asks the driver, and imports nothing."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "jitgrad[cuda] is not installed"
    count = device_count()
    if isinstance(count, str):
        return count
    return "" if count else "the NVIDIA driver sees no device"


def device_count() -> int | str:
    """The number of devices, or why nobody knows it."""
    try:
        driver = library()
    except OSError:
        return "there is no NVIDIA driver"
    count = c_int(0)
    if error := driver.cuInit(0) or driver.cuDeviceGetCount(byref(count)):
        return f"the NVIDIA driver answers with error {error}"
    return count.value


class Native:
    """One GPU."""

    def __init__(self, driver: Any = None, ordinal: int = 0):
        self.driver = driver or library()
        self.device, self.context, self.stream = c_int(), c_void_p(), c_void_p()
        self("cuInit", 0)
        self("cuDeviceGet", byref(self.device), ordinal)
        self("cuDevicePrimaryCtxRetain", byref(self.context), self.device)
        self("cuCtxSetCurrent", self.context)
        self("cuStreamCreate", byref(self.stream), 0)
        self.kernels: dict[tuple[str, tuple[str, ...]], c_void_p] = {}
        self.known: Properties | None = None

    def __call__(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver; Failure with the driver's name for what went wrong."""
        error = getattr(self.driver, name)(*arguments)
        if error == OUT_OF_MEMORY:
            raise OutOfMemory
        if error:
            text = c_char_p()
            self.driver.cuGetErrorName(error, byref(text))
            known = (text.value or b"an unknown error").decode()
            raise Failure(f"{known} ({error}) in {name}")

    def enter(self) -> None:
        """Contexts are current to threads; whatever may be a thread's first call begins so."""
        self("cuCtxSetCurrent", self.context)

    def properties(self) -> Properties:
        if self.known is None:
            self.known = self.asked()
        return self.known

    def asked(self) -> Properties:
        """What the driver says about the device."""
        name, total = ctypes.create_string_buffer(256), c_size_t()
        self("cuDeviceGetName", name, 256, self.device)
        self("cuDeviceTotalMem_v2", byref(total), self.device)
        found = []
        for which in (MAJOR, MINOR, PROCESSORS, THREADS, SHARED, REGISTERS):
            value = c_int()
            self("cuDeviceGetAttribute", byref(value), which, self.device)
            found.append(value.value)
        major, minor, *rest = found
        return Properties(name.value.decode(), major, minor, total.value, *rest)

    # --- memory ---

    def memory(self) -> tuple[int, int]:
        self.enter()
        free, total = c_size_t(), c_size_t()
        self("cuMemGetInfo_v2", byref(free), byref(total))
        return free.value, total.value

    def allocate(self, nbytes: int) -> int:
        self.enter()
        address = c_uint64()
        self("cuMemAlloc_v2", byref(address), c_size_t(nbytes))
        return address.value

    def release(self, address: int) -> None:
        self("cuMemFree_v2", c_uint64(address))

    def upload(self, array: np.ndarray, address: int) -> None:
        self.enter()
        data = c_void_p(array.ctypes.data)
        self("cuMemcpyHtoDAsync_v2", c_uint64(address), data, c_size_t(array.nbytes), self.stream)

    def download(self, address: int, array: np.ndarray) -> None:
        self.enter()
        data = c_void_p(array.ctypes.data)
        self("cuMemcpyDtoHAsync_v2", data, c_uint64(address), c_size_t(array.nbytes), self.stream)
        self("cuStreamSynchronize", self.stream)

    def duplicate(self, source: int, target: int, nbytes: int) -> None:
        self.enter()
        places = c_uint64(target), c_uint64(source)
        self("cuMemcpyDtoDAsync_v2", *places, c_size_t(nbytes), self.stream)

    # --- work ---

    def kernel(self, grid: Grid) -> c_void_p:
        key = grid.source, grid.codes
        if key not in self.kernels:
            self.enter()
            about = self.properties()
            image, name = images.image(grid, (about.major, about.minor))
            module, function = c_void_p(), c_void_p()
            self("cuModuleLoadData", byref(module), c_char_p(image))
            self("cuModuleGetFunction", byref(function), module, c_char_p(name))
            self.kernels[key] = function
        return self.kernels[key]

    def call(
        self, kernel: c_void_p, grid: Grid, words: np.ndarray, extents: Sequence[int]
    ) -> Callable[[], None]:
        """The driver takes the address of each argument."""
        places = (words.ctypes.data + words.itemsize * np.arange(words.size)).astype(np.uint64)
        one, none, given = c_uint(1), c_uint(0), c_void_p(places.ctypes.data)
        size = c_uint(grid.blocks), one, one, c_uint(grid.threads), one, one

        def launch(held: object = (words, places)) -> None:
            self("cuLaunchKernel", kernel, *size, none, self.stream, given, c_void_p())

        return launch

    def record(self, launches: Callable[[], None]) -> Callable[[], None] | None:
        """A CUDA graph; None where the driver does not take it."""
        self.enter()
        graph, ready = c_void_p(), c_void_p()
        try:
            self("cuStreamBeginCapture_v2", self.stream, c_int(RELAXED))
            try:
                launches()
            finally:
                self("cuStreamEndCapture", self.stream, byref(graph))
            self("cuGraphInstantiateWithFlags", byref(ready), graph, c_uint64(0))
            self("cuGraphDestroy", graph)
        except (Failure, AttributeError):  # of an older driver
            return None

        def replay() -> None:
            self("cuGraphLaunch", ready, self.stream)

        weakref.finalize(replay, self.driver.cuGraphExecDestroy, ready).atexit = False
        return replay

    def wait(self, stream: int) -> None:
        self.enter()
        self("cuStreamSynchronize", c_void_p(stream))

    def synchronize(self) -> None:
        self.enter()
        self("cuStreamSynchronize", self.stream)
