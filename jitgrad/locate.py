"""Where in the user's program we are: the first stack frame outside this package."""

from __future__ import annotations

import contextlib
import functools
import itertools
import linecache
import os
import sys
from types import FrameType
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


class _Line(NamedTuple):
    path: str
    line: int


class Location(_Line):
    """A line of a user's file, and which of its columns are meant, if that is known: that makes no
    other location of it. Printed as ``model.py:12``; `path` keeps the whole name.

    A tuple, because whole graphs of them are hashed.
    """

    columns: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{os.path.basename(self.path)}:{self.line}"

    @property
    def source(self) -> str:
        """The text of the line, or an empty string where it cannot be read."""
        return linecache.getline(self.path, self.line).strip()

    @property
    def caret(self) -> str:
        """What marks the columns, if it stands below the source; empty if they are not known."""
        if self.columns is None or not self.source:
            return ""
        text = linecache.getline(self.path, self.line).rstrip()
        start, end = self.columns
        margin = len(text) - len(text.lstrip())
        end = min(end, len(text)) if end > start else len(text)  # it goes on in the next line
        return " " * (start - margin) + "^" * (end - start)


def user_location() -> Location | None:
    """The innermost line of user code on the stack, or None if there is none."""
    frame = _user_frame()
    return None if frame is None else _line(frame.f_code.co_filename, frame.f_lineno)


_line = functools.lru_cache(maxsize=4096)(Location)


def user_expression() -> Location | None:
    """The same with the columns of the expression that runs, where Python knows them (3.11)."""
    frame = _user_frame()
    if frame is None:
        return None
    found = Location(frame.f_code.co_filename, frame.f_lineno)
    found.columns = _columns(frame, *found)
    return found


@functools.lru_cache(maxsize=4096)
def is_ours(path: str) -> bool:
    """Whether code of a file stands between the user and what is asked for."""
    return path.startswith((PACKAGE, *BETWEEN))


def _user_frame() -> FrameType | None:
    frame = sys._getframe(2)
    while frame is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _columns(frame: FrameType, path: str, line: int) -> tuple[int, int] | None:
    """Columns in characters; the second is the first if the expression goes on in other lines."""
    positions = getattr(frame.f_code, "co_positions", None)
    if positions is None:
        return None
    units = itertools.islice(positions(), frame.f_lasti // 2, None)
    first, last, start, end = next(units, (None,) * 4)
    text = linecache.getline(path, line).encode()
    if first != line or start is None or end is None or start >= len(text.rstrip()):
        return None
    width = len(text[:start].decode(errors="replace"))
    return width, width + len(text[start:end].decode(errors="replace")) * (last == line)
