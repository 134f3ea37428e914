"""NVIDIA's driver, played by Python: what is called, with what, and in which order."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config, cuda, ops
from jitgrad.codegen.cuda import emulate, offline
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.errors import DeviceError, DeviceMemoryError
from jitgrad.runtime import cache
from jitgrad.runtime.cuda import device, images, native
from jitgrad.runtime.cuda.native import Native
from jitgrad.tensor import Tensor
from tests.runtime.devices import installed, normal


def word(value: Any) -> int:
    return int(getattr(value, "value", value) or 0)


class Played:
    """The driver's functions over the host's memory; kernels are run by the emulator. What is
    between `cuStreamBeginCapture` and its end is kept, and run with the graph.
    """

    def __init__(self) -> None:
        self.memory: dict[int, np.ndarray] = {}
        self.grids: dict[int, Grid] = {}
        self.captured: list[tuple] | None = None
        self.graphs: list[list[tuple]] = []
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            return 0

        return call

    def cuDeviceGetAttribute(self, out: Any, which: int, device: Any) -> int:
        out._obj.value = which
        return 0

    def cuDeviceGetName(self, out: Any, size: int, device: Any) -> int:
        out.value = b"played"
        return 0

    def cuMemAlloc_v2(self, out: Any, nbytes: Any) -> int:
        array = np.zeros(word(nbytes), np.uint8)
        if array.nbytes > 1 << 20:
            return 2
        out._obj.value = array.ctypes.data
        self.memory[array.ctypes.data] = array
        return 0

    def cuMemFree_v2(self, address: Any) -> int:
        del self.memory[word(address)]
        return 0

    def move(self, to: Any, of: Any, nbytes: Any, stream: Any) -> int:
        assert self.captured is None
        ctypes.memmove(word(to), word(of), word(nbytes))
        return 0

    cuMemcpyHtoDAsync_v2 = cuMemcpyDtoHAsync_v2 = cuMemcpyDtoDAsync_v2 = move

    def cuModuleLoadData(self, out: Any, image: Any) -> int:
        out._obj.value = int(image.value)
        return 0

    def cuModuleGetFunction(self, out: Any, module: Any, name: Any) -> int:
        assert name.value == b"kernel"
        out._obj.value = module.value
        return 0

    def cuLaunchKernel(self, kernel: Any, *rest: Any) -> int:
        launch = (self.grids[kernel.value], word(rest[0]), word(rest[3]), word(rest[8]))
        self.calls.append("cuLaunchKernel")
        if self.captured is None:
            self.launched(*launch)
        else:
            self.captured.append(launch)
        return 0

    def launched(self, grid: Grid, blocks: int, threads: int, given: int) -> None:
        assert threads == grid.threads
        count = len(grid.pointers) if grid.codes else 2
        places = (ctypes.c_uint64 * (count + 1)).from_address(given)
        words = [ctypes.c_uint64.from_address(places[i]).value for i in range(count)]
        if not grid.codes:
            words = list((ctypes.c_uint64 * len(grid.pointers)).from_address(words[0]))
        emulate.run(grid, [self.bytes(w) for w in words], blocks)

    def bytes(self, address: int) -> np.ndarray:
        """What is from an address on to the end of its allocation, whole words of it."""
        start = max(a for a in self.memory if a <= address)
        left = self.memory[start][address - start :]
        return left[: left.size // 8 * 8]

    def cuStreamBeginCapture_v2(self, stream: Any, mode: Any) -> int:
        self.captured = []
        return 0

    def cuStreamEndCapture(self, stream: Any, out: Any) -> int:
        assert self.captured is not None
        self.graphs.append(self.captured)
        self.captured = None
        out._obj.value = len(self.graphs)
        return 0

    def cuGraphInstantiateWithFlags(self, out: Any, graph: Any, flags: Any) -> int:
        out._obj.value = graph.value
        return 0

    def cuGraphLaunch(self, graph: Any, stream: Any) -> int:
        self.calls.append("cuGraphLaunch")
        for launch in self.graphs[graph.value - 1]:
            self.launched(*launch)
        return 0


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    driver = Played()

    def image(grid: Grid, capability: tuple[int, int]) -> tuple[bytes, bytes]:
        assert capability == (75, 76)
        driver.grids[len(driver.grids) + 1] = grid
        return str(len(driver.grids)).encode(), b"kernel"

    monkeypatch.setattr(images, "image", image)
    installed(monkeypatch, Native(driver))  # type: ignore[arg-type]
    with config.override(cuda="emulate"):
        yield driver


def test_the_driver_is_called_as_it_wants(played: Played) -> None:
    """Copies, arguments by address, tables of addresses, graphs: all as the driver reads them."""

    def function(x, at):
        return (ops.softmax(x @ x.T, -1) * 2.0)[at], x.cumsum(1)

    x, at = normal(5, 7), Tensor([4, 0, 1])
    expected = [y.asnumpy() for y in function(x, at)]
    compiled = ms.jit(function)
    x, at = x.cuda(), at.cuda()
    for _ in range(5):
        for found, y in zip(compiled(x, at), expected, strict=True):
            np.testing.assert_allclose(found.asnumpy(), y, rtol=1e-5, atol=1e-6)
    assert played.calls.count("cuGraphLaunch") >= 1
    assert cuda.get_device_name() == "played"
    with pytest.raises(DeviceMemoryError, match=r"no room for 1\.9 MB"):
        normal(500_000).cuda()


def test_the_drivers_errors(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal(5).cuda()
    monkeypatch.setattr(played, "cuStreamSynchronize", lambda stream: 719, raising=False)
    with pytest.raises(DeviceError, match=r"the GPU reports an unknown error \(719\) in cuStream"):
        x.asnumpy()


def test_machine_code_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For one architecture and one compiler; a second process finds it on disk."""
    made = []

    def compiled(grid: Grid, capability: tuple[int, int]) -> tuple[bytes, bytes]:
        made.append(capability)
        return b"code\nof %d" % len(made), b"kernel"

    monkeypatch.setattr(offline, "image", compiled)
    monkeypatch.setattr(images, "compilers", lambda: b"of today")
    grid = Grid("def kernel(a):\n", (), ("f32",), (), 1, 1)
    for _ in range(2):
        assert images.image(grid, (8, 0)) == (b"code\nof 1", b"kernel")
        cache._memory.clear()
    assert len(list(folder.iterdir())) == 1
    other = Grid("def kernel(a):\n", (), ("f64",), (), 1, 1)
    for changed in (lambda: images.image(other, (8, 0)), lambda: images.image(grid, (9, 0))):
        changed()
    monkeypatch.setattr(images, "compilers", lambda: b"of tomorrow")
    images.image(grid, (8, 0))
    assert made == [(8, 0), (8, 0), (9, 0), (8, 0)]


class Without:
    """A driver that answers, and sees no device."""

    def __init__(self, error: int = 0):
        self.error = error

    def cuInit(self, flags: int) -> int:
        return self.error

    def cuDeviceGetCount(self, out: Any) -> int:
        return 0


def no_library() -> Any:
    raise OSError("libcuda.so.1")


@pytest.mark.parametrize(
    ("installed", "library", "reason"),
    [
        (False, Without, r"jitgrad\[cuda\] is not installed"),
        (True, no_library, "there is no NVIDIA driver"),
        (True, Without, "the NVIDIA driver sees no device"),
        (True, lambda: Without(100), "the NVIDIA driver answers with error 100"),
    ],
)
def test_what_is_missing(
    installed: bool, library: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = SimpleNamespace(util=SimpleNamespace(find_spec=lambda name: installed or None))
    monkeypatch.setattr(native, "importlib", finder)
    monkeypatch.setattr(native, "library", library)
    device.physical.cache_clear()
    with pytest.raises(DeviceError, match=f"there is no GPU to run on: {reason}"):
        Tensor(1.0).cuda()
    assert not cuda.is_available()
    assert (Tensor(1.0) + 1.0).item() == 2.0
