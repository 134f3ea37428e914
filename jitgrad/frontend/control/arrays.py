"""NumPy arrays that compiled code makes, and then writes traced values to.

``out = np.zeros(n)`` gives a NumPy array in compiled code as anywhere: what is static stays so. If
``out[i] = x`` finds x or i traced, the array would have to be a Tensor, under all names that it has
got by then. So the place in the program that made it is noted, and the trace starts again; this
time that place makes a Tensor, which has NumPy's views and NumPy's writes.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.errors import TraceError, fail
from jitgrad.frontend.control.report import note
from jitgrad.frontend.control.traced import is_traced
from jitgrad.frontend.number import wide
from jitgrad.ir.types import bool_, float64, int64
from jitgrad.state import state
from jitgrad.tensor import Tensor

EMPTY = (np.empty, np.empty_like)
FUNCTIONS = [
    *EMPTY, np.zeros, np.zeros_like, np.ones, np.ones_like, np.full, np.full_like, np.array,
    np.copy, np.arange, np.linspace, np.eye, np.identity, np.tile, np.repeat, np.diag,
]  # fmt: skip
READERS = [np.asarray, np.asanyarray, np.ascontiguousarray]
MAKERS = {id(f): f for f in (*FUNCTIONS, *READERS)}
METHODS = {"copy", "astype"}

Site = tuple[types.CodeType, int]
written: set[Site] = set()  # calls that make arrays which traced values are written to


class Restart(BaseException):
    """The trace has to start again: more is known of the program now."""


def is_maker(function: Any) -> bool:
    """Whether a function makes an array, which it does not do of traced values."""
    if id(function) in MAKERS:
        return True
    owner = getattr(function, "__self__", None)
    return isinstance(owner, np.ndarray) and function.__name__ in METHODS


def making(function: Callable, frame: types.FrameType) -> Callable:
    """The function, where a frame calls it now: it remembers its arrays, or makes Tensors."""
    site = frame.f_code, frame.f_lasti

    def make(*args: Any, **kwargs: Any) -> Any:
        traced = traced_part((args, kwargs))
        if traced is not None:
            return traced.__array_function__(function, (Tensor,), args, kwargs)
        made = function(*args, **kwargs)
        if (
            function in READERS
            or not isinstance(made, np.ndarray)
            or made.dtype.kind not in "biufc"
        ):
            return made
        if site in written:
            return Tensor(np.zeros_like(made) if function in EMPTY else made)
        state.trace.arrays[id(made)] = made, site
        return made

    return make


def traced_part(nest: Any) -> Tensor | None:
    """The first traced value in a nest."""
    return next((x for x in tree.flatten(nest)[0] if is_traced(x)), None)


class Read:
    """An array with an index behind it: a traced index makes a Tensor of it."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray):
        self.array = array

    def __getitem__(self, key: Any) -> Any:
        if self.array.dtype.kind not in "biufc" or traced_part(key) is None:
            return self.array[key]
        found: Tensor = Tensor(self.array)[key]  # type: ignore[index]
        if found.shape or found.dtype is bool_ or found.dtype.is_complex:
            return found
        # An element of an array is a number, which leaves the choice of a dtype to Tensors.
        return wide(found, float64 if found.dtype.is_float else int64)


class Written(Read):
    """An array with an index behind it, on the left of an assignment."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        if traced_part(key) is not None:
            raise as_tensor(self.array)
        return self.array[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if traced_part((key, value)) is not None:
            raise as_tensor(self.array)
        self.array[key] = value


def as_tensor(array: np.ndarray) -> BaseException:
    """What to raise where an array has to be a Tensor: `Restart`, if we know who made it."""
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    _, site = state.trace.arrays.get(id(base), (None, None))
    if site is None:
        return fail(
            TraceError,
            f"a traced value is written into a NumPy array of shape {list(array.shape)}",
            why="the array was made outside of the compiled code, where it would have to change",
            instead="a copy, as in out = out.copy(), or a Tensor",
        )
    note("array", "becomes a Tensor, as traced values are written to it")
    written.add(site)
    return Restart()


__all__ = ["Read", "Restart", "Written", "as_tensor", "is_maker", "making", "written"]
