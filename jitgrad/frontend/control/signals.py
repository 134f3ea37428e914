"""How a block of statements ended: None at its end, BREAK, CONTINUE, `Return` or, not known before
the program runs, `Mixed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jitgrad.frontend.dispatch import apply, fill
from jitgrad.ir.types import TensorType, int32
from jitgrad.primitives.elementwise import equal, select
from jitgrad.tensor import Tensor

CODE = TensorType(int32, ())

END, BROKE, WENT_ON, RETURNED, LEFT = 0, 1, 2, 3, 4  # LEFT: a break that an `else` waits for


@dataclass(frozen=True, slots=True, eq=False)
class Jump:
    """`break` or `continue`."""

    code: int

    def __repr__(self) -> str:
        return "continue" if self.code == WENT_ON else "break"


@dataclass(frozen=True, slots=True, eq=False)
class Return:
    """`return value`."""

    value: Any
    code: int = RETURNED


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """One of several ends: `code` says which when the program runs, `kinds` which are possible.

    value  what is returned where it returns.
    """

    code: Tensor
    kinds: frozenset[int]
    value: Any = None


BREAK, CONTINUE = Jump(BROKE), Jump(WENT_ON)


def kinds_of(signal: Any) -> frozenset[int]:
    """The ends that a signal may stand for."""
    if signal is None:
        return frozenset({END})
    return signal.kinds if isinstance(signal, Mixed) else frozenset({signal.code})


def alone(kind: int, value: Any) -> Any:
    """The signal for an end that is known."""
    if kind == RETURNED:
        return Return(value)
    return None if kind == END else Jump(kind)


def renamed(signal: Any, old: int, new: int) -> Any:
    """The signal with one end taken for another."""
    kinds = frozenset([new if k == old else k for k in kinds_of(signal)])
    if kinds == kinds_of(signal):
        return signal
    if len(kinds) == 1:
        return alone(next(iter(kinds)), getattr(signal, "value", None))
    code = apply(select, is_code(signal, old), fill(new, CODE), signal.code)
    return Mixed(code, kinds, signal.value)


def is_code(signal: Mixed, kind: int) -> Tensor:
    """Whether a block ended that way, as a traced bool."""
    return apply(equal, signal.code, fill(kind, CODE))


def code_of(signal: Any) -> Tensor:
    """The end of a block as a number."""
    if isinstance(signal, Mixed):
        return signal.code
    return fill(END if signal is None else signal.code, CODE)
