"""MindSpore's public `ops`: functions on Tensors, and Primitive classes made of them.

All of it is made of the ops declared in `jitgrad.primitives`, so derivatives of any order, batching
and compilation come with it. Importing this package gives Tensor its operators and methods.
"""

from __future__ import annotations

from importlib import import_module as _import_module

from jitgrad.errors import no_name as _no_name
from jitgrad.ops import methods as _methods
from jitgrad.ops.absent import ABSENT as _ABSENT
from jitgrad.ops.table import NAMES as _NAMES

globals().update(_NAMES)
_methods.install()

__all__ = sorted(_NAMES)


_FACES = ("composite", "functional", "operations", "primitive")


def __getattr__(name: str):
    """A module of MindSpore's, or the error of an unknown name, which names the nearest."""
    if name in _FACES:
        return _import_module(f"{__name__}.{name}")
    raise _no_name(__name__, name, globals(), _ABSENT.get(name, ""))
