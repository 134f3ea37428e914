"""The safetensors format: names, dtypes, shapes and raw values. It holds no code.

A file is the length of its header (8 bytes, little-endian), the header (JSON: for each name the
dtype, the shape, and where its bytes begin and end), and the bytes. Everything is checked against
the size of the file before memory is taken for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from jitgrad.errors import DTypeError, fail

DTYPES = {
    "BOOL": "bool", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2",
    "U32": "<u4", "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8",
}  # fmt: skip
CODES = {np.dtype(kind): code for code, kind in DTYPES.items()}
LONGEST_HEADER = 100_000_000
Arrays = Mapping[str, np.ndarray]


class Damaged(ValueError):
    """A file that is no checkpoint, or not a whole one; the text says what is wrong."""


def write(file: BinaryIO, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Write arrays by name. The widest dtypes come first, so that every array is aligned."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    header |= dict.fromkeys(arrays)
    place, order = 0, sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    for name in order:
        array = arrays[name]
        code = CODES.get(array.dtype.newbyteorder("<"))
        if code is None or name == "__metadata__":
            raise fail(DTypeError, f"{name!r}: {array.dtype} cannot be written as safetensors")
        end = place + array.nbytes
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for name in order:
        array = arrays[name]
        file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def read(data: memoryview) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a file by name, and its metadata; Damaged if anything in it does not fit."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, LONGEST_HEADER):
        raise Damaged(f"its header would have {length} bytes, the file has {len(data)}")
    try:
        header = json.loads(bytes(data[8 : 8 + length]), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"its header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise Damaged("its header is no table")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise Damaged("its metadata are no texts")
    body = data[8 + length :]
    spans = {name: _span(name, entry) for name, entry in header.items()}
    end = 0
    for start, stop in sorted(span[2] for span in spans.values()):
        if start != end:
            raise Damaged(f"its values overlap or leave a gap at byte {end}")
        end = stop
    if end != len(body):
        raise Damaged(f"its values have {len(body)} bytes, and the header says {end}")
    return {name: _array(body, *span) for name, span in spans.items()}, metadata


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands there twice")
    return table


def _span(name: str, entry: Any) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    """Dtype, shape and bytes of an entry of the header."""
    if not isinstance(entry, dict):
        raise Damaged(f"{name!r} is no table")
    kind, shape, span = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if kind not in DTYPES and kind != "BF16":
        raise Damaged(f"{name!r} has the unknown dtype {kind!r}")
    if not _is_sizes(shape) or not _is_sizes(span) or len(span) != 2:
        raise Damaged(f"{name!r} has shape {shape!r} and bytes {span!r}")
    size = 2 if kind == "BF16" else np.dtype(DTYPES[kind]).itemsize
    if len(shape) > 32 or span[1] - span[0] != math.prod(shape) * size:
        raise Damaged(f"{name!r}: {kind} of shape {shape!r} does not take the bytes {span!r}")
    return kind, tuple(shape), (span[0], span[1])


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _array(
    body: memoryview, kind: str, shape: tuple[int, ...], span: tuple[int, int]
) -> np.ndarray:
    part = body[span[0] : span[1]]
    if kind == "BF16":  # the upper half of a float32; there is no such dtype here
        return (np.frombuffer(part, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    dtype = np.dtype(DTYPES[kind])
    return np.frombuffer(part, dtype).reshape(shape).astype(dtype.newbyteorder("="))
