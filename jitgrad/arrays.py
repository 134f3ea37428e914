"""Between Python and NumPy: data to arrays of our dtypes, and arrays to text."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.ir.types import DType, float32
from jitgrad.ir.types import dtype as dtype_of


def dtype_asked(of: Any) -> DType:
    """The DType that a user names; DTypeError if there is none."""
    try:
        return dtype_of(of)
    except TypeError as error:
        raise fail(DTypeError, f"Tensor got dtype {of!r}", why=str(error)) from None


def to_array(data: Any, wanted: DType | None) -> np.ndarray:
    """A fresh C-contiguous array of one of our dtypes."""
    python_floats = type(data) is float
    # NumPy imports `numpy.ma` when it is named: without it there are no such arrays.
    if "numpy.ma" in sys.modules and isinstance(data, np.ma.MaskedArray):
        raise fail(
            DTypeError,
            "Tensor got a masked array",
            why="its mask would be lost",
            instead="array.filled(0), or array.data for what is under the mask",
        )
    if isinstance(data, (np.ndarray, np.generic, bool, int, float, complex)):
        array = np.asarray(data)
    elif isinstance(data, (list, tuple, range)):
        array = _of_sequence(data)
        python_floats = array.dtype == np.float64 and not any(
            hasattr(x, "dtype") for x in leaves(data)
        )
    else:
        raise fail(
            DTypeError,
            f"Tensor got a {type(data).__name__}",
            why="it takes numbers, nested lists of them, NumPy arrays and Tensors",
        )
    try:
        dtype = wanted or (float32 if python_floats else dtype_of(array.dtype))
    except TypeError as error:
        raise fail(DTypeError, f"Tensor got data of dtype {array.dtype}", why=str(error)) from None
    if array.dtype.kind == "c" and not dtype.is_complex:
        raise fail(
            DTypeError,
            f"Tensor got complex numbers and dtype {dtype}",
            why="the imaginary parts would be lost",
            instead="Tensor(numpy.real(data))",
        )
    with np.errstate(all="ignore"):
        return np.array(array, dtype.numpy, order="C", copy=True)


def _of_sequence(data: Any) -> np.ndarray:
    try:
        return np.array(data)
    except ValueError as error:
        raise fail(DTypeError, "Tensor got lists of different lengths", why=str(error)) from None


def leaves(data: Any) -> Iterator[Any]:
    """What is inside of nested lists and tuples."""
    for x in data:
        if isinstance(x, (list, tuple)):
            yield from leaves(x)
        else:
            yield x


def steps(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Bytes from one element to the next along each axis of an array in C order."""
    return tuple([itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape))])


NAMED = {"zeros": 0, "zero": 0, "ones": 1, "one": 1}


def initialized(shape: Any, dtype: DType, init: Any) -> np.ndarray:
    """An array filled by an initializer (a function of the array), with a number, "zeros" or
    "ones".
    """
    if shape is None:
        raise fail(ArgumentError, "Tensor(init=…) needs a shape")
    array = np.zeros((shape,) if isinstance(shape, int) else tuple(shape), dtype.numpy)
    if isinstance(init, str) and init not in NAMED:
        raise fail(
            ArgumentError,
            f"there is no filling with {init!r}",
            why=f"by name there are {', '.join(NAMED)}",
            instead="an initializer, as in common.initializer.Normal()",
        )
    init = NAMED[init] if isinstance(init, str) else init
    if callable(init):
        init(array)
    else:
        array[...] = init
    return array


def scalar_text(array: np.ndarray) -> str:
    """A 0-d array as MindSpore shows it: floats with 6 significant digits."""
    return _short(array.item())


def _short(value: Any) -> str:
    if isinstance(value, complex):
        return f"{value.real:.6g}{value.imag:+.6g}j"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def array_text(array: np.ndarray) -> str:
    """An array with axes in MindSpore's layout, "" if it is empty.

    Floats have 8 decimals in 15 columns (float16: 4 in 11). The first and last 3 are shown of an
    axis with more than 6 elements, or of a vector with more than 1000.
    """
    if not array.size:
        return ""
    show = _shown(array)
    if array.ndim > 1:
        return _nested(array, show, 0)
    if len(array) > 1000:
        return f"[{_run(array[:3], show)} ... {_run(array[-3:], show)}]"
    line = 24 if array.dtype.kind in "iu" else 12
    runs = [_run(array[i : i + line], show) for i in range(0, len(array), line)]
    return "[" + ", \n ".join(runs) + "]"


_LONGEST = 6


def _shown(array: np.ndarray) -> Callable[[Any], str]:
    """The function that writes one element in the columns that all of an array need."""
    if array.dtype.kind == "f":
        columns = "11.4e" if array.dtype == np.float16 else "15.8e"
        return lambda value: format(value, columns)
    if array.dtype.kind == "c":
        return _short
    extremes = (False,) if array.dtype == np.bool_ else (array.min(), array.max())
    width = max(len(str(value)) for value in extremes)
    return lambda value: str(value).rjust(width)


def _run(vector: np.ndarray, show: Callable[[Any], str]) -> str:
    return ", ".join(map(show, vector.tolist()))


def _nested(array: np.ndarray, show: Callable[[Any], str], depth: int) -> str:
    ends = [array[:3], array[-3:]] if len(array) > _LONGEST else [array]
    if array.ndim == 1:
        return "[" + " ... ".join(_run(end, show) for end in ends) + "]"
    line = ",\n" + " " * (depth + 1)
    texts = [line.join(_nested(row, show, depth + 1) for row in end) for end in ends]
    return "[" + f"{line}...{line[1:]}".join(texts) + "]"
