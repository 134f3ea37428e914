"""What a region's kernel reports, as the exception that the user meets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitgrad.errors import BoundsError, JitgradError, fail
from jitgrad.locate import Location
from jitgrad.primitives.flow import too_long
from jitgrad.primitives.matrix import WRONG, broken
from jitgrad.runtime import callbacks


def _index(fault: Any, value: int, where: Location | None) -> Exception:
    return fail(
        BoundsError,
        f"index {value} is out of bounds for an axis of extent {fault.extent}",
        instead="run it without jit to see the index and what it indexes",
        where=where,
    )


def _limit(fault: Any, value: int, where: Location | None) -> Exception:
    return too_long(fault.extent, where)


class LoopMemoryError(JitgradError, MemoryError):
    """There is no memory left for what a loop records."""


def _memory(fault: Any, value: int, where: Location | None) -> Exception:
    return fail(
        LoopMemoryError,
        "there is no memory left for what the gradient of a loop needs",
        instead="give the loop a checkpoint, as in checkpoint='sqrt'",
        where=where,
    )


def _matrix(fault: Any, value: int, where: Location | None) -> Exception:
    return broken(fault.kind, fault.extent, where)


def _callback(fault: Any, value: int, where: Location | None) -> Exception:
    return callbacks.error(fault.extent, where)


KINDS: dict[str, Callable[[Any, int, Location | None], Exception]] = {
    "index": _index,
    "limit": _limit,
    "memory": _memory,
    "callback": _callback,
    **dict.fromkeys(WRONG, _matrix),
}


def error(faults: Sequence[Any], value: int, where: Location | None) -> Exception:
    """The exception for what a kernel reported; `where` is where the kernel is from."""
    value, site = divmod(value, 256)
    fault = faults[site]
    return KINDS[fault.kind](fault, value, fault.where or where)
