"""DLPack's capsules and CUDA's array interface for arrays on a device: memory is lent, not copied.

The structures are those of DLPack 0.8 (`dlpack.h`), which every library reads. For arrays in the
host's memory NumPy speaks the protocol.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_uint8,
    c_uint16,
    c_uint64,
    c_void_p,
    py_object,
)
from typing import Any

import numpy as np

from jitgrad.errors import DeviceError, DTypeError, fail
from jitgrad.passes.access import strides as in_order
from jitgrad.runtime.cuda.array import DeviceArray
from jitgrad.runtime.cuda.device import Device
from jitgrad.runtime.cuda.pool import Block

CPU, CUDA = 1, 2  # kinds of devices
DEFAULT_STREAM = 1  # the legacy one, with which all that we launch is in order
CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
NAME, USED = b"dltensor", b"used_dltensor"


class _Device(Structure):
    _fields_ = [("kind", c_int32), ("number", c_int32)]


class _DataType(Structure):
    _fields_ = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class _Tensor(Structure):
    _fields_ = [
        ("data", c_void_p), ("device", _Device), ("ndim", c_int32), ("dtype", _DataType),
        ("shape", POINTER(c_int64)), ("strides", POINTER(c_int64)), ("byte_offset", c_uint64),
    ]  # fmt: skip


class _Managed(Structure):
    pass


_Deleter = CFUNCTYPE(None, POINTER(_Managed))
_Managed._fields_ = [("tensor", _Tensor), ("context", c_void_p), ("deleter", _Deleter)]
_Destructor = CFUNCTYPE(None, c_void_p)


def _python(name: str, result: Any, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new = _python("PyCapsule_New", py_object, c_void_p, c_char_p, _Destructor)
_pointer = _python("PyCapsule_GetPointer", c_void_p, py_object, c_char_p)
_rename = _python("PyCapsule_SetName", c_int, py_object, c_char_p)
_valid = _python("PyCapsule_IsValid", c_int, c_void_p, c_char_p)
_raw_pointer = _python("PyCapsule_GetPointer", c_void_p, c_void_p, c_char_p)

_lent: dict[int, tuple[Any, ...]] = {}  # by address of the structure: what has to stay alive


@_Deleter
def _returned(managed: Any) -> None:
    _lent.pop(ctypes.addressof(managed.contents), None)


@_Destructor
def _dropped(capsule: int) -> None:
    """A capsule that nobody took."""
    if _valid(capsule, NAME):
        _lent.pop(_raw_pointer(capsule, NAME), None)


def capsule(array: DeviceArray) -> Any:
    """A device's array as DLPack hands it around; it stays alive as long as that is in use."""
    shape = (c_int64 * len(array.shape))(*array.shape)
    managed = _Managed()
    dtype = _DataType(CODES[array.dtype.kind], 8 * array.dtype.itemsize, 1)
    managed.tensor = _Tensor(
        array.address, _Device(CUDA, 0), len(array.shape), dtype, shape, None, 0
    )
    managed.deleter = _returned
    address = ctypes.addressof(managed)
    _lent[address] = managed, shape, array
    return _new(address, NAME, _dropped)


class _Borrowed:
    """Keeps what was lent until the last block over it goes."""

    def __init__(self, managed: Any):
        self.managed = managed

    def __del__(self) -> None:
        if self.managed.deleter:
            self.managed.deleter(ctypes.pointer(self.managed))


def opened(taken: Any, device: Device) -> DeviceArray:
    """The array of a capsule, in the memory that it lends."""
    managed = _Managed.from_address(_pointer(taken, NAME))
    _rename(taken, USED)
    held, tensor = _Borrowed(managed), managed.tensor
    shape = tuple(tensor.shape[: tensor.ndim])
    kinds = {code: kind for kind, code in CODES.items()}
    kind = kinds.get(tensor.dtype.code, "")
    if not kind or tensor.dtype.lanes != 1:
        raise fail(DTypeError, f"from_dlpack got data of DLPack's type {tensor.dtype.code}")
    dtype = np.dtype(bool if kind == "b" else f"{kind}{tensor.dtype.bits // 8}")
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else None
    steps = None if strides is None else tuple([s * dtype.itemsize for s in strides])
    return lent(device, tensor.data + tensor.byte_offset, shape, dtype, steps, held)


def lent(
    device: Device,
    address: int,
    shape: tuple[int, ...],
    dtype: np.dtype,
    strides: tuple[int, ...] | None,
    owner: Any,
) -> DeviceArray:
    """An array in somebody else's memory; strides in bytes. DeviceError unless in C order."""
    size = int(np.prod(shape, dtype=np.int64))
    wanted = [step * dtype.itemsize for step in in_order(shape)]
    apart = strides is not None and any(
        s != w for s, w, n in zip(strides, wanted, shape, strict=True) if n > 1
    )
    if apart and size:
        raise fail(
            DeviceError,
            f"an array of shape {list(shape)} on the GPU has strides {strides}",
            why="Tensors are in C order",
            instead="x.contiguous() there",
        )
    return DeviceArray(device, Block(address, size * dtype.itemsize, owner), shape, dtype)


def interface(array: DeviceArray) -> dict[str, Any]:
    """`__cuda_array_interface__`, version 3."""
    return {
        "shape": array.shape,
        "typestr": array.dtype.str,
        "data": (array.address if array.size else 0, False),
        "strides": None,
        "stream": DEFAULT_STREAM,
        "version": 3,
    }
