"""`mutable`: Python numbers that are inputs of a compiled function rather than constants."""

from __future__ import annotations

from typing import Any

from jitgrad import tree
from jitgrad.errors import DTypeError, fail
from jitgrad.tensor import Tensor


def mutable(input_data: Any, dynamic_len: bool = False) -> Any:
    """The value with its numbers as 0-d Tensors, so that other numbers need no other trace.

    >>> mutable(3)
    Tensor(shape=[], dtype=Int64, value= 3)

    TypeError for what holds anything but numbers, Tensors, tuples, lists and dicts.
    """

    def convert(value: Any) -> Tensor:
        if isinstance(value, Tensor):
            return value
        if isinstance(value, (bool, int, float)):
            return Tensor(value)
        raise fail(DTypeError, f"mutable got a {type(value).__name__}")

    return tree.map(convert, input_data)
