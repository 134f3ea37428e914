"""What native code needs of Python and NumPy: addresses of their C functions, in one table.

All of them belong to the stable parts of both: functions that are promised to stay, NumPy's table
of them (whose positions never change), and how an object and an ndarray begin.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

PYTHON = (
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyLong_FromLongLong",
    "PyBytes_FromStringAndSize",
    "PyTuple_New",
    "PyTuple_SetItem",
    "Py_IncRef",
    "Py_DecRef",
    "PyType_GenericAlloc",
    "PyMem_RawMalloc",
    "PyMem_RawFree",
    "PyErr_NoMemory",
)
(
    SAVE, RESTORE, INTEGER, BYTES, TUPLE, SET_ITEM, INCREF, DECREF, NEW, MALLOC, FREE, NO_MEMORY,
    EMPTY, NDARRAY, SIZE,
) = range(len(PYTHON) + 3)  # fmt: skip

# Words of an object: its type is the last one of Python's header. In an ndarray there follow
# data, dimensions (an int), extents, strides, base, dtype, flags (an int).
HEADER = object.__basicsize__ // 8
TYPE, DATA, DIMENSIONS, EXTENTS, DTYPE, FLAGS = (HEADER + k for k in (-1, 0, 1, 2, 5, 6))
INT = 0xFFFFFFFF
SOUND = 0x101  # flags: C-contiguous and aligned
NUMPY_EMPTY = 184  # PyArray_Empty's position in NumPy's table of functions


@functools.cache
def words() -> ctypes.Array[ctypes.c_int64]:
    """The table. It is never freed: threads may use it to the end of the process."""
    found = (ctypes.c_int64 * SIZE)()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(found))
    for place, name in enumerate(PYTHON):
        found[place] = address(getattr(ctypes.pythonapi, name))
    found[EMPTY] = _numpy_table()[NUMPY_EMPTY]
    found[NDARRAY] = id(np.ndarray)
    return found


def address(function: Any) -> int:
    """Of a function that ctypes found."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def capsule(holder: Any) -> int:
    """The pointer in a capsule."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype = ctypes.c_void_p
    pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return pointer(holder, signature(holder))


def signature(holder: Any) -> bytes:
    """The name of a capsule: of one that Cython has made, the type of the function in it."""
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype = ctypes.c_char_p
    name.argtypes = [ctypes.py_object]
    return name(holder)


def _numpy_table() -> Any:
    from numpy._core import _multiarray_umath  # pyright: ignore[reportAttributeAccessIssue]

    return ctypes.cast(capsule(_multiarray_umath._ARRAY_API), ctypes.POINTER(ctypes.c_int64))
