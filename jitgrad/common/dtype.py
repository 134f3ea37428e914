"""Dtypes, under MindSpore's module path (usually imported as ``mstype``)."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from jitgrad.ir.types import (
    DType,
    bool_,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.tensor import Tensor

half, single, double, float_ = float16, float32, float64, float64
byte, short, intc, intp, int_, long = int8, int16, int32, int64, int64, int64
ubyte, ushort, uintc, uintp, uint = uint8, uint16, uint32, uint64, uint64
tensor_type = Tensor

bool = bool_

int_type = (int8, int16, int32, int64)
uint_type = (uint8, uint16, uint32, uint64)
float_type = (float16, float32, float64)
complex_type = (complex64, complex128)
number_type = (*int_type, *uint_type, *float_type, *complex_type)


def dtype_to_nptype(type_: DType) -> Any:
    """The NumPy scalar type of a dtype.

    >>> dtype_to_nptype(float32)
    <class 'numpy.float32'>
    """
    return dtype_of(type_).numpy.type


def pytype_to_dtype(obj: Any) -> DType:
    """The dtype of a Python or NumPy scalar type; TypeError if it has none."""
    return dtype_of(obj)


def dtype_to_pytype(type_: DType) -> type:
    """bool, int, float or complex."""
    return {"b": builtins.bool, "i": int, "u": int, "c": complex}.get(dtype_of(type_).kind, float)


def get_py_obj_dtype(obj: Any) -> DType:
    """The dtype that a Tensor of this Python value or Tensor has.

    >>> get_py_obj_dtype(1)
    jitgrad.int64
    """
    return (obj if isinstance(obj, Tensor) else Tensor(obj)).dtype


def type_size_in_bytes(type_: DType) -> int:
    """Bytes of one value."""
    return np.dtype(dtype_of(type_).numpy).itemsize


__all__ = [
    "DType", "bool", "bool_", "byte", "complex64", "complex128", "complex_type", "double",
    "dtype_to_nptype", "dtype_to_pytype", "float16", "float32", "float64", "float_", "float_type",
    "get_py_obj_dtype", "half", "int8", "int16", "int32", "int64", "int_", "int_type", "intc",
    "intp", "long", "number_type", "pytype_to_dtype", "short", "single", "tensor_type",
    "type_size_in_bytes", "ubyte", "uint", "uint8", "uint16", "uint32", "uint64", "uint_type",
    "uintc", "uintp", "ushort",
]  # fmt: skip
