"""The CUDA frame: the same kernel for `numba.cuda`, its outermost loop strided over the grid.

    kernel(a0, …, r0, …, dims, extent)

Arrays are flat device arrays, `dims` the integer parameters, `extent` that of the outermost loop.
Every thread takes the same indices in every loop of the kernel, so no barrier is needed.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np

from jitgrad.codegen.compile import function, plain_names
from jitgrad.codegen.cpu import INDENT, statements
from jitgrad.codegen.loops import Kernel

GRID = "range(cuda.grid(1), extent, cuda.gridsize(1))"
THREADS = 128  # of a block: four warps
# What kernels load and store in the place of dtypes that they do not compute in.
IN_MEMORY = {np.dtype(np.bool_): np.dtype(np.uint8), np.dtype(np.float16): np.dtype(np.uint16)}


def source(kernel: Kernel) -> str:
    """The kernel's text in the CUDA frame."""
    text = "\n".join(statements(kernel.body, GRID, INDENT))
    used = set(re.findall(r"\w+", text))
    head = [f"{p} = dims[{i}]" for i, p in enumerate(kernel.parameters) if p in used]
    names = ", ".join(a.name for a in kernel.arrays)
    return "\n".join([f"def kernel({names}, dims, extent):", *(INDENT + h for h in head), text, ""])


def simulate(
    kernel: Kernel, arrays: list[np.ndarray], threads: int = THREADS, blocks: int | None = None
) -> None:
    """Run a kernel in Numba's CUDA simulator (NUMBA_ENABLE_CUDASIM=1), on flat arrays in place.

    `blocks` of `threads` threads each; by default as many as cover the outermost loop.
    """
    from numba import cuda

    namespace: dict[str, Any] = {**plain_names(), "cuda": cuda}
    compiled: Any = cuda.jit(function(source(kernel), namespace))
    flat = [a.view(IN_MEMORY.get(a.dtype, a.dtype)) for a in arrays]
    dims = np.array(kernel.values or [0], np.int64)
    if blocks is None:
        blocks = max(1, -(-kernel.extent // threads))
    with warnings.catch_warnings():  # machine code does not warn of an overflow
        warnings.simplefilter("ignore", RuntimeWarning)
        compiled[blocks, threads](*flat, dims, kernel.extent)
