"""Losses, under MindSpore's module path."""

from __future__ import annotations

from jitgrad.nn import class_losses, losses
from jitgrad.nn.class_losses import *  # noqa: F403
from jitgrad.nn.losses import *  # noqa: F403

__all__ = [*losses.__all__, *class_losses.__all__]
