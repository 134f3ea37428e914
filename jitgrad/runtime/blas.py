"""Addresses of BLAS routines, from the library that SciPy carries."""

from __future__ import annotations

import functools

from jitgrad.runtime import capi
from jitgrad.runtime.threads import size_blas_pool


@functools.cache
def address(name: str) -> int:
    """The address of a Fortran BLAS routine such as ``sgemm``."""
    from scipy.linalg import cython_blas  # pyright: ignore[reportAttributeAccessIssue]

    size_blas_pool()
    return capi.capsule(cython_blas.__pyx_capi__[name])
