"""Tensors on a device, emulated: what moves, what stays, what is launched, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config, cuda, journal, nn, ops
from jitgrad.codegen.cuda import emulate
from jitgrad.codegen.cuda.grid import Grid
from jitgrad.errors import ArgumentError, BoundsError, DeviceError, DeviceMemoryError, IRError
from jitgrad.runtime.cuda.emulated import Emulated
from jitgrad.runtime.cuda.machine import Failure
from jitgrad.tensor import Parameter, Tensor
from tests.runtime.devices import Counting, installed, normal


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    """A device that counts, in the place of the GPU."""
    made = Counting()
    installed(monkeypatch, made)
    with config.override(cuda="emulate"):
        yield made


# --- where things are ---------------------------------------------------------------------------


def test_there_and_back(machine: Counting) -> None:
    x = normal(3, 4)
    y = x.to("GPU")
    assert (x.device, y.device, y.cpu().device, y.cuda().device) == ("CPU", "GPU", "CPU", "GPU")
    np.testing.assert_array_equal(y.asnumpy(), x.asnumpy())
    assert repr(y) == repr(x)
    with pytest.raises(IRError, match="on a device is read as if"):
        np.asarray(y._data)
    with pytest.raises(ArgumentError, match="there is no device 'cuda:1'"):
        x.to("cuda:1")


def test_operations_run_where_their_operands_are(machine: Counting) -> None:
    x = normal(3, 4)
    y = x.cuda()
    found = ops.softmax(y * 2.0 + y.sum(), -1)
    assert found.device == "GPU"
    expected = ops.softmax(x * 2.0 + x.sum(), -1).asnumpy()
    np.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-5)
    y[0] = 1.0
    assert y.device == "GPU"
    assert y.asnumpy()[0].tolist() == [1.0] * 4


def test_gradients_are_where_their_tensors_are(machine: Counting) -> None:
    x = normal(3)
    x.requires_grad_()
    there = x.cuda()
    ((there * there).sum() + there.cpu().sum()).backward()
    assert x.grad is not None
    assert x.grad.device == "CPU"
    np.testing.assert_allclose(x.grad.asnumpy(), 2 * x.detach().asnumpy() + 1, rtol=1e-6)
    w = normal(3).cuda()
    w.requires_grad_()
    for _ in range(2):  # they are added up there
        ms.jit(lambda w: (w * w).sum())(w).backward()
    assert w.grad is not None
    assert w.grad.device == "GPU"
    np.testing.assert_allclose(w.grad.asnumpy(), 4 * w.detach().asnumpy(), rtol=1e-6)


def test_operands_in_two_places(machine: Counting) -> None:
    x, y = normal(2, 3), normal(2, 3)
    with pytest.raises(DeviceError, match=r"add got f32\[2,3\] on the GPU, and f32\[2,3\] on the"):
        x.cuda() + y
    function = ms.jit(lambda x, y: x * y)
    with pytest.raises(DeviceError, match=r"got y, f32\[2,3\], on the GPU, and x, f32\[2,3\], on"):
        function(x, y.cuda())
    assert function(Tensor(2.0), y.cuda()).device == "GPU"  # a number comes along


def test_writing_does_not_move(machine: Counting) -> None:
    p = Parameter(normal(3), name="p")
    cell = nn.Dense(3, 2).cuda()
    assert [q.device for q in cell.get_parameters()] == ["GPU", "GPU"]
    cell.weight.set_data(normal(2, 3))
    assert cell.weight.device == "GPU"
    p.set_data(normal(3).cuda())
    assert p.device == "CPU"
    assert cell.cpu().weight.device == "CPU"
    with pytest.raises(ArgumentError, match=r"Dense\.to\(\) got"):
        cell.to("float32")


# --- whole programs -----------------------------------------------------------------------------


def training() -> tuple[nn.Cell, nn.Adam, Callable]:
    ms.set_seed(1)
    net = nn.SequentialCell(nn.Dense(5, 7), nn.ReLU(), nn.Dropout(p=0.3), nn.Dense(7, 3))
    net.set_train()
    optimizer = nn.Adam(net.trainable_params(), 0.01)
    loss = nn.CrossEntropyLoss()
    gradient = ms.value_and_grad(lambda x, y: loss(net(x), y), None, optimizer.parameters)

    def step(x, y):
        value, slopes = gradient(x, y)
        optimizer(slopes)
        return value

    return net, optimizer, step


def test_training_stays_on_the_device(machine: Counting) -> None:
    """Parameters, activations, gradients, optimizer and random state: nothing is copied."""
    x, y = normal(4, 5), Tensor(np.array([0, 1, 2, 1], np.int32))
    expected = ms.jit(training()[2])(x, y).item()
    net, optimizer, step = training()
    compiled = ms.jit(step)
    x, y = x.cuda(), y.cuda()
    first = loss = compiled(x, y)
    for _ in range(4):
        loss = compiled(x, y)
    before = machine.uploads, machine.downloads
    for _ in range(4):
        loss = compiled(x, y)
    assert (machine.uploads, machine.downloads) == before
    assert machine.replays > 0
    everything = [*net.get_parameters(), *optimizer.get_parameters()]
    assert {p.device for p in everything} == {"GPU"}
    np.testing.assert_allclose(first.item(), expected, rtol=1e-5)
    assert loss.item() < first.item()


def test_the_context_moves_what_a_function_finds(machine: Counting) -> None:
    w, scale = Parameter(normal(3), name="w"), normal(3)
    function = ms.jit(lambda x: (x * w * scale).sum(), backend="cuda")
    for _ in range(3):
        assert function(normal(3)).device == "GPU"
    assert (w.device, scale.device) == ("GPU", "GPU")
    before = machine.uploads
    function(normal(3))
    assert machine.uploads == before + 1  # the argument's, which stays where it is


def test_the_target_takes_everything(machine: Counting) -> None:
    """As MindSpore's programs expect it: nobody moves anything by hand."""
    x, y = normal(3), normal(3)
    function = ms.jit(lambda x: x * 2.0)
    with config.override(device="GPU"):
        out = function(x) + y
        assert (x.device, y.device, out.device) == ("GPU", "CPU", "GPU")
    np.testing.assert_allclose(out.asnumpy(), 2 * x.asnumpy() + y.asnumpy(), rtol=1e-6)


def test_a_repeated_plan_is_recorded_once(machine: Counting) -> None:
    function = ms.jit(lambda x: ops.tanh(x).sum())
    x = normal(40).cuda()
    values = {function(x).item() for _ in range(6)}
    assert len(values) == 1
    assert machine.recordings == 1


def test_memory_is_used_again(machine: Counting) -> None:
    function = ms.jit(lambda x: x + 1.0)
    x = normal(100).cuda()
    for _ in range(3):
        x = function(x)
    reserved, allocated = cuda.memory_reserved(), cuda.memory_allocated()
    for _ in range(20):
        x = function(x)
    assert (cuda.memory_reserved(), cuda.memory_allocated()) == (reserved, allocated)
    cuda.reset_peak_memory_stats()
    y = normal(10_000).cuda()
    assert cuda.max_memory_allocated() >= allocated + y.nbytes
    del y
    cuda.empty_cache()
    assert cuda.memory_reserved() < cuda.max_memory_allocated()
    assert cuda.mem_get_info()[0] == machine.total - cuda.memory_reserved()


def test_doubles_are_said_to_be_dear(machine: Counting) -> None:
    x = Tensor(np.ones(3)).cuda()
    with journal.collected() as lines:
        ms.jit(lambda x: ops.exp(x).sum())(x)
    assert any("1 of 1 kernels compute in float64, whose arithmetic takes 2 t" in s for s in lines)


# --- what goes wrong ----------------------------------------------------------------------------


def test_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, Emulated(total=1 << 16))
    with config.override(cuda="emulate"):
        x = normal(40, 100).cuda()
        with pytest.raises(DeviceMemoryError) as caught:
            normal(20_000).cuda()
        text = str(caught.value)
        assert "no room for 78.1 kB, for float32[20000]" in text
        assert "48.0 kB of its 64.0 kB are free" in text
        assert "16.0 kB for float32[40, 100]" in text
        with pytest.raises(DeviceMemoryError, match="the largest of it"):
            ms.jit(lambda x: ops.concat([x + float(k) for k in range(5)]))(x)
        assert isinstance(caught.value, MemoryError)
        np.testing.assert_array_equal((x * 2.0).asnumpy(), 2 * x.asnumpy())  # the program goes on


def test_an_index_out_of_bounds_is_seen_when_a_value_is_read(machine: Counting) -> None:
    function = ms.jit(lambda x, i: x[i] * 2.0)
    x, at = normal(2).cuda(), Tensor([0, 9]).cuda()
    out = function(x, at)
    with pytest.raises(BoundsError, match="index 9 is out of bounds for an axis of extent 2"):
        out.asnumpy()
    out.asnumpy()  # reported once
    with config.override(cuda_sync=True), pytest.raises(BoundsError, match="index 9"):
        function(x, at)


class Failing(Emulated):
    """What goes wrong in a launch is reported when somebody waits, as by a GPU."""

    failure = ""

    def run(self, grid: Grid, memory: Sequence[np.ndarray], blocks: int) -> None:
        if "exp" in grid.source:
            self.failure = "CUDA_ERROR_ILLEGAL_ADDRESS (700) in cuStreamSynchronize"
        super().run(grid, memory, blocks)

    def synchronize(self) -> None:
        if self.failure:
            raise Failure(self.failure)

    def download(self, address: int, array: np.ndarray) -> None:
        self.synchronize()
        super().download(address, array)


def program(x):
    y = x.sum(0) * 2.0
    return ops.exp(y) @ x


def test_errors_of_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, Failing())
    with config.override(cuda="emulate"):
        x = normal(3, 3).cuda()
        out = ms.jit(program)(x)
        with pytest.raises(
            DeviceError, match="the GPU reports CUDA_ERROR_ILLEGAL_ADDRESS"
        ) as found:
            out.asnumpy()
        assert "JITGRAD_CUDA_SYNC=1" in str(found.value)
        with (
            config.override(cuda_sync=True),
            pytest.raises(DeviceError, match=r"launch \d, .*exp.* failed: CUDA_ERROR") as found,
        ):
            ms.jit(program)(x)
        assert "test_device.py" in str(found.value)


def test_an_address_that_was_released() -> None:
    machine = Emulated()
    address = machine.allocate(512)
    assert machine.at(address + 256, 256).size == 256
    with pytest.raises(emulate.Outside):
        machine.at(address + 300, 256)
    machine.release(address)
    with pytest.raises(emulate.Outside):
        machine.at(address, 1)


def test_without_a_gpu() -> None:
    if not cuda.reason():
        pytest.skip("there is a GPU")
    assert (cuda.is_available(), cuda.device_count()) == (False, 0)
    with pytest.raises(DeviceError, match="there is no GPU to run on: "):
        Tensor(1.0).cuda()
    with pytest.raises(DeviceError, match="there is no GPU to run on: "):
        cuda.memory_allocated()


# --- loops that the host drives -----------------------------------------------------------------


def recurrent(x, h, w):
    for t in range(x.shape[0]):
        h = ops.tanh(h @ w + x[t])
    return h.sum()


def newton(x):
    steps = 0
    while (x * x - 2.0).abs().max() > 1e-3:
        x = x - (x * x - 2.0) / (2.0 * x)
        steps += 1
    return x.sum() + steps


def branches(x):
    return (x @ x).sum() if x.sum() > 0 else (x * 2.0).sum()


def matrices(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple([ops.abs(normal(*shape)) + 0.5 for shape in shapes])


DRIVEN = {
    "for": (recurrent, matrices((12, 4, 6), (4, 6), (6, 6))),
    "while": (newton, matrices((40,))),
    "if": (branches, matrices((20, 20))),
    "else": (branches, (matrices((20, 20))[0] * -1.0,)),
}


@pytest.mark.parametrize("name", DRIVEN)
def test_loops_with_large_bodies(machine: Counting, name: str) -> None:
    function, arguments = DRIVEN[name]
    compiled = ms.jit(ms.value_and_grad(function, tuple(range(len(arguments)))))
    value, slopes = compiled(*arguments)
    found, there = compiled(*[x.cuda() for x in arguments])
    assert found.device == "GPU"
    np.testing.assert_allclose(found.asnumpy(), value.asnumpy(), rtol=1e-5)
    slopes, there = ([t] if isinstance(t, Tensor) else t for t in (slopes, there))
    for a, b in zip(there, slopes, strict=True):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-4, atol=1e-5)


def test_a_loop_of_known_length_does_not_wait(machine: Counting) -> None:
    function, arguments = DRIVEN["for"]
    compiled, there = ms.jit(function), [x.cuda() for x in arguments]
    before = machine.downloads
    out = compiled(*there)
    assert machine.downloads == before
    out.asnumpy()


def test_functions_of_arrays_are_called_by_the_host(machine: Counting) -> None:
    calls = []

    @ms.opaque
    def doubled(x):
        calls.append(x)
        if x.sum() > 100.0:
            raise ValueError("too large")
        return x * 2.0

    def grown(x):
        while x.sum() < 50.0:
            x = doubled(x) + 1.0
        return ops.exp(-x)

    x = normal(5)
    compiled, there = ms.jit(grown), ops.abs(x).cuda()
    np.testing.assert_allclose(compiled(there).asnumpy(), grown(ops.abs(x)).asnumpy(), rtol=1e-6)
    assert compiled(there).device == "GPU"
    assert {type(x) for x in calls} == {np.ndarray}
    with pytest.raises(ValueError, match="too large"):
        ms.jit(doubled)(normal(5).cuda() * 0.0 + 50.0)
    assert compiled(there).device == "GPU"  # the device can be used again


def test_random_numbers_are_drawn_where_they_are_used(machine: Counting) -> None:
    """The state of a random stream follows; it makes nothing else run on the device."""
    from jitgrad.frontend.random import default_generator

    ms.set_seed(3)
    there, here = (nn.Dropout(p=0.5).set_train() for _ in range(2))
    x = normal(4, 3)
    first = ms.jit(lambda x: there(x))(x.to("GPU"))
    second = ms.jit(lambda x: here(x))(x)
    third = ops.randn(2)
    assert (first.device, second.device, third.device) == ("GPU", "CPU", "CPU")
    drawn = default_generator().counter.item()
    ms.set_seed(3)
    np.testing.assert_array_equal(ms.jit(lambda x: here(x))(x).asnumpy(), first.cpu().asnumpy())
    np.testing.assert_array_equal(ms.jit(lambda x: here(x))(x).asnumpy(), second.asnumpy())
    np.testing.assert_array_equal(ops.randn(2).asnumpy(), third.asnumpy())
    assert default_generator().counter.item() == drawn
