"""Networks as ONNX files, written and read; the extra ``jitgrad[onnx]`` brings what it takes."""

from __future__ import annotations

from jitgrad.onnx.export import export
from jitgrad.onnx.load import load

__all__ = ["export", "load"]
