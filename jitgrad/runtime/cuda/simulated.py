"""The emulator's memory, and Numba's own simulator (NUMBA_ENABLE_CUDASIM=1) to run kernels.

Every thread is one of the system's, so NumPy's warnings are switched off in each. The simulator
would copy each array there and back, as if no two lay over one another: a kernel's come in a list.
And two of its threads that ask for a shared array at once may get one each: ours ask `_shared`.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numba import cuda

from jitgrad.codegen.compile import function
from jitgrad.codegen.cuda import names
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.codegen.vecmath.table import NUMPY_NAMES
from jitgrad.runtime.cuda.emulated import Emulated

IN_MEMORY = {"bool": "uint8", "f16": "uint16"}
ENTRY = """
def entry(args):
    with quiet():
        kernel(*args)
"""
TURN = 1e-4  # seconds: who waits for a block polls its threads, and keeps them from running


class Simulated(Emulated):
    """A machine for tests. `blocks`: of each grid at most; 0 for all."""

    def __init__(self, blocks: int = 0) -> None:
        super().__init__(blocks=blocks)
        self.compiled: dict[str, Any] = {}

    def run(self, grid: Grid, memory: Sequence[np.ndarray], blocks: int) -> None:
        if grid.source not in self.compiled:
            quiet = functools.partial(np.errstate, all="ignore")
            space = {**names.namespace_python(), **_typed_pointers(), "cuda": cuda, "quiet": quiet}
            space["shared_array"] = _shared()
            source = grid.source.replace("cuda.shared.array(", "shared_array(") + ENTRY
            self.compiled[grid.source] = cuda.jit(function(source, space, "entry"))
        if grid.codes:
            dtypes = [IN_MEMORY.get(c) or NUMPY_NAMES[c] for c in grid.codes]
            typed = [_typed(m, np.dtype(d)) for m, d in zip(memory, dtypes, strict=True)]
            args: list[Any] = [*typed, *grid.dims]
        else:
            count = grid.dims[0]
            args = [list(memory), list(grid.dims[1 : 1 + count]), *grid.dims[1 + count :]]
        with _short_turns():
            self.compiled[grid.source][blocks, grid.threads](args)


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    """Python's threads take turns often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _typed(memory: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Bytes as elements."""
    return memory[: memory.size // dtype.itemsize * dtype.itemsize].view(dtype)


def _shared() -> Callable[..., np.ndarray]:
    """What gives the threads of a block an array in common for each line that asks for one. Blocks
    run one after the other.
    """
    arrays: dict[int, np.ndarray] = {}

    def array(size: int, dtype: Any) -> np.ndarray:
        line = sys._getframe(1).f_lineno
        return arrays.setdefault(line, np.empty(size, dtype))  # one step, for all threads

    return array


def _typed_pointers() -> dict[str, Callable[..., Any]]:
    """The k-th array of a table as its dtype."""

    def opened(dtype: np.dtype) -> Callable[..., Any]:
        return lambda ptrs, k: _typed(ptrs[k], dtype)

    codes = (*NUMPY_NAMES.items(), ("f16", "float16"))
    return {f"{c}_ptr": opened(np.dtype(IN_MEMORY.get(c, name))) for c, name in codes}
