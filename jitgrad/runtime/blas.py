"""Addresses of BLAS and LAPACK routines, from the library that SciPy carries."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from importlib.machinery import PathFinder
from typing import Any

from jitgrad.runtime import capi
from jitgrad.runtime.threads import size_blas_pool

MODULES = ("cython_blas", "cython_lapack")


@functools.cache
def address(name: str) -> int:
    """The address of a Fortran routine such as ``sgemm`` or ``dpotrf``."""
    size_blas_pool()
    for module in MODULES:
        found = _routines(module).get(name)
        if found is not None:
            return capi.capsule(found)
    raise KeyError(name)


@functools.cache
def _routines(name: str) -> dict[str, Any]:
    """Capsules by name. Of `scipy.linalg` only the one extension module is loaded: importing all
    of it would take longer than everything else that a compiled function needs.
    """
    full = f"scipy.linalg.{name}"
    module = None if "scipy.linalg" in sys.modules else _alone(full)
    return (module or importlib.import_module(full)).__pyx_capi__


def _alone(name: str) -> Any:
    """An extension module without its package, or None where it does not load so."""
    scipy = importlib.util.find_spec("scipy")
    if scipy is None or not scipy.submodule_search_locations:
        return None
    found = PathFinder.find_spec(name, [f"{scipy.submodule_search_locations[0]}/linalg"])
    if found is None or found.loader is None:
        return None
    try:
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
    except ImportError:
        return None
    finally:
        sys.modules.pop(name, None)  # the package, imported later, shall import it as its own
    return module
