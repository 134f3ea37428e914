"""The emulator's memory, and Numba's own simulator (NUMBA_ENABLE_CUDASIM=1) to run kernels.

Every thread is one of the system's, so NumPy's warnings are switched off in each.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import cuda

from jitgrad.codegen.compile import function
from jitgrad.codegen.cpu import INDENT
from jitgrad.codegen.cuda import names
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.vecmath.table import NUMPY_NAMES
from jitgrad.runtime.cuda.emulated import Emulated

IN_MEMORY = {"bool": "uint8", "f16": "uint16"}


class Simulated(Emulated):
    """A machine for tests. `blocks`: of each grid at most; 0 for all."""

    def __init__(self, blocks: int = 0) -> None:
        super().__init__(blocks=blocks)
        self.compiled: dict[str, Any] = {}

    def run(self, grid: Grid, memory: Sequence[np.ndarray], blocks: int) -> None:
        if grid.source not in self.compiled:
            head, _, body = grid.source.partition("\n")
            text = f"{head}\n    with quiet():\n{textwrap.indent(body, INDENT)}"
            quiet = functools.partial(np.errstate, all="ignore")
            space = {**names.namespace_python(), **_typed_pointers(), "cuda": cuda, "quiet": quiet}
            self.compiled[grid.source] = cuda.jit(function(text, space))
        if grid.codes:
            dtypes = [IN_MEMORY.get(c) or NUMPY_NAMES[c] for c in grid.codes]
            typed = [_typed(m, np.dtype(d)) for m, d in zip(memory, dtypes, strict=True)]
            args: list[Any] = [*typed, *grid.dims]
        else:
            count = grid.dims[0]
            args = [list(memory), list(grid.dims[1 : 1 + count]), *grid.dims[1 + count :]]
        self.compiled[grid.source][blocks, grid.threads](*args)


def _typed(memory: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Bytes as elements; the simulator takes no array of none."""
    whole = memory[: memory.size // dtype.itemsize * dtype.itemsize].view(dtype)
    return whole if whole.size else np.zeros(1, dtype)


def _typed_pointers() -> dict[str, Callable[..., Any]]:
    """The k-th array of a table as its dtype."""

    def opened(dtype: np.dtype) -> Callable[..., Any]:
        return lambda ptrs, k: _typed(ptrs[k], dtype)

    codes = (*NUMPY_NAMES.items(), ("f16", "float16"))
    return {f"{c}_ptr": opened(np.dtype(IN_MEMORY.get(c, name))) for c, name in codes}
