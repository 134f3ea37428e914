"""Memory shared with other libraries: NumPy, PyTorch where it is there, and an emulated device."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config, cuda, from_dlpack
from jitgrad.errors import DeviceError, DTypeError, TapeError
from jitgrad.runtime.cuda import interop
from jitgrad.tensor import Tensor

DTYPES = ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool"]


@pytest.fixture
def emulated() -> Iterator[None]:
    with config.override(cuda="emulate"):
        yield


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy(dtype: str) -> None:
    array = np.ones((2, 3), dtype)
    x = from_dlpack(array)
    assert (x.shape, str(x.dtype).lower(), x.device) == ((2, 3), dtype, "CPU")
    array[1, 2] = 0
    assert not x.asnumpy()[1, 2]
    back = np.from_dlpack(x)
    assert back.ctypes.data == array.ctypes.data
    assert back.dtype == array.dtype


def test_what_cannot_be_shared_is_copied() -> None:
    array = np.arange(6.0).reshape(2, 3)
    turned = from_dlpack(array.T)
    assert turned.asnumpy().tolist() == array.T.tolist()
    array[0, 0] = 9.0
    assert turned.asnumpy()[0, 0] == 0.0


def test_compiled_code_reads_what_is_there(emulated: None) -> None:
    array = np.ones(3, np.float32)
    x = from_dlpack(array)
    function = ms.jit(lambda x: x * 2.0)
    for value in (1.0, 2.0, 3.0, 4.0):
        array[:] = value
        assert function(x).asnumpy().tolist() == [2 * value] * 3


def test_what_is_refused() -> None:
    with pytest.raises(DTypeError, match="it has neither __dlpack__ nor"):
        from_dlpack([1.0])
    with pytest.raises(DTypeError, match="it has neither"):
        from_dlpack(1j)
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TapeError, match="requires a gradient was lent"):
        np.from_dlpack(x)
    with pytest.raises(BufferError, match="asked for on device"):
        x.detach().__dlpack__(dl_device=(2, 0))
    assert not hasattr(x, "__cuda_array_interface__")
    copied = np.from_dlpack(x.detach())
    assert copied.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_device(emulated: None, dtype: str) -> None:
    x = Tensor(np.array([[1, 0, 1]], dtype)).cuda()
    y = from_dlpack(x)
    assert x.__dlpack_device__() == (2, 0)
    assert (y._type, y.device) == (x._type, "GPU")
    assert y._data.address == x._data.address
    z = from_dlpack(Lent(x.__cuda_array_interface__, x))
    assert (z._type, z._data.address) == (x._type, x._data.address)
    np.testing.assert_array_equal(z.asnumpy(), x.asnumpy())


class Lent:
    """Another library's array, of which only the interface is known."""

    def __init__(self, interface: dict[str, Any], held: Any = None):
        self.__cuda_array_interface__ = interface
        self.held = held


def test_what_is_lent_stays_alive(emulated: None) -> None:
    before, capsules = cuda.memory_allocated(), len(interop._lent)
    x = Tensor(np.ones(1000, np.float32)).cuda()
    y = from_dlpack(x)
    unused = x.__dlpack__()
    del x
    gc.collect()
    assert cuda.memory_allocated() == before + 4096
    assert y.asnumpy().tolist() == [1.0] * 1000
    del y, unused
    gc.collect()
    assert (cuda.memory_allocated(), len(interop._lent)) == (before, capsules)


def test_strides_of_a_device(emulated: None) -> None:
    x = Tensor(np.ones((4, 4), np.float32)).cuda()
    turned = {**x.__cuda_array_interface__, "strides": (4, 16)}
    with pytest.raises(DeviceError, match=r"has strides \(4, 16\)"):
        from_dlpack(Lent(turned))
    whole = {**x.__cuda_array_interface__, "strides": (16, 4)}
    assert from_dlpack(Lent(whole, x)).shape == (4, 4)


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    ours = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    theirs = torch.from_dlpack(ours)
    theirs[0, 0] = 7.0
    assert ours.asnumpy()[0, 0] == 7.0
    made = from_dlpack(theirs * 2.0)
    assert made.asnumpy().tolist() == (2 * ours.asnumpy()).tolist()
    shared = torch.zeros(3)
    x = from_dlpack(shared)
    shared[1] = 4.0
    assert x.asnumpy().tolist() == [0.0, 4.0, 0.0]
