"""Kernels as what a driver loads: compiled once, then fetched from the disk cache, whose rules are
those of all object code. A process that finds everything there imports neither Numba nor NVVM.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from jitgrad.codegen.cuda import offline
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.runtime import cache


@functools.cache
def compilers() -> bytes:
    """What machine code depends on besides a kernel's text: the versions of Numba and `ptxas`."""
    spec = importlib.util.find_spec("numba_cuda")
    folders = spec.submodule_search_locations if spec is not None else None
    versions = [Path(folder, "VERSION").read_text() for folder in folders or ()]
    assembler = offline.assembler().stat()
    return "|".join([*versions, str(assembler.st_size), str(assembler.st_mtime_ns)]).encode()


def image(grid: Grid, capability: tuple[int, int]) -> tuple[bytes, bytes]:
    """Machine code for a launch, and the name of the kernel in it."""
    kind = "\0{}\0sm_{}{}\0".format(",".join(grid.codes), *capability).encode()
    key = cache.name_of(compilers(), kind, grid.source.encode())
    found = cache.load_object(key)
    if found is None:
        code, name = offline.image(grid, capability)
        found = name.decode(), code
        cache.store_object(key, *found)
    return found[1], found[0].encode()
