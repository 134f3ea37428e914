"""Parameter and ParameterTuple, under MindSpore's module path."""

from __future__ import annotations

from jitgrad.tensor import Parameter, ParameterTuple

__all__ = ["Parameter", "ParameterTuple"]
