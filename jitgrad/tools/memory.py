"""How much memory this process has needed at most."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def reset_peak() -> bool:
    """Start measuring anew; False where the system cannot, and `peak` is that of all time."""
    try:
        _CLEAR.write_text("5")  # see proc(5): resets the peak resident set size
    except OSError:
        return False
    return True


def peak() -> int:
    """The largest resident set in bytes since `reset_peak`, or since the process began."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
