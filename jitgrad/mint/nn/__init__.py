"""`mint.nn`: the layers of `nn`; and `functional`, with PyTorch's parameters."""

from __future__ import annotations

from typing import Any

from jitgrad.mint.nn import functional

__all__ = ["functional"]


def __getattr__(name: str) -> Any:
    from jitgrad import nn

    return getattr(nn, name)
