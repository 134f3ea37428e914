"""Managers of the loss's scale, under MindSpore's module path."""

from __future__ import annotations

from jitgrad.amp import DynamicLossScaleManager, FixedLossScaleManager, LossScaleManager

__all__ = ["DynamicLossScaleManager", "FixedLossScaleManager", "LossScaleManager"]
