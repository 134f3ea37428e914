"""Addresses of routines that SciPy carries: BLAS, LAPACK and special functions."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import sys
from importlib.machinery import PathFinder
from typing import Any

from jitgrad.runtime import capi
from jitgrad.runtime.threads import size_blas_pool

MODULES = (
    "scipy.linalg.cython_blas",
    "scipy.linalg.cython_lapack",
    "scipy.special.cython_special",
)


FUSED = "__pyx_fuse_"


@functools.cache
def address(name: str) -> int:
    """The address of a routine such as ``sgemm``, ``dpotrf`` or ``i0``."""
    size_blas_pool()
    for module in MODULES:
        found = _routines(module).get(name)
        if found is not None:
            return capi.capsule(found)
    raise KeyError(name)


@functools.cache
def _routines(module: str) -> dict[str, Any]:
    """Capsules by name. Of a package only the one extension module is loaded, if that can be:
    importing all of it would take longer than everything else that a compiled function needs.
    """
    found = None if module.rpartition(".")[0] in sys.modules else _alone(module)
    capsules = (found or importlib.import_module(module)).__pyx_capi__
    return {_plain(name, capsule): capsule for name, capsule in capsules.items()}


def _plain(name: str, capsule: Any) -> str:
    """The name of a routine without the mark that Cython gives one of several of a name, if it is
    the one of float64.
    """
    if not name.startswith(FUSED):
        return name
    of_float64 = capi.signature(capsule).startswith(b"double (double")
    return re.sub(rf"^{FUSED}\d+", "", name) if of_float64 else name


def _alone(name: str) -> Any:
    """An extension module without its package, or None where it does not load so."""
    scipy, folder, _ = name.split(".")
    package = importlib.util.find_spec(scipy)
    if package is None or not package.submodule_search_locations:
        return None
    found = PathFinder.find_spec(name, [f"{package.submodule_search_locations[0]}/{folder}"])
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
