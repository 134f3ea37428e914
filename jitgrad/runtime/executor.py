"""The plan's interpreter: one small native function that runs any plan.

A plan is a table of int64 words:

    steps, most pointers of a step, PyEval_SaveThread or 0, PyEval_RestoreThread, PyLong_From…
    then for each step: kernel address, pointers, position of its dims, extent,
                        (base, byte offset) for each pointer
    then the dims

Bases are the data pointers of the arrays that the call passes, in order, then a status word, then
address 0. The Python function made here takes those arrays as positional arguments and returns 0,
or 65536 * value + step + 1 where a kernel met an index that does not exist.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from jitgrad.runtime import loader

HEADER = 5
# An ndarray object starts with Python's header; then comes its data pointer (NumPy's ABI).
DATA = object.__basicsize__

SOURCE = f"""
def entry(me, arrays, count):
    plan = table_at(word_at(me + {DATA}))
    bases = stack_table(count + 2)
    for i in range(count):
        bases[i] = word_at(arrays[i] + {DATA})
    status = stack_table(2)
    status[0] = 0
    status[1] = 0
    bases[count] = word_of(status)
    bases[count + 1] = 0
    ptrs = stack_table(plan[1])
    state = 0
    if plan[2] != 0:
        state = call_word(plan[2], 0)
    at = {HEADER}
    for step in range(plan[0]):
        pointers = plan[at + 1]
        for k in range(pointers):
            ptrs[k] = bases[plan[at + 4 + 2 * k]] + plan[at + 5 + 2 * k]
        call_kernel(plan[at], ptrs, offset_table(plan, plan[at + 2]), 0, plan[at + 3])
        if status[0] != 0:
            status[0] = status[1] * 65536 + step + 1
            break
        at += 4 + 2 * pointers
    if plan[2] != 0:
        call_word(plan[3], state)
    return call_word(plan[4], status[0])
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
    address = loader.address(SOURCE, "entry", ("i", "P", "i"), "i")
    return MethodDef(b"run_plan", address, METH_FASTCALL, None)


@functools.cache
def symbol_address(name: str) -> int:
    """The address of a function of the Python C API."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


def header(steps: int, most_pointers: int, release_gil: bool) -> list[int]:
    """The first words of a plan's table."""
    save = symbol_address("PyEval_SaveThread") if release_gil else 0
    restore = symbol_address("PyEval_RestoreThread")
    return [steps, max(most_pointers, 1), save, restore, symbol_address("PyLong_FromLongLong")]


def native_function(table: np.ndarray) -> Any:
    """A Python function that runs the plan in `table` (int64, kept alive by the function)."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(_definition()), table, None)
