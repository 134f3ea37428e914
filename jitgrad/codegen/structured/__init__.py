"""Regions as kernels: loops and branches over scalars, small arrays, and memory."""

from __future__ import annotations

from jitgrad.codegen.structured.kernel import (
    Structured,
    alone,
    fits,
    lowered,
    releases,
    structured,
    structured_scratch,
)
from jitgrad.codegen.structured.writer import SMALL

__all__ = [
    "SMALL",
    "Structured",
    "alone",
    "fits",
    "lowered",
    "releases",
    "structured",
    "structured_scratch",
]
