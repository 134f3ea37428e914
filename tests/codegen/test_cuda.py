"""Plans for NVIDIA GPUs, without one: awkward shapes, races, errors.

Every op's kernel is in `test_kernels`; what NVVM and `ptxas` make of them in `test_offline`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import pytest
from numba import config as numba_config

import jitgrad as ms
from jitgrad import config, ops
from jitgrad.codegen import calls
from jitgrad.codegen.cuda import emulate, grids, products
from jitgrad.codegen.cuda.grid import Grid, blocks_for
from jitgrad.errors import BoundsError, DeviceError
from jitgrad.ir.node import Graph
from jitgrad.ir.op import OPS
from jitgrad.runtime.cuda.device import Device
from jitgrad.runtime.cuda.emulated import Emulated
from jitgrad.runtime.cuda.native import why_not
from jitgrad.runtime.cuda.program import DeviceProgram
from jitgrad.tensor import Parameter, Tensor
from tests.codegen.backends import SIMULATED, Backend, emulated, reference, simulated

RNG = np.random.default_rng(5)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


# Nothing, one, primes, one more than a block; rows and columns, short and long.
SHAPES = [(0, 3), (1, 1), (3, 7), (5, 257), (257, 2), (37, 41)]


def softmax(x):
    return ops.softmax(x, -1), x.max(axis=-1)


def rows(x):
    return x.sum(-1)


def columns(x):
    return (x * 2.0).sum(0), x * 2.0


PROGRAMS: dict[str, tuple[Callable, list[tuple[int, ...]]]] = {
    "map": (ops.tanh, SHAPES),
    "transpose": (lambda x: ops.exp(x.T) + x.T, SHAPES),
    "turned": (lambda x: ops.exp(x.transpose(0, 2, 3, 1)) + 1.0, [(2, 3, *s) for s in SHAPES]),
    "both ways": (lambda x: x.transpose(2, 0, 1) * x.transpose(1, 0, 2), [(9, 9, 9), (37, 37, 37)]),
    "row": (softmax, SHAPES[1:]),
    "row sums": (rows, SHAPES),
    "across": (columns, SHAPES),
    "inner": (lambda x: x.sum(1), [(3, *s) for s in SHAPES]),
    "all": (lambda x: x.sum(), SHAPES),
    "blocked": (lambda x: (x * x).sum(), [(1 << 17,)]),
}


def traced(program: Callable, *arrays: np.ndarray) -> Graph:
    return ms.jit(program).lower(*map(Tensor, arrays)).stages[0][1]


def emulated_in_two_blocks(graph: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Two blocks only: loops over the grid go round."""
    device = Device(Emulated(blocks=2))
    return [found.numpy() for found in device.run(DeviceProgram(graph, {}), *arrays)]


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize("backend", [emulated, emulated_in_two_blocks, SIMULATED])
def test_awkward_shapes(kind: str, backend: Backend) -> None:
    program, shapes = PROGRAMS[kind]
    for shape in shapes if backend is not simulated else [s for s in shapes if prod(s) < 1000]:
        array = normal(*shape)
        graph = traced(program, array)
        for a, b in zip(backend(graph, [array]), reference(graph, [array]), strict=True):
            # a sum of n terms in another order: n roundings of its largest partial sum, at most
            bound = np.finfo(np.float32).eps * array.size * max(1.0, float(np.abs(array).sum()))
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=min(bound, 1e-2))


@pytest.mark.parametrize("backend", [emulated, SIMULATED])
@pytest.mark.parametrize("columns", [1, 16, 64])
def test_parts_of_a_join(columns: int, backend: Backend) -> None:
    """One kernel writes all of them into the array that they are parts of."""
    array = normal(3, columns)
    graph = traced(lambda x: ops.cat((ops.exp(x), x * 2.0, -x), 1), array)
    assert len(DeviceProgram(graph, {}).launches) == 1
    (found,), (expected,) = backend(graph, [array]), reference(graph, [array])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


PRODUCTS = [(1, 1, 1), (3, 5, 7), (17, 33, 16), (65, 70, 19), (4, 4, 0)]


@pytest.mark.parametrize(("m", "n", "k"), PRODUCTS)
@pytest.mark.parametrize("swapped", [(False, False), (True, False), (False, True)])
def test_products(m: int, n: int, k: int, swapped: tuple[bool, bool]) -> None:
    left, right = swapped
    a = Tensor(RNG.integers(-4, 5, (k, m) if left else (m, k)).astype(np.float32))
    b = Tensor(RNG.integers(-4, 5, (n, k) if right else (k, n)).astype(np.float32))

    def f(a, b):
        return ops.matmul(a.T if left else a, b.T if right else b) * 2.0

    with config.override(cuda="emulate"):
        got = ms.jit(f, backend="cuda")(a, b).asnumpy()
    np.testing.assert_array_equal(got, f(a, b).asnumpy())  # of small integers: exact


@pytest.mark.parametrize("swapped", [(False, False), (True, True)])
def test_products_on_tensor_cores(swapped: tuple[bool, bool]) -> None:
    """Of small integers, which float16 and the totals hold: exact, and one launch."""
    (m, n, k), (left, right) = (65, 40, 23), swapped
    a = RNG.integers(-4, 5, (k, m) if left else (m, k)).astype(np.float16)
    b = RNG.integers(-4, 5, (n, k) if right else (k, n)).astype(np.float16)
    graph = traced(lambda a, b: ops.matmul(a.T if left else a, b.T if right else b), a, b)
    [(_, grid)] = DeviceProgram(graph, {}).grids
    assert "mma_f16" in grid.source
    np.testing.assert_array_equal(emulated(graph, [a, b])[0], reference(graph, [a, b])[0])


def test_convolutions_on_tensor_cores() -> None:
    x = RNG.integers(-2, 3, (2, 3, 6, 6)).astype(np.float16)
    w = RNG.integers(-2, 3, (33, 3, 3, 3)).astype(np.float16)
    graph = traced(lambda x, w: ops.conv2d(x, w), x, w)
    assert any("mma_f16" in grid.source for _, grid in DeviceProgram(graph, {}).grids)
    np.testing.assert_array_equal(emulated(graph, [x, w])[0], reference(graph, [x, w])[0])


FINISHED: dict[str, tuple[Callable, list[np.ndarray], int]] = {
    "bias": (lambda x, w, b: ops.relu(x @ w + b), [normal(9, 7), normal(7, 5), normal(5)], 1),
    "two results": (
        lambda x, w: (ops.exp(y := x @ w), y * 2.0), [normal(33, 7), normal(7, 20)], 1,
    ),
    "batch": (lambda x, w: ops.tanh(x @ w), [normal(3, 9, 7), normal(3, 7, 5)], 1),
    "channels": (
        lambda x, w, b: ops.relu(ops.conv2d(x, w) + b),
        [normal(2, 3, 6, 6), normal(4, 3, 3, 3), normal(4, 1, 1)], 1,
    ),
    "half": (
        lambda x, w: ops.relu(x @ w),
        [normal(40, 20).astype(np.float16), normal(20, 33).astype(np.float16)], 1,
    ),
    "turned": (lambda x, w: ops.exp(y := x @ w) + y.T, [normal(9, 7), normal(7, 9)], 2),
    "read again": (lambda x, w: (y := x @ w, ops.exp(y)), [normal(9, 7), normal(7, 5)], 2),
}  # fmt: skip


@pytest.mark.parametrize("name", FINISHED)
def test_what_follows_a_product(name: str) -> None:
    """It is one launch with it, unless it reads the elements in another order or so do others."""
    function, arrays, launches = FINISHED[name]
    graph = traced(function, *arrays)
    assert len(DeviceProgram(graph, {}).launches) == launches
    bound = 1e-3 if arrays[0].dtype == np.float16 else 1e-6
    for a, b in zip(emulated(graph, arrays), reference(graph, arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=bound, atol=10 * bound)


def text_grid(body: str, count: int, threads: int = 4) -> Grid:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return Grid(f"def kernel(a, count):\n{lines}", (), ("f32",), (count,), 2, threads)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("a[0] = f32(1)", emulate.Race),
        ("a[cuda.threadIdx.x] = f32(1)", emulate.Race),  # the other block writes it too
        ("a[cuda.grid(1)] = f32(1)\nv = a[cuda.grid(1) ^ 1]", emulate.Race),
        ("a[cuda.grid(1) + 1] = f32(1)", emulate.Outside),
        ("a[cuda.grid(1) - 1] = f32(1)", emulate.Outside),
        ("if cuda.threadIdx.x > 1:\n    cuda.syncthreads()", emulate.Race),
    ],
)
def test_the_emulator_finds(body: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        emulate.run(text_grid(body, 8), [np.zeros(8, np.float32).view(np.uint8)], 2)


def test_the_emulator_finds_two_names_of_an_element() -> None:
    text = "def kernel(a, b, count):\n    a[cuda.grid(1)] = f32(1)\n    v = b[cuda.grid(1) ^ 1]\n"
    memory = np.zeros(8, np.float32).view(np.uint8)
    with pytest.raises(emulate.Race, match="pointer 0"):
        emulate.run(Grid(text, (), ("f32", "f32"), (8,), 2, 4), [memory, memory], 2)


def test_a_barrier_makes_order() -> None:
    body = """shared = cuda.shared.array(4, f32)
i = cuda.threadIdx.x
shared[i] = f32(i)
cuda.syncthreads()
a[cuda.grid(1)] = shared[3 - i]"""
    array = np.zeros(8, np.float32)
    emulate.run(text_grid(body, 8), [array.view(np.uint8)], 2)
    np.testing.assert_array_equal(array, [3, 2, 1, 0] * 2)


def train_step() -> tuple[Callable, Parameter]:
    w = Parameter(RNG.standard_normal((7, 3)).astype(np.float32), name="w")

    def loss(x, y):
        p = ops.softmax(ops.matmul(x, w), -1)
        return -(y * ops.log(p)).mean()

    gradient = ms.value_and_grad(loss, None, w)

    def step(x, y):
        value, slope = gradient(x, y)
        ops.assign(w, w - 0.5 * slope)
        return value

    return step, w


def run_steps(run: Callable[[Callable], Callable]) -> tuple[list[float], np.ndarray]:
    global RNG
    RNG = np.random.default_rng(9)
    step, w = train_step()
    x = Tensor(RNG.standard_normal((5, 7)).astype(np.float32))
    y = Tensor(np.eye(3, dtype=np.float32)[[0, 1, 2, 1, 0]])
    function = run(step)
    return [function(x, y).item() for _ in range(3)], w.asnumpy().copy()


def test_parameters_are_updated() -> None:
    losses, trained = run_steps(ms.jit)
    with config.override(cuda="emulate"):
        on_device = run_steps(lambda f: ms.jit(f, backend="cuda"))
    np.testing.assert_allclose(on_device[0], losses, rtol=1e-6)
    np.testing.assert_allclose(on_device[1], trained, rtol=1e-5, atol=1e-6)


def test_an_index_out_of_bounds() -> None:
    with config.override(cuda="emulate"), pytest.raises(BoundsError, match="index 9 is out of"):
        ms.jit(lambda x, i: x[i], backend="cuda")(Tensor([1.0, 2.0]), Tensor([0, 9])).asnumpy()


@pytest.mark.skipif(bool(numba_config.ENABLE_CUDASIM) or not why_not(), reason="there is a device")
def test_no_device() -> None:
    with pytest.raises(DeviceError, match="there is no GPU to run on: "):
        ms.jit(lambda x: x + 1.0, backend="cuda")(Tensor(1.0))


def test_the_context_decides_where_compiled_code_runs() -> None:
    seen = []
    function = ms.jit(lambda x: x * 3.0)
    assert function(Tensor(2.0)).item() == 6.0
    try:
        with config.override(cuda="emulate"):
            ms.set_context(device_target="GPU")
            seen = [function(Tensor(2.0)).item() for _ in range(4)]
            assert ms.get_context("device_target") == "GPU"
    finally:
        ms.set_context(device_target="CPU")
    assert seen == [6.0] * 4
    with pytest.raises(ms.errors.ArgumentError, match="device_target='TPU'"):
        ms.set_context(device_target="TPU")


def test_every_op_has_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_cpu = {name for name in calls.CALLS if name in OPS and OPS[name].kind == "call"}
    assert on_the_cpu - grids.RULES.keys() == {"opaque"}  # the host calls it
    monkeypatch.delitem(grids.RULES, "argmax")
    with config.override(cuda="emulate"), pytest.raises(DeviceError, match="argmax has no CUDA"):
        ms.jit(lambda x: x.argmax(), backend="cuda")(Tensor([1.0, 2.0]))


def test_numbers_that_need_64_bits() -> None:
    text = "q = quotient(at, n1)"
    assert products.with_division(text, 1 << 31) == "q = quotient64(at, n1)"
    assert products.with_division(text, (1 << 31) - 1) == "q = quotient32(at, n1)"
    assert blocks_for(1 << 40, 256) == 1 << 16
