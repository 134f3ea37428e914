"""Python numbers whose value is known only when the compiled function runs.

A loop that is compiled as one carries its Python numbers, `i` in ``for i in range(n)`` among them.
In the body they are `Number`s: int64 or float64 inside, and as weak as the number they stand for,
so that ``x * i`` has the dtype it has in eager mode, and ``i / 2`` is a float.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.frontend.dispatch import apply, fill
from jitgrad.ir.types import DType, TensorType, bool_, float32, float64, int64
from jitgrad.primitives import shape as structure
from jitgrad.state import state
from jitgrad.tensor import Tensor

INT, FLOAT, FLAG = TensorType(int64, ()), TensorType(float64, ()), TensorType(bool_, ())
PYTHON = (bool, int, float, np.bool_, np.integer, np.floating)


class Number(Tensor):
    """A traced int or float. To ops it is what a Python number is."""

    __slots__ = ()

    @staticmethod
    def of(tensor: Tensor) -> Number:
        """The number that a 0-d Tensor of int64 or float64 holds."""
        new = object.__new__(Number)
        new._data, new._type, new._node = tensor._data, tensor._type, tensor._node
        new._begin()
        new._trace = getattr(tensor, "_trace", None)
        return new

    def strong(self) -> Tensor:
        """The Tensor that ops make of such a Python number: int64 or float32."""
        return as_dtype(self, float32 if self.dtype is float64 else int64)

    # A key or a text made of it would be another one than that of the number it stands for.
    def __hash__(self) -> int:
        return hash(self._array("hashed").item())

    def __str__(self) -> str:
        return str(self._array("turned into text").item())

    def __format__(self, spec: str) -> str:
        return format(self._array("turned into text").item(), spec)


def as_dtype(value: Any, dtype: DType) -> Tensor:
    """A number as a 0-d Tensor."""
    if not isinstance(value, Tensor):
        return fill(value, TensorType(dtype, ()))
    plain = value
    if type(value) is Number:
        plain = Tensor._of_node(value._node, value._data)  # type: ignore[arg-type]
    return plain if plain.dtype is dtype else apply(structure.cast, plain, dtype=dtype)


def kind_of(value: Any) -> DType | None:
    """int64 or float64 for a number, traced or not (a bool counts as an int); None for others."""
    if isinstance(value, Number):
        return value.dtype
    if isinstance(value, PYTHON):
        return float64 if isinstance(value, (float, np.floating)) else int64
    return None


def wide(value: Any, dtype: DType | None = None) -> Number:
    """A Python number as a traced one."""
    return Number.of(as_dtype(value, dtype or kind_of(value) or float64))


# --- arithmetic ---------------------------------------------------------------------------------


def _operator(title: str) -> Callable:
    def method(self: Number, other: Any) -> Any:
        kinds = self.dtype, kind_of(other)
        ours = getattr(Tensor, title)
        if kinds[1] is None:
            return ours(self, other)
        dtype = float64 if float64 in kinds or title in ALWAYS_FLOAT else int64
        if title == "__pow__" and isinstance(other, int) and other < 0:
            dtype = float64
        if title in BY_OTHER or title in BY_SELF:
            _check_divisor(other if title in BY_OTHER else self)
        out = ours(as_dtype(self, dtype), as_dtype(other, dtype))
        if title == "__divmod__":
            return tuple([Number.of(x) for x in out])
        return out if out.dtype is bool_ else Number.of(out)

    method.__name__ = title
    return method


def _unary(title: str) -> Callable:
    def method(self: Number) -> Any:
        return Number.of(getattr(Tensor, title)(as_dtype(self, self.dtype)))

    method.__name__ = title
    return method


def _check_divisor(divisor: Any) -> None:
    if state.trace is not None and state.trace.caught:
        from jitgrad.frontend.control.caught import check_divisor

        check_divisor(state.trace, divisor)


ALWAYS_FLOAT = ("__truediv__", "__rtruediv__")
BY_OTHER = ("__truediv__", "__floordiv__", "__mod__", "__divmod__")
BY_SELF = ("__rtruediv__", "__rfloordiv__", "__rmod__")
ARITHMETIC = "add sub mul truediv floordiv mod pow and or xor lshift rshift"
COMPARISONS = "eq ne lt le gt ge"


def attach() -> None:
    """Give Number its operators; those of Tensor must be there."""
    for stem in ARITHMETIC.split():
        for title in (f"__{stem}__", f"__r{stem}__"):
            setattr(Number, title, _operator(title))
    for stem in (*COMPARISONS.split(), "divmod"):
        setattr(Number, f"__{stem}__", _operator(f"__{stem}__"))
    for stem in ("neg", "pos", "abs"):
        setattr(Number, f"__{stem}__", _unary(f"__{stem}__"))
    for stem in ARITHMETIC.split():  # a Number is a value: `i += 1` makes another
        setattr(Number, f"__i{stem}__", _operator(f"__{stem}__"))


__all__ = ["Number", "as_dtype", "attach", "kind_of", "wide"]
