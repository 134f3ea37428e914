"""Threads that help to run a plan: a native pool, without Python and its lock.

The threads are POSIX threads, started when the first entry is shared. They wait for work by
spinning for some microseconds, because the next entry of a plan follows soon, and then asleep.

What is shared is a *job*: the chunks of one entry (see `jitgrad.runtime.executor`), which are
taken one by one from a counter. Whoever calls works as well. A thread joins a job through the
*gate*, a word that holds the number of the job and the seats that are left. The caller closes the
gate when there are no more chunks, and waits for those who have joined: a thread that wakes up too
late is not waited for. The pool serves one caller at a time; another one does its work alone.

Without POSIX threads (Windows) every plan runs in one thread.
"""

from __future__ import annotations

import ctypes
import functools
import os

from jitgrad.runtime import capi, loader
from jitgrad.runtime.capi import INT

# Words of the pool: a cache line each for the lock of callers, the gate, and the sleepers.
BUSY, LIMIT, WORKERS, JOB, THREAD = range(5)
GATE, SLEEPERS = 8, 16
CREATE, LOCK, UNLOCK, WAIT, SIGNAL, YIELD, WORK, RUN = range(24, 32)
MUTEX, CONDITION, SIZE = 32, 48, 64
LINE = 64  # bytes
SEATS = 0xFFFF  # of the gate; the number of the job is in the bits above

# Words of a job, from its own numbers on: what `run` needs comes first.
SHARED = 8
SEATED, LEFT = SHARED, SHARED + 1
JOB_SIZE = 16

SPINS = 1000  # pauses of 40 to 140 cycles: tens of microseconds

SHARE = f"""
def share(pool, job):
    seats = job[{SEATED}]
    while pool[{WORKERS}] < seats:
        thread = at(pool, {THREAD})
        if call(pool[{CREATE}], thread, 0, pool[{WORK}], pool) & {INT} != 0:
            break
        pool[{WORKERS}] += 1
    pool[{JOB}] = job
    job[{LEFT}] = 0
    gate = ((pool[{GATE}] >> 16) + 1) << 16
    atomic_store(pool, {GATE}, gate + seats)
    mutex = at(pool, {MUTEX})
    if atomic_load(pool, {SLEEPERS}) > 0:
        call(pool[{LOCK}], mutex)
        for k in range(seats if seats < pool[{SLEEPERS}] else pool[{SLEEPERS}]):
            call(pool[{SIGNAL}], at(pool, {CONDITION}))
        call(pool[{UNLOCK}], mutex)
    call(pool[{RUN}], job, 0)
    joined = seats - (atomic_exchange(pool, {GATE}, gate) - gate)
    turns = 0
    while atomic_load(job, {LEFT}) < joined:
        pause()
        turns += 1
        if turns > {SPINS}:
            call(pool[{YIELD}], 0)
    return 0
"""

WORKER = f"""
def worker(pool, unused):
    mutex = at(pool, {MUTEX})
    condition = at(pool, {CONDITION})
    seen = -1
    while True:
        gate, turns = atomic_load(pool, {GATE}), 0
        while gate >> 16 == seen and turns < {SPINS}:
            pause()
            turns += 1
            gate = atomic_load(pool, {GATE})
        if gate >> 16 == seen:
            call(pool[{LOCK}], mutex)
            atomic_add(pool, {SLEEPERS}, 1)
            while atomic_load(pool, {GATE}) >> 16 == seen:
                call(pool[{WAIT}], condition, mutex)
            atomic_add(pool, {SLEEPERS}, -1)
            call(pool[{UNLOCK}], mutex)
            gate = atomic_load(pool, {GATE})
        seen = gate >> 16
        while gate >> 16 == seen and gate & {SEATS} > 0:
            found = atomic_replace(pool, {GATE}, gate, gate - 1)
            if found == gate:
                job = pool[{JOB}]
                call(pool[{RUN}], job, gate & {SEATS})
                atomic_add(job, {LEFT}, 1)
                break
            gate = found
    return 0
"""

FUNCTIONS = {
    CREATE: "pthread_create",
    LOCK: "pthread_mutex_lock",
    UNLOCK: "pthread_mutex_unlock",
    WAIT: "pthread_cond_wait",
    SIGNAL: "pthread_cond_signal",
    YIELD: "sched_yield",
}


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The C library; None where it has no POSIX threads."""
    if os.name != "posix":
        return None
    library = ctypes.CDLL(None)
    needed = (*FUNCTIONS.values(), "pthread_mutex_init", "pthread_cond_init")
    return library if all(hasattr(library, name) for name in needed) else None


@functools.cache
def words() -> ctypes.Array[ctypes.c_int64]:
    """The pool's words. They are never freed: its threads may outlive the interpreter."""
    raw = (ctypes.c_int64 * (SIZE + LINE // 8))()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(raw))
    pool = (ctypes.c_int64 * SIZE).from_buffer(raw, -ctypes.addressof(raw) % LINE)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(pool))
    pool[LIMIT] = 1
    _reset(pool)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _reset(pool))
    return pool


def _reset(pool: ctypes.Array[ctypes.c_int64]) -> None:
    """As it is before any thread was started: a forked child has none."""
    for word in (BUSY, WORKERS, SLEEPERS):
        pool[word] = 0
    library = _library()
    if library is not None:
        address = ctypes.addressof(pool)
        library.pthread_mutex_init(ctypes.c_void_p(address + 8 * MUTEX), None)
        library.pthread_cond_init(ctypes.c_void_p(address + 8 * CONDITION), None)


@functools.cache
def sharer(run: int) -> int:
    """The address of the function that shares a job; threads run it by the function at `run`."""
    pool, library = words(), _library()
    pool[RUN] = run
    if library is not None:
        for word, name in FUNCTIONS.items():
            pool[word] = capi.address(getattr(library, name))
        pool[WORK] = loader.routine(WORKER)
    return loader.routine(SHARE)


def limit() -> int:
    """How many threads may work on a plan, the caller's among them."""
    return words()[LIMIT]


def set_limit(threads: int) -> None:
    """Change it; one where the system has no POSIX threads."""
    words()[LIMIT] = min(threads, SEATS) if _library() is not None else 1
