"""MindSpore's .ckpt files: a protobuf message, read and written without generated code.

    Checkpoint   value = 1, repeated: Value
    Value        tag = 1: the name; tensor = 2: TensorProto
    TensorProto  dims = 1, repeated; tensor_type = 2: "Float32", …; tensor_content = 3: the bytes

A tensor that is too long for one message is cut: values of one tag belong together. A scalar has
the dims [0]. Behind the message there may be a checksum. Everything is checked against the bytes
that are there before memory is taken for it.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np

from jitgrad.errors import DTypeError, fail
from jitgrad.train.safetensors import Damaged

DTYPES = {
    "Bool": "bool", "Int8": "i1", "Int16": "<i2", "Int32": "<i4", "Int64": "<i8",
    "UInt8": "u1", "UInt16": "<u2", "UInt32": "<u4", "UInt64": "<u8",
    "Float16": "<f2", "Float32": "<f4", "Float64": "<f8",
}  # fmt: skip
NAMES = {np.dtype(kind): name for name, kind in DTYPES.items()}
LONGEST = 512 << 20  # bytes of a tensor in one value
CHECKSUM = b"crc_num"  # then ten bytes, the most significant first

VARINT, WORD64, BYTES, WORD32 = 0, 1, 2, 5  # the wire types
Fields = Iterator[tuple[int, "int | memoryview"]]


# --- writing ------------------------------------------------------------------------------------


def write(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name."""
    for name, array in arrays.items():
        kind = NAMES.get(array.dtype.newbyteorder("<"))
        if kind is None:
            raise fail(DTypeError, f"{name!r}: {array.dtype} cannot be written as .ckpt")
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        content = memoryview(plain.reshape(-1).view(np.uint8))
        dims = b"".join(_number(1, n) for n in array.shape or (0,))
        for start in range(0, max(len(content), 1), LONGEST):
            part = content[start : start + LONGEST]
            head = dims + _head(2, len(kind)) + kind.encode() + _head(3, len(part))
            tag = name.encode()
            outer = _head(1, len(tag)) + tag + _head(2, len(head) + len(part))
            file.write(_head(1, len(outer) + len(head) + len(part)) + outer + head)
            file.write(part)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _head(field: int, length: int) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(length)


# --- reading ------------------------------------------------------------------------------------


def read(data: memoryview) -> dict[str, np.ndarray]:
    """The arrays of a file by name; Damaged if anything in it does not fit."""
    if not data:
        raise Damaged("it is empty")
    data = _without_checksum(data)
    parts: dict[str, tuple[str, tuple[int, ...], list[memoryview]]] = {}
    for field, value in _fields(data):
        if field != 1 or not isinstance(value, memoryview):
            raise Damaged("it is no message of a checkpoint")
        name, kind, dims, content = _value(value)
        known = parts.setdefault(name, (kind, dims, []))
        if known[:2] != (kind, dims):
            raise Damaged(f"the parts of {name!r} differ in dtype or shape")
        known[2].append(content)
    return {name: _array(name, *found) for name, found in parts.items()}


def _without_checksum(data: memoryview) -> memoryview:
    tail = len(CHECKSUM) + 10
    if len(data) < tail or bytes(data[-tail:-10]) != CHECKSUM:
        return data
    body = data[:-tail]
    if binascii.crc32(body) != int.from_bytes(data[-10:], "big"):
        raise Damaged("its checksum is wrong")
    return body


def _value(message: memoryview) -> tuple[str, str, tuple[int, ...], memoryview]:
    tag: bytes | None = None
    tensor: memoryview | None = None
    for field, value in _fields(message):
        if field == 1 and isinstance(value, memoryview):
            tag = bytes(value)
        elif field == 2 and isinstance(value, memoryview):
            tensor = value
        else:
            raise Damaged("a value of it is neither a name nor a tensor (a map, say)")
    if tag is None or tensor is None:
        raise Damaged("a value of it has no name or no tensor")
    try:
        name = tag.decode()
    except UnicodeDecodeError:
        raise Damaged("a name in it is no text") from None
    return name, *_tensor(name, tensor)


def _tensor(name: str, message: memoryview) -> tuple[str, tuple[int, ...], memoryview]:
    dims: list[int] = []
    kind, content = "", memoryview(b"")
    for field, value in _fields(message):
        if field == 1 and isinstance(value, int):
            dims.append(value)
        elif field == 1 and isinstance(value, memoryview):  # packed
            dims += _packed(value)
        elif field == 2 and isinstance(value, memoryview):
            kind = bytes(value[:64]).decode(errors="replace")
        elif field == 3 and isinstance(value, memoryview):
            content = value
        else:
            raise Damaged(f"the tensor {name!r} has an unknown field {field}")
    return kind, tuple(dims), content


def _array(name: str, kind: str, dims: tuple[int, ...], parts: list[memoryview]) -> np.ndarray:
    if kind not in DTYPES and kind != "BFloat16":
        raise Damaged(f"{name!r} has the unknown dtype {kind!r}")
    length = sum(map(len, parts))
    dtype = np.dtype("<u2" if kind == "BFloat16" else DTYPES[kind])
    shape = () if dims == (0,) and length == dtype.itemsize else dims
    if len(shape) > 32 or math.prod(shape) * dtype.itemsize != length:
        raise Damaged(f"{name!r}: {kind} of shape {list(dims)} does not take {length} bytes")
    flat = np.frombuffer(b"".join(parts), dtype)
    if kind == "BFloat16":  # the upper half of a float32; there is no such dtype here
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(flat.dtype.newbyteorder("=")).reshape(shape)


def _fields(data: memoryview) -> Fields:
    """The fields of a message: numbers, or what is inside of nested messages and texts."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        field, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _read_varint(data, at)
            yield field, value
        elif wire == BYTES:
            length, at = _read_varint(data, at)
            if length > len(data) - at:
                raise Damaged(f"it ends in the middle of {length} bytes")
            yield field, data[at : at + length]
            at += length
        else:
            raise Damaged("it is no message of a checkpoint")


def _packed(data: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _read_varint(data, at)
        values.append(value)
    return values


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Damaged("it ends in the middle of a number")
        byte = data[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise Damaged("a number in it does not end")
