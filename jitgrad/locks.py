"""Locks that no thread holds in a forked child: a fork waits for those who hold them.

`compiling` is held by whoever lowers, compiles or loads code, with all that is imported and all of
LLVM that is used for it. Every other lock is a `leaf`: held for a few lines, in which no further
one is taken.
"""

from __future__ import annotations

import os
import threading

compiling = threading.RLock()
_leaves: list[threading.Lock] = []


def leaf() -> threading.Lock:
    """A new lock of a module; it is never given back."""
    made = threading.Lock()
    _leaves.append(made)
    return made


def _acquire() -> None:
    compiling.acquire()
    for lock in _leaves:
        lock.acquire()


def _release() -> None:
    for lock in _leaves:
        lock.release()
    compiling.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_release)
