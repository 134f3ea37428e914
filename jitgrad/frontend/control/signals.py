"""How a block of statements ended: None at its end, BREAK, CONTINUE, `Return` or, not known before
the program runs, `Mixed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jitgrad.tensor import Tensor

END, BROKE, WENT_ON, RETURNED = 0, 1, 2, 3


@dataclass(frozen=True, slots=True, eq=False)
class Jump:
    """`break` or `continue`."""

    code: int

    def __repr__(self) -> str:
        return {BROKE: "break", WENT_ON: "continue"}[self.code]


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
Signal = None | Jump | Return | Mixed


def kinds_of(signal: Any) -> frozenset[int]:
    """The ends that a signal may stand for."""
    if signal is None:
        return frozenset({END})
    return signal.kinds if isinstance(signal, Mixed) else frozenset({signal.code})


def alone(kind: int, value: Any) -> Any:
    """The signal for an end that is known."""
    return {END: None, BROKE: BREAK, WENT_ON: CONTINUE}[kind] if kind != RETURNED else Return(value)
