"""Tensors and the arrays of other libraries, without copies: DLPack and CUDA's array interface."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, TapeError, fail
from jitgrad.ir.types import TensorType
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.runtime.cuda.array import DeviceArray
from jitgrad.tensor import Tensor

CPU, CUDA = 1, 2  # DLPack's kinds of devices
VERSIONED = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # its capsules say what is read-only
OUR_ORDER = (None, 1, -1)  # streams that need not wait for ours, or do so by themselves


def __dlpack__(
    self: Tensor,
    *,
    stream: Any = None,
    max_version: Any = None,
    dl_device: Any = None,
    copy: bool | None = None,
) -> Any:
    """The memory of this Tensor, for ``from_dlpack`` of NumPy, PyTorch, CuPy or JAX: who writes
    there writes to the Tensor. TapeError for one that requires a gradient, BufferError for another
    device.
    """
    array = _lendable(self)
    if dl_device not in (None, __dlpack_device__(self)):
        raise BufferError(f"a Tensor on the {self.device} is asked for on device {dl_device}")  # type: ignore[attr-defined]
    if copy:
        array = array.copy()
    if isinstance(array, np.ndarray):
        versions = {"max_version": max_version} if VERSIONED and max_version else {}
        return array.__dlpack__(**versions)
    from jitgrad.runtime.cuda import interop

    if stream not in OUR_ORDER:
        array.device.synchronize()
    return interop.capsule(array)


def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    """DLPack's name of where the elements are: (1, 0) for the host, (2, 0) for the GPU."""
    return (CUDA if type(self._data) is DeviceArray else CPU), 0


def _cuda_array_interface(self: Tensor) -> dict[str, Any]:
    """The memory of a Tensor on a GPU, as CuPy and Numba take it. AttributeError for others."""
    if type(self._data) is not DeviceArray:
        raise AttributeError("a Tensor in the host's memory has no __cuda_array_interface__")
    from jitgrad.runtime.cuda import interop

    return interop.interface(_lendable(self))


def _lendable(x: Tensor) -> Any:
    if x.requires_grad:
        raise fail(
            TapeError,
            "a Tensor that requires a gradient was lent to another library",
            why="what is computed there has no gradient",
            instead="x.detach()",
        )
    return x._held("lent to another library")


def from_dlpack(x: Any) -> Tensor:
    """A Tensor in the memory of another library's array: nothing is copied, and what is written
    to one is seen in the other.

    Args:
        x: an object with `__dlpack__` (of NumPy, PyTorch, JAX, CuPy, or a Tensor), or one on a GPU
            with `__cuda_array_interface__`. In the host's memory, one that may not be written to
            or is not in C order is copied.

    Raises:
        TypeError: it has neither, or its dtype is none of ours.
        DeviceError: it is on a GPU, and not in C order.

    >>> import numpy as np
    >>> from jitgrad import from_dlpack
    >>> array = np.zeros(2, np.float32)
    >>> x = from_dlpack(array)
    >>> array[0] = 5.0
    >>> print(x)
    [5. 0.]
    """
    if hasattr(x, "__dlpack__"):
        if x.__dlpack_device__()[0] == CPU:
            array = np.from_dlpack(x)
            whole = array.flags.c_contiguous and array.flags.aligned and array.flags.writeable
            return _made(array if whole else array.copy(), array.dtype)
        from jitgrad.runtime.cuda import device, interop

        found = interop.opened(x.__dlpack__(stream=interop.DEFAULT_STREAM), device.device())
        return _made(found, found.dtype)
    about = getattr(x, "__cuda_array_interface__", None)
    if about is None:
        raise fail(
            DTypeError,
            f"from_dlpack got a {type(x).__name__}",
            why="it has neither __dlpack__ nor __cuda_array_interface__",
            instead="Tensor(x) for numbers and lists",
        )
    from jitgrad.runtime.cuda import device, interop

    if about.get("stream") not in OUR_ORDER:
        device.device().machine.wait(about["stream"])
    dtype = np.dtype(about["typestr"])
    found = interop.lent(
        device.device(), about["data"][0], tuple(about["shape"]), dtype, about.get("strides"), x
    )
    return _made(found, dtype)


def _made(array: Any, dtype: np.dtype) -> Tensor:
    try:
        return Tensor._wrap(array, TensorType(dtype_of(dtype), tuple(array.shape)))
    except TypeError as error:
        raise fail(DTypeError, f"from_dlpack got data of dtype {dtype}", why=str(error)) from None


METHODS = {"__dlpack__": __dlpack__, "__dlpack_device__": __dlpack_device__}
PROPERTIES = {"__cuda_array_interface__": _cuda_array_interface}

__all__ = ["METHODS", "PROPERTIES", "from_dlpack"]
