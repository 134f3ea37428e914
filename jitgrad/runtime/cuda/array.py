"""An array in a device's memory: what a Tensor holds instead of a NumPy array."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from jitgrad.errors import IRError

if TYPE_CHECKING:
    from jitgrad.runtime.cuda.device import Device
    from jitgrad.runtime.cuda.pool import Block


IN_USE: list[str] = []  # the names of devices; empty until there is one


class DeviceArray:
    """Elements in C order in a device's memory. It is never read without being asked: NumPy gets
    no view of it, and `numpy()` waits for what is still to be computed.
    """

    __slots__ = ("__weakref__", "block", "device", "dtype", "shape")

    def __init__(self, device: Device, block: Block, shape: tuple[int, ...], dtype: Any):
        self.device, self.block, self.shape, self.dtype = device, block, shape, np.dtype(dtype)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def address(self) -> int:
        return self.block.address

    def numpy(self) -> np.ndarray:
        """The elements, in the host's memory."""
        return self.device.read(self)

    def copy(self) -> DeviceArray:
        """The same elements in other memory of the device."""
        return self.device.duplicate(self)

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise IRError(f"an array {self} on a device is read as if it were in the host's memory")

    def __repr__(self) -> str:
        return f"{self.dtype}{list(self.shape)} on the {self.device.name}"


Array = np.ndarray | DeviceArray


def any_there(arrays: Iterable[Any]) -> bool:
    """Whether any of some arrays is on a device."""
    return any(type(a) is DeviceArray for a in arrays)


def host(array: Any) -> Any:
    """An array in the host's memory, copied if it lies on a device; None stays None."""
    return array.numpy() if type(array) is DeviceArray else array


def beside(old: Any, array: Array) -> Array:
    """An array's elements where an old one's are: writing does not move a Tensor."""
    return old.device.put(array) if type(old) is DeviceArray else host(array)
