"""Memory that plans use again: arenas, and the large arrays that they hand back.

An arena belongs to a running plan for the time of one call, and to nobody afterwards; the next
plan of any function takes the one that was used last, which is still in the cache. It grows to the
largest need that there was.

Large results come from blocks that are kept. A block is free when nobody refers to it any more:
neither the array that was handed out, nor a view of it. Fresh memory costs a page fault for every
4 kB, as much time as a simple kernel takes to fill it. What is kept is bounded; the sizes that
were not asked for longest go first.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque

import numpy as np

from jitgrad import config
from jitgrad.passes.plan import ALIGNMENT

LARGE = 1 << 18  # bytes of a result from which its memory is kept
TRIES = 4  # blocks of a size that are looked at: the oldest are the likeliest to be free

arenas: list[np.ndarray] = []  # those that no plan is using
_blocks: dict[int, deque[np.ndarray]] = {}  # by bytes, those asked for last at the end
_counts = {"arena": 0, "kept": 0, "peak": 0, "allocated": 0, "recycled": 0}


def _aligned(nbytes: int) -> np.ndarray:
    raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


def _count(name: str, change: int) -> None:
    _counts[name] += change
    _counts["peak"] = max(_counts["peak"], _counts["arena"] + _counts["kept"])


# --- arenas -------------------------------------------------------------------------------------


def arena(nbytes: int) -> np.ndarray:
    """An arena of at least so many bytes; append it to `arenas` when the plan has run."""
    try:
        found = arenas.pop()
    except IndexError:  # the first call, or other threads have them all
        found = None
    if found is None or found.nbytes < nbytes:
        _count("arena", nbytes - (found.nbytes if found is not None else 0))
        found = _aligned(nbytes)
    return found


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


# --- for users ----------------------------------------------------------------------------------


def memory_stats() -> dict[str, int]:
    """What compiled functions keep of memory between their calls, in bytes, and how often.

    arena      in arenas, for what lives only while a function runs
    kept       in the memory of large results: of those that are alive, and for later ones
    free       the part of `kept` that no array uses
    peak       the largest sum of `arena` and `kept` since the start or the last `empty_cache`
    allocated  large results that got fresh memory
    recycled   large results that got memory of earlier ones

    >>> import jitgrad as ms
    >>> sorted(ms.memory_stats())
    ['allocated', 'arena', 'free', 'kept', 'peak', 'recycled']
    """
    with _lock:
        free = 0
        for size, blocks in _blocks.items():
            for _ in range(len(blocks)):
                block = blocks.popleft()
                free += size if sys.getrefcount(block) <= UNUSED else 0
                blocks.append(block)
        return {**_counts, "free": free}


def empty_cache() -> None:
    """Give back the memory that nothing uses. Arrays that are alive stay as they are.

    >>> import jitgrad as ms
    >>> ms.empty_cache()
    >>> ms.memory_stats()["kept"]
    0
    """
    with _lock:
        _blocks.clear()
        while arenas:
            _counts["arena"] -= arenas.pop().nbytes
        _counts["kept"] = 0
        _counts["peak"] = _counts["arena"]


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it


_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
