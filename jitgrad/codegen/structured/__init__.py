"""Regions as kernels: loops and branches over scalars, small arrays, and memory."""

from __future__ import annotations

from jitgrad.codegen.structured.kernel import fits, releases, structured, structured_scratch
from jitgrad.codegen.structured.writer import SMALL

__all__ = ["SMALL", "fits", "releases", "structured", "structured_scratch"]
