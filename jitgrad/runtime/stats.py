"""What compiled functions keep of memory, for users."""

from __future__ import annotations

from jitgrad.runtime import executor, memory
from jitgrad.runtime.links import Unlinked


def memory_stats() -> dict[str, int]:
    """What compiled functions keep of memory between their calls, in bytes, and how often.

    arena      in arenas, for what lives only while a function runs
    kept       in the memory of large results: of those that are alive, and for later ones
    free       the part of `kept` that no array uses
    allocated  large results that got fresh memory
    recycled   large results that got memory of earlier ones

    `arena_peak` and `kept_peak` are the most there was since the start or the last `empty_cache`.

    >>> import jitgrad as ms
    >>> sorted(ms.memory_stats())
    ['allocated', 'arena', 'arena_peak', 'free', 'kept', 'kept_peak', 'recycled']
    """
    return memory.counts()


def empty_cache() -> None:
    """Give back the memory that nothing uses. Arrays that are alive stay as they are.

    >>> import jitgrad as ms
    >>> ms.empty_cache()
    >>> stats = ms.memory_stats()
    >>> stats["kept"], stats["arena"]
    (0, 0)
    """
    if memory.words()[memory.TOTAL] > 0:  # a plan without entries keeps no arena
        executor.native_function(executor.table(Unlinked(room=(1, 0)), [], []))()
    memory.forget()
