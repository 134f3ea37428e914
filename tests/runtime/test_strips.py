"""Strips: launches over one tile after the other, by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from jitgrad import config
from jitgrad.codegen.launch import Launch, Library, Moving, Part, Status, Strip
from jitgrad.errors import BoundsError
from jitgrad.passes.plan import Buffer, Step
from jitgrad.runtime import program as module
from jitgrad.runtime.executable import Executable
from jitgrad.runtime.lowered import Lowered
from jitgrad.runtime.table import unrolled
from tests.programs import graph_of

CLEAR = """def kernel(ptrs, dims, lo, hi):
    r0 = f32_ptr(ptrs, 0)
    for i0 in range(lo, hi):
        r0[i0] = f32(0)
"""
TWICE = """def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    for i0 in range(lo, hi):
        r0[i0] = a0[i0] * f32(2)
"""
SUM = """def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    r1 = f32_ptr(ptrs, 2)
    for i0 in range(lo, hi):
        v0 = a0[i0] + f32(dims[0])
        r0[i0] = v0
        r1[0] = r1[0] + v0
"""
CHECK = """def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    status = i64_ptr(ptrs, 1)
    for i0 in range(lo, hi):
        if a0[i0] > f32(1000):
            status[0] = 1
            status[1] = dims[0]
"""
TILE = 8  # elements


def strip(tiles: int, chunks: int, rest: int) -> Strip:
    """y = 2 x + 1 through memory of the thread, and the sum of y over each chunk.

    The last tile has `rest` elements. Chunks are sums over y's tiles in order.
    """
    count, nbytes = (tiles - 1) * TILE + rest, 4 * TILE
    x, y = Buffer(4 * count, "input", 0), Buffer(4 * count, "output", 0)
    sums, local = Buffer(4 * chunks, "output", 1), Buffer(nbytes, "local", 64)
    here, there, total = Moving(x, nbytes), Moving(y, nbytes), Moving(sums, 0, 4)
    start = (Launch(CLEAR, (total,), (), 1, 1),)
    body = (
        Launch(TWICE, (here, local), (), TILE, TILE),
        Launch(SUM, (local, there, total), (1,), TILE, TILE),
        Launch(CHECK, (Part(local, 4), Status()), (1 << 50,), 1, 1),
    )
    tail = tuple(replace(launch, extent=min(launch.extent, rest)) for launch in body)
    return Strip(start, body, tail if rest < TILE else (), tiles, chunks, 64 + nbytes)


@pytest.fixture(params=[True, False], ids=["compiled", "python"])
def made(request, monkeypatch):
    """Makes an executable of one hand-made strip: (tiles, chunks, rest) -> Executable."""

    def make(tiles: int, chunks: int, rest: int = TILE, jit: bool = request.param) -> Executable:
        strips = [strip(tiles, chunks, rest)]
        count = (tiles - 1) * TILE + rest
        monkeypatch.setattr(module, "launches", lambda step: [strips.pop()] if strips else [])
        graph = graph_of(lambda x, z: (x * 2.0, z * 2.0), f"f32[{count}] f32[{chunks}]")
        with config.override(jit=jit):
            return Executable(graph, {})

    return make


def run(executable: Executable, x: np.ndarray) -> list[np.ndarray]:
    (count,) = executable.outputs[1][0]
    return executable(x, np.zeros(count, np.float32))


@pytest.mark.parametrize(
    ("tiles", "chunks", "rest"), [(1, 1, 8), (1, 1, 3), (7, 2, 8), (7, 3, 5), (40, 8, 1), (5, 5, 2)]
)
def test_a_strip(made, tiles: int, chunks: int, rest: int) -> None:
    executable = made(tiles, chunks, rest)
    x = np.arange((tiles - 1) * TILE + rest, dtype=np.float32)
    for _ in range(2):
        y, sums = run(executable, x)
        np.testing.assert_array_equal(y, 2 * x + 1)
        bounds = [TILE * (c * tiles // chunks) for c in range(chunks + 1)]
        expected = [y[lo:hi].sum() for lo, hi in itertools.pairwise(bounds)]
        np.testing.assert_array_equal(sums, expected)


def test_an_index_out_of_bounds_in_a_strip(made) -> None:
    """Beyond 48 bits, in the last launch of a tile."""
    executable = made(9, 3)
    x = np.zeros(9 * TILE, np.float32)
    x[5 * TILE + 1] = 501
    with pytest.raises(BoundsError, match=f"index {1 << 50} is out of bounds"):
        run(executable, x)
    x[5 * TILE + 1] = 499
    run(executable, x)


def test_launches_are_numbered_across_entries(made) -> None:
    executable = made(7, 3, 5)
    (_, entry) = executable.program.launches[0]
    numbers = [number for number, _ in unrolled(entry)]
    assert numbers == [0, *[1, 2, 3] * 2, 0, *[1, 2, 3] * 2, 0, *[1, 2, 3] * 3]
    assert [launch.source for _, launch in executable.program.flattened] == [
        CLEAR,
        TWICE,
        SUM,
        CHECK,
    ]


def test_a_strip_is_lowered_and_profiled(made, monkeypatch) -> None:
    executable = made(7, 3, 5)
    if not executable.native:
        executable = made(7, 3, 5, jit=True)  # plain Python is not profiled
    monkeypatch.setattr("jitgrad.runtime.lowered.compile_graph", lambda *given: executable)
    x, z = np.ones(6 * TILE + 5, np.float32), np.zeros(3, np.float32)
    lowered = Lowered(executable.graph, {}, [x, z])
    assert [kernel.source for kernel in lowered.kernels] == [CLEAR, TWICE, SUM, CHECK]
    times = lowered.profile()
    assert len(times) == 4
    assert all(0 < seconds < 1 for seconds in times)


PRODUCT = """def kernel(ptrs, dims, lo, hi):
    a, b, c = ptrs[0], ptrs[1], ptrs[2]
    gemm_f32(ptrs[3], 78, 78, dims[1], dims[0], dims[2], b, dims[1], a, dims[2], 0, c, dims[1])
"""


def test_a_product_in_a_strip(monkeypatch) -> None:
    """BLAS reads and writes through pointers that move."""
    from jitgrad.primitives.linalg import matmul

    m, n, k, tile = 13, 5, 3, 4

    def launches(step: Step) -> list[Strip]:
        a, b, c = Moving(step.reads[0], 4 * tile * k), step.reads[1], step.writes[0]
        pointers = (a, b, Moving(Part(c, 0), 4 * tile * n), Library("sgemm"))
        body = Launch(PRODUCT, pointers, (tile, n, k), 1, tile * n * k)
        return [Strip((), (body,), (replace(body, dims=(1, n, k)),), 4, 2, 0)]

    monkeypatch.setattr(module, "launches", launches)
    graph = graph_of(matmul, f"f32[{m},{k}] f32[{k},{n}]")
    a = np.arange(m * k, dtype=np.float32).reshape(m, k)
    b = np.arange(k * n, dtype=np.float32).reshape(k, n)
    for jit in (True, False):
        with config.override(jit=jit):
            np.testing.assert_array_equal(Executable(graph, {})(a, b)[0], a @ b)


def test_an_error_after_65535_launches(monkeypatch) -> None:
    """The number of a launch has room of its own."""
    from jitgrad.primitives.index import take

    def launches(step: Step) -> list[Launch]:
        quiet = Launch(CLEAR, (step.writes[0],), (), 0, 0)
        found = original(step)
        return [*[quiet] * 70_000, *found]

    original = module.launches
    monkeypatch.setattr(module, "launches", launches)
    executable = Executable(graph_of(lambda x, i: take(x, i), "f32[5] i64[2]"), {})
    x = np.arange(5, dtype=np.float32)
    for index in (7, 1 << 48, (1 << 62) + 3):
        with pytest.raises(BoundsError, match=f"take: index {index} is out of bounds"):
            executable(x, np.array([0, index]))
    np.testing.assert_array_equal(executable(x, np.array([4, 1]))[0], x[[4, 1]])
