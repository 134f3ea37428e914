"""MindSpore's public `ops`: functions on Tensors, and Primitive classes made of them.

All of it is made of the ops declared in `jitgrad.primitives`, so derivatives of any order, batching
and compilation come with it. Importing this package gives Tensor its operators and methods.
"""

from __future__ import annotations

from jitgrad.errors import no_name as _no_name
from jitgrad.ops import methods as _methods
from jitgrad.ops.absent import ABSENT as _ABSENT
from jitgrad.ops.table import NAMES as _NAMES

globals().update(_NAMES)
_methods.install()

__all__ = sorted(_NAMES)


def __getattr__(name: str):
    """An unknown name names the nearest that exist."""
    raise _no_name(__name__, name, globals(), _ABSENT.get(name, ""))
