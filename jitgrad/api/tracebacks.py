"""What users see of an error's way through this package: the lines of their own program."""

from __future__ import annotations

from types import TracebackType

from jitgrad import config
from jitgrad.errors import JitgradError
from jitgrad.locate import PACKAGE


def for_user(error: Exception) -> Exception:
    """An error with a traceback of the user's lines only, if it is about these: one that is raised
    on purpose, or by one of these lines. `JITGRAD_DEBUG` keeps all frames.
    """
    meant = isinstance(error, JitgradError) or not _raised_in_ours(error.__traceback__)
    if not meant or config.get("debug"):
        return error
    return error.with_traceback(_without_ours(error.__traceback__))


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this package; None if there are no others."""
    frames = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(PACKAGE):
            frames.append(traceback)
        traceback = traceback.tb_next
    found = None
    for at in reversed(frames):
        found = TracebackType(found, at.tb_frame, at.tb_lasti, at.tb_lineno)
    return found


def _raised_in_ours(traceback: TracebackType | None) -> bool:
    """Whether the innermost frame of a traceback is one of this package."""
    path = ""
    while traceback is not None:
        path, traceback = traceback.tb_frame.f_code.co_filename, traceback.tb_next
    return path.startswith(PACKAGE)


__all__ = ["for_user"]
