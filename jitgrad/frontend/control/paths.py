"""Following one path where two cannot become one.

A trace is made for arguments whose values are there. So where the branches of a condition give
other shapes or types, raise, print, or call the function they are in, `decide` computes the
condition for these arguments and the trace goes that way alone. The condition becomes part of what
the compiled variant asks for: other values take another variant, or make one. So every program has
its meaning; the price is a variant for each path, and a limit says when that is no longer sensible.
Inside of a compiled loop or a `vmap` there is no single value to decide by, and the disagreement is
an error.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from jitgrad import config
from jitgrad.errors import (
    BranchError,
    JitgradError,
    LimitError,
    TraceError,
    UndefinedError,
    fail,
)
from jitgrad.frontend.control.merge import Disagreement
from jitgrad.frontend.control.report import note
from jitgrad.ir.node import Node, input_op, topological
from jitgrad.runtime.cuda.array import host
from jitgrad.state import state
from jitgrad.tensor import Tensor


class Blocked(Exception):
    """A block cannot be part of a region. `error`: what it raised, or a `Blocked` from inside."""

    def __init__(self, error: Exception | str):
        self.error = error.error if isinstance(error, Blocked) else error
        super().__init__(str(self.error))

    @property
    def reason(self) -> str:
        e = self.error
        if isinstance(e, str):
            return e
        first = str(e).partition("\n")[0]
        if isinstance(e, JitgradError):
            return re.sub(r"^\S+:\d+: ", "", first)  # the line is said elsewhere
        return f"{type(e).__name__}: {first}"


def kept(reason: Disagreement | Blocked) -> Disagreement | Blocked:
    """A reason to keep, without the frames that it came through: what they refer to would seem to
    have more names than it has.
    """
    error = reason.error if isinstance(reason, Blocked) else None
    for exception in (reason, error):
        if isinstance(exception, Exception):
            exception.__traceback__ = exception.__context__ = None
    return reason


def decide(trace: Any, pred: Tensor, reason: Disagreement | Blocked) -> bool:
    """Whether a condition holds for the arguments that the trace is made for."""
    found = computed(trace, pred)
    if found is None:
        raise as_error(reason) from _cause(reason)
    limit = config.get("path_limit")
    if len(trace.decisions) >= limit:
        raise fail(
            LimitError,
            f"one call decides more than {limit} conditions by their values",
            why=f"its branches cannot be one compiled region: {text_of(reason)}",
            instead="give both branches results of one type, or raise JITGRAD_PATH_LIMIT",
        ) from None
    held = bool(found.reshape(()))
    trace.decisions.append((trace.outermost(trace.read(pred)), held))
    note("path", f"follows the path where it is {held}: {text_of(reason)}")
    return held


def computed(trace: Any, tensor: Tensor) -> np.ndarray | None:
    """What a traced Tensor is for the arguments that the trace is made for; None where it stands
    for many values, in a loop or a `vmap`.
    """
    values: dict[Node, Any] | None = trace.known_values
    if values is None:
        return None
    for captured, node in trace.captures.values():
        values.setdefault(node, captured._data)
    node = trace.outermost(trace.read(tensor))
    order = topological([node], stop=values)
    if any(n.op is input_op and n not in values for n in order):
        return None
    with np.errstate(all="ignore"):
        for n in order:
            if n not in values:
                values[n] = n.op.numpy(*[host(values[i]) for i in n.inputs], **n.attrs)
    return np.asarray(host(values[node]))


def text_of(reason: Disagreement | Blocked) -> str:
    """The reason in a few words."""
    if isinstance(reason, Blocked):
        return reason.reason
    a, b = reason.kinds
    return f"{_name(reason.what)} is {a} in one branch and {b} in the other"


def _name(what: str) -> str:
    return f"'{what}'" if what.isidentifier() else what


def _cause(reason: Disagreement | Blocked) -> Exception | None:
    error = reason.error if isinstance(reason, Blocked) else None
    return error if isinstance(error, Exception) else None


def as_error(reason: Disagreement | Blocked) -> Exception:
    """The error for a user where no path can be followed."""
    if isinstance(reason, Blocked):
        error = reason.error
        if isinstance(error, JitgradError) and not state.trace.catches(type(error)):
            return error
        return fail(
            TraceError,
            f"a branch that depends on data cannot be compiled here: {reason.reason}",
            why="inside of a compiled loop or vmap both branches must be compiled",
            instead="compute a flag in the loop, and raise, print or append after it",
        )
    what, (a, b) = _name(reason.what), reason.kinds
    if "not bound" in reason.kinds:
        return fail(
            UndefinedError,
            f"{what} may be used before it is bound",
            why="only one branch of a condition that depends on data binds it",
            instead=f"bind {what} before the condition",
        )
    return fail(
        BranchError,
        f"{what} is {a} where the condition holds and {b} where it does not",
        why="inside of a compiled loop or vmap both branches must give one type",
        instead="cast or reshape one of them",
    )
