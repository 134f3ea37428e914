"""Python control flow in traces: functions are converted from their source.

`converted(function)` is what a transform calls in the place of a user's function. See `convert` for
what becomes of statements, `run` for what converted code calls, `roll` and `branches` for how
blocks become regions, and `paths` for what happens where they cannot.
"""

from jitgrad.frontend.control.calls import converted
from jitgrad.frontend.control.report import report

__all__ = ["converted", "report"]
