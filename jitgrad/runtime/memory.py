"""Memory that plans use again: arenas, and the large arrays that they hand back.

An arena belongs to a running plan for the time of one call. One is kept afterwards, for the next
plan of any function: it has grown to the largest need that there was, and is still in the cache.
Plans that run at the same time in other threads get arenas of their own.

Large results come from blocks that are kept. A block is free when nobody refers to it any more:
neither the array that was handed out, nor a view of it. Fresh memory costs a page fault for every
4 kB, as much time as a simple kernel takes to fill it. What is kept is bounded; the sizes that
were not asked for longest go first.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections import deque

import numpy as np

from jitgrad import config, locks
from jitgrad.ir.types import ALIGNMENT

LARGE = 1 << 18  # bytes of a result from which its memory is kept
TRIES = 4  # blocks of a size that are looked at: the oldest are the likeliest to be free

# Words that native code shares: the arena that no plan is using, bytes of all arenas, and the most
# there were. A block of an arena begins with its size; EXTRA is what that and alignment take.
SPARE, TOTAL, PEAK = range(3)
EXTRA = 2 * ALIGNMENT

_blocks: dict[int, deque[np.ndarray]] = {}  # by bytes, those asked for last at the end
_counts = {"kept": 0, "kept_peak": 0, "allocated": 0, "recycled": 0}


@functools.cache
def words() -> ctypes.Array[ctypes.c_int64]:
    """They are never freed: threads may use them to the end of the process."""
    found = (ctypes.c_int64 * 8)()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(found))
    return found


def _count(name: str, change: int) -> None:
    _counts[name] += change
    _counts["kept_peak"] = max(_counts["kept_peak"], _counts["kept"])


# --- results ------------------------------------------------------------------------------------


def result(shape: tuple[int, ...], dtype: np.dtype, nbytes: int) -> np.ndarray:
    """A large array of any content, over a block that nobody uses if there is one."""
    with _lock:
        blocks = _blocks.pop(nbytes, None) or deque()
        block = _unused(blocks)
        if block is not None:
            _count("recycled", 1)
            blocks.append(block)
        else:
            _count("allocated", 1)
            block = np.empty(nbytes + ALIGNMENT, np.uint8)
            if _make_room(nbytes, blocks):
                blocks.append(block)
        if blocks:
            _blocks[nbytes] = blocks  # at the end: asked for last
        return np.ndarray(shape, dtype, block, -block.ctypes.data % ALIGNMENT)


def _unused(blocks: deque[np.ndarray]) -> np.ndarray | None:
    """Take a block that nobody else refers to."""
    for _ in range(min(len(blocks), TRIES)):
        block = blocks.popleft()
        if sys.getrefcount(block) <= UNUSED:
            return block
        blocks.append(block)
    return None


def _references() -> int:
    block = np.empty(0)
    return sys.getrefcount(block)


UNUSED = _references()  # what `sys.getrefcount` says of a block that one variable refers to


def _make_room(nbytes: int, blocks: deque[np.ndarray]) -> bool:
    """Forget blocks until another one may be kept; False if it is too large. `blocks` are those of
    its size.
    """
    limit = config.get("kept") << 20
    if nbytes > limit:
        return False
    while _counts["kept"] + nbytes > limit:
        size = next(iter(_blocks), nbytes)
        oldest = _blocks.get(size, blocks)
        oldest.popleft()
        if not oldest:
            _blocks.pop(size, None)
        _count("kept", -size)
    _count("kept", nbytes)
    return True


# --- what there is --------------------------------------------------------------------------------


def counts() -> dict[str, int]:
    """See `jitgrad.memory_stats`."""
    with _lock:
        free = 0
        for size, blocks in _blocks.items():
            for _ in range(len(blocks)):
                block = blocks.popleft()
                free += size if sys.getrefcount(block) <= UNUSED else 0
                blocks.append(block)
        arenas = {"arena": words()[TOTAL], "arena_peak": words()[PEAK]}
        return {**_counts, **arenas, "free": free}


def forget() -> None:
    """Keep no results; count the peaks anew."""
    with _lock:
        _blocks.clear()
        _counts["kept"] = _counts["kept_peak"] = 0
        words()[PEAK] = words()[TOTAL]


_lock = locks.leaf()
