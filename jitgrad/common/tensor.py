"""Tensor, under MindSpore's module path."""

from __future__ import annotations

from jitgrad.tensor import Tensor

tensor = Tensor

__all__ = ["Tensor", "tensor"]
