"""Losses, under MindSpore's inner module path."""

from __future__ import annotations

from jitgrad.nn.loss import *  # noqa: F403
from jitgrad.nn.loss import __all__ as __all__
