"""`mint.nn`: layers and functions with PyTorch's parameters."""

from __future__ import annotations

from typing import Any

from jitgrad.errors import no_name
from jitgrad.mint.nn import functional
from jitgrad.mint.nn.layers import LAYERS
from jitgrad.nn.cell import Cell
from jitgrad.nn.containers import CellList as ModuleList
from jitgrad.nn.containers import SequentialCell as Sequential

globals().update(LAYERS)
__all__ = ["Cell", "ModuleList", "Sequential", "functional", *LAYERS]


def __getattr__(name: str) -> Any:
    raise no_name(__name__, name, __all__)
