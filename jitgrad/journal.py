"""What happens while functions are traced and compiled: to stderr (JITGRAD_DEBUG=1), or to a list.

>>> from jitgrad import journal
>>> with journal.collected() as lines:
...     journal.say("a kernel was compiled")
>>> lines
['a kernel was compiled']
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from jitgrad import config


class _Open(threading.local):
    """The lists that this thread's events go to."""

    def __init__(self) -> None:
        self.lists: list[list[str]] = []


_open = _Open()


def is_read() -> bool:
    """Whether anyone wants to know."""
    return bool(_open.lists) or config.get("debug") >= 1


def say(line: str) -> None:
    """Report an event, in one line."""
    for lines in _open.lists:
        lines.append(line)
    if config.get("debug") >= 1:
        print(f"jitgrad: {line}", file=sys.stderr)


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """The events of this thread inside a ``with`` block."""
    lines: list[str] = []
    _open.lists.append(lines)
    try:
        yield lines
    finally:
        _open.lists.remove(lines)
