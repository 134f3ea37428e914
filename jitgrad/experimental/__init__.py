"""MindSpore's `experimental`: optimizers with groups of settings, and schedulers of their rates."""

from __future__ import annotations

from jitgrad.experimental import optim

__all__ = ["optim"]
