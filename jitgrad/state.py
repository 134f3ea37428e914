"""What is going on in this thread, what has changed in this process, and where tapes end.

The lowest module of the front end: plain records that `tensor`, `frontend` and `api` share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

OFF, ON, FUNCTIONAL = 0, 1, 2


class State(threading.local):
    """Per thread: the trace that is active, and what the eager tape records.

    `grad` is OFF, ON, or FUNCTIONAL inside of `grad(f)`, where Parameters are constants unless
    they are among the weights. `recording` is what it is when it is not OFF. `written` notes, for
    whoever asked, what Tensors held that are written to. `weights` are the Parameters whose history
    is another one as long as a function is being differentiated in them.
    """

    trace: Any = None
    grad: int = ON
    recording: int = ON
    written: dict[int, tuple[Any, Any, Any]] | None = None
    weights: tuple[Any, ...] = ()

    def note(self, tensor: Any) -> None:
        """Say that a Tensor is about to be written to."""
        if self.written is not None:
            self.written.setdefault(id(tensor), (tensor, tensor._data, tensor._type))


state = State()


class Epoch:
    """Counts the changes that compiled code cannot see by looking at its arguments: attributes of
    Cells, types of captured Tensors, `requires_grad`, the mode.
    """

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


epoch = Epoch()


def bump() -> None:
    """Make compiled code check all of its guards at its next call."""
    epoch.value += 1


class Leaf:
    """Where the tape ends: a Tensor whose gradient is wanted. `parameter` leaves are ignored
    inside of `grad(f)`.
    """

    __slots__ = ("__weakref__", "after", "hooks", "parameter", "serial", "tensor")

    def __init__(self, tensor: Any, parameter: bool = False):
        self.tensor = tensor  # a weak reference, or None for a leaf of grad(f)'s own
        self.parameter = parameter
        self.hooks: dict[int, dict[int, Callable]] = {}
        self.after: dict[int, Callable] = {}  # called when a gradient was added to `grad`
        self.serial = 0  # before every recorded operation
