"""From a kernel's text to PTX and machine code, and what it needs, without a GPU.

PTX comes from Numba and NVVM, machine code and its figures from `ptxas`, both of the installed
wheels (``pip install jitgrad[cuda]``). PTX is made once, for the oldest architecture: it holds
nothing that newer ones do better, Numba takes most of the time, and `ptxas` knows them all.
"""

from __future__ import annotations

import functools
import re
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jitgrad.codegen.compile import function
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.cuda.names import namespace_numba
from jitgrad.errors import DeviceError, fail

ENTRY = re.compile(r"\.entry\s+([\w$]+)")
USED = re.compile(r"Used (\d+) registers")
SPILLED = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
STACK = re.compile(r"(\d+) bytes stack frame")
SHARED = re.compile(r"(\d+) bytes smem")
# Of a multiprocessor: registers, bytes of shared memory, warps, blocks.
LIMITS = {
    (7, 5): (65536, 65536, 32, 16),
    (8, 0): (65536, 167936, 64, 32),
    (9, 0): (65536, 233472, 64, 32),
}
OLDEST = (7, 5)  # the first with all instructions that kernels use
HMMA = 0x23C  # the operation of tensor cores on float16
WARP, GRANULE = 32, 256  # registers are handed out to warps by so many


@dataclass(frozen=True, slots=True)
class Needs:
    """What one block of a kernel takes of a multiprocessor; sizes in bytes."""

    registers: int  # of a thread
    spills: int
    stack: int
    shared: int
    occupancy: float  # of the warps that a multiprocessor can hold, those that fit


def signature(grid: Grid) -> Any:
    """The types of a kernel's parameters, for Numba."""
    from numba.core import types

    from jitgrad.codegen.intrinsics import NUMBA_TYPES

    if not grid.codes:  # tables of addresses and integers, and what is left over
        tables = [types.CPointer(types.int64)] * 2
        return types.void(*tables, *[types.int64] * (len(grid.dims) - grid.dims[0] - 1))
    held = {"bool": types.uint8, "f16": types.uint16}
    pointers = [types.CPointer(held.get(c) or NUMBA_TYPES[c]) for c in grid.codes]
    return types.void(*pointers, *[types.int64] * len(grid.dims))


@functools.lru_cache(maxsize=1024)
def _ptx(text: str, types: Any, capability: tuple[int, int]) -> str:
    from numba import cuda

    compiler: Any = cuda
    kernel: Callable[..., Any] = function(text, namespace_numba())
    return compiler.compile_ptx(kernel, types, cc=capability)[0]


def ptx(grid: Grid, capability: tuple[int, int] = (8, 0)) -> str:
    """The PTX of a launch's kernel for devices from a compute capability on."""
    return _ptx(grid.source, signature(grid), min(capability, OLDEST))


@functools.cache
def assembler() -> Path:
    """The `ptxas` of the CUDA wheels; DeviceError without it."""
    import importlib.util

    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        for found in sorted(Path(folder).glob("*/bin/ptxas*")):
            return found
    raise fail(
        DeviceError,
        "ptxas is not installed",
        instead="pip install jitgrad[cuda]",
    )


@functools.lru_cache(maxsize=1024)
def assembled(text: str, capability: tuple[int, int]) -> tuple[bytes, str]:
    """Machine code for a text of PTX, and what `ptxas` says about it."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "kernel.ptx"), Path(folder, "out")
        path.write_text(text)
        architecture = "sm_{}{}".format(*capability)
        command = [assembler(), "-v", f"-arch={architecture}", path, "-o", out]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        return out.read_bytes(), report


def image(grid: Grid, capability: tuple[int, int]) -> tuple[bytes, bytes]:
    """What the driver loads for a launch, and the name of the kernel in it."""
    text = ptx(grid, capability)
    return assembled(text, capability)[0], _first(ENTRY, text).encode()


def needs(grid: Grid, capability: tuple[int, int] = (8, 0)) -> Needs:
    """Registers, spills, stack and shared memory of a launch's kernel, and its occupancy."""
    report = assembled(ptx(grid, capability), capability)[1]
    registers, shared = int(_first(USED, report)), int(_first(SHARED, report))
    spills = sum(map(int, SPILLED.search(report).groups())) if SPILLED.search(report) else 0  # type: ignore[union-attr]
    stack = int(_first(STACK, report))
    occupancy = _occupancy(registers, shared, grid.threads, capability)
    return Needs(registers, spills, stack, shared, occupancy)


def opcodes(image: bytes) -> Counter[int]:
    """How often each operation is in machine code: the low 12 bits of its 16 bytes."""
    (headers,) = struct.unpack_from("<Q", image, 40)  # ELF's table of sections
    size, count, names = struct.unpack_from("<HHH", image, 58)
    sections = [struct.unpack_from("<IIQQQQ", image, headers + i * size) for i in range(count)]
    found: Counter[int] = Counter()
    for name, _, _, _, start, length in sections:
        if image.startswith(b".text", sections[names][4] + name):
            words = range(start, start + length, 16)
            found.update([struct.unpack_from("<H", image, at)[0] & 0xFFF for at in words])
    return found


def _first(pattern: re.Pattern[str], report: str) -> str:
    found = pattern.search(report)
    return found[1] if found else "0"


def _occupancy(registers: int, shared: int, threads: int, capability: tuple[int, int]) -> float:
    """The part of a multiprocessor's warps that can be there at once."""
    file, memory, warps, blocks = LIMITS[capability]
    each = -(-threads // WARP)
    of_warp = -(-max(registers, 1) * WARP // GRANULE) * GRANULE
    fits = min(blocks, warps // each, file // (of_warp * each))
    if shared:
        fits = min(fits, memory // shared)
    return fits * each / warps
