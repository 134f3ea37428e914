"""Addresses of BLAS routines, from the library that SciPy carries."""

from __future__ import annotations

import functools
import importlib.util
import sys
from importlib.machinery import PathFinder
from typing import Any

from jitgrad.runtime import capi
from jitgrad.runtime.threads import size_blas_pool

MODULE = "scipy.linalg.cython_blas"


@functools.cache
def address(name: str) -> int:
    """The address of a Fortran BLAS routine such as ``sgemm``."""
    size_blas_pool()
    return capi.capsule(_routines()[name])


@functools.cache
def _routines() -> dict[str, Any]:
    """Capsules by name. Of `scipy.linalg` only the one extension module is loaded: importing all
    of it would take longer than everything else that a compiled function needs.
    """
    module = None if "scipy.linalg" in sys.modules else _alone()
    if module is None:
        from scipy.linalg import cython_blas as module  # pyright: ignore
    return module.__pyx_capi__


def _alone() -> Any:
    """The extension module without its package, or None where it does not load so."""
    scipy = importlib.util.find_spec("scipy")
    if scipy is None or not scipy.submodule_search_locations:
        return None
    found = PathFinder.find_spec(MODULE, [f"{scipy.submodule_search_locations[0]}/linalg"])
    if found is None or found.loader is None:
        return None
    try:
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
    except ImportError:
        return None
    finally:
        sys.modules.pop(MODULE, None)  # the package, imported later, shall import it as its own
    return module
