"""The plan's interpreter: small native functions that run any plan.

A plan is a table of int64 words (see `jitgrad.runtime.table`). The Python function made here takes
the arrays of the inputs, and those of the results or makes them itself. It returns

    a tuple     the results, as arrays or in the objects that the caller wants around them
    16 bytes    where a kernel met an index that does not exist: the number of the launch, counted
                from 1, and the index
    an int      the position of an array that is not of the type, shape and layout it should be
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jitgrad.runtime import capi, loader, memory, pool
from jitgrad.runtime.links import ENTRY, HEADER, LAUNCH, POINTER, SPECIAL, Unlinked, linked

Array = tuple[tuple[int, ...], np.dtype]  # shape and dtype of an array that goes in or out

# Words of a plan's header: how many entries there are and the most pointers of a launch, bytes of
# the arena before "local" memory and of "local" memory for each thread, whether to let other Python
# threads run, how many arrays come in and go out; where what is known of these begins; what to put
# results into: size and the place of the array in it; then addresses.
ENTRIES, MOST, ARENA, LOCAL, HEAVY, INPUTS, OUTPUTS, SPECS = range(8)
WRAPPED, ARRAY_AT, API, POOL, MEMORY, PERFORM, RUNNER, SHARER = range(8, HEADER)
# What is known of an array: its dtype, dimensions, what to put it into (or 0), then extents.
SPEC = 3

# A job is what the threads that share an entry know of it: plan, entry, next chunk, number of the
# launch that failed (from 1), its index, bases of the caller, and how many there are.
JOB = 7
PLAN, AT, NEXT, FAILED, VALUE, BASES, COUNT = range(JOB)

# Runs chunks of a job until there are none. Each thread has bases of its own: its status words, 0,
# its local memory, the arena, and the arrays. Those of the caller, in seat 0, are the original.
RUN = f"""
def run(job, seat):
    plan = job[{PLAN}]
    entry = job[{AT}]
    bases, count = job[{BASES}], job[{COUNT}]
    status = stack(2)
    status[0] = 0
    if seat > 0:
        copy = stack(count)
        for k in range(count):
            copy[k] = bases[k]
        copy[2] += seat * entry[8]
        bases = copy
    bases[0] = status
    ptrs = stack(plan[{MOST}])
    chunks, tiles, step = entry[1], entry[2], entry[10]
    chunk = atomic_add(job, {NEXT}, 1) if chunks > 1 else 0
    while chunk < chunks:
        first, last = chunk * tiles // chunks, (chunk + 1) * tiles // chunks
        for turn in range(first - 1, last):
            tile, place, launches = turn, entry[6], entry[4]
            if turn < first:
                tile, place, launches = 0, {ENTRY}, entry[3]
            elif turn == tiles - 1 and entry[5] > 0:
                place, launches = entry[7], entry[5]
            for k in range(launches):
                launch = at(entry, place)
                for p in range(launch[4]):
                    x = at(launch, {LAUNCH} + {POINTER} * p)
                    ptrs[p] = bases[x[0]] + x[1] + tile * x[2] + chunk * x[3]
                lo, hi = tile * step, launch[3]
                hi = lo + step if step > 0 and lo + step < hi else hi
                call(launch[0], ptrs, at(plan, launch[2]), lo, hi)
                if status[0] != 0:
                    if atomic_replace(job, {FAILED}, 0, launch[1] + 1) == 0:
                        job[{VALUE}] = status[1]
                    atomic_store(job, {NEXT}, chunks)
                    return 0
                place += {LAUNCH} + {POINTER} * launch[4]
        chunk = atomic_add(job, {NEXT}, 1) if chunks > 1 else 1
    return 0
"""

# Runs all entries of a plan. The arena is the one that was used last, or a new one if another
# thread has it: its bytes, then memory of which the part from the next multiple of 64 on is used.
PERFORM_ALL = f"""
def perform(plan, job):
    api, pool = plan[{API}], plan[{POOL}]
    memory, bases = plan[{MEMORY}], job[{BASES}]
    limit = atomic_load(pool, {pool.LIMIT})
    need, block = plan[{ARENA}] + plan[{LOCAL}] * limit, 0
    if need > 0:
        block = atomic_exchange(memory, {memory.SPARE}, 0)
        if block != 0 and block[0] < need:
            atomic_add(memory, {memory.TOTAL}, -block[0])
            call(api[{capi.FREE}], block)
            block = 0
        if block == 0:
            block = call(api[{capi.MALLOC}], need + {memory.EXTRA})
            if block == 0:
                return 1
            block[0] = need
            total = atomic_add(memory, {memory.TOTAL}, need) + need
            if memory[{memory.PEAK}] < total:
                memory[{memory.PEAK}] = total
        bases[3] = (block + {memory.EXTRA - 1}) & -64
        bases[2] = bases[3] + plan[{ARENA}]
    state = 0
    if plan[{HEAVY}] != 0:
        state = call(api[{capi.SAVE}], 0)
    entry = at(plan, {HEADER})
    for k in range(plan[{ENTRIES}]):
        job[{AT}] = entry
        job[{NEXT}] = 0
        seats = 0
        if entry[9] != 0:
            seats = (limit if limit < entry[1] else entry[1]) - 1
            if seats > 0 and atomic_replace(pool, {pool.BUSY}, 0, 1) != 0:
                seats = 0
        if seats > 0:
            job[{pool.SEATED}] = seats
            call(plan[{SHARER}], pool, job)
            atomic_store(pool, {pool.BUSY}, 0)
        else:
            call(plan[{RUNNER}], job, 0)
        if job[{FAILED}] != 0:
            break
        entry = at(entry, entry[0])
    if plan[{HEAVY}] != 0:
        call(api[{capi.RESTORE}], state)
    if need > 0:
        if plan[{ENTRIES}] > 0:
            block = atomic_exchange(memory, {memory.SPARE}, block)
        if block != 0:
            atomic_add(memory, {memory.TOTAL}, -block[0])
            call(api[{capi.FREE}], block)
    return 0
"""

# What Python calls. The tuple of results is filled before the plan runs, so that whatever fails has
# one thing to drop. An object around a result is a copy of one that the caller gave for it, but for
# the array in it.
ENTER = f"""
def enter(me, arrays, count):
    plan = me[{capi.DATA}]
    api = plan[{API}]
    bases = stack({SPECIAL} + plan[{INPUTS}] + plan[{OUTPUTS}])
    bases[1] = 0
    spec = at(plan, plan[{SPECS}])
    for i in range(plan[{INPUTS}]):
        good = i < count
        array = arrays[i] if good else 0
        good = good and array[{capi.TYPE}] == api[{capi.NDARRAY}]
        good = good and array[{capi.DTYPE}] == spec[0]
        good = good and array[{capi.DIMENSIONS}] & {capi.INT} == spec[1]
        good = good and array[{capi.FLAGS}] & {capi.SOUND} == {capi.SOUND}
        for d in range(spec[1] if good else 0):
            good = good and array[{capi.EXTENTS}][d] == spec[{SPEC} + d]
        if not good or count > plan[{INPUTS}]:
            return call(api[{capi.INTEGER}], i)
        bases[{SPECIAL} + i] = array[{capi.DATA}]
        spec = at(spec, {SPEC} + spec[1])
    results = call(api[{capi.TUPLE}], plan[{OUTPUTS}])
    if results == 0:
        return 0
    for i in range(plan[{OUTPUTS}]):
        call(api[{capi.INCREF}], spec[0])
        extents = at(spec, {SPEC})
        array = call(api[{capi.EMPTY}], spec[1], extents, spec[0], 0)
        made = array
        if array != 0 and spec[2] != 0:
            like = spec[2]
            made = call(api[{capi.NEW}], like[{capi.TYPE}], 0)
            for w in range({capi.HEADER}, plan[{WRAPPED}] if made != 0 else 0):
                made[w] = array if w == plan[{ARRAY_AT}] else like[w]
                call(api[{capi.INCREF}], made[w])
            call(api[{capi.DECREF}], array)
        if made == 0:
            call(api[{capi.DECREF}], results)
            return 0
        call(api[{capi.SET_ITEM}], results, i, made, 0)
        bases[{SPECIAL} + plan[{INPUTS}] + i] = (array + {8 * capi.DATA})[0]
        spec = at(spec, {SPEC} + spec[1])
    job = stack({pool.JOB_SIZE})
    job[{PLAN}] = plan
    job[{BASES}] = bases
    job[{COUNT}] = {SPECIAL} + plan[{INPUTS}] + plan[{OUTPUTS}]
    job[{FAILED}] = 0
    short = call(plan[{PERFORM}], plan, job)
    if short == 0 and job[{FAILED}] == 0:
        return results
    call(api[{capi.DECREF}], results)
    if short != 0:
        return call(api[{capi.NO_MEMORY}], 0)
    return call(api[{capi.BYTES}], at(job, {FAILED}), 16)
"""


class MethodDef(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


METH_FASTCALL = 0x80


@functools.cache
def _definition() -> MethodDef:
    address = loader.routine(ENTER)
    return MethodDef(b"run_plan", address, METH_FASTCALL, None)


@functools.cache
def _addresses() -> list[int]:
    """The end of every header."""
    return [
        ctypes.addressof(capi.words()),
        ctypes.addressof(pool.words()),
        ctypes.addressof(memory.words()),
        loader.routine(PERFORM_ALL),
        loader.routine(RUN),
    ]


def table(
    plan: Unlinked,
    inputs: Sequence[Array],
    outputs: Sequence[Array],
    around: Around | None = None,
) -> np.ndarray:
    """All words of a plan, whose kernels must have been loaded or compiled."""
    words = linked(plan)
    specs = [_spec(array, 0) for array in inputs]
    likes = around.likes if around is not None else [None] * len(outputs)
    specs += [_spec(a, 0 if like is None else id(like)) for a, like in zip(outputs, likes)]
    header = [
        plan.count, plan.most, *plan.room, int(plan.heavy), len(inputs), len(outputs),
        HEADER + len(words), *((around.size, around.place) if around is not None else (0, 0)),
        *_addresses(), pool.sharer(_addresses()[-1]) if plan.shared else 0,
    ]  # fmt: skip
    return np.array([*header, *words, *itertools.chain(*specs)], np.int64)


def _spec(array: Array, like: int) -> list[int]:
    shape, dtype = array
    return [id(dtype), len(shape), like, *shape]


class Around:
    """What to put results into: for each an object like it, which holds `array` in a slot.

    Objects are of a class with `__slots__` and without a `__dict__`; a slot is a word.
    """

    def __init__(self, likes: Sequence[Any], array: np.ndarray):
        self.likes = list(likes)
        self.size = type(likes[0]).__basicsize__ // 8
        words = (ctypes.c_int64 * self.size).from_address(id(likes[0]))
        self.place = list(words).index(id(array))


def native_function(words: np.ndarray, kept: Any = None) -> Any:
    """A Python function that runs the plan in `words`; it keeps them and `kept` alive."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    return make(ctypes.addressof(_definition()), words, kept)
