"""One thread policy: a plan's steps run one after the other, each in as many threads as set here.

SciPy's BLAS keeps a pool of its own, whose threads spin while they wait: beside a busy core a
product of 20 µs then takes milliseconds. So the pool is sized once, when the first plan that calls
BLAS is loaded, to `threads` of `jitgrad.config` (JITGRAD_NUM_THREADS, default 1).
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

from jitgrad import config

SETTERS = (
    "scipy_openblas_set_num_threads",
    "scipy_openblas_set_num_threads64_",
    "openblas_set_num_threads",
)


def _libraries() -> list[Path]:
    """The OpenBLAS copies that SciPy's wheels carry; none where SciPy uses another BLAS."""
    import scipy

    root = Path(scipy.__file__).parent
    folders = (root.parent / "scipy.libs", root / ".dylibs")
    return [path for folder in folders if folder.is_dir() for path in folder.glob("*openblas*")]


@functools.cache
def size_blas_pool() -> int:
    """Give SciPy's BLAS its threads; returns how many libraries were told."""
    told = 0
    for path in _libraries():
        library = ctypes.CDLL(str(path))
        for name in SETTERS:
            setter = getattr(library, name, None)
            if setter is not None:
                setter(config.get("threads"))
                told += 1
    return told
