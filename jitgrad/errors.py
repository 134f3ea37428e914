"""Every exception a user can meet, and the one function that words them.

A message says where (the user's line first), what (real shapes and dtypes), why, and what to
write instead. The classes derive from the built-in ones that MindSpore, PyTorch and NumPy raise
in the same place, so that existing ``except`` clauses keep working.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from jitgrad.locate import Location, user_expression


class JitgradError(Exception):
    """Base of all errors that are raised on purpose."""


class ShapeError(JitgradError, ValueError):
    """Shapes that do not fit the operation."""


class ArgumentError(JitgradError, ValueError):
    """An argument of the right type with a value that cannot be used."""


class DTypeError(JitgradError, TypeError):
    """A dtype or a Python type the operation does not take."""


class BoundsError(JitgradError, IndexError):
    """An index outside the extent of its axis, or an argument position that does not exist."""


class AxisError(BoundsError, ArgumentError):
    """An axis that a Tensor has not: as NumPy's error of that name both an IndexError, which
    PyTorch's users catch, and a ValueError, which MindSpore's do.
    """


class IndexKindError(BoundsError, DTypeError):
    """Something that is no index. Both an IndexError, as elsewhere, and a TypeError."""


class TraceError(JitgradError, RuntimeError):
    """Something that needs a value was asked of a traced Tensor."""


class SourceError(TraceError):
    """A function branches on a traced value, and its source cannot be read."""


class UnsupportedError(TraceError):
    """A statement that cannot be compiled where it depends on data."""


class LeakError(TraceError):
    """A traced Tensor that is stored where it outlives the function being compiled."""


class TapeError(JitgradError, RuntimeError):
    """Misuse of the eager tape: freed graph, in-place change of a saved value, and the like."""


class SeedError(ShapeError, TapeError):
    """A gradient of another shape than what it belongs to. NumPy's and MindSpore's users catch a
    ValueError there, PyTorch's a RuntimeError.
    """


class CountError(ArgumentError, TapeError):
    """More or fewer gradients than there are values. Both a ValueError and a RuntimeError."""


class ConditionError(ArgumentError):
    """A condition that is not one truth value."""


class BranchError(JitgradError, TypeError):
    """Branches whose results disagree: `name` and `position` say which, `types` how."""

    name: str = ""
    position: int = -1
    types: tuple = ()


class CarryError(BranchError):
    """A value that a loop carries changes its type: `types` are those before and after."""


class UndefinedError(JitgradError, UnboundLocalError):
    """A variable that is used and that a branch or loop, depending on data, may not have bound."""


class LimitError(JitgradError, RuntimeError):
    """A loop that does not end within its limit."""


class CallbackError(JitgradError, RuntimeError):
    """A function of the user's, compiled by Numba, failed within compiled code."""


class DeviceError(JitgradError, RuntimeError):
    """A device is not there, or cannot do what is asked of it."""


class DeviceMemoryError(DeviceError, MemoryError):
    """A device has no room left. What was there before is as it was."""


class LinAlgError(JitgradError, np.linalg.LinAlgError):
    """A matrix that has no inverse, no Cholesky factor, or no eigenvalues that could be found."""


class IRError(JitgradError, ValueError):
    """A graph that breaks the rules of the IR, or text that does not parse as one."""


def explain(what: str, *, why: str = "", instead: str = "", where: Location | None = None) -> str:
    """Word an error: location, statement, the marked source, reason, remedy, a line each."""
    where = where or user_expression()
    lines = [f"{where}: {what}" if where else what]
    if where and where.source:
        lines += [f"    {text}" for text in (where.source, where.caret) if text]
    if why:
        lines.append(f"  because {why}")
    if instead:
        lines.append(f"  instead: {instead}")
    return "\n".join(lines)


def fail(
    kind: type[Exception],
    what: str,
    *,
    why: str = "",
    instead: str = "",
    where: Location | None = None,
) -> Exception:
    """Make (not raise) an exception of `kind` worded by `explain`."""
    return kind(explain(what, why=why, instead=instead, where=where))


OF_MATH = re.compile(
    r"\bmath\.(a?(?:sin|cos|tan)h?|atan2|exp2?|expm1|log(?:2|10|1p)?|sqrt|erfc?|floor|ceil|trunc|pow)\("
)


def gradient_lost(asked: str, where: Location | None = None) -> Exception:
    """The error for a Tensor that is being differentiated, of which a number was made: by Python
    itself, where one of its own functions of numbers was called.
    """
    where = where or user_expression()
    of_math = OF_MATH.search(where.source) if where else None
    first = f"ops.{of_math[1]}(t)" if of_math else "compute with Tensors"
    return fail(
        TapeError,
        f"a Tensor that is being differentiated was {asked}",
        why="its gradient would be lost",
        instead=f"{first}, or take the value of ops.stop_gradient(t)",
        where=where,
    )


def no_name(module: str, name: str, known: Iterable[str], why: str = "") -> AttributeError:
    """The error of a module that does not have a name: which of those it has are near."""
    import difflib

    near = difflib.get_close_matches(name, [n for n in known if not n.startswith("_")], 3)
    hint = why or (f"did you mean {' or '.join(near)}?" if near else "")
    text = f"module {module!r} has no attribute {name!r}"
    return AttributeError(f"{text}{': ' if why else '; '}{hint}" if hint else text)
