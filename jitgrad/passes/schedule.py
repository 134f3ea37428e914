"""Which loop nest a fused region becomes, decided from its shape alone."""

from __future__ import annotations

import functools
import math

BLOCK = 4096  # elements of a partial sum: its buffers stay in the L1 cache
LONGEST_ROW = 1 << 16  # a longer reduction to few results is split into blocks
SHORT = 16  # steps of a reduction that are written out, one after the other
LANES = 256  # of so many elements at least


@functools.lru_cache(maxsize=512)
def kept(domain: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of the domain that are not reduced."""
    return tuple(a for a in range(len(domain)) if a not in axes)


@functools.lru_cache(maxsize=512)
def schedule(domain: tuple[int, ...], axes: tuple[int, ...] | None) -> str:
    """The kind of loop nest.

    map      every element on its own.
    row      the innermost axis is reduced: scalars accumulate, then may be read again.
    column   the innermost axis is kept: a row of results accumulates.
    short    few steps of many results, which fill the vectors: each reduction is written out.
    blocked  everything is reduced and it is long: partial results, block by block.
    """
    if not axes:
        return "map"
    rows = math.prod(domain[a] for a in kept(domain, axes))
    length = math.prod(domain[a] for a in axes)
    if rows == 1 and length > LONGEST_ROW:
        return "blocked"
    last = max((a for a, n in enumerate(domain) if n > 1), default=-1)
    if last in axes or last == -1:
        return "short" if 1 < length <= SHORT and rows >= LANES else "row"
    return "short" if 1 < length <= SHORT and domain[last] >= LANES else "column"
