"""`mint.optim`: the optimizers with PyTorch's parameters."""

from __future__ import annotations

from jitgrad.experimental.optim import SGD, Adam, AdamW

__all__ = ["SGD", "Adam", "AdamW"]
