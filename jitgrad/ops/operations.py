"""MindSpore's older face of the Primitive classes: ``import jitgrad.ops.operations as P``."""

from __future__ import annotations

from jitgrad.ops.functional import __dir__, __getattr__

__all__ = ["__dir__", "__getattr__"]
