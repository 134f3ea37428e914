"""The plan's interpreter: one small native function that runs any plan.

A plan is a table of int64 words (see `jitgrad.runtime.table`). The Python function made here takes
arrays as positional arguments, the last one of them the arena, if the plan has one. It returns 0,
or, where a kernel met an index that does not exist, 16 bytes: the number of the launch, counted
from 1, and the index.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from jitgrad.runtime import loader
from jitgrad.runtime.table import ENTRY, LAUNCH, POINTER, SPECIAL

HEADER = 8
# An ndarray object starts with Python's header; then comes its data pointer (NumPy's ABI).
DATA = object.__basicsize__

# A job is what the threads that share an entry know of it: plan, entry, next chunk, number of the
# launch that failed (from 1), its index.
JOB = 5
PLAN, AT, NEXT, FAILED, VALUE = range(JOB)

RUN = f"""
def run(job, bases):
    plan = table_at(job[{PLAN}])
    entry = table_at(job[{AT}])
    status = table_at(bases[0])
    ptrs = stack_table(plan[1])
    chunks, tiles = entry[1], entry[2]
    chunk = atomic_add(job, {NEXT}, 1) if chunks > 1 else 0
    while chunk < chunks:
        first, last = chunk * tiles // chunks, (chunk + 1) * tiles // chunks
        for turn in range(first - 1, last):
            tile, at, count = turn, entry[6], entry[4]
            if turn < first:
                tile, at, count = 0, {ENTRY}, entry[3]
            elif turn == tiles - 1 and entry[5] > 0:
                at, count = entry[7], entry[5]
            for k in range(count):
                launch = offset_table(entry, at)
                for p in range(launch[5]):
                    place = offset_table(launch, {LAUNCH} + {POINTER} * p)
                    ptrs[p] = bases[place[0]] + place[1] + tile * place[2] + chunk * place[3]
                lo, hi, step = 0, launch[3], launch[4]
                if step > 0:
                    lo = tile * step
                    hi = lo + step if lo + step < hi else hi
                call_kernel(launch[0], ptrs, offset_table(plan, launch[2]), lo, hi)
                if status[0] != 0:
                    if atomic_swap(job, {FAILED}, 0, launch[1] + 1) == 0:
                        job[{VALUE}] = status[1]
                    atomic_store(job, {NEXT}, chunks)
                    return 0
                at += {LAUNCH} + {POINTER} * launch[5]
        chunk = atomic_add(job, {NEXT}, 1) if chunks > 1 else 1
    return 0
"""

ENTER = f"""
def enter(me, arrays, count):
    plan = table_at(word_at(me + {DATA}))
    bases = stack_table(count + {SPECIAL + 2})
    bases[0] = word_of(offset_table(bases, count + {SPECIAL}))
    bases[1] = 0
    for i in range(count):
        bases[i + {SPECIAL}] = word_at(arrays[i] + {DATA})
    bases[2] = bases[count + {SPECIAL - 1}] + plan[2]
    bases[count + {SPECIAL}] = 0
    job = stack_table({JOB})
    job[{PLAN}] = word_of(plan)
    job[{FAILED}] = 0
    state = 0
    if plan[3] != 0:
        state = call_word(plan[3], 0)
    entry = offset_table(plan, {HEADER})
    for k in range(plan[0]):
        job[{AT}] = word_of(entry)
        job[{NEXT}] = 0
        call_words(plan[7], word_of(job), word_of(bases))
        if job[{FAILED}] != 0:
            break
        entry = offset_table(entry, entry[0])
    if plan[3] != 0:
        call_word(plan[4], state)
    if job[{FAILED}] != 0:
        return call_words(plan[6], word_of(offset_table(job, {FAILED})), 16)
    return call_word(plan[5], 0)
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
    address = loader.address(ENTER, "enter", ("i", "P", "i"), "i")
    return MethodDef(b"run_plan", address, METH_FASTCALL, None)


@functools.cache
def symbol_address(name: str) -> int:
    """The address of a function of the Python C API."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


def header(entries: int, most_pointers: int, arena: int, release_gil: bool) -> list[int]:
    """The first words of a plan's table."""
    return [
        entries,
        most_pointers,
        arena,
        symbol_address("PyEval_SaveThread") if release_gil else 0,
        symbol_address("PyEval_RestoreThread"),
        symbol_address("PyLong_FromLongLong"),
        symbol_address("PyBytes_FromStringAndSize"),
        loader.address(RUN, "run", ("P", "P"), "i"),
    ]


def native_function(table: np.ndarray) -> Any:
    """A Python function that runs the plan in `table` (int64, kept alive by the function)."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(_definition()), table, None)
