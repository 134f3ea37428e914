"""MindSpore's older face of the functions: ``import jitgrad.ops.functional as F``."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from jitgrad import ops

    return getattr(ops, name)


def __dir__() -> list[str]:
    from jitgrad import ops

    return [name for name in dir(ops) if not name.startswith("_")]
