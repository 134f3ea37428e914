"""MindSpore's older face of functions over functions: ``import jitgrad.ops.composite as C``."""

from __future__ import annotations

from jitgrad.ops.functional import __dir__, __getattr__

__all__ = ["__dir__", "__getattr__"]
