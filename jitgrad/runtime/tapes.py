"""Memory of tapes: what loops of unknown length record. Kernels grow it; it goes with its arena."""

from __future__ import annotations

import ctypes
import functools
import weakref

import numpy as np

from jitgrad.passes.plan import ALIGNMENT


@functools.cache
def _free() -> object:
    libc = ctypes.CDLL(None)
    libc.free.argtypes = [ctypes.c_void_p]
    libc.free.restype = None
    return libc.free


def own(arena: np.ndarray, nbytes: int) -> None:
    """Clear the descriptors at the beginning of an arena; what they come to point to is freed when
    the arena is dropped. It must be a view, whose memory the descriptors can outlive it in.
    """
    descriptors = arena[:nbytes].view(np.int64)
    descriptors[:] = 0
    weakref.finalize(arena, release, descriptors)


def release(descriptors: np.ndarray) -> None:
    """Free the tapes of an arena, and leave them empty."""
    free = _free()
    for at in range(0, len(descriptors), ALIGNMENT // 8):
        if descriptors[at]:
            free(int(descriptors[at]))  # type: ignore[operator]
        descriptors[at : at + 4] = 0
