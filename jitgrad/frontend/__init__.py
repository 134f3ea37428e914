"""From Python to the IR: dispatch of ops, the eager tape, traces, and what guards them."""

from jitgrad.frontend import dispatch, followed, ufuncs

__all__ = ["dispatch", "followed", "ufuncs"]
