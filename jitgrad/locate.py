"""Where in the user's program we are: the first stack frame outside this package."""

from __future__ import annotations

import contextlib
import functools
import linecache
import os
import sys
from typing import NamedTuple

import numpy as np

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# What stands between the user and us without being of interest: functions of NumPy and Numba, which
# ask a Tensor for its array or type; the machinery of imports and of `with`; our shortest calls.
_NUMPY = os.path.dirname(os.path.abspath(np.__file__))
_NUMBA = os.path.join(os.path.dirname(_NUMPY), "numba")  # beside it, without importing it
BETWEEN = (
    _NUMPY + os.sep,
    _NUMBA + os.sep,
    functools.__file__,
    "<frozen",
    "<call of ",
    contextlib.__file__,
)


class Location(NamedTuple):
    """A line of a user's file. Printed as ``model.py:12``; `path` keeps the whole name."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.path)}:{self.line}"

    @property
    def source(self) -> str:
        """The text of the line, or an empty string where it cannot be read."""
        return linecache.getline(self.path, self.line).strip()


def user_location() -> Location | None:
    """The innermost line of user code on the stack, or None if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE) and not path.startswith(BETWEEN):
            return Location(path, frame.f_lineno)
        frame = frame.f_back
    return None
