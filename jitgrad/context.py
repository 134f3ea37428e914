"""The mode and the settings of a run: MindSpore's `context`."""

from __future__ import annotations

from jitgrad.api.context import GRAPH_MODE, PYNATIVE_MODE, get_context, set_context, set_device

__all__ = ["GRAPH_MODE", "PYNATIVE_MODE", "get_context", "set_context", "set_device"]
