"""`try` around what data decides: an exception that a handler of the program may catch.

Elsewhere an index that data decides is checked when the compiled program runs, and a number divided
by zero is whatever the processor gives. Where a handler waits, whether they raise is a condition
like any other, which the trace goes by (see `paths`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitgrad.errors import (
    BoundsError,
    BranchError,
    LimitError,
    TraceError,
    UndefinedError,
    fail,
)
from jitgrad.frontend.control.merge import Disagreement
from jitgrad.frontend.control.paths import Blocked, computed, decide
from jitgrad.frontend.control.region import TooLarge
from jitgrad.ir.op import Op
from jitgrad.primitives.index import check_bounds, scatter, take
from jitgrad.state import state
from jitgrad.tensor import Tensor

INDEXED = (take, scatter)
# What says that something cannot be compiled, which no handler of the program is meant for.
REFUSED = (Blocked, Disagreement, TooLarge, TraceError, BranchError, UndefinedError, LimitError)


class Catching:
    """The body of a `try`. handled: gives what its handlers name."""

    __slots__ = ("handled", "trace")

    def __init__(self, handled: Callable[[], tuple[Any, ...]]):
        self.handled, self.trace = handled, state.trace

    def __enter__(self) -> None:
        if self.trace is not None:
            self.trace.caught.append(self.handled)

    def __exit__(self, *_: Any) -> None:
        if self.trace is not None:
            self.trace.caught.pop()


def check_index(trace: Any, op: Op, inputs: tuple[Tensor, ...]) -> None:
    """BoundsError if an op is given an index out of bounds, and a handler is there for it."""
    if op not in INDEXED or not inputs[1].size or not trace.catches(BoundsError):
        return
    index, extent = inputs[1], inputs[0].shape[0]
    inside = ((index >= 0) & (index < extent)).all()  # type: ignore[attr-defined]
    error = fail(BoundsError, "an index may be out of bounds")
    if not decide(trace, inside, Blocked(error)):
        check_bounds(op.name, computed(trace, index), extent)  # type: ignore[arg-type]


def check_divisor(trace: Any, divisor: Any) -> None:
    """ZeroDivisionError if a number is zero, and a handler is there for it."""
    if not isinstance(divisor, Tensor) or not trace.catches(ZeroDivisionError):
        return
    error = ZeroDivisionError("division by zero")
    if not decide(trace, divisor != 0, Blocked(error)):
        raise error
