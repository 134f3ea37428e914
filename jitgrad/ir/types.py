"""Types of values: dtypes, tensors of a static shape, tuples of them.

All are interned, so that equality is identity.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass

import numpy as np

from jitgrad import locks

ALIGNMENT = 64  # bytes of memory: a cache line, and the widest vector
_lock = locks.leaf()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DType:
    """A scalar type. `code` is its name in IR text, `title` what ``str()`` gives."""

    name: str
    code: str
    title: str
    numpy: np.dtype
    kind: str  # b bool, u unsigned, i signed, f float, as in NumPy
    size: int  # bytes
    is_float: bool
    is_int: bool

    def __str__(self) -> str:
        return self.title

    def __repr__(self) -> str:
        return f"jitgrad.{self.name}"

    def __reduce__(self) -> tuple:
        return dtype, (self.code,)


def _declare(name: str, code: str, numpy_name: str) -> DType:
    numpy = np.dtype(numpy_name)
    kind = numpy.kind
    title = {"u": "UInt", "i": "Int", "f": "Float"}.get(kind, "Bool")
    bits = "" if kind == "b" else str(numpy.itemsize * 8)
    flags = kind == "f", kind in "iu"
    return DType(name, code, title + bits, numpy, kind, numpy.itemsize, *flags)


float16 = _declare("float16", "f16", "float16")
float32 = _declare("float32", "f32", "float32")
float64 = _declare("float64", "f64", "float64")
int8 = _declare("int8", "i8", "int8")
int16 = _declare("int16", "i16", "int16")
int32 = _declare("int32", "i32", "int32")
int64 = _declare("int64", "i64", "int64")
uint8 = _declare("uint8", "u8", "uint8")
uint16 = _declare("uint16", "u16", "uint16")
uint32 = _declare("uint32", "u32", "uint32")
uint64 = _declare("uint64", "u64", "uint64")
bool_ = _declare("bool", "bool", "bool")

DTYPES: tuple[DType, ...] = (
    *(float16, float32, float64),
    *(int8, int16, int32, int64),
    *(uint8, uint16, uint32, uint64),
    bool_,
)
BY_CODE: dict[str, DType] = {d.code: d for d in DTYPES}
BY_NUMPY: dict[np.dtype, DType] = {d.numpy: d for d in DTYPES}


def dtype(of: object) -> DType:
    """The DType for a DType, a NumPy dtype or its name, an IR code or a Python scalar type.

    Raises TypeError for what has no counterpart here (complex, strings, objects).
    """
    if isinstance(of, DType):
        return of
    if isinstance(of, str) and of in BY_CODE:
        return BY_CODE[of]
    if of is float:
        return float32
    try:
        return BY_NUMPY[np.dtype(of).newbyteorder("=")]  # type: ignore[call-overload]
    except (KeyError, TypeError):
        raise TypeError(
            f"{of!r} is no dtype here; have {', '.join(d.name for d in DTYPES)}"
        ) from None


class TensorType:
    """dtype and shape, printed ``f32[8,3]``. Interned: compare with ``is``."""

    __slots__ = ("__weakref__", "dtype", "shape", "size")
    _table: weakref.WeakValueDictionary[tuple, TensorType] = weakref.WeakValueDictionary()
    dtype: DType
    shape: tuple[int, ...]
    size: int

    def __new__(cls, dtype: DType, shape: tuple[int, ...]) -> TensorType:
        key = (dtype, shape)
        found = cls._table.get(key)
        if found is not None:
            return found
        with _lock:
            found = cls._table.get(key)
            if found is None:
                found = super().__new__(cls)
                found.dtype, found.shape, found.size = dtype, shape, math.prod(shape)
                cls._table[key] = found
        return found

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.size

    def with_shape(self, shape: tuple[int, ...]) -> TensorType:
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def __repr__(self) -> str:
        return f"{self.dtype.code}[{','.join(map(str, self.shape))}]"

    def __reduce__(self) -> tuple:
        return TensorType, (self.dtype, self.shape)


class TapeType:
    """The records of a loop of unknown length: a stack of tensors, printed ``tape[f64[3]]``.

    `nbytes` is the size of what stands for it in memory. Interned: compare with ``is``.
    """

    __slots__ = ("__weakref__", "item")
    nbytes = 32
    _table: weakref.WeakValueDictionary[TensorType, TapeType] = weakref.WeakValueDictionary()
    item: TensorType

    def __new__(cls, item: TensorType) -> TapeType:
        with _lock:
            found = cls._table.get(item)
            if found is None:
                found = super().__new__(cls)
                found.item = item
                cls._table[item] = found
        return found

    def __repr__(self) -> str:
        return f"tape[{self.item}]"

    def __reduce__(self) -> tuple:
        return TapeType, (self.item,)


class TupleType:
    """The type of an op with several results. Interned: compare with ``is``."""

    __slots__ = ("__weakref__", "items")
    _table: weakref.WeakValueDictionary[tuple, TupleType] = weakref.WeakValueDictionary()
    items: tuple[TensorType | TapeType, ...]

    def __new__(cls, items: tuple[TensorType | TapeType, ...]) -> TupleType:
        found = cls._table.get(items)
        if found is not None:
            return found
        with _lock:
            found = cls._table.get(items)
            if found is None:
                found = super().__new__(cls)
                found.items = items
                cls._table[items] = found
        return found

    def __repr__(self) -> str:
        return f"({', '.join(map(repr, self.items))})"

    def __reduce__(self) -> tuple:
        return TupleType, (self.items,)


Type = TensorType | TupleType | TapeType


def of_array(array: np.ndarray) -> TensorType:
    """The type of a NumPy array; TypeError if its dtype has no counterpart here."""
    found = BY_NUMPY.get(array.dtype)
    return TensorType(found if found is not None else dtype(array.dtype), array.shape)
