"""Addresses of BLAS routines, from the library that SciPy carries."""

from __future__ import annotations

import ctypes
import functools

from jitgrad.runtime.threads import size_blas_pool


@functools.cache
def address(name: str) -> int:
    """The address of a Fortran BLAS routine such as ``sgemm``."""
    from scipy.linalg import cython_blas  # pyright: ignore[reportAttributeAccessIssue]

    size_blas_pool()
    capsule = cython_blas.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
