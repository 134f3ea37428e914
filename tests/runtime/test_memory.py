"""Memory that is used again: arenas, large results, and what users see of both."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import config
from jitgrad.errors import IRError
from jitgrad.ir.types import ALIGNMENT
from jitgrad.primitives.elementwise import exp, sin
from jitgrad.primitives.index import take
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.shape import slice_
from jitgrad.runtime import memory
from jitgrad.runtime.executable import Executable
from tests.programs import graph_of, softmax
from tests.runtime.test_threads import needs_fork, script

LARGE = memory.LARGE // 4  # float32 elements


@pytest.fixture(autouse=True)
def empty() -> None:
    gc.collect()
    ms.empty_cache()


def three(x):
    return x * 2.0, exp(x), sin(x)


def executable_of(count: int) -> Executable:
    return Executable(graph_of(three, f"f32[{count}]"), {})


# --- results ----------------------------------------------------------------------------------


def test_dropped_results_are_used_again() -> None:
    executable, x = executable_of(LARGE), np.ones(LARGE, np.float32)
    addresses = {r.ctypes.data for r in executable(x)}
    for _ in range(5):
        assert {r.ctypes.data for r in executable(x)} == addresses
    stats = ms.memory_stats()
    assert stats["kept"] == stats["free"] == stats["kept_peak"] == 3 * memory.LARGE


def test_results_that_are_alive_are_left_alone() -> None:
    """Also where only a view of one is left, in another shape or dtype."""
    executable, x = executable_of(LARGE), np.ones(LARGE, np.float32)
    first = executable(x)[0]
    view = executable(x * 2)[1][5:7].view(np.int32)
    buffer = memoryview(executable(x * 3)[2])
    kept = first.copy(), view.copy(), np.array(buffer)
    for k in range(20):
        executable(x * k)
    for now, before in zip((first, view, np.asarray(buffer)), kept, strict=True):
        np.testing.assert_array_equal(now, before)
    stats = ms.memory_stats()
    assert stats["kept"] - stats["free"] == 3 * memory.LARGE


def test_large_results_are_aligned_and_small_ones_not_kept() -> None:
    for count in (LARGE, LARGE + 1, 3 * LARGE):
        for result in executable_of(count)(np.ones(count, np.float32)):
            assert result.ctypes.data % ALIGNMENT == 0
            assert result.flags.writeable
            assert result.flags.c_contiguous
    before = ms.memory_stats()
    executable_of(LARGE - 1)(np.ones(LARGE - 1, np.float32))
    assert ms.memory_stats() == before


def test_what_is_kept_is_bounded() -> None:
    with config.override(kept=2):  # MB: two of each size
        for count in (LARGE, 2 * LARGE, 3 * LARGE, LARGE):
            held = executable_of(count)(np.ones(count, np.float32))
            assert ms.memory_stats()["kept"] <= 2 << 20
        np.testing.assert_array_equal(held[0], np.full(LARGE, 2, np.float32))
    with config.override(kept=0):
        ms.empty_cache()
        executable_of(LARGE)(np.ones(LARGE, np.float32))
        assert ms.memory_stats()["kept"] == 0


def test_threads_never_share_a_result() -> None:
    executable = executable_of(LARGE)

    def work(k: int) -> bool:
        x = np.full(LARGE, k, np.float32)
        for _ in range(50):
            results = executable(x)
            if results[0].min() != 2 * k or results[0].max() != 2 * k:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(1, 5)))


# --- arenas -----------------------------------------------------------------------------------


def hungry(rows: int) -> Executable:
    """Products in the arena."""
    types = f"f32[{rows},{rows}]"
    return Executable(graph_of(lambda x: softmax(matmul(matmul(x, x), x)), types), {})


def need(executable: Executable) -> int:
    return executable.program.plan.arena + executable.program.local * ms.get_num_threads()


def test_one_arena_serves_all_plans() -> None:
    small, large = hungry(20), hungry(40)
    a, b = np.ones((20, 20), np.float32), np.ones((40, 40), np.float32)
    assert 0 < need(small) < need(large)
    for executable, x, most in ((small, a, small), (large, b, large), (small, a, large)):
        executable(x)
        assert ms.memory_stats()["arena"] == need(most)
    ms.empty_cache()
    assert ms.memory_stats()["arena"] == ms.memory_stats()["arena_peak"] == 0
    small(a)
    assert ms.memory_stats()["arena"] == need(small)


def test_arenas_of_threads_that_run_at_once() -> None:
    """Each plan has one of its own, and one of them is kept."""
    executable = hungry(150)
    arrays = [np.random.default_rng(i).normal(size=(150, 150)).astype("f") / 9 for i in range(4)]
    expected = [executable(x)[0].copy() for x in arrays]
    start = threading.Barrier(4)

    def work(i: int) -> bool:
        start.wait()
        return all(np.array_equal(executable(arrays[i])[0], expected[i]) for _ in range(100))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    stats = ms.memory_stats()
    assert stats["arena"] == need(executable)
    assert stats["arena_peak"] <= 4 * need(executable)


@needs_fork
def test_a_fork_while_memory_is_handed_out() -> None:
    out = script(
        """
        import os, threading
        import numpy as np
        import jitgrad as ms
        f = ms.jit(lambda x: (x * 2.0, x + 1.0))
        x = ms.Tensor(np.ones(100_000, np.float32))
        f(x)
        stop = threading.Event()
        def loop():
            while not stop.is_set():
                f(x)
        threads = [threading.Thread(target=loop) for _ in range(2)]
        for t in threads: t.start()
        codes = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                good = all(float(f(x)[0].asnumpy().sum()) == 200_000 for _ in range(20))
                ms.memory_stats(), ms.empty_cache()
                os._exit(0 if good else 1)
            codes.append(os.waitpid(pid, 0)[1])
        stop.set()
        for t in threads: t.join()
        print(codes)
        """
    )
    assert out.strip() == str([0] * 4)


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="peaks are of all time")
def test_peak_of_a_gradient() -> None:
    """Inputs, outputs and at most 1 MB."""
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PEAK)], capture_output=True, text=True, check=True
    )
    extra = int(out.stdout)
    assert extra <= 1 << 20


PEAK = """
import numpy as np
import jitgrad as ms
from jitgrad import ops
from jitgrad.tools.memory import peak, reset_peak
n = 4_000_000
chain = lambda x, y: (ops.tanh(x * y + ops.sin(x)) * ops.exp(-y)).sum()
f = ms.jit(ms.value_and_grad(chain, (0, 1)))
x, y = (ms.Tensor(np.linspace(0, 1, n, dtype=np.float32)) for _ in range(2))
f(x, y)
ms.empty_cache()
reset_peak()
before = peak()
_, grads = f(x, y)
print(peak() - before - 2 * 4 * n)
"""


# --- what goes in -----------------------------------------------------------------------------


def test_arrays_that_do_not_fit() -> None:
    executable = Executable(graph_of(lambda x: x * 2.0, "f32[4,3]"), {})
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    for wrong in (x[:2], x.astype(np.float64), x.reshape(3, 4), x.astype(">f4")):
        with pytest.raises(IRError, match=r"@program input %x0 is f32\[4,3\], got"):
            executable(wrong)
    for wrong in (np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2]):
        with pytest.raises(IRError, match=r"@program input %x0 is not contiguous"):
            executable(wrong)
    for count in (0, 2):
        with pytest.raises(ValueError, match="zip"):
            executable(*[x] * count)


def test_arrays_of_other_classes() -> None:
    """And with a dtype that is equal, but not the same object."""
    executable = Executable(graph_of(lambda x: x * 2.0, "f32[4]"), {})
    x = np.arange(4, dtype=np.float32)

    class Mine(np.ndarray):
        pass

    odd = np.ndarray(4, np.dtype("f4", metadata={"a": 1}), x)
    for given in (x.view(Mine), odd):
        np.testing.assert_array_equal(executable(given)[0], x * 2)
        assert type(executable(given)[0]) is np.ndarray


@pytest.mark.parametrize("shape", ["0", "0,3", "3,0", "1", ""])
def test_sizes_from_zero_on(shape: str) -> None:
    executable = Executable(graph_of(lambda x: (x * 2.0, x + x), f"f64[{shape}]"), {})
    x = np.ones(tuple(int(n) for n in shape.split(",") if n))
    for result in executable(x):
        np.testing.assert_array_equal(result, 2 * x)


def test_denormals() -> None:
    """They are neither flushed on the way in nor on the way out, in any thread."""
    count = 300_001
    executable = Executable(graph_of(lambda x: x * 0.5, f"f32[{count}]"), {})
    x = np.full(count, 1e-40, np.float32)
    for threads in (1, 3):
        before = ms.get_num_threads()
        ms.set_num_threads(threads)
        try:
            np.testing.assert_array_equal(executable(x)[0], x * np.float32(0.5))
        finally:
            ms.set_num_threads(before)
    assert (x * np.float32(0.5)).max() > 0


@pytest.mark.slow
def test_beyond_two_to_the_31() -> None:
    """Elements of a lazily allocated array, of which a few pages are touched."""
    count = (1 << 31) + 100_000
    try:
        x = np.zeros((count,), np.uint8)
    except MemoryError:
        pytest.skip("there is no memory for it")
    x[-1], x[1 << 31] = 3, 4

    def ends(x, i):
        last = slice_(x, starts=(count - 9,), stops=(count,), steps=(1,))
        return take(x, i), last + last

    graph = graph_of(ends, f"u8[{count}] i64[3]")
    picked, doubled = Executable(graph, {})(x, np.array([count - 1, 1 << 31, 5]))
    assert picked.tolist() == [3, 4, 0]
    assert doubled.tolist() == [0] * 8 + [6]
