"""`mint.nn`: layers and functions with PyTorch's parameters."""

from __future__ import annotations

import difflib
from typing import Any

from jitgrad.mint.nn import functional
from jitgrad.mint.nn.layers import LAYERS
from jitgrad.nn.cell import Cell
from jitgrad.nn.containers import CellList as ModuleList
from jitgrad.nn.containers import SequentialCell as Sequential

globals().update(LAYERS)
__all__ = ["Cell", "ModuleList", "Sequential", "functional", *LAYERS]


def __getattr__(name: str) -> Any:
    near = difflib.get_close_matches(name, __all__, 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise AttributeError(f"module 'jitgrad.mint.nn' has no attribute {name!r}{hint}")
