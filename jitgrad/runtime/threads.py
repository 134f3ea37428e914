"""One thread policy: how many threads work on a plan; and BLAS, which stays in the thread it is
called from.

SciPy's BLAS keeps a pool of its own, whose threads spin while they wait: beside a busy core a
product of 20 µs then takes milliseconds. So its pool is sized to one thread when the first plan
that calls BLAS is loaded, and large products are cut into parts that the plan's threads share.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
from pathlib import Path

from jitgrad import config
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.runtime import pool

SETTERS = (
    "scipy_openblas_set_num_threads",
    "scipy_openblas_set_num_threads64_",
    "openblas_set_num_threads",
)


def set_num_threads(threads: int) -> None:
    """How many threads may work on a compiled function at once, the caller's among them.

    It holds for all Python threads from their next call on. Results have the same bits for any
    number. The environment variable JITGRAD_NUM_THREADS sets it at the start; otherwise it is the
    number of cores that the process may use.

    >>> import jitgrad as ms
    >>> before = ms.get_num_threads()
    >>> ms.set_num_threads(2)
    >>> ms.set_num_threads(before)

    Raises:
        TypeError: `threads` is no int.
        ValueError: it is less than 1.
    """
    if isinstance(threads, bool) or not isinstance(threads, int):
        kind = type(threads).__name__
        raise fail(DTypeError, f"set_num_threads got a {kind}", why="it takes an int")
    if threads < 1:
        raise fail(ArgumentError, f"set_num_threads got {threads}", why="at least one thread works")
    config.put("threads", threads)


def get_num_threads() -> int:
    """How many threads may work on a compiled function at once; 1 where the system has no POSIX
    threads.

    >>> import jitgrad as ms
    >>> ms.get_num_threads() >= 1
    True
    """
    return pool.limit()


def cores() -> int:
    """Cores that this process may use: two threads of one core count once."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:
        count = os.cpu_count() or 1
    siblings = Path("/sys/devices/system/cpu/smt/active")
    try:
        paired = siblings.read_text().strip() == "1"
    except OSError:
        paired = False
    return max(count // 2 if paired else count, 1)


def _libraries() -> list[Path]:
    """The OpenBLAS copies that SciPy's wheels carry; none where SciPy uses another BLAS."""
    found = importlib.util.find_spec("scipy")  # importing it would take longer than all the rest
    if found is None or found.origin is None:
        return []
    root = Path(found.origin).parent
    folders = (root.parent / "scipy.libs", root / ".dylibs")
    return [path for folder in folders if folder.is_dir() for path in folder.glob("*openblas*")]


@functools.cache
def size_blas_pool() -> int:
    """Give SciPy's BLAS one thread; returns how many libraries were told."""
    told = 0
    for path in _libraries():
        library = ctypes.CDLL(str(path))
        for name in SETTERS:
            setter = getattr(library, name, None)
            if setter is not None:
                setter(1)
                told += 1
    return told


config.follow("threads", lambda threads: pool.set_limit(threads or cores()))
