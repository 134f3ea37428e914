"""Seeds, under MindSpore's module path."""

from __future__ import annotations

from jitgrad.frontend.random import get_seed, set_seed

__all__ = ["get_seed", "set_seed"]
